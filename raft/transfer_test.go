package raft

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Leadership transfer (thesis §3.10): a test for each rule.

// timeoutNow is n2's wish, as leader of a term.
func timeoutNow(term Term) TimeoutNowArgs { return TimeoutNowArgs{Term: term, LeaderID: "n2"} }

// "1. The prior leader stops accepting new client requests."
func TestALeaderThatHandsOverTakesNoCommands(t *testing.T) {
	s := leaderOf(t, 3)
	require.NoError(t, s.TransferLeadership("n2"))
	require.True(t, s.Transferring())
	_, _, err := s.Propose([]byte("x"))
	require.ErrorIs(t, err, ErrNotLeader)
	_, _, err = s.RemoveServer("n3")
	require.ErrorIs(t, err, ErrConfigurationBusy)
	_, _, err = s.AddLearner(n9)
	require.ErrorIs(t, err, ErrConfigurationBusy)
	require.Equal(t, Index(2), s.log.lastIndex())
}

func TestReadsGoOnDuringATransfer(t *testing.T) {
	s := leaderOf(t, 3)
	require.NoError(t, s.TransferLeadership("n2"))
	require.NoError(t, s.ReadIndex(1))
	s.flush()
	s.answer("n3")
	require.Len(t, s.reads, 1)
}

// Its entry would be one more that the other one lacks.
func TestALearnerIsNotPromotedDuringATransfer(t *testing.T) {
	s := leaderOf(t, 3)
	s.AddLearner(n9)
	s.settle()
	s.answer("n2")
	require.NoError(t, s.TransferLeadership("n2"))
	s.answer("n9")
	require.True(t, s.leader.peers["n9"].caughtUp)
	require.False(t, s.Configuration().IsVoter("n9"))
	ticks(s, s.cfg.ElectionTicks)
	s.flush()
	require.True(t, s.Configuration().IsVoter("n9"), "put off, not forgotten")
}

// "2. The prior leader fully updates the target server's log to match its own, using the
// normal log replication mechanism". "3. The prior leader sends a TimeoutNow request to
// the target server."
func TestTimeoutNowIsSentOnceTheOtherOneHasTheWholeLog(t *testing.T) {
	s := leaderOf(t, 3)
	s.Propose([]byte("x"))
	require.NoError(t, s.TransferLeadership("n2"))
	s.settle()
	s.answer("n3")
	require.Equal(t, Index(3), s.commitIndex)
	require.Empty(t, timeoutNows(s.sent), "n2 lacks 3@2, and would lose the election")
	s.answer("n2")
	require.Equal(t, []NodeID{"n2"}, timeoutNows(s.sent))
	for _, c := range s.sent {
		if c.TimeoutNow != nil {
			require.Equal(t, TimeoutNowArgs{Term: 2, LeaderID: "n1"}, *c.TimeoutNow)
		}
	}
	s.flush()
	require.Len(t, timeoutNows(s.sent), 1, "once")
}

func TestATimeoutNowThatGotLostIsSentAgainWithTheHeartbeats(t *testing.T) {
	s := leaderOf(t, 3)
	require.NoError(t, s.TransferLeadership("n2"))
	s.flush()
	require.Len(t, timeoutNows(s.takeSent()), 1)
	ticks(s, s.cfg.HeartbeatTicks)
	s.flush()
	require.Equal(t, []NodeID{"n2"}, timeoutNows(s.sent))
}

// "If leadership transfer does not complete after about an election timeout, the prior
// leader aborts the transfer and resumes accepting client requests."
func TestATransferIsGivenUpAfterAnElectionTimeout(t *testing.T) {
	s := leaderOf(t, 3)
	require.NoError(t, s.TransferLeadership("n2"))
	ticks(s, s.cfg.ElectionTicks-1)
	require.True(t, s.Transferring())
	s.Tick()
	require.False(t, s.Transferring())
	require.Equal(t, Leader, s.state)
	_, _, err := s.Propose([]byte("x"))
	require.NoError(t, err)
	require.NoError(t, s.TransferLeadership("n3"), "and another may be tried")
}

// A TimeoutNow that is late, or arrived and was not answered, ends this leadership after
// the attempt was given up. One that was never sent does not.
func TestWhetherATransferThatWasGivenUpMayStillHappenIsKnown(t *testing.T) {
	s := leaderOf(t, 3)
	_, _, err := s.Propose([]byte("x"))
	require.NoError(t, err)
	require.NoError(t, s.TransferLeadership("n2"))
	s.settle()
	ticks(s, s.cfg.ElectionTicks)
	require.False(t, s.Transferring())
	require.False(t, s.MayStillHandOver(), "n2 lacks x")

	s.answer("n2")
	require.NoError(t, s.TransferLeadership("n2"))
	s.flush()
	ticks(s, s.cfg.ElectionTicks)
	require.False(t, s.Transferring())
	require.True(t, s.MayStillHandOver())
	s.leader.peers["n3"].recentlyActive = true
	require.NoError(t, s.TransferLeadership("n3"))
	require.False(t, s.MayStillHandOver(), "n3 was not told")
	s.observeTerm(9)
	require.False(t, s.MayStillHandOver(), "it does not lead")
}

func TestATransferToAServerThatDoesNotAnswerIsRefused(t *testing.T) {
	s := leaderOf(t, 3)
	s.leader.peers["n2"].recentlyActive = false
	require.ErrorIs(t, s.TransferLeadership("n2"), ErrNoTransfer)
	require.False(t, s.Transferring())
}

func TestATransferEndsWithTheLeadership(t *testing.T) {
	s := leaderOf(t, 3)
	require.NoError(t, s.TransferLeadership("n2"))
	s.HandleTimeoutNowReply("n2", TimeoutNowArgs{Term: 2}, TimeoutNowReply{Term: 3})
	require.Equal(t, Follower, s.state)
	require.Equal(t, Term(3), s.currentTerm)
	require.False(t, s.Transferring())
	s.elect()
	require.False(t, s.Transferring(), "a new leadership owes nobody anything")
	_, _, err := s.Propose([]byte("x"))
	require.NoError(t, err)
}

func TestToWhomALeaderHandsOver(t *testing.T) {
	c := members(3).with(n9)
	for _, w := range []struct {
		name         string
		to           NodeID
		err          error
		transferring bool
	}{
		{"another voter", "n2", nil, true},
		{"the one that suits best", nobody, nil, true},
		{"itself", "n1", nil, false},
		{"a learner", "n9", ErrNoTransfer, false},
		{"a stranger", "n7", ErrUnknownMember, false},
	} {
		s := start(t, Config{}, Restored{Term: 1, Entries: logOf(c, 1)})
		s.elect()
		s.answer("n2")
		require.ErrorIs(t, s.TransferLeadership(w.to), w.err, w.name)
		require.Equal(t, w.transferring, s.Transferring(), w.name)
	}
	require.ErrorIs(t, newServer(t, 3, 1).TransferLeadership("n2"), ErrNotLeader)
	require.ErrorIs(t, leaderOf(t, 1).TransferLeadership(nobody), ErrNoTransfer, "nobody else is there")
}

func TestOneTransferAtATime(t *testing.T) {
	s := leaderOf(t, 3)
	s.leader.peers["n2"].matchIndex = 0 // n3 is further
	require.NoError(t, s.TransferLeadership("n2"))
	require.ErrorIs(t, s.TransferLeadership("n3"), ErrNoTransfer)
	ticks(s, s.cfg.ElectionTicks-1)
	require.NoError(t, s.TransferLeadership("n2"), "the same again")
	require.NoError(t, s.TransferLeadership(nobody), "whoever it is")
	s.Tick()
	require.False(t, s.Transferring(), "the time is not longer for that")
}

// The longest log takes the least time. Who does not answer would take for ever.
func TestTheVoterWithTheLongestLogSucceedsIfItAnswers(t *testing.T) {
	c := members(5).with(n9)
	s := start(t, Config{}, Restored{Term: 1, Entries: logOf(c, 1)})
	s.elect()
	s.Propose([]byte("x"), []byte("y"))
	for id, match := range map[NodeID]Index{"n2": 1, "n3": 0, "n4": 2, "n5": 2, "n9": 4} {
		s.leader.peers[id].matchIndex = match
	}
	require.Equal(t, NodeID("n4"), s.successor())
	heard := func(peers ...NodeID) {
		for _, peer := range peers {
			s.HandleAppendEntriesReply(peer, AppendEntriesArgs{Term: 2}, AppendEntriesReply{Term: 2, Success: true})
		}
	}
	for range 2 {
		heard("n2", "n3", "n5")
		ticks(s, s.cfg.ElectionTicks)
	}
	require.Equal(t, NodeID("n5"), s.successor(), "also right after a check of the quorum")
	for range 2 {
		heard("n2", "n3")
		ticks(s, s.cfg.ElectionTicks)
	}
	require.Equal(t, NodeID("n2"), s.successor())
}

// --- The one who takes over ---

// "This request has the same effect as the target server's election timer firing: the
// target server starts a new election (incrementing its term and becoming a candidate)."
// A pre-vote would only ask whether the leader is well.
func TestTimeoutNowStartsAnElectionAtOnce(t *testing.T) {
	s := newServer(t, 3, 1)
	s.HandleAppendEntries(from(2, 1, 1))
	s.settle()
	require.Equal(t, TimeoutNowReply{Term: 3}, s.HandleTimeoutNow(timeoutNow(2)))
	require.Equal(t, Candidate, s.state)
	e := s.flush()
	require.Empty(t, e.Send, "the requests wait for the own vote")
	require.Len(t, e.SendAfter, 2)
	for _, c := range e.SendAfter {
		require.Equal(t, RequestVoteArgs{Term: 3, CandidateID: "n1", LastLogIndex: 1, LastLogTerm: 1, LeadershipTransfer: true}, *c.RequestVote)
	}
}

// It may come twice, and late: when the leader has given up, when another leads, or when
// the one that it was sent to does.
func TestALateOrRepeatedTimeoutNowDoesNoHarm(t *testing.T) {
	s := newServer(t, 3, 1)
	s.HandleAppendEntries(from(2, 1, 1))
	s.HandleTimeoutNow(timeoutNow(2))
	for name, late := range map[string]Term{"repeated": 2, "of the own term": 3} {
		require.Equal(t, TimeoutNowReply{Term: 3}, s.HandleTimeoutNow(timeoutNow(late)), name)
		require.Equal(t, Term(3), s.currentTerm, name)
	}
	s.settle()
	s.grant("n2", false)
	require.Equal(t, Leader, s.state)
	s.HandleTimeoutNow(timeoutNow(2))
	require.Equal(t, Leader, s.state)

	behind := newServer(t, 3, 1, 5)
	require.Equal(t, TimeoutNowReply{Term: 5}, behind.HandleTimeoutNow(timeoutNow(4)))
	require.Equal(t, Follower, behind.state)
	require.Equal(t, TimeoutNowReply{Term: 7}, behind.HandleTimeoutNow(timeoutNow(6)), "a term that it had not heard of")
	require.Equal(t, Candidate, behind.state)
}

func TestAServerThatMayNotLeadDoesNotTakeOver(t *testing.T) {
	for name, s := range map[string]*server{
		"a learner":         start(t, Config{}, Restored{Term: 1, Entries: logOf(outOf(3, "n1").with(Member{ID: "n1"}), 1)}),
		"no member":         start(t, Config{}, Restored{Term: 1, Entries: logOf(outOf(3, "n1"), 1)}),
		"in the last term":  newServer(t, 3, MaxTerm),
		"a new server":      newServer(t, 0),
		"told that it left": toldRemoved(t),
	} {
		s.HandleTimeoutNow(timeoutNow(max(s.currentTerm, 1)))
		require.Equal(t, Follower, s.state, name)
	}
}

func toldRemoved(t *testing.T) *server {
	s := newServer(t, 3, 1)
	s.HandleRequestVoteReply("n2", RequestVoteArgs{Term: 2}, RequestVoteReply{Term: 1, RemovedAt: 9})
	return s
}

// The flag says that the leader wants this election; so to hear from it is no reason to
// refuse. Every other reason is (thesis §4.2.3).
func TestTheFlagOfATransferOvercomesOnlyThatALeaderIsHeard(t *testing.T) {
	asks := func(term Term, last Index, lastTerm Term) RequestVoteArgs {
		return RequestVoteArgs{Term: term, CandidateID: "n3", LastLogIndex: last, LastLogTerm: lastTerm, LeadershipTransfer: true}
	}
	for _, c := range []struct {
		name    string
		a       RequestVoteArgs
		granted bool
	}{
		{"its log is up to date", asks(3, 2, 2), true},
		{"its log is behind", asks(3, 1, 1), false},
		{"its term is over", asks(1, 2, 2), false},
		{"the vote of the term is given", asks(2, 2, 2), false},
	} {
		s := newServer(t, 3, 1, 1)
		require.True(t, s.HandleRequestVote(vote(2, 2, 1)).VoteGranted)
		s.HandleAppendEntries(from(2, 1, 1, 2))
		require.Equal(t, c.granted, s.HandleRequestVote(c.a).VoteGranted, c.name)
	}
	s := leaderOf(t, 3)
	require.True(t, s.HandleRequestVote(asks(3, 2, 2)).VoteGranted, "the old leader votes for the new one")
	require.Equal(t, Follower, s.state)
}

func TestAWholeTransfer(t *testing.T) {
	s := leaderOf(t, 3)
	n2 := start(t, Config{ID: "n2"}, Restored{Term: 2, VotedFor: "n1", Entries: s.durable.Entries})
	require.NoError(t, s.TransferLeadership(nobody))
	s.flush()
	require.Equal(t, []NodeID{"n2"}, timeoutNows(s.sent))
	rep := n2.HandleTimeoutNow(TimeoutNowArgs{Term: 2, LeaderID: "n1"})
	n2.settle()
	for _, c := range n2.takeSent() {
		if c.To == "n1" && c.RequestVote != nil {
			n2.HandleRequestVoteReply("n1", *c.RequestVote, s.HandleRequestVote(*c.RequestVote))
		}
	}
	s.HandleTimeoutNowReply("n2", TimeoutNowArgs{Term: 2}, rep)
	require.Equal(t, Leader, n2.state)
	require.Equal(t, Follower, s.state)
	require.False(t, s.Transferring())
}
