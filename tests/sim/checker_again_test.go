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

func TestAMemberThatBelievesAnOldRemovalIsSeen(t *testing.T) {
	w, n := committedWorld()
	all := n.view.Configuration
	w.check.configurations = []configurationAt{{1, raft.Configuration{Members: all.Members[1:]}}, {2, all}}
	told := func(at raft.Index) func() {
		return func() { w.check.memberIsNotSilenced(n, &raft.Status{RemovedAt: at}) }
	}
	assert.Empty(t, broken(told(1)), "it does not hold the configuration at 2")
	n.view.log = n.lasting.durable.clone()
	assert.Empty(t, broken(told(0)))
	assert.Equal(t, "A member is not silenced", broken(told(1)))
	w.check.configurations = w.check.configurations[:1]
	assert.Empty(t, broken(told(1)), "nobody has added it again")
}
