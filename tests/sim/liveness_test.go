package sim

import (
	"testing"

	"dbdb/raft"
	"dbdb/tests/spec"

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
			w.leaves(leader.view.Term + is.later)
			w.network.deliver(is.old, leader, n, true, 100*millisecond, func() {
				n.input(spec.Other{What: "a forged request"}, func() {
					n.replica.Raft().HandleTimeoutNow(raft.TimeoutNowArgs{Term: leader.view.Term, LeaderID: leader.id})
				})
			})
			assert.Equal(t, is.oracle, broken(w.staysQuiet))
			assert.NotSame(t, leader, w.leads())
		})
	}
}

// leaves adds a server that is no member any more, and down.
func (w *world) leaves(term raft.Term) {
	left := newNode(w, len(w.nodes), "")
	left.gone, left.view.Term = true, term
	w.nodes = append(w.nodes, left)
}

// A slow disk may hold an answer back until the calm: it then tells of a term that nobody
// else is in, and is as old as its call. What is asked in the calm excuses nothing.
func TestAnAnswerIsAsOldAsItsCall(t *testing.T) {
	for name, is := range map[string]struct {
		calm   bool
		oracle string
	}{
		"asked in phase 1":  {false, ""},
		"asked in the calm": {true, "Liveness"},
	} {
		t.Run(name, func(t *testing.T) {
			w, _ := busyWorld(t, 1, 3)
			require.Empty(t, broken(w.recuperate))
			leader := w.leads()
			to, args := w.nodes[(leader.place+1)%3].id, raft.RequestVoteArgs{Term: leader.view.Term, CandidateID: leader.id}
			later := raft.RequestVoteReply{Term: args.Term + 1}
			w.leaves(later.Term)
			w.calm = is.calm
			call(leader, to, requestVote, voteCodec, args, func(rep raft.RequestVoteReply, err error) {
				leader.replica.Raft().HandleRequestVoteReply(to, args, rep)
			}, func(_ *node, _ raft.RequestVoteArgs, reply func(raft.RequestVoteReply)) {
				w.at(100*millisecond, func() { reply(later) })
			})
			w.calm = true
			assert.Equal(t, is.oracle, broken(w.staysQuiet))
			assert.NotEqual(t, args.Term, leader.view.Term)
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
