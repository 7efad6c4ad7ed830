package spec

import (
	"testing"

	"dbdb/raft"

	"github.com/stretchr/testify/assert"
)

// owing is a follower with one request to answer, of ID 1.
func owing(o Owed) Server {
	o.ID = 1
	return but(follower(4, 2, 3), func(s *Server) { s.Owed = []Owed{o} })
}

// replies tries replies that are right, and such that are not.
func replies(t *testing.T, s Server, right any, wrong map[string]any) {
	t.Helper()
	assert.NoError(t, s.mayReply(Replied{1, right}))
	for words, rep := range wrong {
		assert.ErrorContains(t, s.mayReply(Replied{1, rep}), words)
	}
}

func TestAVoteIsAnsweredAsItWasGiven(t *testing.T) {
	a := raft.RequestVoteArgs{Term: 4, CandidateID: "n2", LastLogIndex: 9, LastLogTerm: 3}
	s := owing(Owed{Request: a, Term: 4, Granted: true, RemovedAt: 3, CommitIn: 3})
	s.Durable.VotedFor = "n2"
	yes := raft.RequestVoteReply{Term: 4, VoteGranted: true}
	replies(t, s, yes, map[string]any{
		"its term was 4":               raft.RequestVoteReply{Term: 5, VoteGranted: true},
		"it may be refused: false":     raft.RequestVoteReply{Term: 4},
		"the candidate was removed at": raft.RequestVoteReply{Term: 4, VoteGranted: true, RemovedAt: 2, CommitTerm: 3},
	})
	s.Durable.VotedFor = "n3"
	assert.ErrorContains(t, s.mayReply(Replied{1, yes}), "that vote is not durable")
	s.Durable.Term, s.Durable.VotedFor = 5, ""
	assert.NoError(t, s.mayReply(Replied{1, yes}), "a newer term is durable")
}

func TestASuccessPromisesWhatIsDurable(t *testing.T) {
	a := raft.AppendEntriesArgs{Term: 4, LeaderID: "n2", PrevLogIndex: 1, PrevLogTerm: 1, Entries: entries(2, 2, 3)}
	yes := raft.AppendEntriesReply{Term: 4, Success: true}
	s := owing(Owed{Request: a, Term: 4, Granted: true})
	replies(t, s, yes, map[string]any{
		"its term was 4":           raft.AppendEntriesReply{Term: 3, Success: true},
		"it may be refused: false": raft.AppendEntriesReply{Term: 4},
	})
	s.Durable.Log = s.Log.upTo(2)
	assert.ErrorContains(t, s.mayReply(Replied{1, yes}), "3@3 is not durable")
	s.Durable.Term = 5
	assert.NoError(t, s.mayReply(Replied{1, yes}), "a newer term may have truncated it")
}

// The example at the end of §5.3: the term of the conflicting entry, and where it begins.
func TestARefusalTellsWhereTheLogsMayAgree(t *testing.T) {
	s := follower(4, 2, 3, 3, 3)
	for prev, want := range map[raft.Index]Label{4: {3, 3}, 5: {3, 3}, 2: {2, 2}, 9: {6, 0}} {
		index, term := conflictIn(s, prev)
		assert.Equal(t, want, Label{index, term}, "prevLogIndex %d", prev)
	}
	a := raft.AppendEntriesArgs{Term: 4, LeaderID: "n2", PrevLogIndex: 3, PrevLogTerm: 1}
	s = owing(Owed{Request: a, Term: 4, Refused: true, Conflict: raft.AppendEntriesReply{ConflictIndex: 3, ConflictTerm: 3}})
	replies(t, s, raft.AppendEntriesReply{Term: 4, ConflictIndex: 3, ConflictTerm: 3}, map[string]any{
		"the logs differ at 3, of term 3": raft.AppendEntriesReply{Term: 4, ConflictIndex: 2, ConflictTerm: 3},
		"it may be granted: false":        raft.AppendEntriesReply{Term: 4, Success: true},
	})
}

func TestAnInstalledSnapshotIsDurable(t *testing.T) {
	a := raft.InstallSnapshotArgs{Term: 4, LastIncludedIndex: 9, LastIncludedTerm: 4}
	s := owing(Owed{Request: a, Term: 4, Committed: 9, Offset: 100})
	s.Durable.Snapshot = Label{9, 4}
	replies(t, s, raft.InstallSnapshotReply{Term: 4, Installed: true}, map[string]any{
		"so much was stored: 100": raft.InstallSnapshotReply{Term: 4, Offset: 200},
	})
	assert.NoError(t, s.mayReply(Replied{1, raft.InstallSnapshotReply{Term: 4, Offset: 100}}))
	s.Durable.Snapshot = Label{8, 4}
	assert.ErrorContains(t, s.mayReply(Replied{1, raft.InstallSnapshotReply{Term: 4, Installed: true}}), "the snapshot is not durable")
	s.Owed[0].Committed = 8
	assert.ErrorContains(t, s.mayReply(Replied{1, raft.InstallSnapshotReply{Term: 4, Installed: true}}), "only 8 was committed")
}

func TestAPreVoteIsGrantedToWhomTheVoteCouldBe(t *testing.T) {
	s := but(follower(4, 2, 3), func(s *Server) { s.Options.CheckQuorum = true })
	a := raft.RequestVoteArgs{Term: 5, CandidateID: "n2", LastLogIndex: 3, LastLogTerm: 3, PreVote: true}
	assert.True(t, mayPreVote(s, a))
	assert.False(t, mayPreVote(but(s, func(s *Server) { s.CurrentTerm = 6 }), a))
	assert.False(t, mayPreVote(but(s, func(s *Server) { s.Leader = "n3" }), a), "a leader is heard")
	assert.True(t, mayPreVote(but(s, func(s *Server) { s.Leader = "n2" }), a), "it is that leader, started again")
	a.LastLogIndex = 2
	assert.False(t, mayPreVote(s, a))
	assert.ErrorContains(t, AnswerPreVote(s, but(s, func(s *Server) { s.CurrentTerm = 5 }), a), "currentTerm changes")
}

func TestAReadIsConfirmedByARoundThatBeganAfterIt(t *testing.T) {
	s := but(leader(4, 4), func(s *Server) { s.CommitIndex, s.Reads = 2, Reads{Round: 7, Acked: []Ack{{"n2", 7}}} })
	read := Read{ID: 1, Term: 4, After: 6, Commit: 2}
	assert.NoError(t, ConfirmRead(s, s.Reads, read))
	for words, change := range map[string]func(s *Server, r *Read){
		"no majority has answered a round after 7": func(_ *Server, r *Read) { r.After = 7 },
		"no majority has answered a round after 6": func(s *Server, _ *Read) { s.Reads.Acked = []Ack{{"n4", 9}} },
		"no entry of term 4 is committed":          func(s *Server, _ *Read) { s.CommitIndex = 1 },
		"it does not lead":                         func(s *Server, _ *Read) { s.Role = raft.Follower },
	} {
		s, read := s, read
		change(&s, &read)
		assert.ErrorContains(t, ConfirmRead(s, s.Reads, read), words)
	}
	read.Term, read.After = 3, 9
	assert.NoError(t, ConfirmRead(s, s.Reads, read), "it came in an earlier leadership")
}

func TestTheLeaderTellsAnIndexOfItsOwnTerm(t *testing.T) {
	s := but(owing(Owed{Request: raft.ReadIndexArgs{From: "n3"}}), func(s *Server) {
		s.CommitIndex, s.Reads.Waiting = 3, []Read{{ID: 1, Confirmed: 3, Commit: 2}}
	})
	replies(t, s, raft.ReadIndexReply{Success: true, Index: 3}, map[string]any{
		"commitIndex was 2, and is 3":        raft.ReadIndexReply{Success: true, Index: 1},
		"of term 2, before the leader's own": raft.ReadIndexReply{Success: true, Index: 2},
	})
	assert.NoError(t, s.mayReply(Replied{1, raft.ReadIndexReply{}}))
	s.Reads.Waiting = []Read{{ID: 1, Commit: 2}}
	assert.ErrorContains(t, s.mayReply(Replied{1, raft.ReadIndexReply{Success: true, Index: 3}}), "it is not confirmed: it does not lead")
}

func TestAReadIsServedFromAStateThatIsNewEnough(t *testing.T) {
	s := but(follower(4, 2, 3), func(s *Server) { s.CommitIndex, s.LastApplied = 3, 3 })
	waits := func(r Read) Server {
		r.ID = 1
		return but(s, func(s *Server) { s.Reads.Waiting = []Read{r} })
	}
	assert.NoError(t, ServeRead(waits(Read{Told: true, Index: 3}), 1))
	assert.NoError(t, ServeRead(waits(Read{Confirmed: 3, Commit: 3}), 1))
	assert.ErrorContains(t, ServeRead(waits(Read{Told: true, Index: 4}), 1), "3 is applied, the leader has told of 4")
	assert.ErrorContains(t, ServeRead(waits(Read{Commit: 1}), 1), "it is not confirmed here")
	assert.ErrorContains(t, ServeRead(waits(Read{Confirmed: 4, Commit: 4}), 1), "3 is applied, and 4 was committed")
	assert.ErrorContains(t, ServeRead(waits(Read{Confirmed: 4, Commit: 1}), 1), "of term 3, before the leader's own")
	assert.ErrorContains(t, ServeRead(s, 1), "nobody has asked")
}

// A question to the leader speaks for the reads that came before it left, and for no others.
func TestALeadersAnswerIsForTheReadsBeforeTheQuestion(t *testing.T) {
	s := follower(4, 2)
	step := func(in Input, out Output) {
		s.Memory.Reads = s.reads(in, out, s)
	}
	question := raft.ReadIndexArgs{From: "n1"}
	step(ClientRead{1}, Output{})
	step(Flush{}, Output{Sent: []Sent{{"n2", question}}})
	step(ClientRead{2}, Output{})
	step(Answered{"n2", question, raft.ReadIndexReply{Success: true, Index: 2}}, Output{})
	first, _ := s.Reads.find(1)
	second, _ := s.Reads.find(2)
	assert.True(t, first.Told)
	assert.Equal(t, raft.Index(2), first.Index)
	assert.False(t, second.Told)
}
