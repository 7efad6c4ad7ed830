package raft

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// The log of a server that was removed while it was down names it as a member. That
// must not pass for having been one since the start.
func TestAServerTookPartOnceItWasAMemberAndUpToDate(t *testing.T) {
	s := newServer(t, 3, 1)
	s.HandleAppendEntries(AppendEntriesArgs{Term: 1, LeaderID: "n2", PrevLogIndex: 1, PrevLogTerm: 1, LeaderCommit: 2})
	require.False(t, s.Status().TookPart, "entry 2 may have removed it")

	without := Entry{Index: 2, Term: 1, Kind: EntryConfiguration, Data: s.Configuration().without("n1").Encode()}
	removed := newServer(t, 3, 1)
	removed.HandleAppendEntries(AppendEntriesArgs{Term: 1, LeaderID: "n2", PrevLogIndex: 1, PrevLogTerm: 1, Entries: []Entry{without}, LeaderCommit: 2})
	require.Equal(t, Index(2), removed.Status().RemovedAt)
	require.False(t, removed.Status().TookPart)

	s.HandleAppendEntries(AppendEntriesArgs{Term: 1, LeaderID: "n2", PrevLogIndex: 1, PrevLogTerm: 1, LeaderCommit: 1})
	require.True(t, s.Status().TookPart)
	leader := newServer(t, 3, 1)
	leader.elect()
	require.True(t, leader.Status().TookPart)
}

// From a snapshot without itself, a server could not tell whether it was removed or not
// added yet.
func TestAServerThatWasRemovedStillKnowsAfterARestart(t *testing.T) {
	s := newServer(t, 3, 1)
	without := Entry{Index: 2, Term: 1, Kind: EntryConfiguration, Data: s.Configuration().without("n1").Encode()}
	s.HandleAppendEntries(AppendEntriesArgs{Term: 1, LeaderID: "n2", PrevLogIndex: 1, PrevLogTerm: 1, Entries: []Entry{without}, LeaderCommit: 2})
	s.settle()
	require.Equal(t, Index(2), s.Status().LastApplied)
	_, _, ok := s.NextSnapshot()
	require.False(t, ok)
	again := s.restart()
	again.HandleRequestVoteReply("n2", RequestVoteArgs{Term: 2, PreVote: true}, RequestVoteReply{Term: 1, RemovedAt: 2})
	require.Equal(t, Index(2), again.Status().RemovedAt)
}

// Later configurations move on; the one that removed this server is what its operator
// looks for.
func TestTheRemovalIsTheOneInTheOwnLogIfThatHasIt(t *testing.T) {
	c := members(3)
	s := newServer(t, 3, 1)
	a := AppendEntriesArgs{Term: 1, LeaderID: "n2", PrevLogIndex: 1, PrevLogTerm: 1, LeaderCommit: 2}
	for k, c := range []Configuration{c.without("n1"), c.without("n1").without("n3")} {
		a.Entries = append(a.Entries, Entry{Index: Index(k + 2), Term: 1, Kind: EntryConfiguration, Data: c.Encode()})
	}
	s.HandleAppendEntries(a)
	require.Equal(t, Index(2), s.RemovedAt())
	s.settle()
	again := s.restart()
	require.Zero(t, again.RemovedAt(), "nobody said that it is committed")
	again.HandleRequestVoteReply("n2", RequestVoteArgs{Term: 2, PreVote: true}, RequestVoteReply{Term: 1, RemovedAt: 9})
	require.Equal(t, Index(2), again.RemovedAt())
}
