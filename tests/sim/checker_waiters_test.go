package sim

import (
	"testing"

	"dbdb/raft"

	"github.com/stretchr/testify/assert"
)

// waitFor lets a client wait for a server's answer.
func waitFor(n *node, op *operation) *operation {
	op.node = n
	n.w.clients.open[n.place] = append(n.w.clients.open[n.place], op)
	return op
}

func TestAReadThatIsNotServedAtItsIndexIsSeen(t *testing.T) {
	w := quietWorld()
	n := w.nodes[0]
	n.replica.AppendEntries(raft.AppendEntriesArgs{Term: 2, LeaderID: "n2", PrevLogIndex: 1, PrevLogTerm: 1, LeaderCommit: 1}, func(raft.AppendEntriesReply) {})
	n.replica.Flush()
	waits := func(rep raft.ReadIndexReply, ledThrough uint64) string {
		w.clients.open[n.place] = nil
		waitFor(n, &operation{kind: opGet, request: 1})
		n.ledThrough = ledThrough
		w.check.questionOf(n, func(raft.ReadIndexReply, error) {})(rep, nil)
		return broken(func() { w.check.waitersAreServed(n) })
	}
	assert.Equal(t, "A read waits for its index alone", waits(raft.ReadIndexReply{Success: true, Index: 1}, 0))
	assert.Empty(t, waits(raft.ReadIndexReply{Success: true, Index: 2}, 0), "that is not applied yet")
	assert.Empty(t, waits(raft.ReadIndexReply{Index: 1}, 0), "the other one does not lead")
	assert.Empty(t, waits(raft.ReadIndexReply{Success: true, Index: 1}, 1), "it may have been asked of the own core")
}

func TestAWriterThatIsForgottenWhenItsLeaderIsDeposedIsSeen(t *testing.T) {
	w := quietWorld()
	n := w.nodes[0]
	write := waitFor(n, &operation{kind: opSet})
	const forgotten = "A leadership that ends tells its waiters"
	assert.Equal(t, forgotten, broken(func() { w.check.waitersAreServed(n) }))
	n.view.State = raft.Leader
	assert.Empty(t, broken(func() { w.check.waitersAreServed(n) }))
	n.view.State, write.answered = raft.Follower, true
	assert.Empty(t, broken(func() { w.check.waitersAreServed(n) }))
	n.questions = 1
	assert.Equal(t, forgotten, broken(func() { w.check.waitersAreServed(n) }), "of another server")
}

func TestAFileOfTwoLeadersIsSeen(t *testing.T) {
	f := quietWorld().nodes[0].files
	chunk := func(term raft.Term, from raft.NodeID, offset uint64) string {
		f.chunk = transfer{term, from, 7}
		return broken(func() { f.oneTransfer(offset) })
	}
	assert.Empty(t, chunk(2, "n2", 0))
	assert.Empty(t, chunk(2, "n2", 64))
	assert.Equal(t, "InstallSnapshot rules 2 and 3", chunk(3, "n3", 128))
	assert.Empty(t, chunk(3, "n3", 0), "another file")
	assert.Empty(t, chunk(3, "n3", 64))
}
