package sim

import (
	"errors"
	"slices"

	"dbdb/raft"
)

// message is a kind of message on the wire.
type message uint8

const (
	noMessage message = iota
	requestVote
	requestVoteReply
	appendEntries
	appendEntriesReply
	installSnapshot
	installSnapshotReply
	timeoutNow
	timeoutNowReply
	readIndex
	readIndexReply
	messageKinds
)

var messageNames = [messageKinds]string{
	"", "RequestVote", "RequestVote's reply", "AppendEntries", "AppendEntries' reply",
	"InstallSnapshot", "InstallSnapshot's reply", "TimeoutNow", "TimeoutNow's reply", "ReadIndex", "ReadIndex's reply",
}

func (m message) isReply() bool { return m%2 == 0 }

var (
	errDeadline = errors.New("no answer in time")
	errRefused  = errors.New("connection refused")
)

// network carries packets between servers and loses, repeats, delays and reorders
// them. It is a stronger adversary than TCP: even calls on one link may overtake
// each other, as they do in life when a connection breaks and old calls are
// still being carried out while the new connection is used.
type network struct {
	w      *world
	rand   chance
	cut    [][]bool  // [from][to]: nothing passes
	clogs  [][]int64 // [from][to]: until then everything waits
	links  [][]link  // [from][to]: what is under way, if that is bounded
	parked parked
	epoch  int              // packets of an earlier one are lost
	lateAt int64            // when a packet of a call of phase 1 last arrived in phase 2 that may end a leader's term
	met    map[meeting]bool // who knows whom; asked, never walked
	asked  int              // ReadIndex calls that arrived, again and again if repeated
}

// parked withholds one kind of message on one link, while everything else passes:
// so an acknowledgement can outlive the leadership that it was meant for.
type parked struct {
	active   bool
	from, to int
	message  message
	held     []func()
}

func newNetwork(w *world) *network {
	nw := &network{w: w, rand: stream(w.options.Seed, streamNetwork), met: map[meeting]bool{}}
	places := w.profile.places()
	for range places {
		nw.cut = append(nw.cut, make([]bool, places))
		nw.clogs = append(nw.clogs, make([]int64, places))
		nw.links = append(nw.links, make([]link, places))
	}
	return nw
}

// carry takes one packet from one server to another, or not, or more than once. It is old
// if it belongs to a call of phase 1 that its caller has not given up: a slow disk holds
// answers back until the calm, too.
func (nw *network) carry(m message, from, to *node, old bool, arrive func()) {
	w, p := nw.w, &nw.w.profile
	if w.calm {
		nw.deliver(m, from, to, old, nw.delay(m), arrive)
		return
	}
	if nw.parked.active && nw.parked.from == from.place && nw.parked.to == to.place && nw.parked.message == m {
		nw.parked.held = append(nw.parked.held, func() { nw.deliver(m, from, to, old, nw.delay(m), arrive) })
		return
	}
	if nw.rand.perMille(p.duplicate) {
		w.marks.hit(markDuplicate)
		nw.deliver(m, from, to, old, nw.delay(m)+nw.rand.between(0, p.oldest), arrive)
	}
	if nw.rand.perMille(p.loss) {
		nw.drop(m, from, to)
		return
	}
	if nw.rand.perMille(p.clog) {
		nw.clogs[from.place][to.place] = w.now + nw.rand.exponential(p.clogMean)
	}
	nw.deliver(m, from, to, old, nw.delay(m), arrive)
}

func (nw *network) delay(m message) int64 {
	p := &nw.w.profile
	if nw.w.calm {
		return nw.rand.between(millisecond/5, 2*millisecond)
	}
	d := p.delayMin + nw.rand.exponential(p.delayMean)
	if p.holdReplies && m.isReply() && nw.rand.IntN(3) > 0 {
		d += nw.rand.between(20, 220) * tickPeriod
	}
	return d
}

func (nw *network) deliver(m message, from, to *node, old bool, delay int64, arrive func()) {
	w := nw.w
	if clogged := nw.clogs[from.place][to.place] - w.now; clogged > delay {
		delay = clogged + nw.rand.between(0, millisecond)
	}
	p, epoch := nw.enter(from, to), nw.epoch
	w.atNode(delay, to, func() {
		// A partition takes what is under way as well as what is sent into it.
		if !nw.leave(from, to, p) || epoch != nw.epoch || !to.up || nw.cut[from.place][to.place] {
			nw.drop(m, from, to)
			return
		}
		if w.calm && old && w.mayDepose(m, to) {
			nw.lateAt = w.now
		}
		arrive()
	})
}

// mayDepose says whether an old packet can end the leader's term: it asks for an election; or
// somebody is in a later term, of which the packet or the answer to it may tell; or it wakes
// a server that was removed, and that asks for votes without a pre-vote. A leader that goes
// for any other old packet is a bug.
func (w *world) mayDepose(m message, to *node) bool {
	leader := w.leader()
	if leader == nil {
		return false
	}
	later := func(n *node) bool { return n.view.Term > leader.view.Term }
	return m == timeoutNow || slices.ContainsFunc(w.nodes, later) || !to.wanted && w.profile.raft.NoPreVote
}

func (nw *network) drop(m message, from, to *node) {
	nw.w.trace.add(record{at: nw.w.now, what: dropped, message: m, node: place(from), peer: place(to)})
}

// release lets go of what was parked, all at once.
func (nw *network) release() {
	held := nw.parked.held
	nw.parked = parked{}
	for _, deliver := range held {
		deliver()
	}
}

// heal ends all partitions and clogs. What is under way still arrives.
func (nw *network) heal() {
	for k := range nw.cut {
		clear(nw.cut[k])
		clear(nw.clogs[k])
	}
	nw.release()
}

// transport is the replica's Transport in one life of a node. What leaves is judged by the
// oracles after it was noted, so that the specification hears of it, too.
type transport struct{ n *node }

// Configure implements replica.Transport. The simulated network knows everybody;
// the addresses are checked, because a real one would have to dial them.
func (t *transport) Configure(c raft.Configuration) {
	t.n.told = c
	for _, m := range c.Members {
		if want := t.n.w.find(m.ID).member(); m.RaftAddr != want.RaftAddr {
			violate("Addressing", "n%d is told that %s is at %q", t.n.place+1, m.ID, m.RaftAddr)
		}
	}
}

// RequestVote implements replica.Transport.
func (t *transport) RequestVote(to raft.NodeID, a raft.RequestVoteArgs, done func(raft.RequestVoteReply, error)) {
	t.n.held.sends(to, a)
	t.n.w.check.requestVoteLeaves(t.n, a)
	call(t.n, to, requestVote, voteCodec, a, done, func(dest *node, a raft.RequestVoteArgs, reply func(raft.RequestVoteReply)) {
		dest.replica.RequestVote(a, func(rep raft.RequestVoteReply) {
			reply(rep)
			dest.w.check.voteLeaves(dest, a, rep)
		})
	})
}

// AppendEntries implements replica.Transport.
func (t *transport) AppendEntries(to raft.NodeID, a raft.AppendEntriesArgs, done func(raft.AppendEntriesReply, error)) {
	t.n.held.sends(to, a)
	t.n.w.check.appendEntriesLeaves(t.n, a)
	call(t.n, to, appendEntries, appendCodec, a, done, func(dest *node, a raft.AppendEntriesArgs, reply func(raft.AppendEntriesReply)) {
		dest.heard = dest.w.now
		promised := promiseOf(a)
		dest.w.check.touched(dest, a.PrevLogIndex+1, a.PrevLogIndex+raft.Index(len(a.Entries)))
		dest.replica.AppendEntries(a, func(rep raft.AppendEntriesReply) {
			reply(rep)
			dest.w.check.acknowledgementLeaves(dest, promised, rep)
		})
	})
}

// ReadIndex implements replica.Transport.
func (t *transport) ReadIndex(to raft.NodeID, a raft.ReadIndexArgs, done func(raft.ReadIndexReply, error)) {
	t.n.held.sends(to, a)
	call(t.n, to, readIndex, readCodec, a, t.n.w.check.questionOf(t.n, done), answersQuestion)
}

// InstallSnapshot implements replica.Transport.
func (t *transport) InstallSnapshot(to raft.NodeID, a raft.InstallSnapshotArgs, done func(raft.InstallSnapshotReply, error)) {
	t.n.held.sends(to, a)
	t.n.w.check.chunkLeaves(t.n, a)
	call(t.n, to, installSnapshot, snapshotCodec, a, done, func(dest *node, a raft.InstallSnapshotArgs, reply func(raft.InstallSnapshotReply)) {
		dest.heard = dest.w.now
		dest.files.chunk = transfer{a.Term, a.LeaderID, a.LastIncludedIndex}
		dest.replica.InstallSnapshot(a, func(rep raft.InstallSnapshotReply) {
			reply(rep)
			dest.w.check.installationLeaves(dest, a, rep)
		})
	})
}

// TimeoutNow implements replica.Transport.
func (t *transport) TimeoutNow(to raft.NodeID, a raft.TimeoutNowArgs, done func(raft.TimeoutNowReply, error)) {
	t.n.held.sends(to, a)
	t.n.w.check.timeoutNowLeaves(t.n, t.n.w.find(to), a)
	call(t.n, to, timeoutNow, transferCodec, a, done, func(dest *node, a raft.TimeoutNowArgs, reply func(raft.TimeoutNowReply)) {
		dest.replica.TimeoutNow(a, func(rep raft.TimeoutNowReply) {
			reply(rep)
			dest.w.check.termLeaves(dest, rep.Term)
		})
	})
}
