package raft

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// Membership changes, one server at a time (thesis chapter 4).

var n9 = Member{ID: "n9", RaftAddr: "n9:2221", HTTPAddr: "n9:8221"}

// leaderOf returns a leader that has committed an entry of its term.
func leaderOf(t *testing.T, voters int) *server {
	s := newServer(t, voters, 1)
	s.elect()
	for _, m := range s.Configuration().Members {
		s.answer(m.ID)
	}
	require.Equal(t, s.log.lastIndex(), s.commitIndex)
	s.takeSent()
	return s
}

func TestALearnerReceivesTheLogButDoesNotCount(t *testing.T) {
	s := leaderOf(t, 1)
	at, term, err := s.AddLearner(n9)
	require.NoError(t, err)
	require.Equal(t, Index(3), at)
	require.Equal(t, s.currentTerm, term)
	require.Equal(t, 1, s.Configuration().Quorum())
	s.settle()
	require.Equal(t, at, s.commitIndex, "committed without a word from n9")
	require.NotEmpty(t, withEntries("n9", s.sent))
}

func TestAConfigurationCountsFromTheMomentItIsInTheLog(t *testing.T) {
	s := leaderOf(t, 1)
	s.AddLearner(n9)
	require.Len(t, s.Configuration().Members, 2, "before anything is saved or committed")

	f := newServer(t, 1, 1)
	a := from(2, 1, 1, 2)
	a.Entries[0].Kind, a.Entries[0].Data = EntryConfiguration, members(5).Encode()
	f.HandleAppendEntries(a)
	require.Equal(t, 3, f.Configuration().Quorum())
}

// However many the truncated part of the log held (canonical/raft#250).
func TestTruncationBringsBackTheConfigurationBefore(t *testing.T) {
	s := newServer(t, 2, 1)
	a := from(2, 1, 1, 2, 2)
	for k := range a.Entries {
		a.Entries[k].Kind, a.Entries[k].Data = EntryConfiguration, members(3+k).Encode()
	}
	s.HandleAppendEntries(a)
	require.Equal(t, 4, s.Configuration().Voters())
	other := from(3, 1, 1, 3)
	other.LeaderID = "n3"
	s.HandleAppendEntries(other)
	require.Equal(t, 2, s.Configuration().Voters())
	require.Equal(t, Index(1), s.ConfigurationIndex())
}

func TestARestartUsesTheConfigurationThatWasNotCommitted(t *testing.T) {
	s := leaderOf(t, 1)
	s.AddLearner(n9)
	s.settle()
	_, isMember := s.restart().Configuration().Member("n9")
	require.True(t, isMember)
}

func TestOneChangeAtATime(t *testing.T) {
	s := leaderOf(t, 3)
	_, _, err := s.AddLearner(n9)
	require.NoError(t, err)
	_, _, err = s.AddLearner(Member{ID: "n8"})
	require.ErrorIs(t, err, ErrConfigurationBusy)
	s.settle()
	s.answer("n2")
	_, _, err = s.AddLearner(Member{ID: "n8"})
	require.NoError(t, err, "the first is committed")
}

// Two leaders could otherwise change one configuration into two whose majorities do
// not meet (Ongaro, raft-dev, 2015).
func TestNoChangeBeforeTheLeaderHasCommittedAnEntryOfItsTerm(t *testing.T) {
	s := newServer(t, 3, 1)
	s.elect()
	_, _, err := s.AddLearner(n9)
	require.ErrorIs(t, err, ErrConfigurationBusy)
	s.answer("n2")
	_, _, err = s.AddLearner(n9)
	require.NoError(t, err)
}

func TestToAddAMemberAgainChangesNothing(t *testing.T) {
	s := leaderOf(t, 1)
	first, term, _ := s.AddLearner(n9)
	again, sameTerm, err := s.AddLearner(n9)
	require.NoError(t, err)
	require.Equal(t, first, again)
	require.Equal(t, term, sameTerm)
	require.Equal(t, first, s.log.lastIndex())
}

// What a follower could not decode must not get into the log.
func TestAMemberThatCannotBeWrittenDownIsRefused(t *testing.T) {
	long := string(make([]byte, MaxAddrBytes+1))
	for name, m := range map[string]Member{
		"no id": {}, "long id": {ID: NodeID(long)}, "long raft address": {ID: "n9", RaftAddr: long}, "long HTTP address": {ID: "n9", HTTPAddr: long},
	} {
		s := leaderOf(t, 1)
		_, _, err := s.AddLearner(m)
		require.ErrorIs(t, err, ErrBadMember, name)
		require.Equal(t, Index(2), s.log.lastIndex(), name)
	}
}

func TestAConfigurationHasABound(t *testing.T) {
	c := members(1)
	for k := range MaxMembers - 1 {
		c = c.with(Member{ID: NodeID(fmt.Sprintf("x%d", k))})
	}
	s := start(t, Config{}, Restored{Term: 1, Entries: logOf(c, 1)})
	s.Tick()
	s.settle()
	_, _, err := s.AddLearner(n9)
	require.ErrorIs(t, err, ErrBadMember)
}

func TestAMemberWithANewAddressKeepsItsRole(t *testing.T) {
	s := leaderOf(t, 3)
	_, _, err := s.AddLearner(Member{ID: "n2", RaftAddr: "elsewhere:1"})
	require.NoError(t, err)
	m, _ := s.Configuration().Member("n2")
	require.Equal(t, Member{ID: "n2", Role: Voter, RaftAddr: "elsewhere:1"}, m)
}

func TestALearnerThatKeepsUpForARoundBecomesAVoter(t *testing.T) {
	s := leaderOf(t, 1)
	s.AddLearner(n9)
	s.settle()
	s.answer("n9")
	m, _ := s.Configuration().Member("n9")
	require.Equal(t, Voter, m.Role)
	require.Equal(t, 2, s.Configuration().Quorum())
	require.Equal(t, s.log.lastIndex(), s.commitIndex, "n9 acknowledged its own promotion")
}

func TestASlowLearnerMustFinishAFasterRoundFirst(t *testing.T) {
	s := leaderOf(t, 1)
	s.AddLearner(n9)
	s.settle()
	sent := withEntries("n9", s.takeSent())
	ticks(s, s.cfg.ElectionTicks) // the first round takes as long as an election
	s.Propose([]byte("x"))
	s.settle()
	s.HandleAppendEntriesReply("n9", sent[0], AppendEntriesReply{Term: 2, Success: true})
	s.settle()
	m, _ := s.Configuration().Member("n9")
	require.Equal(t, Learner, m.Role)
	s.answer("n9")
	m, _ = s.Configuration().Member("n9")
	require.Equal(t, Voter, m.Role)
}

// Found by the simulator: the next round ended with the next write, which in a quiet
// cluster never came.
func TestALearnerThatWasSlowIsPromotedWithoutFurtherWrites(t *testing.T) {
	s := leaderOf(t, 1)
	s.AddLearner(n9)
	s.settle()
	ticks(s, s.cfg.ElectionTicks)
	s.settle()
	s.answer("n9")
	require.True(t, s.Configuration().IsVoter("n9"))
}

// Its turn may come later than its round ended; by then it may be gone.
func TestALearnerThatFailsIsNotPromoted(t *testing.T) {
	s := leaderOf(t, 1)
	s.AddLearner(n9)
	s.settle()
	a := withEntries("n9", s.takeSent())[0]
	s.leader.peers["n9"].caughtUp = true
	s.HandleAppendEntriesFailed("n9", a)
	s.settle()
	m, _ := s.Configuration().Member("n9")
	require.Equal(t, Learner, m.Role)
}

func TestALearnerIsNotPromotedWhileAnotherChangeIsUnderWay(t *testing.T) {
	s := leaderOf(t, 3)
	s.AddLearner(n9)
	s.leader.peers["n9"].caughtUp = true
	s.flush()
	m, _ := s.Configuration().Member("n9")
	require.Equal(t, Learner, m.Role)
}

// A majority is counted over the voters in use, whoever else answered
// (willemt/raft 05608a3).
func TestQuorumForEverySize(t *testing.T) {
	for voters, quorum := range map[int]int{1: 1, 2: 2, 3: 2, 4: 3, 5: 3, 6: 4, 7: 4} {
		c := members(voters).with(n9)
		require.Equal(t, quorum, c.Quorum(), "%d voters", voters)
		require.Greater(t, 2*quorum, voters, "two majorities of %d share a voter", voters)
	}
}

func TestTheVotesOfLearnersAndStrangersDoNotCount(t *testing.T) {
	c := members(3).with(n9)
	s := start(t, Config{}, Restored{Term: 1, Entries: logOf(c, 1)})
	s.campaign()
	s.grant("n9", false)
	s.grant("n7", false)
	require.Equal(t, Candidate, s.state)
}

func TestBootstrapIsALogWithOneConfiguration(t *testing.T) {
	save := Bootstrap(Member{ID: "n1", RaftAddr: "a:1", HTTPAddr: "a:2"})
	s := start(t, Config{}, Restored{Term: save.Term, VotedFor: save.VotedFor, Entries: save.Entries})
	require.True(t, s.Configuration().IsVoter("n1"))
	s.Tick()
	s.settle()
	require.Equal(t, Leader, s.state)
	require.Equal(t, Term(2), s.currentTerm)
}

func TestNames(t *testing.T) {
	require.Equal(t, "node2", Member{ID: "node2.7f3a9c"}.Name())
	require.Equal(t, "a.b", NodeID("a.b.7f").Name())
	require.Equal(t, "n1", NodeID("n1").Name())
}
