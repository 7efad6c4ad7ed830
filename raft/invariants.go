package raft

import "fmt"

// assert states something that the paper proves. It stays on in production: a
// server that sees it fail must stop before it spreads the damage. Where it would
// run for each entry or each batch, an if calls broken instead, because the
// arguments of assert are put on the heap even when all is well.
func assert(ok bool, format string, args ...any) {
	if !ok {
		broken(format, args...)
	}
}

func broken(format string, args ...any) {
	panic("raft: " + fmt.Sprintf(format, args...))
}

// shadow is what check saw last, to compare with.
type shadow struct {
	term        Term
	vote        NodeID
	state       State
	leaderID    NodeID
	commitIndex Index
	lastApplied Index
}

func (r *Raft) look() shadow {
	return shadow{r.currentTerm, r.votedFor, r.state, r.leaderID, r.commitIndex, r.lastApplied}
}

// check states the invariants of one server, and those between its last state and
// this one. It runs after every batch of inputs.
func (r *Raft) check() {
	before, now := r.shadow, r.look()
	r.shadow = now
	checkDelta(before, now)
	last := r.log.lastIndex()
	switch {
	case r.lastApplied > r.commitIndex:
		broken("applied %d beyond committed %d", r.lastApplied, r.commitIndex)
	case r.snapshot.Index > r.lastApplied:
		broken("snapshot through %d beyond applied %d", r.snapshot.Index, r.lastApplied)
	case r.log.base > r.snapshot.Index:
		broken("log begins after %d, but the snapshot ends at %d", r.log.base, r.snapshot.Index)
	case !r.log.matches(r.snapshot.Index, r.snapshot.Term):
		broken("snapshot %d@%d is not in the log (%d, %d]", r.snapshot.Index, r.snapshot.Term, r.log.base, last)
	case r.commitIndex > last:
		broken("committed %d beyond the log's end %d", r.commitIndex, last)
	case r.log.lastTerm() > r.currentTerm:
		broken("last entry of term %d beyond currentTerm %d", r.log.lastTerm(), r.currentTerm)
	case r.disk.savedIndex > last:
		broken("durable %d beyond the log's end %d", r.disk.savedIndex, last)
	case (r.leader != nil) != (r.state == Leader):
		broken("leader's data in state %v", r.state)
	case (r.candidate != nil) != (r.state == Candidate || r.state == PreCandidate):
		broken("candidate's data in state %v", r.state)
	case r.state != Leader:
	case r.leaderID != r.cfg.ID:
		broken("leader believes in leader %q", r.leaderID)
	case r.votedFor != r.cfg.ID:
		broken("leader of term %d voted for %q", r.currentTerm, r.votedFor)
	default:
		r.checkProgress()
	}
}

// checkDelta states what may happen to one server between two looks.
func checkDelta(before, now shadow) {
	sameTerm := now.term == before.term
	switch {
	case now.term < before.term:
		broken("currentTerm went back from %d to %d", before.term, now.term)
	case now.commitIndex < before.commitIndex:
		broken("commitIndex went back from %d to %d", before.commitIndex, now.commitIndex)
	case now.lastApplied < before.lastApplied:
		broken("lastApplied went back from %d to %d", before.lastApplied, now.lastApplied)
	case sameTerm && before.vote != nobody && now.vote != before.vote:
		broken("vote of term %d changed from %q to %q", now.term, before.vote, now.vote)
	case sameTerm && before.leaderID != nobody && now.leaderID != nobody && now.leaderID != before.leaderID:
		broken("Election Safety: leaders %q and %q in term %d", before.leaderID, now.leaderID, now.term)
	case sameTerm && before.state == Leader && now.state == Candidate:
		broken("leader of term %d became its candidate", now.term)
	}
}

func (r *Raft) checkProgress() {
	for _, m := range r.leader.receivers {
		p := r.leader.peers[m.ID]
		switch {
		case p.matchIndex >= p.nextIndex:
			broken("%s: nextIndex %d is not beyond matchIndex %d", m.ID, p.nextIndex, p.matchIndex)
		case p.nextIndex > r.log.lastIndex()+1:
			broken("%s: nextIndex %d beyond the log's end %d", m.ID, p.nextIndex, r.log.lastIndex())
		case p.inflight < 0 || p.inflight > r.cfg.MaxInflight:
			broken("%s: %d messages in flight", m.ID, p.inflight)
		}
	}
}
