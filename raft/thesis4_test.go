package raft

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Changes of the cluster's membership: a test for each rule of thesis chapter 4 and of §6
// that servers keep when others leave. How servers join is in membership_test.go.

// outOf is a configuration of voters without one of them.
func outOf(voters int, id NodeID) Configuration { return members(voters).without(id) }

// configured puts a configuration into the newest entry of a message.
func configured(a AppendEntriesArgs, c Configuration) AppendEntriesArgs {
	e := &a.Entries[len(a.Entries)-1]
	e.Kind, e.Data = EntryConfiguration, c.Encode()
	return a
}

// commits is a heartbeat of n2 that commits an entry.
func commits(i Index, t Term) AppendEntriesArgs {
	a := from(t, i, t)
	a.LeaderCommit = i
	return a
}

// remove takes a server out of the cluster of a leader, committed by n2 and n3.
func remove(t *testing.T, s *server, id NodeID) Index {
	t.Helper()
	at, _, err := s.RemoveServer(id)
	require.NoError(t, err)
	s.settle()
	for _, peer := range []NodeID{"n2", "n3"} {
		if peer != id {
			s.answer(peer)
		}
	}
	require.Equal(t, at, s.commitIndex)
	return at
}

// --- §4.1: one server at a time ---

// "The new configuration takes effect on each server as soon as it is added to that
// server's log."
func TestARemovedServerStopsCountingWhenItsRemovalIsAppended(t *testing.T) {
	s := leaderOf(t, 3)
	at, term, err := s.RemoveServer("n3")
	require.NoError(t, err)
	require.Equal(t, Index(3), at)
	require.Equal(t, Term(2), term)
	require.Equal(t, outOf(3, "n3"), s.Configuration(), "before anything is saved or committed")
	s.settle()
	s.answer("n3")
	require.Equal(t, Index(2), s.commitIndex, "n1 and n3 are no majority any more")
	s.answer("n2")
	require.Equal(t, at, s.commitIndex)
}

// Majorities of every size, even ones too, while a server goes and while one comes
// (tikv/raft-rs 2d89626). A server on its way out or in is not one of them.
func TestAChangeIsCommittedByAMajorityOfTheNewConfiguration(t *testing.T) {
	acknowledged := func(s *server, at Index, quorum int, others ...NodeID) {
		for k, peer := range others {
			require.Equal(t, 1+k >= quorum, s.commitIndex >= at, "%d of %d", 1+k, quorum)
			s.answer(peer)
		}
		require.GreaterOrEqual(t, s.commitIndex, at)
	}
	names := []NodeID{"n2", "n3", "n4", "n5"}
	for voters := 2; voters <= 5; voters++ {
		s := leaderOf(t, voters)
		at, _, err := s.RemoveServer(names[voters-2])
		require.NoError(t, err)
		s.settle()
		s.answer(names[voters-2])
		acknowledged(s, at, (voters-1)/2+1, names[:voters-2]...)
	}
	for voters := 1; voters <= 4; voters++ {
		s := leaderOf(t, voters)
		s.AddLearner(n9)
		s.settle()
		for _, peer := range names[:voters-1] {
			s.answer(peer)
		}
		s.leader.peers["n9"].caughtUp = true
		s.settle()
		require.True(t, s.Configuration().IsVoter("n9"))
		acknowledged(s, s.ConfigurationIndex(), (voters+1)/2+1, append([]NodeID{"n9"}, names[:voters-1]...)...)
	}
}

func TestNoChangeWhileAnotherIsNotCommitted(t *testing.T) {
	s := leaderOf(t, 5)
	_, _, err := s.RemoveServer("n5")
	require.NoError(t, err)
	_, _, err = s.RemoveServer("n4")
	require.ErrorIs(t, err, ErrConfigurationBusy)
	_, _, err = s.AddLearner(n9)
	require.ErrorIs(t, err, ErrConfigurationBusy)
	s.settle()
	s.answer("n2")
	s.answer("n3")
	_, _, err = s.RemoveServer("n4")
	require.NoError(t, err)
}

// Four servers: n1 in term 2 appends "without n2", n2 in term 3 "without n1". Without this
// rule n1 could win term 4 with n3 or n4 and commit with it, and n2's majority would not
// meet that one (Ongaro, raft-dev, 2015).
func TestNoRemovalBeforeTheLeaderHasCommittedAnEntryOfItsTerm(t *testing.T) {
	s := newServer(t, 4, 1)
	s.elect()
	_, _, err := s.RemoveServer("n2")
	require.ErrorIs(t, err, ErrConfigurationBusy)
	s.answer("n3")
	s.answer("n4")
	_, _, err = s.RemoveServer("n2")
	require.NoError(t, err)

	s = start(t, Config{}, Restored{Term: 2, Snapshot: snapshotAt(8, 2)})
	s.elect()
	_, _, err = s.RemoveServer("n2")
	require.ErrorIs(t, err, ErrConfigurationBusy, "not even if the last change is committed for long")
	s.answer("n3")
	_, _, err = s.RemoveServer("n2")
	require.NoError(t, err)
}

func TestWhoCannotBeRemoved(t *testing.T) {
	s := leaderOf(t, 1)
	last := s.log.lastIndex()
	_, _, err := s.RemoveServer("n1")
	require.ErrorIs(t, err, ErrLastVoter)
	_, _, err = s.RemoveServer("n7")
	require.ErrorIs(t, err, ErrUnknownMember)
	s.AddLearner(n9)
	s.settle()
	_, _, err = s.RemoveServer("n1")
	require.ErrorIs(t, err, ErrLastVoter, "a learner cannot lead")
	require.Equal(t, last+1, s.log.lastIndex(), "a refused change leaves no trace")
	s.observeTerm(9)
	_, _, err = s.RemoveServer("n9")
	require.ErrorIs(t, err, ErrNotLeader)
}

func TestALearnerCanBeRemoved(t *testing.T) {
	s := leaderOf(t, 1)
	s.AddLearner(n9)
	s.settle()
	at, _, err := s.RemoveServer("n9")
	require.NoError(t, err)
	s.settle()
	require.Equal(t, at, s.commitIndex)
	require.Equal(t, members(1), s.Configuration())
}

// "a server must be prepared to fall back to the previous configuration in its log"
func TestARemovalThatIsNotCommittedMayBeUndone(t *testing.T) {
	s := newServer(t, 3, 1)
	s.HandleAppendEntries(configured(from(2, 1, 1, 2), outOf(3, "n1")))
	require.Equal(t, outOf(3, "n1"), s.Configuration())
	require.Zero(t, s.RemovedAt(), "nobody knows yet")
	other := from(3, 1, 1, 3)
	other.LeaderID = "n3"
	s.HandleAppendEntries(other)
	require.Equal(t, members(3), s.Configuration())
	ticks(s, s.electionTimeout)
	require.Equal(t, PreCandidate, s.state)
}

// "A server accepts AppendEntries requests from a leader that is not part of the server's
// latest configuration." Else nobody could ever be added. "A server also grants its vote
// to a candidate that is not part of the server's latest configuration".
func TestEntriesAndVotesCrossConfigurations(t *testing.T) {
	s := start(t, Config{}, Restored{Term: 1, Entries: logOf(outOf(3, "n2"), 1)})
	require.True(t, s.HandleRequestVote(vote(2, 1, 1)).VoteGranted)
	require.True(t, s.HandleAppendEntries(from(2, 1, 1, 2)).Success)
	_, store := s.HandleInstallSnapshot(chunkOf(2, snapshotAt(9, 2), 0))
	require.True(t, store)
}

// --- §4.2.2: the leader removes itself ---

// §6: "there will be a period of time (while it is committing Cnew) when the leader is
// managing a cluster that does not include itself; it replicates log entries but does not
// count itself in majorities."
func TestALeaderThatRemovesItselfDoesNotCountItself(t *testing.T) {
	s := leaderOf(t, 3)
	at, _, err := s.RemoveServer("n1")
	require.NoError(t, err)
	s.settle()
	require.Len(t, withEntries("n2", s.sent), 1)
	require.Len(t, withEntries("n3", s.sent), 1)
	s.answer("n2")
	require.Less(t, s.commitIndex, at, "n2 is one of two")
	require.Equal(t, Leader, s.state, "to step down now could lose the change")
	s.HeartbeatTimeout()
	s.flush()
	require.NotEmpty(t, appendsTo("n3", s.sent))
	_, _, err = s.Propose([]byte("x"))
	require.ErrorIs(t, err, ErrNotLeader, "the next leader will take it")
	require.NoError(t, s.ReadIndex(1))
	s.flush()
	s.answer("n2")
	require.Empty(t, s.reads, "nor does it count for reads")
}

// "The leader transition occurs when Cnew is committed"
func TestALeaderThatRemovedItselfStepsDownWhenThatIsCommittedAndHandsOver(t *testing.T) {
	s := leaderOf(t, 3)
	s.applied = nil
	at, _, _ := s.RemoveServer("n1")
	s.settle()
	s.answer("n3")
	s.answer("n2")
	require.Equal(t, Follower, s.state)
	require.Equal(t, Term(2), s.currentTerm)
	require.Equal(t, at, s.applied[0].Index, "who asked for it is told")
	require.Equal(t, []NodeID{"n2"}, timeoutNows(s.sent), "n3 may be as far, but one is enough")
	require.Equal(t, at, s.RemovedAt())
	ticks(s, 1000)
	require.Equal(t, Follower, s.state, "it starts no elections")
	require.Equal(t, Term(2), s.currentTerm)
}

func TestOfTwoServersTheOtherOneCommitsTheLeadersRemoval(t *testing.T) {
	s := leaderOf(t, 2)
	at, _, _ := s.RemoveServer("n1")
	s.settle()
	require.Less(t, s.commitIndex, at)
	s.answer("n2")
	require.Equal(t, at, s.commitIndex)
	require.Equal(t, []NodeID{"n2"}, timeoutNows(s.sent))
}

// Between the acknowledgement that commits its removal and the step-down, a leader is asked
// for one more change. It is no part of the cluster whose configuration that would be.
func TestALeaderWhoseRemovalIsCommittedChangesNothingMore(t *testing.T) {
	s := leaderOf(t, 2)
	at, _, _ := s.RemoveServer("n1")
	s.settle()
	for _, c := range withEntries("n2", s.sent) {
		s.HandleAppendEntriesReply("n2", c, AppendEntriesReply{Term: 2, Success: true})
	}
	require.Equal(t, at, s.commitIndex)
	_, _, err := s.AddLearner(n9)
	require.ErrorIs(t, err, ErrConfigurationBusy)
	s.AddLearner(Member{ID: "n1"})
	s.settle()
	require.Equal(t, Follower, s.state)
	require.Equal(t, at, s.log.lastIndex())
}

// "A server that is not part of its own latest configuration should still start new
// elections, as it might still be needed until the Cnew entry is committed in the cluster.
// It does not count its own vote in elections unless it is part of its latest
// configuration."
func TestAServerOutsideItsUncommittedConfigurationMayBeNeeded(t *testing.T) {
	s := leaderOf(t, 3)
	at, _, _ := s.RemoveServer("n1")
	s.settle()
	again := s.restart() // n2 and n3 do not have the entry, so they cannot win
	ticks(again, again.electionTimeout)
	again.flush()
	require.Equal(t, PreCandidate, again.state)
	again.grant("n2", true)
	require.Equal(t, PreCandidate, again.state, "n2 is one of two")
	again.grant("n3", true)
	again.settle()
	again.grant("n3", false)
	require.Equal(t, Candidate, again.state)
	again.grant("n2", false)
	require.Equal(t, Leader, again.state)
	again.settle()
	again.answer("n2")
	again.answer("n3")
	require.Greater(t, again.commitIndex, at)
	require.Equal(t, Follower, again.state)
	require.Equal(t, at, again.RemovedAt())
}

// The leader made n1 a voter, and only n2 has that; n1 has a newer entry of a later leader,
// who is gone. n2 needs the vote of n1, and its log is too old for it. So n1 campaigns.
func TestALearnerThatIsAskedForAVoteMayBeNeeded(t *testing.T) {
	s := newServer(t, 3, 1)
	learner := outOf(3, "n1").with(Member{ID: "n1", Role: Learner, RaftAddr: "n1:2221", HTTPAddr: "n1:8221"})
	s.HandleAppendEntries(configured(from(3, 1, 1, 3), learner))
	s.HandleAppendEntries(commits(2, 3)) // of n2, in term 3
	s.settle()
	wait := func() {
		ticks(s, s.electionTimeout)
		s.settle()
	}
	s.HandleRequestVote(RequestVoteArgs{Term: 4, CandidateID: "n2", LastLogIndex: 2, LastLogTerm: 3, PreVote: true})
	wait()
	require.Equal(t, Follower, s.state, "it would vote for n2: nobody needs it")
	s.HandleRequestVote(RequestVoteArgs{Term: 4, CandidateID: "n2", LastLogIndex: 2, LastLogTerm: 2, PreVote: true})
	s.HandleAppendEntries(commits(2, 3))
	wait()
	require.Equal(t, Follower, s.state, "a leader has spoken since")
	s.HandleRequestVote(RequestVoteArgs{Term: 4, CandidateID: "n2", LastLogIndex: 2, LastLogTerm: 2, PreVote: true})
	wait()
	s.grant("n2", true)
	require.Equal(t, PreCandidate, s.state, "n2 is one of two; the own vote does not count")
	s.grant("n3", true)
	s.settle()
	s.grant("n2", false)
	s.grant("n3", false)
	s.settle()
	require.Equal(t, Leader, s.state)
	_, _, err := s.Propose([]byte("x"))
	require.ErrorIs(t, err, ErrNotLeader)
	s.answer("n2")
	require.Equal(t, Leader, s.state, "one of two has its first entry")
	s.answer("n3")
	require.Equal(t, s.log.lastIndex(), s.commitIndex)
	require.Equal(t, Follower, s.state)
	require.NotEmpty(t, timeoutNows(s.sent))
}

// --- §4.2.3: servers that are gone do not disturb ---

// Nobody else will tell it: the leader speaks to a server that was removed until it knows.
func TestARemovedServerIsToldWhileItLeaves(t *testing.T) {
	s := leaderOf(t, 3)
	at := remove(t, s, "n3")
	require.Equal(t, members(3), s.Contacts())
	require.Len(t, s.Status().Peers, 2)
	s.answer("n3")
	require.Len(t, s.Contacts().Members, 3, "it has the entry, but does not know that it is committed")
	s.Tick()
	s.flush()
	s.answer("n3")
	require.GreaterOrEqual(t, s.leader.peers["n3"].ackedCommit, at)
	s.Tick()
	s.settle()
	require.Equal(t, outOf(3, "n3"), s.Contacts())
	require.Len(t, s.Status().Peers, 1)
	s.takeSent()
	ticks(s, s.cfg.HeartbeatTicks)
	s.flush()
	require.Empty(t, appendsTo("n3", s.sent))
	s.HandleAppendEntriesReply("n3", AppendEntriesArgs{Term: 2}, AppendEntriesReply{Term: 2, Success: true})
	s.HandleAppendEntriesFailed("n3", AppendEntriesArgs{Term: 2})
	s.HandleInstallSnapshotFailed("n3", InstallSnapshotArgs{Term: 2})
}

func TestARemovedServerKnowsWhenItsRemovalIsCommitted(t *testing.T) {
	s := newServer(t, 3, 1)
	s.HandleAppendEntries(configured(from(2, 1, 1, 2), outOf(3, "n1")))
	require.Zero(t, s.RemovedAt())
	s.HandleAppendEntries(commits(2, 2))
	require.Equal(t, Index(2), s.RemovedAt())
	s.settle()
	ticks(s, 1000)
	require.Equal(t, Follower, s.state)
	require.Equal(t, Term(2), s.currentTerm)
	require.Equal(t, TimeoutNowReply{Term: 2}, s.HandleTimeoutNow(TimeoutNowArgs{Term: 2, LeaderID: "n2"}))
	require.Equal(t, Follower, s.state)
}

func TestARemovedServerKnowsItAfterARestart(t *testing.T) {
	s := start(t, Config{}, Restored{Term: 2, Snapshot: snapshotAt(8, 2)})
	s.HandleAppendEntries(configured(from(2, 8, 2, 2), outOf(3, "n1")))
	s.settle()
	again := s.restart()
	again.HandleAppendEntries(commits(9, 2))
	require.Equal(t, Index(9), again.RemovedAt())
}

// A server that is down cannot be told, and must not be called for ever.
func TestALeaderLetsGoOfARemovedServerAfterTenElectionTimeouts(t *testing.T) {
	s := leaderOf(t, 3)
	remove(t, s, "n3")
	for tick := range maxLeavingTimeouts * s.cfg.ElectionTicks {
		require.Len(t, s.Contacts().Members, 3, "after %d ticks", tick)
		s.Tick()
		s.flush()
		s.answer("n2")
	}
	require.Len(t, s.Contacts().Members, 2)
	require.Equal(t, Leader, s.state)
}

// A snapshot, only to tell it that it is not needed, would be a waste.
func TestALeaderLetsGoOfARemovedServerThatNeedsASnapshot(t *testing.T) {
	s := leaderThatCompacted(t)
	remove(t, s, "n3")
	s.Tick()
	s.flush()
	require.Len(t, s.Contacts().Members, 2)
	require.Equal(t, Leader, s.state)
}

// Also if it was let go of meanwhile.
func TestAServerThatWasLetGoOfIsANewOneWhenItReturns(t *testing.T) {
	s := leaderOf(t, 3)
	before := *s.leader.peers["n3"]
	remove(t, s, "n3")
	for len(s.Contacts().Members) > 2 {
		s.Tick()
		s.flush()
		s.answer("n2")
	}
	_, _, err := s.AddLearner(Member{ID: "n3"})
	require.NoError(t, err)
	require.Zero(t, s.leader.peers["n3"].matchIndex)
	require.Greater(t, s.leader.peers["n3"].session, before.session)
}

func TestALeaderThatIsDeposedHasNobodyLeaving(t *testing.T) {
	s := leaderOf(t, 3)
	remove(t, s, "n3")
	s.observeTerm(9)
	require.Equal(t, outOf(3, "n3"), s.Contacts())
}

// A server that was down while it was removed asks for votes, and hears why it gets none.
func TestAnAnswerToARequestForAVoteTellsOfTheRemoval(t *testing.T) {
	n3asks := func(pre bool) RequestVoteArgs {
		a := vote(3, 1, 1)
		a.CandidateID, a.PreVote = "n3", pre
		return a
	}
	s := newServer(t, 3, 1)
	s.HandleAppendEntries(commits(1, 1))
	s.HandleAppendEntries(configured(from(2, 1, 1, 2), outOf(3, "n3")))
	require.Zero(t, s.HandleRequestVote(n3asks(true)).RemovedAt, "not committed: it may be needed")
	s.HandleAppendEntries(commits(2, 2))
	require.Equal(t, RequestVoteReply{Term: 2, RemovedAt: 2, CommitTerm: 2}, s.HandleRequestVote(n3asks(false)), "a leader is heard")
	member := n3asks(true)
	member.CandidateID = "n2"
	require.Zero(t, s.HandleRequestVote(member).RemovedAt)
	ticks(s, s.cfg.ElectionTicks)
	require.Equal(t, RequestVoteReply{Term: 2, RemovedAt: 2, CommitTerm: 2}, s.HandleRequestVote(n3asks(true)), "none is heard")
	s.HandleAppendEntries(configured(from(2, 2, 2, 2), members(3)))
	require.Zero(t, s.HandleRequestVote(n3asks(true)).RemovedAt, "it is about to come back")
}

func TestAServerThatKnowsOfNoConfigurationTellsNobodyThatItWasRemoved(t *testing.T) {
	s := newServer(t, 0)
	a := vote(3, 1, 1)
	a.PreVote = true
	require.Zero(t, s.HandleRequestVote(a).RemovedAt)
}

func TestAServerThatHearsThatItWasRemovedStartsNoMoreElections(t *testing.T) {
	for name, campaign := range map[string]func(*server){
		"pre-candidate": func(s *server) { s.ElectionTimeout() },
		"candidate":     (*server).campaign,
		"follower":      func(*server) {},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, 3, 1)
			campaign(s)
			term := s.currentTerm
			s.HandleRequestVoteReply("n2", RequestVoteArgs{Term: term + 1, PreVote: true}, RequestVoteReply{Term: term, RemovedAt: 4})
			require.Equal(t, Follower, s.state)
			require.Equal(t, Index(4), s.RemovedAt())
			ticks(s, 1000)
			s.settle()
			require.Equal(t, Follower, s.state)
			require.Equal(t, term, s.currentTerm)
			require.Equal(t, RequestVoteReply{Term: term + 1, VoteGranted: true}, s.HandleRequestVote(vote(term+1, 9, 1)), "it votes when asked")
			require.Zero(t, s.restart().RemovedAt(), "it is told again")
		})
	}
}

// A peer that is behind does not know yet who was added.
func TestAnOldRemovalIsNotBelieved(t *testing.T) {
	s := start(t, Config{}, Restored{Term: 2, Entries: logOf(members(3), 1, 1, 2)})
	a := configured(from(2, 3, 2, 2), members(4))
	s.HandleAppendEntries(a)
	s.ElectionTimeout()
	require.Equal(t, PreCandidate, s.state)
	told := func(at Index) {
		s.HandleRequestVoteReply("n3", RequestVoteArgs{Term: 3, PreVote: true}, RequestVoteReply{Term: 2, RemovedAt: at})
	}
	told(1)
	require.Equal(t, PreCandidate, s.state)
	require.Zero(t, s.RemovedAt())
	told(4)
	require.Equal(t, Index(4), s.RemovedAt(), "what it has at 4 was never committed")
}

// It was added again meanwhile, and the leader says so by speaking to it.
func TestAWordFromALeaderEndsARemoval(t *testing.T) {
	for name, word := range map[string]func(*server){
		"entries":   func(s *server) { s.HandleAppendEntries(from(2, 1, 1)) },
		"snapshot":  func(s *server) { s.HandleInstallSnapshot(chunkOf(2, snapshotAt(9, 2), 0)) },
		"installed": func(s *server) { s.observeTerm(2); s.FinishSnapshot(snapshotAt(9, 2)) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, 3, 1)
			s.ElectionTimeout()
			s.HandleRequestVoteReply("n2", RequestVoteArgs{Term: 2, PreVote: true}, RequestVoteReply{Term: 1, RemovedAt: 4})
			require.NotZero(t, s.RemovedAt())
			word(s)
			require.Zero(t, s.RemovedAt())
			ticks(s, 2*s.electionTimeout)
			require.NotEqual(t, Follower, s.state)
		})
	}
}

func TestALeaderIsNotToldThatItWasRemoved(t *testing.T) {
	s := leaderOf(t, 3)
	s.HandleRequestVoteReply("n2", RequestVoteArgs{Term: 2}, RequestVoteReply{Term: 2, RemovedAt: 9})
	require.Equal(t, Leader, s.state)
	require.Zero(t, s.RemovedAt())
}

func TestAServerThatWasNeverAMemberWasNotRemoved(t *testing.T) {
	s := newServer(t, 0)
	require.Zero(t, s.RemovedAt())
	a := configured(from(2, 0, 0, 2), outOf(3, "n1"))
	a.LeaderCommit = 1
	s.HandleAppendEntries(a)
	require.Zero(t, s.RemovedAt(), "it will be added with an entry to come")
}

// §6: "removed servers (those not in Cnew) can disrupt the cluster". Not here: its
// pre-votes raise nobody's term, and the first answer ends them.
func TestARemovedServerDisturbsNobody(t *testing.T) {
	s := leaderOf(t, 3)
	at := remove(t, s, "n3")
	n3 := start(t, Config{ID: "n3"}, Restored{Term: 2, Entries: logOf(members(3), 1, 2)})
	ticks(n3, n3.electionTimeout)
	n3.flush()
	require.Equal(t, PreCandidate, n3.state)
	for _, c := range n3.takeSent() {
		if c.To == "n1" {
			n3.HandleRequestVoteReply("n1", *c.RequestVote, s.HandleRequestVote(*c.RequestVote))
		}
	}
	require.Equal(t, Leader, s.state)
	require.Equal(t, Term(2), s.currentTerm)
	require.Equal(t, at, n3.RemovedAt())
	require.Equal(t, Follower, n3.state)
}

// Neither may campaign, so no request for a vote would bring the answer that ends the wait.
func TestAServerThatMayNotCampaignAsksWhetherItWasRemoved(t *testing.T) {
	learner := outOf(3, "n3").with(Member{ID: "n3", Role: Learner, RaftAddr: "n3:2221", HTTPAddr: "n3:8221"})
	covered := Snapshot{Index: 2, Term: 2, Configuration: outOf(3, "n3"), ConfigurationIndex: 2}
	for name, disk := range map[string]Restored{
		"a learner that was down":                 {Term: 1, Entries: logOf(learner, 1)},
		"a server whose snapshot covers its past": {Term: 2, Snapshot: covered},
	} {
		t.Run(name, func(t *testing.T) {
			s := leaderOf(t, 3)
			at := remove(t, s, "n3")
			n3 := start(t, Config{ID: "n3"}, disk)
			require.Zero(t, n3.RemovedAt())
			ticks(n3, n3.electionTimeout)
			n3.flush()
			asked := n3.takeSent()
			require.Len(t, asked, 2, "the voters")
			require.Equal(t, NodeID("n1"), asked[0].To)
			require.NoError(t, asked[0].RequestVote.Validate())
			n3.HandleRequestVoteReply("n1", *asked[0].RequestVote, s.HandleRequestVote(*asked[0].RequestVote))
			require.Equal(t, at, n3.RemovedAt())
			require.Equal(t, Leader, s.state, "it disturbs nobody")
			ticks(n3, 1000)
			n3.flush()
			require.Empty(t, n3.takeSent(), "it knows")
		})
	}
}

func TestWhoeverOnlyAsksWhetherItWasRemovedIsNotElected(t *testing.T) {
	c := outOf(3, "n1").with(Member{ID: "n1", Role: Learner, RaftAddr: "n1:2221", HTTPAddr: "n1:8221"})
	s := start(t, Config{}, Restored{Term: 1, Entries: logOf(c, 1)})
	ticks(s, s.electionTimeout)
	for _, id := range []NodeID{"n2", "n3"} {
		s.grant(id, true)
	}
	s.settle()
	require.Equal(t, Follower, s.state)
	require.Equal(t, Term(1), s.currentTerm)
}

// An acknowledgement from before the removal must not count for the server that was added
// again (etcd-io/raft#349).
func TestAServerThatIsAddedAgainIsANewOneToItsLeader(t *testing.T) {
	s := leaderOf(t, 3)
	before := *s.leader.peers["n3"]
	require.Equal(t, Index(2), before.matchIndex)
	remove(t, s, "n3")
	old := withEntries("n3", s.takeSent())
	require.NotEmpty(t, old)
	_, _, err := s.AddLearner(Member{ID: "n3"})
	require.NoError(t, err)
	p := s.leader.peers["n3"]
	require.Zero(t, p.matchIndex)
	require.Greater(t, p.session, before.session)
	s.HandleAppendEntriesReply("n3", old[0], AppendEntriesReply{Term: 2, Success: true})
	require.Zero(t, p.matchIndex)
	require.Empty(t, s.leader.leaving)
	require.Len(t, s.Status().Peers, 2, "once")

	s.settle()
	s.answer("n2")
	s.answer("n3")
	require.True(t, s.Configuration().IsVoter("n3"), "and earns its vote again")
	s.answer("n2")
	s.takeSent()
	at := remove(t, s, "n3")
	require.Equal(t, at, s.leader.leaving[0].index, "and may be removed again")
}
