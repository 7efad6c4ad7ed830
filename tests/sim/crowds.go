package sim

import "dbdb/raft"

// A loop that is kept from its work, by a slow call or a garbage collector, finds all that has
// come meanwhile in one batch. Of these batches those of a candidate are the fullest: it may be
// elected, be given commands and hear of a newer term, all before its next Flush.

// crowds lets a candidate that has asked for votes come to no Flush for a while, sometimes.
// Clients take it for the leader, which it may be.
func (n *node) crowds() {
	w := n.w
	if n.crowded() || w.calm || n.view.State != raft.Candidate || n.lasting.durable.term != n.view.Term || !w.rare.perMille(w.profile.crowds) {
		return
	}
	w.marks.hit(markCrowd)
	n.crowdUntil = min(w.profile.faultTime, w.now+w.rare.between(10, 6*electionTicks)*tickPeriod)
	w.note(networkFault, n, 700, uint64(n.crowdUntil-w.now), 0, 0)
	for range 4 {
		w.inLife(w.rare.between(0, n.crowdUntil-w.now), n, func() { w.askOne(opSet, n) })
	}
}

// crowded says that what comes waits for others, and for its Flush.
func (n *node) crowded() bool { return n.w.now < n.crowdUntil }
