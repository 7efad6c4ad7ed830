package replica_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"dbdb/raft"
	"dbdb/raft/replica"
)

// --- Durable before it leaves ---

func TestAReplyWaitsForItsOwnSave(t *testing.T) {
	r := newRig(t, 3)
	rep := r.appendEntries(entries(1, 1, 1, "x"))
	require.False(t, rep.Success)
	r.sync()
	require.True(t, rep.Success)

	var granted bool
	r.RequestVote(raft.RequestVoteArgs{Term: 2, CandidateID: "n2", LastLogIndex: 9, LastLogTerm: 1},
		func(rep raft.RequestVoteReply) { granted = rep.VoteGranted })
	r.Flush()
	require.False(t, granted)
	r.sync()
	require.True(t, granted)
}

// The same request again changes nothing, so its batch has no Save; its success
// promises what the first one is still writing.
func TestAReplyWithoutASaveWaitsForTheSavesBeforeIt(t *testing.T) {
	r := newRig(t, 3)
	r.appendEntries(entries(1, 1, 1, "x"))
	again := r.appendEntries(entries(1, 1, 1, "x"))
	require.Len(t, r.disk.queue, 1)
	require.False(t, again.Success)
	r.sync()
	require.True(t, again.Success)
}

func TestWithNothingUnderWayAReplyLeavesAtOnce(t *testing.T) {
	r := newRig(t, 3)
	r.appendEntries(entries(1, 1, 1, "x"))
	r.sync()
	require.True(t, r.appendEntries(entries(1, 1, 1, "x")).Success)
}

func TestAHeartbeatIsAnsweredWhileTheDiskIsBusy(t *testing.T) {
	r := newRig(t, 3)
	r.appendEntries(entries(1, 1, 1, "x"))
	require.True(t, r.appendEntries(entries(1, 1, 1)).Success)
}

func TestRequestsForVotesWaitForTheOwnVote(t *testing.T) {
	r := newRig(t, 3)
	for len(r.transport.votes) == 0 {
		r.Tick()
		r.Flush()
	}
	preVotes := r.transport.votes
	r.transport.votes = nil
	preVotes[0](raft.RequestVoteReply{Term: 1, VoteGranted: true}, nil)
	r.Flush()
	require.Equal(t, raft.Candidate, r.Raft().State())
	require.Empty(t, r.transport.votes)
	r.sync()
	require.Len(t, r.transport.votes, 2)
}

// --- Clients ---

func TestACommandIsAnsweredOnceItIsApplied(t *testing.T) {
	r := newRig(t, 3)
	r.elect()
	r.answer()
	var got replica.Result
	r.Propose([]byte("x"), func(res replica.Result, err error) { require.NoError(t, err); got = res })
	r.Flush()
	r.sync()
	require.Zero(t, got, "on one disk of three")
	r.answer()
	require.Equal(t, replica.Result{Index: 3, Term: 2, Value: []byte("did x")}, got)
}

func TestStepDownLeavesTheOutcomeUnknown(t *testing.T) {
	r := newRig(t, 3)
	r.elect()
	r.answer()
	var got error
	r.Propose([]byte("x"), func(_ replica.Result, err error) { got = err })
	r.Flush()
	require.NoError(t, got)
	r.appendEntries(entries(3, 2, 2, "y"))
	require.ErrorIs(t, got, replica.ErrOutcomeUnknown)
}

// Nobody was told in between: one message deposes the leader, takes its entry away and
// commits another at the same index. To go by the index would call x done.
func TestAnEntryOfAnotherTermAtTheSameIndexAnswersNobody(t *testing.T) {
	r := newRig(t, 3)
	r.elect()
	r.answer()
	got := errors.New("not yet")
	r.Propose([]byte("x"), func(_ replica.Result, err error) { got = err })
	r.Flush()
	a := entries(3, 2, 2, "y")
	a.LeaderCommit = 3
	r.appendEntries(a)
	require.Equal(t, []string{"y"}, r.machine.applied)
	require.ErrorIs(t, got, replica.ErrOutcomeUnknown)
}

// The batch that takes the leadership away may also bring the commit.
func TestWhatIsKnownAtStepDownIsTold(t *testing.T) {
	r := newRig(t, 3)
	r.elect()
	r.answer()
	var got error = errors.New("not yet")
	r.Propose([]byte("x"), func(_ replica.Result, err error) { got = err })
	r.Flush()
	r.sync()
	calls := r.transport.appends
	calls[0].done(raft.AppendEntriesReply{Term: 2, Success: true}, nil)
	calls[1].done(raft.AppendEntriesReply{Term: 3}, nil)
	r.Flush()
	require.Equal(t, raft.Follower, r.Raft().State())
	require.NoError(t, got)
}

func TestACommandForAnotherServerIsNotDone(t *testing.T) {
	r := newRig(t, 3)
	var got error
	r.Propose([]byte("x"), func(_ replica.Result, err error) { got = err })
	require.ErrorIs(t, got, replica.ErrNotLeader)
	r.AddLearner(raft.Member{ID: "n9"}, func(err error) { got = err })
	require.ErrorIs(t, got, replica.ErrNotLeader)
}

func TestAddLearnerIsDoneWhenItIsCommitted(t *testing.T) {
	r := newRig(t, 3)
	r.elect()
	r.answer()
	results := []error{errors.New("not yet"), errors.New("not yet"), errors.New("not yet")}
	n9 := raft.Member{ID: "n9"}
	r.AddLearner(n9, func(err error) { results[0] = err })
	r.Propose([]byte("x"), func(_ replica.Result, err error) { results[1] = err })
	r.AddLearner(n9, func(err error) { results[2] = err }) // the same change: before x in the log
	r.Flush()
	r.sync()
	require.EqualError(t, results[0], "not yet")
	r.answer()
	require.Equal(t, []error{nil, nil, nil}, results)
	require.Equal(t, raft.NodeID("n9"), r.transport.configurations[1].Members[3].ID)
}

func TestCloseAnswersEverybody(t *testing.T) {
	r := newRig(t, 3)
	r.elect()
	r.answer()
	var wrote, read, late, lateRead, lateAdd error
	r.Propose([]byte("x"), func(_ replica.Result, err error) { wrote = err })
	r.Read(func(err error) { read = err })
	r.Flush()
	r.Close()
	r.Close()
	require.ErrorIs(t, wrote, replica.ErrOutcomeUnknown)
	require.ErrorIs(t, read, replica.ErrStopped)
	r.Propose([]byte("x"), func(_ replica.Result, err error) { late = err })
	r.Read(func(err error) { lateRead = err })
	r.AddLearner(raft.Member{ID: "n9"}, func(err error) { lateAdd = err })
	r.Flush()
	for _, err := range []error{late, lateRead, lateAdd} {
		require.ErrorIs(t, err, replica.ErrStopped)
	}
	calls, saves := r.transport.appends, r.disk.queue
	calls[0].done(raft.AppendEntriesReply{Term: 9}, nil)
	saves[0](nil)
	require.Equal(t, raft.Term(2), r.Raft().Term(), "nothing reaches a closed replica")
}

func TestADiskErrorEndsTheReplica(t *testing.T) {
	r := newRig(t, 3)
	rep := r.appendEntries(entries(1, 1, 1, "x"))
	broken := errors.New("fsync failed")
	r.disk.queue[0](broken)
	require.ErrorIs(t, r.failed, broken)
	r.Flush()
	require.False(t, rep.Success, "the promise was never made")
}

// --- Reads ---

func TestALeadersReadWaitsForARoundAndForTheStateMachine(t *testing.T) {
	r := newRig(t, 3)
	r.elect()
	r.answer()
	done := 0
	read := func(err error) { require.NoError(t, err); done++ }
	r.Read(read)
	r.Read(read)
	r.Flush()
	require.Zero(t, done)
	r.answer()
	require.Equal(t, 2, done)
}

func TestAFollowersReadAsksTheLeaderAndWaitsForTheIndex(t *testing.T) {
	r := newRig(t, 3)
	r.appendEntries(entries(1, 1, 1, "x"))
	r.sync()
	done := 0
	read := func(err error) { require.NoError(t, err); done++ }
	r.Read(read)
	r.Flush()
	r.Read(read) // too late for the question under way
	r.Flush()
	require.Len(t, r.transport.reads, 1)
	r.transport.reads[0](raft.ReadIndexReply{Success: true, Index: 2}, nil)
	r.Flush()
	require.Zero(t, done, "2 is not applied here yet")
	require.Len(t, r.transport.reads, 2)
	a := entries(1, 2, 1)
	a.LeaderCommit = 2
	r.appendEntries(a)
	require.Equal(t, 1, done)
	r.transport.reads[1](raft.ReadIndexReply{Success: true, Index: 2}, nil)
	require.Equal(t, 2, done)
}

func TestAFollowersReadIsAskedAgainAtTheNextTick(t *testing.T) {
	for name, answer := range map[string]func(func(raft.ReadIndexReply, error)){
		"the leader is down":         func(done func(raft.ReadIndexReply, error)) { done(raft.ReadIndexReply{}, errors.New("down")) },
		"the leader leads no longer": func(done func(raft.ReadIndexReply, error)) { done(raft.ReadIndexReply{}, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 3)
			r.appendEntries(entries(1, 1, 1))
			r.Read(func(error) {})
			r.Flush()
			answer(r.transport.reads[0])
			r.Flush()
			require.Len(t, r.transport.reads, 1)
			r.Tick()
			r.Flush()
			require.Len(t, r.transport.reads, 2)
		})
	}
}

func TestAReadThatNobodyConfirmsEnds(t *testing.T) {
	r := newRig(t, 3)
	var got error
	r.Read(func(err error) { got = err })
	for range 199 {
		r.Tick()
		r.Flush()
	}
	require.NoError(t, got)
	r.Tick()
	require.ErrorIs(t, got, replica.ErrNoLeader)
}

func TestTooManyReadsAreRefused(t *testing.T) {
	r := newRig(t, 3)
	for range 1 << 16 {
		r.Read(func(error) {})
	}
	var got error
	r.Read(func(err error) { got = err })
	require.ErrorIs(t, got, replica.ErrBusy)
}

func TestALeaderAnswersOtherServersReads(t *testing.T) {
	r := newRig(t, 3)
	var got *raft.ReadIndexReply
	ask := func() {
		got = nil
		r.ReadIndex(raft.ReadIndexArgs{From: "n2"}, func(rep raft.ReadIndexReply) { got = &rep })
		r.Flush()
	}
	ask()
	require.False(t, got.Success, "a follower cannot")
	r.elect()
	r.answer()
	ask()
	require.Nil(t, got)
	r.answer()
	require.Equal(t, &raft.ReadIndexReply{Success: true, Index: 2}, got)
	ask()
	r.appendEntries(entries(3, 2, 2, "y"))
	require.False(t, got.Success, "deposed before it could confirm")
}

// Won and lost between two Flushes, a leadership is over before anybody looks. Whoever asked
// it for something must hear so, and not wait for what never comes.
func TestWhoAsksALeadershipOfOneBatchHearsThatItIsOver(t *testing.T) {
	lead := func(t *testing.T) *rig {
		r := newRig(t, 3)
		for r.Raft().State() != raft.PreCandidate {
			r.Tick()
			r.Flush()
		}
		r.transport.votes[0](raft.RequestVoteReply{Term: 1, VoteGranted: true}, nil)
		r.Flush()
		r.sync()
		r.transport.votes[2](raft.RequestVoteReply{Term: 2, VoteGranted: true}, nil)
		require.Equal(t, raft.Leader, r.Raft().State())
		return r
	}
	t.Run("a question", func(t *testing.T) {
		r := lead(t)
		var got *raft.ReadIndexReply
		r.ReadIndex(raft.ReadIndexArgs{From: "n2"}, func(rep raft.ReadIndexReply) { got = &rep })
		r.appendEntries(entries(3, 1, 1, "y"))
		require.Equal(t, &raft.ReadIndexReply{}, got)
	})
	t.Run("a command", func(t *testing.T) {
		r := lead(t)
		var got error
		r.Propose([]byte("x"), func(_ replica.Result, err error) { got = err })
		r.appendEntries(entries(3, 1, 1, "y"))
		require.ErrorIs(t, got, replica.ErrOutcomeUnknown)
	})
}

// A leader that is deposed asks the new one for the reads that it could not confirm.
func TestReadsSurviveAChangeOfLeader(t *testing.T) {
	r := newRig(t, 3)
	r.elect()
	r.answer()
	var done bool
	r.Read(func(err error) { require.NoError(t, err); done = true })
	r.Flush()
	r.appendEntries(entries(3, 2, 2, "y"))
	r.Flush()
	r.transport.reads[0](raft.ReadIndexReply{Success: true, Index: 0}, nil)
	require.True(t, done)
}

func TestAFailedMessageIsToldToTheCore(t *testing.T) {
	r := newRig(t, 3)
	r.elect()
	for _, c := range r.transport.appends {
		c.done(raft.AppendEntriesReply{}, errors.New("timed out"))
	}
	r.transport.appends = nil
	for len(r.transport.appends) == 0 {
		r.Tick()
		r.Flush()
	}
	r.answer()
	require.Equal(t, raft.Index(2), r.LastApplied())
}

// A new leader may put another configuration at the index of the one that it
// truncates.
func TestTheTransportIsToldOfAConfigurationThatReplacesAnother(t *testing.T) {
	r := newRig(t, 3)
	r.elect()
	r.answer()
	r.Propose([]byte("x"), func(replica.Result, error) {})                 // 3@2
	r.AddLearner(raft.Member{ID: "n9", RaftAddr: "old:1"}, func(error) {}) // 4@2
	r.Flush()
	c := raft.Configuration{Members: []raft.Member{{ID: "n1", Role: raft.Voter}, {ID: "n2", Role: raft.Voter}, {ID: "n8"}}}
	a := entries(3, 2, 2, "y", "") // 3@3, 4@3
	a.Entries[1].Kind, a.Entries[1].Data = raft.EntryConfiguration, c.Encode()
	r.appendEntries(a)
	told := r.transport.configurations
	require.Equal(t, c, told[len(told)-1])
}

func TestReadsThatTimedOutAreForgottenWithoutALeader(t *testing.T) {
	r := newRig(t, 3)
	answered := 0
	for range 1000 {
		for range 100 {
			r.Read(func(error) { answered++ })
		}
		r.Tick() // no Flush: nobody is ever asked
	}
	require.Equal(t, 80_100, answered)
	require.Equal(t, 19_900, r.WaitingReads())
}

func TestAReadConfirmedInTheBatchThatLosesTheLeadershipIsAskedAgain(t *testing.T) {
	r := newRig(t, 3)
	r.elect()
	r.answer()
	var err error
	done := false
	r.Read(func(e error) { err, done = e, true })
	r.Flush()
	for _, c := range r.transport.appends {
		c.done(raft.AppendEntriesReply{Term: c.args.Term, Success: true}, nil)
	}
	r.AppendEntries(entries(3, 2, 2), func(raft.AppendEntriesReply) {})
	r.Propose([]byte("x"), func(replica.Result, error) {}) // notices the loss before the Flush does
	r.Flush()
	require.False(t, done)
	r.Flush()
	r.transport.reads[0](raft.ReadIndexReply{Success: true, Index: 1}, nil)
	require.True(t, done)
	require.NoError(t, err)
}
