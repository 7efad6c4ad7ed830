package raft

// readRounds are the leader's ReadIndex rounds (thesis §6.4). One round of messages
// confirms any number of reads.
type readRounds struct {
	waiting []uint64 // came too late for the round in flight, or too early for any

	round  uint64 // number of the newest round; the leader makes the numbers
	index  Index  // commitIndex when it began
	reads  []uint64
	active bool
}

// ReadIndex asks for an index from which a read may be served that sees every
// write acknowledged before now (§8, thesis §6.4). The answer is a ReadState with
// the same id. None comes if this server stops leading first; on error none either.
//
// A read joins the next round, never the one in flight: that one's index was taken
// before this call, and a write in between would be missed.
func (r *Raft) ReadIndex(id uint64) error {
	if r.state != Leader {
		return ErrNotLeader
	}
	r.leader.reads.waiting = append(r.leader.reads.waiting, id)
	if !r.committedInTerm() {
		r.trace(RuleReadWaits, nobody, r.commitIndex, r.log.term(r.commitIndex))
	}
	return nil
}

// startReadRound asks all members whether this server still leads, for the reads
// that wait. Before an entry of the own term is committed, commitIndex may be behind
// what an earlier leader acknowledged (thesis §6.4 step 1); reads wait for it, they
// are not dropped (etcd#12680).
func (r *Raft) startReadRound() {
	q := &r.leader.reads
	r.finishReadRound() // whoever was to answer may have been removed meanwhile
	if q.active || len(q.waiting) == 0 || !r.committedInTerm() {
		return
	}
	q.round++
	q.index, q.active = r.commitIndex, true
	q.reads, q.waiting = q.waiting, nil
	r.trace(RuleReadRound, nobody, q.index, r.currentTerm)
	for _, m := range r.leader.receivers {
		// A far follower answers more slowly than rounds begin. Its newest heartbeats
		// would crowd out its entries; the next message carries the round's number too.
		if p := r.leader.peers[m.ID]; p.heartbeats < maxHeartbeats {
			r.sendHeartbeat(m.ID, p)
		}
	}
	r.finishReadRound()
}

// maxHeartbeats bounds the unanswered heartbeats to one peer that a round adds to.
const maxHeartbeats = 16

// finishReadRound releases the reads of the round when a majority has answered a
// message that was sent after it began. If answers get lost, every later message
// carries the round's number too.
func (r *Raft) finishReadRound() {
	q := &r.leader.reads
	if !q.active {
		return
	}
	acked := func(voter NodeID) bool {
		return voter == r.cfg.ID || r.leader.peers[voter].ackedRound >= q.round
	}
	if !r.Configuration().majority(acked) {
		return
	}
	for _, id := range q.reads {
		r.effects.Reads = append(r.effects.Reads, ReadState{ID: id, Index: q.index})
	}
	q.reads, q.active = nil, false
	r.trace(RuleReadConfirmed, nobody, q.index, r.currentTerm)
}
