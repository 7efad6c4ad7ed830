package sim

import (
	"slices"

	"dbdb/raft"
)

// Who waits for what, by what a server has said and been told. A client that waits too long
// for nothing gets an answer in the end, which breaks no other promise.

// waitersAreServed looks at who still waits after a Flush.
func (c *checker) waitersAreServed(n *node) {
	open := slices.DeleteFunc(c.w.clients.open[n.place], func(op *operation) bool { return op.answered })
	c.w.clients.open[n.place] = open
	for _, op := range open {
		switch applied := n.replica.LastApplied(); {
		case op.kind == opGet && op.index > 0 && op.index <= applied:
			violate("A read waits for its index alone", "n%d has applied %d, and a read that waits for %d is not served", n.place+1, applied, op.index)
		case op.kind != opGet && n.view.State != raft.Leader:
			violate("A leadership that ends tells its waiters", "n%d does not lead, and a client still waits for its write", n.place+1)
		}
	}
	if n.questions > 0 && n.view.State != raft.Leader {
		violate("A leadership that ends tells its waiters", "n%d does not lead, and another server still waits for a read index", n.place+1)
	}
}

// questionOf gives the answer to a server's question for a read index to all reads that it
// was asked for: those that have come since this server led last, and have no index. A read
// is served once the state machine has that index (thesis §6.4, step 4), whether entries
// or a snapshot bring it there.
func (c *checker) questionOf(n *node, done func(raft.ReadIndexReply, error)) func(raft.ReadIndexReply, error) {
	var reads []*operation
	for _, op := range c.w.clients.open[n.place] {
		if op.kind == opGet && !op.answered && op.index == 0 && op.request > n.ledThrough {
			reads = append(reads, op)
		}
	}
	return func(rep raft.ReadIndexReply, err error) {
		if err == nil && rep.Success {
			for _, op := range reads {
				op.index = rep.Index
			}
		}
		done(rep, err)
	}
}

// answersQuestion notes that another server waits for a read index, until it is told one or
// that this server does not lead.
func answersQuestion(n *node, a raft.ReadIndexArgs, reply func(raft.ReadIndexReply)) {
	n.questions++
	n.replica.ReadIndex(a, func(rep raft.ReadIndexReply) {
		n.questions--
		reply(rep)
	})
}
