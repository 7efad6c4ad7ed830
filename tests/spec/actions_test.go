package spec

import (
	"testing"

	"dbdb/raft"

	"github.com/stretchr/testify/assert"
)

func TestANewerTermMakesAFollowerThatHasNotVoted(t *testing.T) {
	pre := candidate(3)
	action{pre, but(follower(5), func(s *Server) { s.Memory = pre.Memory }), func(a, b Server) error { return UpdateTerm(a, b, 5) },
		map[string]func(pre, post *Server){
			"is not newer":         func(pre, _ *Server) { pre.CurrentTerm = 5 },
			"currentTerm becomes":  func(_, post *Server) { post.CurrentTerm = 6 },
			"nobody asked":         func(_, post *Server) { post.VotedFor = "n2" },
			"no follower":          func(_, post *Server) { post.Role = raft.Candidate },
			"commitIndex changes":  func(_, post *Server) { post.CommitIndex = 1 },
			"log changes from (0,": func(_, post *Server) { post.Log = post.Log.and(entries(2, 5)...) },
		}}.try(t)
}

func TestAVoteGoesToOneCandidateWhoseLogIsUpToDate(t *testing.T) {
	a := raft.RequestVoteArgs{Term: 4, CandidateID: "n2", LastLogIndex: 3, LastLogTerm: 3}
	pre := follower(4, 2, 3)
	action{pre, but(pre, func(s *Server) { s.VotedFor = "n2" }), func(x, y Server) error { return GrantVote(x, y, a) },
		map[string]func(pre, post *Server){
			"the candidate's term 4 is not 5": func(pre, post *Server) { pre.CurrentTerm, post.CurrentTerm = 5, 5 },
			"is given to n3":                  func(pre, _ *Server) { pre.VotedFor = "n3" },
			"the candidate's log ends at 3@3": func(pre, post *Server) { pre.Log = pre.Log.and(entries(4, 3)...) },
			"the own one at 2@4":              func(pre, _ *Server) { pre.Log = follower(4, 4).Log },
			"the vote is for":                 func(_, post *Server) { post.VotedFor = "n3" },
			"role changes":                    func(_, post *Server) { post.Role = raft.Candidate },
		}}.try(t)
	action{pre, pre, func(x, y Server) error {
		return RefuseVote(x, y, raft.RequestVoteArgs{Term: 4, CandidateID: "n2", LastLogIndex: 9, LastLogTerm: 2})
	},
		map[string]func(pre, post *Server){
			"nothing forbids": func(pre, post *Server) { pre.Log = follower(4, 2, 2).Log },
			"is newer":        func(pre, _ *Server) { pre.CurrentTerm = 3 },
			"votedFor":        func(_, post *Server) { post.VotedFor = "n2" },
		}}.try(t)
}

func TestACandidateIsIgnoredOnlyWhileALeaderIsHeard(t *testing.T) {
	pre := but(follower(4), func(s *Server) { s.Options.CheckQuorum, s.Leader, s.Heard = true, "n3", 19 })
	a := raft.RequestVoteArgs{Term: 5, CandidateID: "n2"}
	action{pre, pre, func(x, y Server) error { return IgnoreCandidate(x, y, a) },
		map[string]func(pre, post *Server){
			"it hears no leader":  func(pre, _ *Server) { pre.Heard = 20 },
			"currentTerm changes": func(_, post *Server) { post.CurrentTerm = 5 },
		}}.try(t)
	a.LeadershipTransfer = true
	assert.ErrorContains(t, IgnoreCandidate(pre, pre, a), "the leader has asked for this election")
}

func TestAnElectionBeginsWithANewTermAndTheOwnVote(t *testing.T) {
	pre := but(follower(4), func(s *Server) { s.Options.PreVote, s.Role, s.PreVotes = true, raft.PreCandidate, []raft.NodeID{"n2"} })
	action{pre, but(candidate(5), func(s *Server) { s.Memory = pre.Memory }), func(x, y Server) error { return Timeout(x, y, false) },
		map[string]func(pre, post *Server){
			"a leader starts no election": func(pre, _ *Server) { pre.Role = raft.Leader },
			"only [] would vote":          func(pre, _ *Server) { pre.PreVotes = nil },
			"currentTerm goes from 4":     func(_, post *Server) { post.CurrentTerm = 6 },
			"it votes for":                func(_, post *Server) { post.VotedFor = "n2" },
			"no candidate":                func(_, post *Server) { post.Role = raft.Follower },
			"no configuration":            func(pre, _ *Server) { pre.ID = "n4" },
			"it was removed, at 3":        func(pre, _ *Server) { pre.RemovedAt = 3 },
		}}.try(t)
	asks := but(pre, func(s *Server) { s.Role = raft.Follower })
	action{asks, pre, AskForPreVotes,
		map[string]func(pre, post *Server){
			"no pre-votes here":   func(pre, _ *Server) { pre.Options.PreVote = false },
			"needs no votes":      func(pre, _ *Server) { pre.Role = raft.Leader },
			"no configuration":    func(pre, _ *Server) { pre.ID = "n4" },
			"currentTerm changes": func(_, post *Server) { post.CurrentTerm = 5 },
		}}.try(t)
}

// A learner may be needed: somebody for whom it is a voter asks in vain, as its log is the newer one.
func TestALearnerCampaignsOnlyIfItIsNeeded(t *testing.T) {
	s := follower(5, 4)
	s.Log = Log{Entries: append([]raft.Entry{configuration(1, 1, cluster("n2", "n3"))}, entries(2, 4)...)}
	asks := func(term raft.Term, last raft.Index) Input {
		return Received{From: "n2", Args: raft.RequestVoteArgs{Term: term, CandidateID: "n2", LastLogIndex: last, LastLogTerm: 4}}
	}
	speaks := func(term raft.Term) Input {
		return Received{From: "n3", Args: raft.AppendEntriesArgs{Term: term, LeaderID: "n3"}}
	}
	assert.ErrorContains(t, s.mayCampaign(), "nobody needs its log")
	assert.False(t, s.needed(asks(5, 2)), "it can have the vote")
	s.Needed = s.needed(asks(5, 1))
	assert.NoError(t, s.mayCampaign())
	assert.True(t, s.needed(speaks(4)))
	assert.False(t, s.needed(speaks(5)), "a leader has spoken")
}

func TestALeaderHasDurableVotesOfAMajority(t *testing.T) {
	pre := but(candidate(4, 2), func(s *Server) { s.Votes = []raft.NodeID{"n3"} })
	post := but(leader(4, 2), func(s *Server) {
		s.Peers = []Peer{{ID: "n2", NextIndex: 3}, {ID: "n3", NextIndex: 3}}
	})
	action{pre, post, BecomeLeader,
		map[string]func(pre, post *Server){
			"only a candidate":                func(pre, _ *Server) { pre.Role = raft.Follower },
			"no majority":                     func(pre, _ *Server) { pre.Votes = nil },
			"votes of [n4] are no majority":   func(pre, _ *Server) { pre.Votes = []raft.NodeID{"n4"} },
			"is not durable":                  func(pre, _ *Server) { pre.Durable.VotedFor = "" },
			"of term 4 is not durable":        func(pre, _ *Server) { pre.Durable.Term = 3 },
			"nextIndex of n2 begins at 2":     func(_, post *Server) { post.Peers = []Peer{{ID: "n2", NextIndex: 2}, {ID: "n3", NextIndex: 3}} },
			"matchIndex of n2 begins at 1":    func(_, post *Server) { *post = post.withMatch("n2", 1) },
			"it knows nothing of n3":          func(_, post *Server) { post.Peers = post.Peers[:1] },
			"votedFor changes from \"n1\" to": func(_, post *Server) { post.VotedFor = "n2" },
		}}.try(t)
}

func TestALeaderAppendsToItsOwnLog(t *testing.T) {
	pre := leader(4, 2)
	post := but(pre, func(s *Server) { s.Log = s.Log.and(entries(3, 4)...) })
	action{pre, post, func(x, y Server) error { return ClientRequest(x, y, []byte{4}) },
		map[string]func(pre, post *Server){
			"only a leader":      func(pre, _ *Server) { pre.Role = raft.Candidate },
			"it hands over":      func(pre, _ *Server) { pre.Transferring = true },
			"the log does not":   func(_, post *Server) { post.Log = pre.Log.and(entries(3, 3)...) },
			"commitIndex change": func(_, post *Server) { post.CommitIndex = 3 },
		}}.try(t)
	noop := but(pre, func(s *Server) { s.Log = s.Log.and(raft.Entry{Index: 3, Term: 4}) })
	action{pre, noop, AppendNoop,
		map[string]func(pre, post *Server){
			"only a leader":    func(pre, _ *Server) { pre.Role = raft.Follower },
			"the log does not": func(_, post *Server) { post.Log = pre.Log.and(entries(3, 4)...) },
		}}.try(t)
}

// Figure 7's follower (f): it has entries that no leader has, and lacks others.
func TestAFollowerTakesTheLeadersLogWhereTheyDiffer(t *testing.T) {
	pre := but(follower(8, 1, 2, 2), func(s *Server) { s.CommitIndex = 1 })
	a := raft.AppendEntriesArgs{Term: 8, LeaderID: "n2", PrevLogIndex: 2, PrevLogTerm: 1, Entries: entries(3, 4, 4), LeaderCommit: 3}
	post := but(pre, func(s *Server) { s.Log, s.CommitIndex = follower(8, 1, 4, 4).Log, 3 })
	action{pre, post, func(x, y Server) error { return AcceptAppend(x, y, a) },
		map[string]func(pre, post *Server){
			"is no follower":        func(pre, _ *Server) { pre.Role = raft.Candidate },
			"the leader's term":     func(pre, _ *Server) { pre.CurrentTerm = 9 },
			"does not have 2@1":     func(pre, _ *Server) { pre.Log = follower(8, 3).Log },
			"the log becomes":       func(_, post *Server) { post.Log = pre.Log.upTo(3).and(entries(4, 4)...) },
			"commitIndex becomes 1": func(_, post *Server) { post.CommitIndex = 1 },
			"commitIndex becomes 4": func(_, post *Server) { post.CommitIndex = 4 },
			"votedFor changes":      func(_, post *Server) { post.VotedFor = "n2" },
		}}.try(t)
}

func TestALateRequestTruncatesNothing(t *testing.T) {
	pre := follower(4, 4, 4, 4)
	a := raft.AppendEntriesArgs{Term: 4, LeaderID: "n2", PrevLogIndex: 1, PrevLogTerm: 1, Entries: entries(2, 4), LeaderCommit: 4}
	action{pre, but(pre, func(s *Server) { s.CommitIndex = 2 }), func(x, y Server) error { return AcceptAppend(x, y, a) },
		map[string]func(pre, post *Server){
			"the log becomes":       func(_, post *Server) { post.Log = pre.Log.upTo(2) },
			"the last new entry 2":  func(_, post *Server) { post.CommitIndex = 4 },
			"commitIndex becomes 0": func(_, post *Server) { post.CommitIndex = 0 },
		}}.try(t)
	action{pre, pre, func(x, y Server) error {
		return RejectAppend(x, y, raft.AppendEntriesArgs{Term: 4, LeaderID: "n2", PrevLogIndex: 3, PrevLogTerm: 3})
	}, map[string]func(pre, post *Server){
		"the log has 3@3": func(pre, post *Server) { pre.Log, post.Log = follower(4, 3, 3).Log, follower(4, 3, 3).Log },
		"log changes":     func(_, post *Server) { post.Log = pre.Log.upTo(2) },
	}}.try(t)
}

func TestACandidateFollowsTheLeaderOfItsTerm(t *testing.T) {
	pre := candidate(4)
	action{pre, but(pre, func(s *Server) { s.Role = raft.Follower }), func(x, y Server) error { return FollowLeader(x, y, 4) },
		map[string]func(pre, post *Server){
			"a second leader":  func(pre, _ *Server) { pre.Role = raft.Leader },
			"the leader's":     func(pre, _ *Server) { pre.CurrentTerm = 5 },
			"votedFor changes": func(_, post *Server) { post.VotedFor = "" },
			"is no follower":   func(_, post *Server) { post.Role = raft.Candidate },
		}}.try(t)
	action{pre, but(pre, func(s *Server) { s.Role = raft.Follower }), GiveUpElection,
		map[string]func(pre, post *Server){
			"asks for no votes": func(pre, _ *Server) { pre.Role = raft.Follower },
			"votedFor changes":  func(_, post *Server) { post.VotedFor = "" },
		}}.try(t)
}

func TestAnAcknowledgementRaisesMatchIndex(t *testing.T) {
	pre := leader(4, 4, 4)
	a := raft.AppendEntriesArgs{Term: 4, LeaderID: "n1", PrevLogIndex: 1, PrevLogTerm: 1, Entries: entries(2, 4), Session: 1}
	yes := raft.AppendEntriesReply{Term: 4, Success: true}
	action{pre, pre.withMatch("n2", 2), func(x, y Server) error { return HandleAppendEntriesResponse(x, y, "n2", a, yes) },
		map[string]func(pre, post *Server){
			"only a leader":            func(pre, _ *Server) { pre.Role = raft.Follower },
			"to a leader of term 4":    func(pre, _ *Server) { pre.CurrentTerm = 5 },
			"{ n2:2 n3:1 } to { n2:3 ": func(_, post *Server) { *post = post.withMatch("n2", 3) },
			"{ n2:3 n3:1 } to { n2:2 ": func(pre, _ *Server) { *pre = pre.withMatch("n2", 3) },
			"matchIndex changes":       func(_, post *Server) { *post = post.withMatch("n3", 2) },
			"n3:1 } to { n2:2 n3:1 }":  func(pre, _ *Server) { pre.Peers = []Peer{{ID: "n2", MatchIndex: 1, Session: 2}, pre.Peers[1]} },
		}}.try(t)
	action{pre, pre, func(x, y Server) error { return DropStaleResponse(x, y, 3) },
		map[string]func(pre, post *Server){
			"matchIndex changes": func(_, post *Server) { *post = post.withMatch("n2", 2) },
		}}.try(t)
}

// Figure 8: an entry of an older term is not committed by counting.
func TestALeaderCommitsByCountingOnlyWhatIsOfItsTerm(t *testing.T) {
	pre := leader(4, 2, 4).withMatch("n3", 3)
	action{pre, but(pre, func(s *Server) { s.CommitIndex = 3 }), AdvanceCommitIndex,
		map[string]func(pre, post *Server){
			"only a leader":        func(pre, _ *Server) { pre.Role = raft.Follower },
			"is of term 2":         func(_, post *Server) { post.CommitIndex = 2 },
			"commitIndex goes":     func(_, post *Server) { post.CommitIndex = 4 },
			"3 is on no majority":  func(pre, post *Server) { pre.Peers, post.Peers = leader(4).Peers, leader(4).Peers },
			"own disk (0, 2@2]":    func(pre, _ *Server) { pre.Durable.Log = pre.Log.upTo(2) },
			"currentTerm changes":  func(_, post *Server) { post.CurrentTerm = 5 },
			"on no majority: matc": func(pre, _ *Server) { pre.Durable.Log = follower(4, 2, 3).Log },
		}}.try(t)
	action{but(pre, func(s *Server) { s.CommitIndex = 3 }), but(pre, func(s *Server) { s.CommitIndex, s.LastApplied = 3, 2 }), Apply,
		map[string]func(pre, post *Server){
			"lastApplied goes":  func(pre, _ *Server) { pre.LastApplied = 3 },
			"applied, 3 commit": func(_, post *Server) { post.LastApplied = 4 },
		}}.try(t)
}
