package raft

import "fmt"

// assert states something that the paper proves. It stays on in production: a
// server that sees it fail must stop before it spreads the damage.
func assert(ok bool, format string, args ...any) {
	if !ok {
		panic("raft: " + fmt.Sprintf(format, args...))
	}
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
	assert(r.lastApplied <= r.commitIndex, "applied %d beyond committed %d", r.lastApplied, r.commitIndex)
	assert(r.commitIndex <= r.log.lastIndex(), "committed %d beyond the log's end %d", r.commitIndex, r.log.lastIndex())
	assert(r.log.lastTerm() <= r.currentTerm, "last entry of term %d beyond currentTerm %d", r.log.lastTerm(), r.currentTerm)
	assert(r.disk.savedIndex <= r.log.lastIndex(), "durable %d beyond the log's end %d", r.disk.savedIndex, r.log.lastIndex())
	assert((r.leader != nil) == (r.state == Leader), "leader's data in state %v", r.state)
	assert((r.candidate != nil) == (r.state == Candidate || r.state == PreCandidate), "candidate's data in state %v", r.state)
	if r.state == Leader {
		assert(r.leaderID == r.cfg.ID, "leader believes in leader %q", r.leaderID)
		assert(r.votedFor == r.cfg.ID, "leader of term %d voted for %q", r.currentTerm, r.votedFor)
		r.checkProgress()
	}
}

// checkDelta states what may happen to one server between two looks.
func checkDelta(before, now shadow) {
	assert(now.term >= before.term, "currentTerm went back from %d to %d", before.term, now.term)
	assert(now.commitIndex >= before.commitIndex, "commitIndex went back from %d to %d", before.commitIndex, now.commitIndex)
	assert(now.lastApplied >= before.lastApplied, "lastApplied went back from %d to %d", before.lastApplied, now.lastApplied)
	if now.term != before.term {
		return
	}
	assert(before.vote == nobody || now.vote == before.vote, "vote of term %d changed from %q to %q", now.term, before.vote, now.vote)
	assert(before.leaderID == nobody || now.leaderID == nobody || now.leaderID == before.leaderID,
		"Election Safety: leaders %q and %q in term %d", before.leaderID, now.leaderID, now.term)
	assert(before.state != Leader || now.state != Candidate, "leader of term %d became its candidate", now.term)
}

func (r *Raft) checkProgress() {
	for _, m := range r.Configuration().Members {
		if p := r.leader.peers[m.ID]; p != nil {
			assert(p.matchIndex < p.nextIndex, "%s: nextIndex %d is not beyond matchIndex %d", m.ID, p.nextIndex, p.matchIndex)
			assert(p.nextIndex <= r.log.lastIndex()+1, "%s: nextIndex %d beyond the log's end %d", m.ID, p.nextIndex, r.log.lastIndex())
			assert(p.inflight >= 0 && p.inflight <= r.cfg.MaxInflight, "%s: %d messages in flight", m.ID, p.inflight)
		}
	}
}
