package raft

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Linearizable reads (§8, thesis §6.4).

// acknowledge answers the newest heartbeat that was sent to a peer.
func acknowledge(s *server, peer NodeID) {
	a := appendsTo(peer, s.sent)
	s.HandleAppendEntriesReply(peer, a[len(a)-1], AppendEntriesReply{Term: s.currentTerm, Success: true})
	s.flush()
}

func TestAReadIsConfirmedByAMajorityThatAnswersAfterIt(t *testing.T) {
	s := leaderOf(t, 5)
	require.NoError(t, s.ReadIndex(7))
	s.flush()
	acknowledge(s, "n2")
	acknowledge(s, "n2")
	require.Empty(t, s.reads, "the leader and one other are two of five")
	acknowledge(s, "n3")
	require.Equal(t, []ReadState{{ID: 7, Index: 2}}, s.reads)
}

func TestAnAnswerToWhatWasSentBeforeTheReadConfirmsNothing(t *testing.T) {
	s := leaderOf(t, 3)
	s.HeartbeatTimeout()
	s.flush()
	old := appendsTo("n2", s.takeSent())[0]
	s.ReadIndex(1)
	s.flush()
	s.HandleAppendEntriesReply("n2", old, AppendEntriesReply{Term: 2, Success: true})
	s.flush()
	require.Empty(t, s.reads)
}

// The index of the round in flight was taken before the second read was asked for.
func TestAReadThatArrivesDuringARoundJoinsTheNext(t *testing.T) {
	s := leaderOf(t, 3)
	s.ReadIndex(1)
	s.flush()
	s.Propose([]byte("x"))
	s.settle()
	s.ReadIndex(2)
	s.flush()
	first := appendsTo("n2", s.takeSent())
	for _, a := range first {
		s.HandleAppendEntriesReply("n2", a, AppendEntriesReply{Term: 2, Success: true})
	}
	s.flush()
	require.Equal(t, []ReadState{{ID: 1, Index: 2}}, s.reads)
	acknowledge(s, "n2")
	require.Equal(t, ReadState{ID: 2, Index: 3}, s.reads[1])
}

func TestAReadWaitsForAnEntryOfTheLeadersTerm(t *testing.T) {
	s := newServer(t, 3, 1, 1)
	s.elect()
	require.NoError(t, s.ReadIndex(1), "it is not dropped")
	s.flush()
	require.Zero(t, s.leader.reads.round, "3@2 is not committed yet")
	s.answer("n2")
	require.Equal(t, []ReadState{{ID: 1, Index: 3}}, s.reads)
}

func TestARoundWhoseMessagesAreLostIsConfirmedByLaterOnes(t *testing.T) {
	s := leaderOf(t, 3)
	s.ReadIndex(1)
	s.flush()
	s.takeSent() // lost
	s.HeartbeatTimeout()
	s.flush()
	acknowledge(s, "n3")
	require.Len(t, s.reads, 1)
}

func TestARefusalOfTheSameTermConfirmsToo(t *testing.T) {
	s := leaderOf(t, 3)
	s.ReadIndex(1)
	s.flush()
	a := appendsTo("n2", s.takeSent())[0]
	s.HandleAppendEntriesReply("n2", a, AppendEntriesReply{Term: 2, ConflictIndex: 1})
	s.flush()
	require.Len(t, s.reads, 1, "n2 took n1 for the leader of its term")
}

func TestTheOnlyVoterConfirmsItself(t *testing.T) {
	s := leaderOf(t, 1)
	s.ReadIndex(1)
	s.flush()
	require.Equal(t, []ReadState{{ID: 1, Index: 2}}, s.reads)
}

func TestADeposedLeaderConfirmsNothing(t *testing.T) {
	s := leaderOf(t, 3)
	s.ReadIndex(1)
	s.flush()
	a := appendsTo("n2", s.takeSent())[0]
	s.observeTerm(3)
	s.HandleAppendEntriesReply("n2", a, AppendEntriesReply{Term: 2, Success: true})
	s.elect()
	s.HandleAppendEntriesReply("n2", a, AppendEntriesReply{Term: 2, Success: true})
	s.answer("n2")
	require.Empty(t, s.reads)
}

// Of two servers one does not answer and is removed: nobody else will ever end the round.
func TestARoundEndsWhenWhoeverWasToAnswerIsRemoved(t *testing.T) {
	s := leaderOf(t, 2)
	s.ReadIndex(1)
	s.flush()
	require.Empty(t, s.reads)
	_, _, err := s.RemoveServer("n2")
	require.NoError(t, err)
	s.settle()
	require.Equal(t, []ReadState{{ID: 1, Index: 2}}, s.reads)
	s.ReadIndex(2)
	s.settle()
	require.Equal(t, ReadState{ID: 2, Index: 3}, s.reads[1])
}
