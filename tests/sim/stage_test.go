package sim

import (
	"strings"
	"testing"

	"dbdb/raft"
	"dbdb/tests/spec"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func newPlay(t *testing.T, o StageOptions) (*Stage, *strings.Builder) {
	told := &strings.Builder{}
	o.Tell = func(line string) { told.WriteString(line + "\n") }
	s := NewStage(o)
	require.Nil(t, s.Failure())
	told.Reset()
	return s, told
}

func TestOnAStageNothingHappensByItself(t *testing.T) {
	s, told := newPlay(t, StageOptions{Voters: 3})
	s.Timeout(1)
	assert.Equal(t, 2, strings.Count(told.String(), "→"), "two requests for votes are under way")
	told.Reset()
	for range 1000 {
		s.do(func() {})
	}
	assert.Empty(t, told.String())
	s.Settle()
	assert.Contains(t, told.String(), "n1@2 leader WINS term 2")
	assert.Nil(t, s.Finish())
}

func TestAPlayEndsLikeEveryRun(t *testing.T) {
	s, _ := newPlay(t, StageOptions{Voters: 5, Spares: 1, PreVote: true, CheckQuorum: true})
	s.Slow(2, true, true)
	s.Timeout(1)
	s.Settle()
	s.Set(1, "x", "1")
	s.Cut(1, 3)
	s.Add(1, 6)
	s.Crash(4, LoseUnsynced)
	assert.Nil(t, s.Finish(), "the slow disk hurries, the cut heals, the server that crashed comes back, the new one becomes a voter")
	assert.True(t, s.w.nodes[5].view.Configuration.IsVoter("n6"))
}

func TestAWishThatIsRefusedChangesNobodysPlace(t *testing.T) {
	s, told := newPlay(t, StageOptions{Voters: 3, Spares: 1})
	s.Timeout(1)
	s.Settle()
	s.Add(2, 3)
	s.Remove(2, 4)
	assert.Equal(t, 2, strings.Count(told.String(), "not the leader"), "%s", told)
	s.Crash(2, KeepAll)
	s.Add(2, 4)
	s.Remove(2, 1)
	assert.Equal(t, s.w.nodes[:3], s.w.wanted())
	assert.Nil(t, s.Finish())
}

func TestOfTwoWishesThatAreRefusedNothingRemains(t *testing.T) {
	s, told := newPlay(t, StageOptions{Voters: 3})
	s.Timeout(1)
	s.Deliver(Select{})
	s.Deliver(Select{})
	s.Remove(1, 3)
	s.Add(1, 3)
	s.Timeout(2)
	s.Settle()
	assert.Equal(t, 2, strings.Count(told.String(), "not the leader"), "%s", told)
	assert.Equal(t, s.w.nodes[:3], s.w.wanted())
	assert.Nil(t, s.Finish())
}

// TestAServerThatWasWipedIsAnother lets machines come back as new servers, as often as there is
// a number for them; the calls that they make and get must find their places in the network.
func TestAServerThatWasWipedIsAnother(t *testing.T) {
	s, told := newPlay(t, StageOptions{Voters: 2})
	s.Timeout(1)
	s.Settle()
	s.Crash(2, LoseUnsynced)
	s.Wipe(2)
	s.Remove(1, 2)
	s.Add(1, 3)
	s.Settle()
	assert.True(t, s.w.nodes[2].view.Configuration.IsVoter("n2.n3"))
	s.Wipe(3)
	s.Wipe(3)
	s.Wipe(4)
	assert.Contains(t, told.String(), "n2.n3 cannot be wiped")
	assert.Contains(t, told.String(), "n2.n4 cannot be wiped")
	s.Remove(1, 3)
	assert.Nil(t, s.Finish())
}

// forgeAcknowledgement tells the leader of an entry that n2 does not have.
func (s *Stage) forgeAcknowledgement() {
	s.Timeout(1)
	s.Settle()
	s.Set(1, "x", "1")
	s.input(1, spec.Other{What: "a forged acknowledgement"}, func(n *node) {
		a := raft.AppendEntriesArgs{Term: 2, LeaderID: "n1", PrevLogIndex: 3, PrevLogTerm: 2}
		a.Session = n.replica.Raft().Status().Peers[0].Session
		n.replica.Raft().HandleAppendEntriesReply("n2", a, raft.AppendEntriesReply{Term: 2, Success: true})
	})
}

// TestOraclesWatchTheStage forges an acknowledgement: a promise is broken, the play ends
// there, and says which.
func TestOraclesWatchTheStage(t *testing.T) {
	s, told := newPlay(t, StageOptions{Voters: 3})
	s.forgeAcknowledgement()
	require.NotNil(t, s.Failure())
	assert.Equal(t, "matchIndex is durable", s.Failure().Oracle)
	assert.Contains(t, told.String(), "BROKEN PROMISE: matchIndex is durable")
	told.Reset()
	s.Timeout(2)
	assert.Empty(t, told.String())
	assert.NotNil(t, s.Finish())
}

func TestEveryTransitionHasWords(t *testing.T) {
	for _, r := range raft.Rules() {
		assert.NotEmpty(t, phrases[r.Rule], "%s", r.Rule)
	}
	assert.Len(t, phrases, len(raft.Rules()))
}

func TestSelectionsOfMessages(t *testing.T) {
	s, told := newPlay(t, StageOptions{Voters: 3})
	s.Timeout(1)
	assert.Equal(t, 0, s.Deliver(Select{Label: "PreVote"}))
	assert.Equal(t, 1, s.Lose(Select{Label: "RequestVote", To: 3}))
	assert.Equal(t, 1, s.Repeat(Select{From: 1, With: "term 2"}))
	assert.Equal(t, 2, s.Deliver(Select{}), "the request that was repeated is still under way, and so is the answer")
	assert.Equal(t, 1, s.Expire(Select{Label: "RequestVote", To: 3}))
	assert.Contains(t, told.String(), "n1 ⇥ n3")
	s.Hold(Select{Label: "AppendEntries"})
	s.Settle()
	assert.Contains(t, s.Messages(), "n1 → n2  AppendEntries")
	s.Release()
	s.Settle()
	assert.Equal(t, "none\n", s.Messages())
	assert.Nil(t, s.Finish())
}
