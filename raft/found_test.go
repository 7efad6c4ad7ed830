package raft

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// What the simulator found: each test is the shortest way to what a seed ran into.

func TestWhetherAServerIsAMemberIsSaidOfCommittedConfigurationsOnly(t *testing.T) {
	s := leaderOf(t, 3)
	_, _, err := s.RemoveServer("n3")
	require.NoError(t, err)
	s.settle()
	_, _, err = s.RemoveServer("n3")
	require.ErrorIs(t, err, ErrConfigurationBusy, "its removal may still be undone")
	s.answer("n2")
	_, _, err = s.RemoveServer("n3")
	require.ErrorIs(t, err, ErrUnknownMember)
}

func TestALeaderThatRemovedItselfMakesNoChangeBeforeItStepsDown(t *testing.T) {
	s := leaderOf(t, 3)
	_, _, err := s.RemoveServer("n1")
	require.NoError(t, err)
	s.flush()
	for _, id := range []NodeID{"n2", "n3"} {
		for _, a := range withEntries(id, s.sent) {
			s.HandleAppendEntriesReply(id, a, AppendEntriesReply{Term: a.Term, Success: true})
		}
	}
	require.Equal(t, s.log.lastIndex(), s.commitIndex)
	_, _, err = s.AddLearner(n9)
	require.ErrorIs(t, err, ErrConfigurationBusy)
	s.settle()
	require.Equal(t, Follower, s.state)
}

func TestALeaderLetsGoOfARemovedServerThatDoesNotAnswer(t *testing.T) {
	s := leaderOf(t, 3)
	s.cfg.NoCheckQuorum = true
	_, _, err := s.RemoveServer("n3")
	require.NoError(t, err)
	s.settle()
	s.answer("n2")
	_, known := s.Contacts().Member("n3")
	require.True(t, known)
	ticks(s, maxLeavingTimeouts*s.cfg.ElectionTicks)
	_, known = s.Contacts().Member("n3")
	require.False(t, known)
}

// Without pre-votes a server that was removed while it was away asks for real votes, and
// without the leader's check nobody ignores it: terms would rise for ever.
func TestARefusedVoteTellsThatTheCandidateWasRemoved(t *testing.T) {
	c := members(3).without("n2")
	s := start(t, Config{NoPreVote: true, NoCheckQuorum: true}, Restored{Term: 2, Entries: logOf(c, 1, 2)})
	committed := from(2, 2, 2)
	committed.LeaderID, committed.LeaderCommit = "n3", 2
	s.HandleAppendEntries(committed)
	require.Equal(t, Index(1), s.HandleRequestVote(vote(3, 1, 1)).RemovedAt, "its log is behind")
	require.Equal(t, Index(1), s.HandleRequestVote(vote(2, 1, 1)).RemovedAt, "its term is")
}

func TestAServerBelievesThatItWasRemovedAlthoughItMadeALaterConfigurationOfItsOwn(t *testing.T) {
	s := leaderOf(t, 3)
	s.Propose([]byte("x"))
	_, _, err := s.AddLearner(n9) // at index 4, which nobody else ever sees
	require.NoError(t, err)
	s.HandleAppendEntriesReply("n2", AppendEntriesArgs{Term: s.currentTerm}, AppendEntriesReply{Term: s.currentTerm + 1})
	s.ElectionTimeout()
	ask := RequestVoteArgs{Term: s.currentTerm + 1, CandidateID: "n1", PreVote: true}
	s.HandleRequestVoteReply("n2", ask, RequestVoteReply{Term: s.currentTerm, RemovedAt: 3})
	require.Equal(t, Index(3), s.RemovedAt())
	require.Equal(t, Follower, s.state)
}

func TestAServerThatWasAddedAgainDoesNotBelieveAPeerThatIsBehind(t *testing.T) {
	s := newServer(t, 3, 1)
	a := from(2, 1, 1, 2, 2, 2)
	for k, c := range []Configuration{members(3).without("n1"), members(3).without("n1").with(Member{ID: "n1"}), members(3)} {
		a.Entries[k].Kind, a.Entries[k].Data = EntryConfiguration, c.Encode()
	}
	s.HandleAppendEntries(a)
	s.ElectionTimeout()
	ask := RequestVoteArgs{Term: s.currentTerm + 1, CandidateID: "n1", PreVote: true}
	s.HandleRequestVoteReply("n2", ask, RequestVoteReply{Term: s.currentTerm, RemovedAt: 2})
	require.Zero(t, s.RemovedAt())
	s.HandleRequestVoteReply("n2", ask, RequestVoteReply{Term: s.currentTerm, RemovedAt: 5})
	require.Equal(t, Index(5), s.RemovedAt(), "removed once more")
}

// The only voter added it, and lost that entry in a crash before its own disk had it.
func TestAServerWhoseConfigurationWasNeverCommittedHearsThatItIsNoMember(t *testing.T) {
	s := start(t, Config{}, Restored{Term: 2, Entries: logOf(members(1).without("n1").with(Member{ID: "n2", Role: Voter}), 1, 2)})
	a := configured(from(2, 2, 2, 2), Configuration{}.with(Member{ID: "n1"}).with(Member{ID: "n2", Role: Voter}))
	require.True(t, s.HandleAppendEntries(a).Success)
	told := func(commit Term) {
		s.HandleRequestVoteReply("n2", RequestVoteArgs{Term: 3, PreVote: true}, RequestVoteReply{Term: 2, RemovedAt: 1, CommitTerm: commit})
	}
	told(2)
	require.Zero(t, s.RemovedAt(), "who says so may not have heard of it yet")
	told(3)
	require.Equal(t, Index(1), s.RemovedAt(), "what is committed goes on without it")
}

// What a peer has committed is news only of a removal. A server that has just started knows
// nothing of what is committed: its configurations begin at index 0, which is no removal either.
func TestAVoteThatTellsOfNoRemovalIsAVote(t *testing.T) {
	s := start(t, Config{}, Restored{Term: 2, Entries: logOf(members(3), 1, 2)})
	s.ElectionTimeout()
	ask := RequestVoteArgs{Term: 3, CandidateID: "n1", PreVote: true}
	s.HandleRequestVoteReply("n2", ask, RequestVoteReply{Term: 2, VoteGranted: true, CommitTerm: 2})
	require.Equal(t, Candidate, s.state)
}

func TestAServerThatWasRemovedStillKnowsItAfterARestart(t *testing.T) {
	s := newServer(t, 3, 1)
	a := from(2, 1, 1, 2)
	a.Entries[0].Kind, a.Entries[0].Data = EntryConfiguration, members(3).without("n1").Encode()
	a.LeaderCommit = 2
	s.HandleAppendEntries(a)
	s.settle()
	require.Equal(t, Index(2), s.RemovedAt())
	_, _, ok := s.NextSnapshot()
	require.False(t, ok, "a snapshot would be of a cluster that it never belonged to")
}

// A peer that is down with the last entry before the log's beginning can be told nothing of a
// commit by a heartbeat, which speaks of index 0 then: to try with each tick would be a storm.
func TestAPeerThatNeedsASnapshotIsSentHeartbeatsInTheirRhythm(t *testing.T) {
	s := leaderOf(t, 3)
	s.Propose([]byte("x"))
	s.settle()
	s.answer("n2")
	s.settle()
	s.compact()
	p := s.leader.peers["n3"]
	p.matchIndex, p.sentCommit, p.inflight = s.log.base-1, s.log.base-2, 0
	s.takeSent()
	ticks(s, 3*s.cfg.HeartbeatTicks)
	s.settle()
	require.Len(t, appendsTo("n3", s.takeSent()), 3)
}
