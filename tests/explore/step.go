package explore

import (
	"fmt"
	"slices"
	"sync/atomic"

	"dbdb/raft"
)

// what may happen to a server.
type what uint8

const (
	timeout   what = iota + 1 // its election timer runs out
	heartbeat                 // a leader's timer runs out
	silence                   // no leader is heard any more, though the timer has not run out
	quorum                    // a leader looks whether it hears a majority
	command                   // a client proposes
	synced                    // its disk makes durable what waits
	restart                   // a crash, which loses what is not durable, and a start
	deliver                   // a message arrives
	expire                    // no reply to a call will come
	unheard                   // replies that it holds back are for no present session any more
	gone                      // the caller of replies that it holds back is no more
	useless                   // nobody will react to a reply that it holds back
	add                       // the operator's wishes: add a server, remove one,
	remove
	transfer // hand over to one
)

// input is one thing that happens to a server. A server in one state and an input have one
// outcome: that is all that the core being a pure value means, and it is looked up from then
// on, however often the two meet in different states of the world.
type input struct {
	what what
	of   uint32 // a message's number, or a place
}

// outcome is what becomes of a server.
type outcome struct {
	next   uint32   // the server's number after it; 0 if there is no such input
	sent   []uint32 // messages that leave, in this order; a request that waits for nothing first
	stale  uint8    // peers, as bits by place, whose present session has ended
	broken *broken  // a promise that the server broke by itself
	// covered are entries that a snapshot of the server's own took the place of in this step.
	covered []raft.Entry
	// taken says that a step of the world has had it.
	taken atomic.Bool
}

// broken is an oracle's objection.
type broken struct{ oracle, detail string }

func (b *broken) Error() string { return b.oracle + ": " + b.detail }

func violate(oracle, format string, args ...any) {
	panic(&broken{oracle, fmt.Sprintf(format, args...)})
}

// driver does for one input what package replica does for a server: it carries out what the
// core asks for, and holds back what waits for the disk.
type driver struct {
	space   *space
	place   int
	before  *server
	core    *raft.Raft
	disk    raft.Restored
	saves   []held
	file    []part
	replies []*message // of this batch
	sent    []*message
	covered []raft.Entry
	refused bool // the input is none: nothing was done
}

// happen finds out what becomes of a server.
func (x *space) happen(place int, before *server, in input) (o *outcome) {
	d := &driver{space: x, place: place, before: before, core: before.core.Clone(), disk: before.disk, file: before.file}
	for _, h := range before.saves {
		h.replies, h.calls = slices.Clone(h.replies), slices.Clone(h.calls)
		d.saves = append(d.saves, h)
	}
	defer func() {
		switch caught := recover().(type) {
		case nil:
		case *broken:
			o = &outcome{broken: caught}
		default:
			o = &outcome{broken: &broken{"assertion", fmt.Sprint(caught)}}
		}
	}()
	d.input(in)
	if d.refused {
		return &outcome{}
	}
	next := &server{core: d.core, disk: d.disk, saves: d.saves, file: d.file}
	next.look()
	for _, h := range next.saves {
		for _, m := range h.replies {
			next.held = append(next.held, x.numberOf(m))
		}
	}
	stepIsRight(place, before, next, in)
	o = &outcome{stale: staleSessions(before, next), covered: d.covered}
	if in.what == restart {
		o.stale = 1<<maxNodes - 1
	}
	for _, m := range d.sent {
		o.sent = append(o.sent, x.numberOf(x.withSession(m, next)))
	}
	o.next = x.serverNumber(next)
	return o
}

// staleSessions are the peers with whom the leader that this was has begun anew, or with
// whom it is a leader of that term no more.
func staleSessions(before, next *server) (bits uint8) {
	for peer, session := range before.sessions {
		if session != 0 && (next.sessions[peer] != session || next.Term != before.Term) {
			bits |= 1 << peer
		}
	}
	return bits
}

// withSession takes the number of the session out of a request, and says whether it is
// the present one.
func (x *space) withSession(m *message, s *server) *message {
	if m.isReply {
		return m
	}
	c := m.with(false, m.orphan)
	switch {
	case m.call.AppendEntries != nil:
		a := *m.call.AppendEntries
		c.current = a.Session == s.sessions[m.to] && a.Term == s.Term
		a.Session = 0
		c.call.AppendEntries = &a
	case m.call.InstallSnapshot != nil:
		a := *m.call.InstallSnapshot
		c.current = a.Session == s.sessions[m.to] && a.Term == s.Term
		a.Session = 0
		c.call.InstallSnapshot = &a
	}
	return c
}

func (d *driver) input(in input) {
	switch in.what {
	case timeout:
		d.core.ElectionTimeout()
	case heartbeat:
		d.refused = d.core.State() != raft.Leader
		d.core.HeartbeatTimeout()
	case silence, quorum:
		d.passTime(in.what == quorum)
	case command:
		_, _, err := d.core.Propose([]byte("x"))
		d.refused = err != nil
	case add:
		_, _, err := d.core.AddLearner(raft.Member{ID: idOf(int(in.of))})
		d.refused = err != nil || d.core.Status().LastIndex == d.before.LastIndex
	case remove:
		_, _, err := d.core.RemoveServer(idOf(int(in.of)))
		d.refused = err != nil
	case transfer:
		d.refused = d.core.Transferring() || int(in.of) == d.place || d.core.TransferLeadership(idOf(int(in.of))) != nil
	case synced:
		d.sync()
	case restart:
		d.core, d.saves, d.file = raft.New(d.space.level.config(d.place), d.disk), nil, nil
	case deliver:
		d.deliver(d.space.message(in.of))
	case expire:
		d.expire(d.space.message(in.of))
	case unheard:
		d.unheard(int(in.of))
	case gone:
		d.dropHeld(func(m *message) bool { return m.to == int(in.of) })
	case useless:
		d.dropHeld(func(m *message) bool { return d.space.numberOf(m) == in.of })
	}
	if !d.refused {
		d.flush()
	}
}

// passTime lets an election timeout pass, at its shortest.
func (d *driver) passTime(leads bool) {
	heard := d.before.Leader != "" && d.before.State != raft.Leader && d.before.LeaderHeard < electionTicks
	if d.refused = leads != (d.before.State == raft.Leader) || !leads && !heard; d.refused {
		return
	}
	for range electionTicks {
		d.core.Tick()
		d.flush()
	}
}

const electionTicks = 20

// unheard takes replies that are held back for a caller out of its session.
func (d *driver) unheard(caller int) {
	for _, h := range d.saves {
		for i, m := range h.replies {
			if m.to == caller {
				h.replies[i] = m.with(false, m.orphan)
			}
		}
	}
}

func (d *driver) dropHeld(which func(*message) bool) {
	for k := range d.saves {
		d.saves[k].replies = slices.DeleteFunc(d.saves[k].replies, which)
	}
}

func (m *message) with(current, orphan bool) *message {
	return &message{
		from: m.from, to: m.to, call: m.call, isReply: m.isReply, file: m.file, current: current, orphan: orphan,
		vote: m.vote, entries: m.entries, chunk: m.chunk, told: m.told,
	}
}

func (d *driver) deliver(m *message) {
	if m.isReply {
		d.answered(m)
		return
	}
	reply := &message{from: m.to, to: m.from, call: m.call, isReply: true, current: m.current, file: m.file}
	atOnce := false
	switch c := m.call; {
	case c.RequestVote != nil:
		reply.vote = d.core.HandleRequestVote(*c.RequestVote)
	case c.AppendEntries != nil:
		reply.entries = d.core.HandleAppendEntries(*c.AppendEntries)
		atOnce = d.core.MayReplyAtOnce(*c.AppendEntries, reply.entries)
	case c.InstallSnapshot != nil:
		reply.chunk = d.receive(m)
	default:
		reply.told = d.core.HandleTimeoutNow(*c.TimeoutNow)
	}
	switch {
	case m.orphan:
	case atOnce:
		d.leave(reply)
	default:
		d.replies = append(d.replies, reply)
	}
}

// receive stores a chunk, and installs the snapshot with the last one.
func (d *driver) receive(m *message) raft.InstallSnapshotReply {
	a := m.call.InstallSnapshot
	reply, store := d.core.HandleInstallSnapshot(*a)
	if !store {
		return reply
	}
	if a.Offset == 0 {
		d.file = nil
	}
	if uint64(len(d.file)) != a.Offset {
		violate("Chunks are taken in order", "%s stores the chunk at %d after %d", idOf(d.place), a.Offset, len(d.file))
	}
	d.file = append(slices.Clone(d.file), part{a.LastIncludedIndex, a.LastIncludedTerm, a.Term})
	if !a.Done {
		return reply
	}
	for _, p := range d.file {
		if p != d.file[0] {
			violate("Chunks of two files do not mix", "%s puts %v and %v together", idOf(d.place), d.file[0], p)
		}
	}
	d.file = nil
	d.core.FinishSnapshot(m.file)
	return reply
}

func (d *driver) answered(m *message) {
	session := uint64(0)
	if m.current {
		session = d.before.sessions[m.from]
	}
	from := idOf(m.from)
	switch c := m.call; {
	case c.RequestVote != nil:
		d.core.HandleRequestVoteReply(from, *c.RequestVote, m.vote)
	case c.AppendEntries != nil:
		a := *c.AppendEntries
		a.Session = session
		d.core.HandleAppendEntriesReply(from, a, m.entries)
	case c.InstallSnapshot != nil:
		a := *c.InstallSnapshot
		a.Session = session
		d.core.HandleInstallSnapshotReply(from, a, m.chunk)
	default:
		d.core.HandleTimeoutNowReply(from, *c.TimeoutNow, m.told)
	}
}

// expire tells the caller that no reply will come.
func (d *driver) expire(m *message) {
	peer, session := m.peer(), uint64(0)
	if m.current {
		session = d.before.sessions[peer]
	}
	switch c := m.call; {
	case c.AppendEntries != nil:
		a := *c.AppendEntries
		a.Session = session
		d.core.HandleAppendEntriesFailed(idOf(peer), a)
	case c.InstallSnapshot != nil:
		a := *c.InstallSnapshot
		a.Session = session
		d.core.HandleInstallSnapshotFailed(idOf(peer), a)
	}
}

// flush ends a batch, as Replica.Flush does.
func (d *driver) flush() {
	for again := true; again; {
		e := d.core.Effects()
		for _, c := range e.Send {
			d.leave(d.request(c))
		}
		d.save(e)
		again = d.core.MoreToApply() || d.compact()
		if !d.space.level.SlowDisks && len(d.saves) > 0 {
			d.sync()
			again = true
		}
	}
}

// save hands a Save out; what waits for it is held back. Without one, replies and calls
// wait for the last that is not durable.
func (d *driver) save(e raft.Effects) {
	replies := d.replies
	d.replies = nil
	var calls []*message
	for _, c := range e.SendAfter {
		calls = append(calls, d.request(c))
	}
	switch n := len(d.saves); {
	case e.Save.Seq != 0:
		d.saves = append(d.saves, held{e.Save, replies, calls})
	case n > 0:
		last := &d.saves[n-1]
		last.replies = append(last.replies, replies...)
		last.calls = append(last.calls, calls...)
	default:
		d.release(replies, calls)
	}
}

func (d *driver) release(replies, calls []*message) {
	for _, m := range replies {
		d.leave(m)
	}
	for _, m := range calls {
		d.leave(m)
	}
}

// compact takes a snapshot of the state machine, if this server does.
func (d *driver) compact() bool {
	if !isA(d.space.level.Compacting, d.place) {
		return false
	}
	s, _, ok := d.core.NextSnapshot()
	if !ok {
		return false
	}
	d.covered = append(d.covered, d.core.LogEntries(d.core.Snapshot().Index+1, s.Index)...)
	return d.core.Compact(s)
}

// sync makes durable all that waits, and then tells of it.
func (d *driver) sync() {
	n := len(d.saves)
	d.refused = n == 0
	for _, h := range d.saves {
		diskIsRight(d.place, d.disk, h.Save)
		d.disk = written(d.disk, h.Save)
	}
	for range n {
		h := d.saves[0]
		d.saves = d.saves[1:]
		d.core.Saved(h.Save)
		d.release(h.replies, h.calls)
		if len(d.saves) > 0 && d.space.level.SlowDisks {
			e := d.core.Effects()
			for _, c := range e.Send {
				d.leave(d.request(c))
			}
			d.save(e)
		}
	}
}

// request is a call as it leaves: a chunk of a snapshot with what the file has there.
func (d *driver) request(c raft.Call) *message {
	m := &message{from: d.place, to: placeOf(c.To), call: c}
	if a := c.InstallSnapshot; a != nil {
		chunk := *a
		chunk.Size = uint64(max(d.space.level.Chunks, 1))
		chunk.Data = make([]byte, min(1, chunk.Size-chunk.Offset))
		chunk.Done = chunk.Offset+uint64(len(chunk.Data)) == chunk.Size
		m.call.InstallSnapshot, m.file = &chunk, d.core.Snapshot()
	}
	return m
}

// leave sends a message.
func (d *driver) leave(m *message) {
	leavesDurably(d, m)
	d.sent = append(d.sent, m)
}
