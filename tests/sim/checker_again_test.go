package sim

import (
	"testing"

	"dbdb/raft"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestALearnerThatVotesBeforeItHasCaughtUpIsSeen(t *testing.T) {
	w := quietWorld()
	w.profile.callDeadline = second
	n := w.nodes[0]
	n.input(nil, n.replica.Raft().ElectionTimeout)
	w.runUntil(100 * millisecond)
	require.Equal(t, raft.Leader, n.view.State)
	all := n.view.Configuration
	learner := all.Members[1]
	learner.Role = raft.Learner
	as := func(since raft.Index) func() {
		n.view.configurations = []configurationAt{
			{1, raft.Configuration{Members: []raft.Member{all.Members[0], all.Members[2]}}},
			{since, raft.Configuration{Members: []raft.Member{all.Members[0], learner, all.Members[2]}}},
		}
		return func() { w.check.caughtUpSince(n, raft.Entry{Index: 9}, all) }
	}
	match := matchOf(n, learner.ID)
	require.NotZero(t, match)
	assert.Empty(t, broken(as(match)))
	assert.Equal(t, "A learner catches up before it votes", broken(as(match+1)))
	assert.Empty(t, broken(func() { w.check.caughtUpSince(n, raft.Entry{Index: 9}, n.view.configurations[1].Configuration) }), "it stays a learner")
}
