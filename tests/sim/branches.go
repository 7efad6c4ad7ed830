package sim

import (
	"dbdb/raft"
	"dbdb/tests/spec"
)

// branches are what a server may do at any time and hardly ever does ("buggify", as
// FoundationDB calls it): each is possible in a quarter of the runs, and then happens at most
// five times in a hundred, when it could. Shares are per mille.
type branches struct {
	earlyTimer  int // of ticks after which a timer fires: no clock is as good as its frequency
	tickTwice   int // of ticks
	snapshotNow int // of ticks after which a snapshot is taken, large log or not
	lateNote    int // of syncs of which the replica hears later
	lateReply   int // of replies that their server sends later
}

func (b *branches) draw(r chance) {
	for _, share := range []*int{&b.earlyTimer, &b.tickTwice, &b.snapshotNow, &b.lateNote, &b.lateReply} {
		if r.IntN(4) == 0 {
			*share = int(r.between(1, 50))
		}
	}
}

// rarely takes the branches that are open after a tick.
func (n *node) rarely() {
	w, b := n.w, &n.w.profile.branches
	if n.up && w.rare.perMille(b.tickTwice) {
		w.marks.hit(markTickedTwice)
		n.tick()
	}
	if n.up && w.rare.perMille(b.earlyTimer) {
		n.fireTimer()
	}
	if n.up && w.rare.perMille(b.snapshotNow) {
		n.input(spec.Other{What: "a snapshot is begun"}, n.takeSnapshot)
	}
}

// fireTimer lets the timer of a server's role fire before its time: the election timeout
// of a follower or candidate, the heartbeat of a leader.
func (n *node) fireTimer() {
	core := n.replica.Raft()
	n.w.note(early, n, bit(core.State() == raft.Leader), 0, 0, 0)
	if core.State() == raft.Leader {
		n.w.marks.hit(markEarlyHeartbeat)
		n.input(spec.HeartbeatTimer{}, core.HeartbeatTimeout)
		return
	}
	n.w.marks.hit(markEarlyElection)
	n.input(spec.ElectionTimer{}, core.ElectionTimeout)
}

// takeSnapshot takes one although the log has hardly grown, unless one is being written.
func (n *node) takeSnapshot() {
	core := n.replica.Raft()
	m, _, ok := core.NextSnapshot()
	if !ok || n.files.own.busy {
		return
	}
	n.w.marks.hit(markSnapshotNow)
	n.files.Write(m, n.store.Snapshot(), func(err error) {
		if err == nil {
			core.Compact(m)
		}
	})
}

// maxLate is how much later a note or a reply may come: less than a heartbeat.
const maxLate = 4 * tickPeriod

// sooner or later a server sends what it may send. If it crashes before, it never does.
func (n *node) soonerOrLater(send func()) {
	w := n.w
	if !w.rare.perMille(w.profile.branches.lateReply) {
		send()
		return
	}
	w.marks.hit(markLateReply)
	w.inLife(w.rare.between(1, maxLate), n, send)
}

// told tells the replica of Saves that are durable: at once, or later, while the disk goes
// on with the next ones. The order stays.
func (s *saver) told(batch []pendingSave) bool {
	w := s.n.w
	s.notes = append(s.notes, batch...)
	switch {
	case len(s.notes) > len(batch): // those before are late already
	case w.rare.perMille(w.profile.branches.lateNote):
		w.marks.hit(markLateNote)
		w.inLife(w.rare.between(1, maxLate), s.n, func() { s.tell() })
	default:
		return s.tell()
	}
	return true
}

// tell says whether the server is still there.
func (s *saver) tell() bool {
	for len(s.notes) > 0 {
		p := s.notes[0]
		s.notes = s.notes[1:]
		if !s.n.input(spec.Saved{Save: p.save}, func() { p.done(nil) }) {
			return false
		}
	}
	return true
}
