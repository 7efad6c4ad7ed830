package sim

import (
	"testing"

	"dbdb/raft"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// An old packet that arrives late excuses a change of leader only if it can have made it:
// else each bug in what a server makes of old packets would be excused by them.
func TestACalmClusterKeepsItsLeaderWhateverOldPacketsArrive(t *testing.T) {
	for name, is := range map[string]struct {
		old    message
		later  raft.Term // how much later than the leader's somebody's term is
		oracle string
	}{
		"nobody has a later term": {appendEntries, 0, "Liveness"},
		"somebody has":            {requestVote, 1, ""},
		"it asks for an election": {timeoutNow, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w, _ := busyWorld(t, 1, 3)
			require.Empty(t, broken(w.recuperate))
			leader := w.leads()
			n := w.nodes[(leader.place+1)%3]
			left := newNode(w, len(w.nodes), "") // it is no member any more, and down
			left.gone, left.view.Term = true, leader.view.Term+is.later
			w.nodes = append(w.nodes, left)
			w.calm = false // it was sent in phase 1
			w.network.deliver(is.old, leader, n, 100*millisecond, func() {
				n.input(func() {
					n.replica.Raft().HandleTimeoutNow(raft.TimeoutNowArgs{Term: leader.view.Term, LeaderID: leader.id})
				})
			})
			w.calm = true
			assert.Equal(t, is.oracle, broken(w.staysQuiet))
			assert.NotSame(t, leader, w.leads())
		})
	}
}

func TestAnOldPacketMayWakeWhoWasRemovedAndAsksForVotesAtOnce(t *testing.T) {
	w, leader := busyWorld(t, 1, 3)
	n := w.nodes[(leader.place+1)%3]
	w.profile.raft.NoPreVote = true
	assert.False(t, w.mayDepose(appendEntries, n), "a member")
	n.wanted = false
	assert.True(t, w.mayDepose(appendEntries, n))
	w.profile.raft.NoPreVote = false
	assert.False(t, w.mayDepose(appendEntries, n), "it would ask before")
}
