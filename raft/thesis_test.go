package raft

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// What the thesis adds to Figure 2: the pre-vote, the check of the quorum, and what
// a server's own disk means for its vote and its log.

// --- PreVote (thesis §9.6) and the leader that is heard (thesis §4.2.3) ---

func TestAPreVoteChangesNeitherTermNorVote(t *testing.T) {
	s := newServer(t, 3, 1, 2)
	a := vote(7, 2, 2)
	a.PreVote = true
	require.Equal(t, RequestVoteReply{Term: 2, VoteGranted: true}, s.HandleRequestVote(a))
	require.Equal(t, Term(2), s.currentTerm)
	require.Equal(t, nobody, s.votedFor)
	require.Zero(t, s.flush().Save)
}

func TestAPreVoteIsRefusedToALogThatIsBehindOrATermThatIsTaken(t *testing.T) {
	for name, a := range map[string]RequestVoteArgs{"log behind": vote(3, 1, 1), "term taken": vote(2, 2, 1)} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, 3, 1, 2)
			a.PreVote = true
			require.Equal(t, RequestVoteReply{Term: 2}, s.HandleRequestVote(a))
		})
	}
}

func TestARefusedPreVoteTeachesTheHigherTerm(t *testing.T) {
	s := newServer(t, 3, 1)
	s.ElectionTimeout()
	require.Equal(t, PreCandidate, s.state)
	require.Equal(t, Term(1), s.currentTerm)
	s.HandleRequestVoteReply("n2", RequestVoteArgs{Term: 2, PreVote: true}, RequestVoteReply{Term: 8})
	require.Equal(t, Term(8), s.currentTerm)
	require.Equal(t, Follower, s.state)
}

func TestOnlyAMajorityOfPreVotesRaisesTheTerm(t *testing.T) {
	s := newServer(t, 5, 1)
	s.ElectionTimeout()
	s.grant("n2", true)
	require.Equal(t, Term(1), s.currentTerm)
	s.grant("n3", true)
	require.Equal(t, Candidate, s.state)
	require.Equal(t, Term(2), s.currentTerm)
}

func TestVotesOfAnotherElectionDoNotCount(t *testing.T) {
	s := newServer(t, 3, 1)
	s.campaign()
	granted := RequestVoteReply{Term: 1, VoteGranted: true}
	for name, a := range map[string]RequestVoteArgs{
		"of an older term":              {Term: 1},
		"a pre-vote":                    {Term: 2, PreVote: true},
		"a pre-vote for the next term":  {Term: 3, PreVote: true},
		"a vote for a term yet to come": {Term: 3},
	} {
		s.HandleRequestVoteReply("n2", a, granted)
		require.Equal(t, Candidate, s.state, name)
	}
}

func TestACandidateIsIgnoredWhileALeaderIsHeard(t *testing.T) {
	s := newServer(t, 3, 1)
	s.HandleAppendEntries(from(2, 1, 1))
	candidate := vote(9, 5, 8)
	candidate.CandidateID = "n3"
	require.Equal(t, RequestVoteReply{Term: 2}, s.HandleRequestVote(candidate))
	require.Equal(t, Term(2), s.currentTerm, "or a removed server could depose the leader")

	ticks(s, s.cfg.ElectionTicks)
	require.Equal(t, Follower, s.state, "the drawn timeout is longer than the smallest")
	require.True(t, s.HandleRequestVote(candidate).VoteGranted)
}

func TestALeaderThatRestartedMayBeElectedAgainAtOnce(t *testing.T) {
	s := newServer(t, 3, 1)
	s.HandleAppendEntries(from(2, 1, 1))
	require.True(t, s.HandleRequestVote(vote(3, 1, 1)).VoteGranted)
}

func TestALeaderIgnoresCandidates(t *testing.T) {
	s := newServer(t, 3, 1)
	s.elect()
	require.False(t, s.HandleRequestVote(vote(9, 9, 8)).VoteGranted)
	require.Equal(t, Leader, s.state)
}

func TestALateElectionTimeoutDoesNotTouchALeader(t *testing.T) {
	s := newServer(t, 3, 1)
	s.elect()
	s.ElectionTimeout()
	require.Equal(t, Leader, s.state)
	s.HandleRequestVoteReply("n3", RequestVoteArgs{Term: 2}, RequestVoteReply{Term: 2, VoteGranted: true})
	require.Equal(t, Leader, s.state)
}

// --- CheckQuorum (thesis §6.2) ---

func TestALeaderWithoutAMajorityStepsDown(t *testing.T) {
	s := newServer(t, 5, 1)
	s.elect()
	for range 2 {
		s.HandleAppendEntriesReply("n2", AppendEntriesArgs{Term: 2}, AppendEntriesReply{Term: 2, Success: true})
		s.HandleAppendEntriesReply("n3", AppendEntriesArgs{Term: 2}, AppendEntriesReply{Term: 2, Success: true})
		ticks(s, s.cfg.ElectionTicks)
		require.Equal(t, Leader, s.state)
	}
	s.HandleAppendEntriesReply("n2", AppendEntriesArgs{Term: 2}, AppendEntriesReply{Term: 2, Success: true})
	ticks(s, s.cfg.ElectionTicks)
	require.Equal(t, Follower, s.state)
	require.Equal(t, Term(2), s.currentTerm)
	require.Equal(t, nobody, s.leaderID)
	require.Equal(t, NodeID("n1"), s.votedFor)
}

// --- Timers (§5.2) ---

func TestElectionTimeoutsAreDrawnOncePerResetFromTheWholeRange(t *testing.T) {
	s := newServer(t, 3, 1)
	drawn := map[int]bool{}
	for range 1000 {
		s.resetElectionTimer()
		before := s.electionTimeout
		s.Tick()
		require.Equal(t, before, s.electionTimeout)
		drawn[before] = true
	}
	for k := range s.cfg.ElectionTicks {
		require.True(t, drawn[s.cfg.ElectionTicks+k], "%d", k)
	}
	require.Len(t, drawn, s.cfg.ElectionTicks)
}

func TestTheOnlyVoterNeedsNoElectionTimeout(t *testing.T) {
	s := newServer(t, 1, 1)
	s.Tick()
	s.settle()
	require.Equal(t, Leader, s.state)
	require.Equal(t, Index(2), s.commitIndex, "its own disk is the majority")
}

func TestAServerThatIsNoVoterDoesNotCampaign(t *testing.T) {
	for name, disk := range map[string]Restored{
		"no configuration yet": {},
		"not in it":            {Term: 1, Entries: logOf(Configuration{}.with(Member{ID: "n2", Role: Voter}), 1)},
		"a learner":            {Term: 1, Entries: logOf(members(2).with(Member{ID: "n1", Role: Learner}), 1)},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, Config{}, disk)
			ticks(s, 1000)
			require.Equal(t, Follower, s.state)
			require.True(t, s.HandleRequestVote(vote(5, 1, 4)).VoteGranted, "but it votes when asked (thesis §4.2.2)")
		})
	}
}

func TestNobodyCampaignsBeyondTheLastTerm(t *testing.T) {
	s := newServer(t, 1, MaxTerm)
	ticks(s, 1000)
	require.Equal(t, Follower, s.state)
}

// A snapshot of a peer can claim any index. What is appended beyond the largest could not
// be read by any server, nor by this one after a restart.
func TestNothingIsAppendedBeyondTheLargestIndex(t *testing.T) {
	at := func(i Index) *server {
		m := Snapshot{Index: i, Term: 1, Configuration: members(1)}
		return start(t, Config{}, Restored{Term: 1, Snapshot: m})
	}
	s := at(MaxIndex)
	ticks(s, 1000)
	require.Equal(t, Follower, s.state)

	s = at(MaxIndex - 2)
	s.elect()
	s.settle()
	require.Equal(t, MaxIndex-1, s.commitIndex)
	_, _, err := s.Propose([]byte("x"), []byte("y"))
	require.ErrorIs(t, err, ErrBusy)
	_, _, err = s.Propose([]byte("x"))
	require.NoError(t, err)
	s.settle()
	require.Equal(t, MaxIndex, s.commitIndex)
	_, _, err = s.Propose([]byte("y"))
	require.ErrorIs(t, err, ErrBusy)
	_, _, err = s.AddLearner(n9)
	require.ErrorIs(t, err, ErrConfigurationBusy)
}

// A cluster of one whose fsync takes longer than an election timeout would chase its
// disk for ever.
func TestNoNewElectionWhileTheOwnVoteIsOnItsWayToTheDisk(t *testing.T) {
	s := newServer(t, 1, 1)
	s.Tick()
	s.flush()
	ticks(s, 1000)
	require.Equal(t, Term(2), s.currentTerm)
	s.settle()
	require.Equal(t, Leader, s.state)
}

// The time for an answer begins when the requests leave, and doubles until somebody
// leads: voters may need longer than a timeout to make their votes durable.
func TestElectionsWithoutAResultLeaveMoreAndMoreTime(t *testing.T) {
	s := newServer(t, 3, 1)
	s.cfg.NoPreVote = true
	s.ElectionTimeout()
	for doubled := range 10 {
		ticks(s, 7)
		s.settle()
		require.Zero(t, s.electionElapsed)
		shortest := s.cfg.ElectionTicks << min(doubled, maxTimeoutDoublings)
		require.GreaterOrEqual(t, s.electionTimeout, shortest)
		require.Less(t, s.electionTimeout, 2*shortest)
		ticks(s, s.electionTimeout)
	}
	s.HandleAppendEntries(from(s.currentTerm, 1, 1))
	require.Zero(t, s.lostElections)
	s.elect()
	require.Zero(t, s.lostElections)
}

func TestAServerThatMayNotCampaignForgetsASilentLeader(t *testing.T) {
	s := newServer(t, 0)
	s.HandleAppendEntries(from(2, 0, 0))
	require.Equal(t, NodeID("n2"), s.leaderID)
	ticks(s, s.electionTimeout)
	require.Equal(t, nobody, s.leaderID)
}

// --- The own disk ---

// Led before its vote is durable, a term could be led twice: by this server and by
// its own restart.
func TestTheOwnVoteCountsWhenItIsDurable(t *testing.T) {
	s := newServer(t, 1, 1)
	s.Tick()
	s.flush()
	require.Equal(t, Candidate, s.state)
	again := s.restart()
	require.Equal(t, Term(1), again.currentTerm, "the restart knows nothing of term 2")

	s.syncOne()
	require.Equal(t, Leader, s.state)
	require.Equal(t, Term(2), s.restart().currentTerm)
}

func TestTheOwnLogCountsWhenItIsDurable(t *testing.T) {
	s := newServer(t, 3, 1)
	s.elect()
	s.answer("n2")
	s.takeSent()
	s.Propose([]byte("x"))
	s.flush()
	a := withEntries("n2", s.sent)[0]
	s.HandleAppendEntriesReply("n2", a, AppendEntriesReply{Term: 2, Success: true})
	require.Equal(t, Index(2), s.commitIndex, "one of three has it on disk")
	s.syncOne()
	require.Equal(t, Index(3), s.commitIndex)
}

// The note that a Save is durable may arrive after its entries were truncated and
// others took their place (rabbitmq/ra PR #637).
func TestANoteAboutTruncatedEntriesIsNotAboutTheirSuccessors(t *testing.T) {
	s := newServer(t, 3, 1)
	s.HandleAppendEntries(from(2, 1, 1, 2, 2))
	s.flush()
	other := from(3, 1, 1, 3)
	other.LeaderID = "n3"
	s.HandleAppendEntries(other)
	s.flush()
	s.HandleAppendEntries(from(4, 1, 1, 4, 4))
	s.flush()
	s.syncOne()
	require.Equal(t, Index(1), s.disk.savedIndex, "2@2 and 3@2 are durable, and gone")
	s.syncOne()
	require.Equal(t, Index(1), s.disk.savedIndex, "so is 2@3")
	s.syncOne()
	require.Equal(t, Index(3), s.disk.savedIndex)
	require.Equal(t, []Term{1, 4, 4}, s.restart().terms())
}

// The reply to a heartbeat need not wait for the disk when what it promises is
// durable already.
func TestAHeartbeatIsAnsweredAtOnceIfItsPromiseIsDurable(t *testing.T) {
	s := newServer(t, 3, 1)
	may := func(a AppendEntriesArgs) bool { return s.MayReplyAtOnce(a, s.HandleAppendEntries(a)) }
	require.False(t, may(from(2, 1, 1)), "the term is new")
	s.settle()
	require.True(t, may(from(2, 1, 1)))
	require.False(t, may(from(2, 1, 1, 2)), "entries must be saved")
	s.flush()
	require.True(t, may(from(2, 1, 1)), "although a Save is under way")
	require.False(t, may(from(2, 2, 2)), "2@2 is not durable")
	s.settle()
	require.True(t, may(from(2, 2, 2)))
	require.False(t, may(from(2, 9, 2)), "a refusal waits")

	s.HandleAppendEntries(from(3, 1, 1, 3))
	require.False(t, may(from(3, 2, 3)), "what was durable at 2 is truncated")
}

// --- Replication ahead of the answers (thesis §10.2) ---

func TestTheWindowOfMessagesInFlightIsBounded(t *testing.T) {
	s := newServer(t, 3, 1)
	s.elect()
	s.answer("n2")
	s.takeSent()
	for range 10 {
		s.Propose([]byte("x"))
		s.Tick()
		s.flush()
	}
	a := withEntries("n2", s.takeSent())
	require.Len(t, a, s.cfg.MaxInflight)
	s.HandleAppendEntriesReply("n2", a[0], AppendEntriesReply{Term: 2, Success: true})
	s.flush()
	rest := withEntries("n2", s.takeSent())
	require.Len(t, rest, 1)
	require.Len(t, rest[0].Entries, 6, "what waited goes in one message")
}

func TestAMessageIsBoundedInBytesButNeverEmpty(t *testing.T) {
	s := newServer(t, 3, 1)
	s.cfg.MaxBatchBytes = 200
	s.elect()
	s.answer("n2")
	s.takeSent()
	big, small := make([]byte, 500), make([]byte, 20)
	s.Propose(small, small, small, big, small)
	s.flush()
	var sizes []int
	for _, a := range withEntries("n2", s.sent) {
		sizes = append(sizes, len(a.Entries))
	}
	require.Equal(t, []int{2, 1, 1}, sizes, "the last is not full")
}

func TestWhatDoesNotFillAMessageGathersWhileOneIsUnderWay(t *testing.T) {
	s := newServer(t, 3, 1)
	s.elect()
	s.answer("n2")
	s.takeSent()
	for range 5 {
		s.Propose([]byte("x"))
		s.flush()
	}
	first := withEntries("n2", s.takeSent())
	require.Len(t, first, 1)
	s.HandleAppendEntriesReply("n2", first[0], AppendEntriesReply{Term: 2, Success: true})
	s.flush()
	require.Len(t, withEntries("n2", s.takeSent())[0].Entries, 4, "all that gathered")
	s.Propose([]byte("y"))
	s.flush()
	require.Empty(t, withEntries("n2", s.takeSent()))
	s.Tick()
	s.flush()
	require.Len(t, withEntries("n2", s.takeSent()), 1, "no longer than a tick")
}

func TestAProbeCarriesOneEntryAndIsAlone(t *testing.T) {
	s := newServer(t, 3, 1)
	s.elect()
	s.Propose([]byte("x"), []byte("y"))
	s.flush()
	a := withEntries("n3", s.sent)
	require.Len(t, a, 1)
	require.Len(t, a[0].Entries, 1)
}

func TestAFailedMessageIsSentAgainAfterTheNextHeartbeat(t *testing.T) {
	s := newServer(t, 3, 1)
	s.elect()
	s.answer("n2")
	s.takeSent()
	s.Propose([]byte("x"))
	s.flush()
	a := withEntries("n2", s.takeSent())[0]
	s.HandleAppendEntriesFailed("n2", a)
	s.flush()
	require.Empty(t, s.takeSent(), "not at once: a server that is down would fail again")
	s.HeartbeatTimeout()
	s.flush()
	again := withEntries("n2", s.takeSent())
	require.Len(t, again, 1)
	require.Equal(t, a.Entries, again[0].Entries)

	p := *s.leader.peers["n2"]
	s.HandleAppendEntriesFailed("n2", a)
	require.Equal(t, p, *s.leader.peers["n2"], "the failure of an earlier run is not this one's")
}

func TestAnswersToAnEarlierSelfAreIgnored(t *testing.T) {
	s := newServer(t, 3, 1)
	s.elect()
	a := withEntries("n2", s.takeSent())[0]
	ok := AppendEntriesReply{Term: a.Term, Success: true}
	s.observeTerm(5)
	s.HandleAppendEntriesReply("n2", a, ok)
	s.HandleAppendEntriesFailed("n2", a)
	s.elect()
	s.HandleAppendEntriesReply("n2", a, ok)
	require.Zero(t, s.leader.peers["n2"].matchIndex)
	s.HandleAppendEntriesReply("n9", AppendEntriesArgs{Term: 6}, AppendEntriesReply{Term: 6, Success: true})
	require.Zero(t, s.commitIndex, "n9 is not a member")
}

// An answer of the same term but of an earlier run of replication is not evidence
// about this one (etcd-io/raft#349); it does show that the peer still follows.
func TestAnswersToAnEarlierRunOfReplicationMoveNoIndex(t *testing.T) {
	s := newServer(t, 3, 1)
	s.elect()
	a := withEntries("n2", s.takeSent())[0]
	p := s.leader.peers["n2"]
	s.HandleAppendEntriesFailed("n2", a)
	p.recentlyActive = false
	s.HandleAppendEntriesReply("n2", a, AppendEntriesReply{Term: 2, Success: true})
	require.Zero(t, p.matchIndex)
	require.True(t, p.recentlyActive)
}

// Found by the simulator: the second of two messages arrives first and is refused,
// the first is accepted, and its answer is back before the refusal.
func TestAMessageThatOvertookAnotherIsSentAgain(t *testing.T) {
	s := newServer(t, 3, 1)
	s.elect()
	s.answer("n2")
	s.takeSent()
	s.Propose([]byte("x"))
	s.flush()
	s.Propose([]byte("y"))
	s.Tick()
	s.flush()
	a := withEntries("n2", s.takeSent())
	s.HandleAppendEntriesReply("n2", a[0], AppendEntriesReply{Term: 2, Success: true})
	s.HandleAppendEntriesReply("n2", a[1], AppendEntriesReply{Term: 2, ConflictIndex: 3})
	s.flush()
	require.Empty(t, withEntries("n2", s.sent), "not at once: a peer that refuses all would be asked for ever")
	s.HeartbeatTimeout()
	s.flush()
	again := withEntries("n2", s.sent)
	require.Len(t, again, 1)
	require.Equal(t, a[1].Entries, again[0].Entries)
}

func TestARefusalOfWhatIsKnownToMatchIsIgnored(t *testing.T) {
	s := newServer(t, 3, 1)
	s.elect()
	s.answer("n2")
	p := s.leader.peers["n2"]
	before := *p
	a := AppendEntriesArgs{Term: 2, PrevLogIndex: 1, PrevLogTerm: 1, Session: before.session}
	s.HandleAppendEntriesReply("n2", a, AppendEntriesReply{Term: 2, ConflictIndex: 1})
	p.heartbeats = before.heartbeats
	require.Equal(t, before, *p)
}

// An idle follower is told of a commit at the next tick, not with the next heartbeat.
func TestIdleFollowersLearnOfACommitAtTheNextTick(t *testing.T) {
	s := newServer(t, 3, 1)
	s.elect()
	s.answer("n2")
	s.takeSent()
	s.Tick()
	s.flush()
	a := appendsTo("n2", s.takeSent())
	require.Len(t, a, 1)
	require.Equal(t, Index(2), a[0].LeaderCommit)
	s.Tick()
	s.flush()
	require.Empty(t, s.takeSent(), "once is enough")
}

func TestALeaderRefusesWhatItCannotCommitBeyondABound(t *testing.T) {
	s := newServer(t, 3, 1)
	s.cfg.MaxUncommittedBytes = 100
	s.elect()
	s.answer("n2")
	_, _, err := s.Propose(make([]byte, 200))
	require.NoError(t, err, "one is always taken")
	_, _, err = s.Propose([]byte("x"))
	require.ErrorIs(t, err, ErrBusy)
	s.settle()
	s.answer("n2")
	_, _, err = s.Propose([]byte("x"))
	require.NoError(t, err)
}

// After a restart nothing is known to be committed; that is not the clients' fault.
func TestANewLeaderCountsOnlyWhatItTookItself(t *testing.T) {
	s := newServer(t, 3, 1, 1, 1, 1)
	s.cfg.MaxUncommittedBytes = 3 * entryOverhead
	s.elect()
	_, _, err := s.Propose([]byte("x"))
	require.NoError(t, err)
	s.settle()
	s.answer("n2")
	require.Zero(t, s.leader.uncommittedBytes)
}

// On a slow link a large message misses its deadline every time.
func TestMessagesThatFailGetSmallerAndGrowWithAnswers(t *testing.T) {
	s := newServer(t, 3, 1)
	s.elect()
	s.answer("n2")
	p := s.leader.peers["n2"]
	for range 10 {
		before := p.batchBytes
		s.HandleAppendEntriesFailed("n2", AppendEntriesArgs{Term: 2, Entries: s.log.entries, Session: p.session})
		require.Equal(t, max(before/2, batchGrowth), p.batchBytes)
	}
	s.cfg.MaxBatchBytes = 100
	s.HandleAppendEntriesFailed("n2", AppendEntriesArgs{Term: 2, Entries: s.log.entries, Session: p.session})
	require.LessOrEqual(t, p.batchBytes, batchGrowth/2, "the bound is below what a message grows by")
	s.cfg.MaxBatchBytes, p.batchBytes = 1<<20, batchGrowth
	s.HeartbeatTimeout()
	for range 3 {
		_, _, err := s.Propose(make([]byte, 20<<10), make([]byte, 20<<10), make([]byte, 20<<10))
		require.NoError(t, err)
	}
	s.takeSent()
	s.flush()
	require.Len(t, withEntries("n2", s.sent)[0].Entries, 1)
	s.answer("n2")
	require.Greater(t, p.batchBytes, 3*batchGrowth)
}

func TestAFarFollowersHeartbeatsDoNotPileUp(t *testing.T) {
	s := leaderOf(t, 3)
	for id := range uint64(100) {
		require.NoError(t, s.ReadIndex(id))
		s.flush()
		acknowledge(s, "n3")
	}
	require.Len(t, s.reads, 100)
	require.Equal(t, maxHeartbeats, s.leader.peers["n2"].heartbeats)
	s.HandleAppendEntriesFailed("n2", AppendEntriesArgs{Term: 2})
	require.Equal(t, maxHeartbeats-1, s.leader.peers["n2"].heartbeats)
}

// After a restart the whole log is applied; whoever waits meanwhile waits for a part.
func TestALongLogIsAppliedInParts(t *testing.T) {
	s := newServer(t, 1, 1)
	s.Tick()
	s.settle()
	for range 5 {
		s.Propose(make([]byte, maxApplyBytes/2))
	}
	s.flush()
	s.syncOne()
	sizes := []int{}
	for s.MoreToApply() {
		sizes = append(sizes, len(s.flush().Apply))
	}
	require.Equal(t, []int{1, 1, 1, 1, 1}, sizes)
}

func TestOnlyALeaderTakesRequests(t *testing.T) {
	s := newServer(t, 3, 1)
	_, _, err := s.Propose([]byte("x"))
	require.ErrorIs(t, err, ErrNotLeader)
	_, _, err = s.AddLearner(Member{ID: "n4"})
	require.ErrorIs(t, err, ErrNotLeader)
	require.ErrorIs(t, s.ReadIndex(1), ErrNotLeader)
	s.HeartbeatTimeout()
	require.Empty(t, s.flush().Send)
}
