package spec

import (
	"testing"

	"dbdb/raft"

	"github.com/stretchr/testify/assert"
)

// changed is a leader that has appended a configuration.
func changed(s Server, c raft.Configuration) Server {
	s.Log = s.Log.and(configuration(s.Log.Last()+1, s.CurrentTerm, c))
	for _, m := range c.Members {
		if _, known := s.peer(m.ID); !known && m.ID != s.ID {
			s.Peers = append(s.Peers[:len(s.Peers):len(s.Peers)], Peer{ID: m.ID})
		}
	}
	return s
}

func TestOneServerJoinsOrLeavesWhenTheLastChangeIsCommitted(t *testing.T) {
	pre := but(leader(4, 4), func(s *Server) { s.CommitIndex = 2 })
	learner := cluster("n1", "n2", "n3", "n4")
	learner.Members[3].Role = raft.Learner
	two := changed(pre, cluster("n1", "n2"))
	action{pre, changed(pre, learner), ChangeConfiguration,
		map[string]func(pre, post *Server){
			"only a leader":            func(pre, _ *Server) { pre.Role = raft.Follower },
			"at 1, is not committed":   func(pre, _ *Server) { pre.CommitIndex = 0 },
			"no entry of term 4":       func(pre, _ *Server) { pre.CommitIndex = 1 },
			"it hands over":            func(pre, _ *Server) { pre.Transferring = true },
			"it is no voter":           func(pre, _ *Server) { pre.ID = "n4" },
			"n4 is added as a voter":   func(pre, post *Server) { *post = changed(*pre, cluster("n1", "n2", "n3", "n4")) },
			"2 servers change at once": func(pre, post *Server) { *post = changed(*pre, cluster("n1")) },
			"0 servers change at once": func(pre, post *Server) { *post = changed(*pre, cluster("n1", "n2", "n3")) },
			"no configuration of term": func(_, post *Server) { post.Log = pre.Log.and(entries(3, 4)...) },
			"matchIndex of n4 becomes": func(_, post *Server) { *post = post.withMatch("n4", 2) },
			"it knows nothing of n4":   func(pre, post *Server) { post.Peers = pre.Peers },
			"commitIndex changes":      func(_, post *Server) { post.CommitIndex = 3 },
			"matchIndex of n2 becomes": func(_, post *Server) { *post = post.withMatch("n2", 2) },
			"the log becomes":          func(_, post *Server) { post.Log = two.Log.and(entries(4, 4)...) },
		}}.try(t)
	assert.NoError(t, ChangeConfiguration(pre, two))
	demoted := cluster("n1", "n2", "n3")
	demoted.Members[2].Role = raft.Learner
	assert.ErrorContains(t, ChangeConfiguration(pre, changed(pre, demoted)), "n3 is a voter no more")
}

// A server that is removed and added again has forgotten all, for all that the leader knows.
func TestAServerThatIsAddedAgainHasAcknowledgedNothing(t *testing.T) {
	pre := but(leader(4, 4), func(s *Server) { s.Log, s.CommitIndex = changed(*s, cluster("n1", "n2")).Log, 3 })
	back := cluster("n1", "n2", "n3")
	back.Members[2].Role = raft.Learner
	post := changed(pre, back)
	assert.ErrorContains(t, ChangeConfiguration(pre, post), "matchIndex of n3 becomes 1, not 0")
	assert.NoError(t, ChangeConfiguration(pre, post.withMatch("n3", 0)))
}

func TestALeaderThatIsRemovedStepsDownWhenThatIsCommitted(t *testing.T) {
	s := leader(4, 4)
	pre := but(s, func(s *Server) { s.Log, s.CommitIndex = changed(*s, cluster("n2", "n3")).Log, 3 })
	action{pre, pre.asFollower(), LeaderIsRemoved,
		map[string]func(pre, post *Server){
			"without it as a voter is committed": func(pre, _ *Server) { pre.CommitIndex = 2 },
			"it goes from leader to candidate":   func(_, post *Server) { post.Role = raft.Candidate },
			"votedFor changes":                   func(_, post *Server) { post.VotedFor = "" },
		}}.try(t)
	assert.ErrorContains(t, LeaderLeaves(pre), "it leads")
	assert.NoError(t, LeaderLeaves(pre.asFollower()))
	assert.NoError(t, LeaderLeaves(but(pre, func(s *Server) { s.CommitIndex = 2 })))
}

// A learner is elected where nobody else's log can win. Until it has committed an entry of its own,
// nobody else can.
func TestALearnerThatWasElectedStepsDownWhenItsFirstEntryIsCommitted(t *testing.T) {
	s := leader(5, 4, 5)
	s.Log = Log{Entries: append([]raft.Entry{configuration(1, 1, cluster("n2", "n3"))}, entries(2, 4, 5)...)}
	s.CommitIndex = 2
	assert.Error(t, LeaderIsRemoved(s, s.asFollower()))
	s.CommitIndex = 3
	assert.NoError(t, LeaderIsRemoved(s, s.asFollower()))
}

func TestALeaderLosesItsQuorumOnlyAsTimePasses(t *testing.T) {
	pre := but(leader(4), func(s *Server) { s.Options.CheckQuorum = true })
	lost := func(in Input) func(x, y Server) error {
		return func(x, y Server) error { return QuorumIsLost(x, y, in) }
	}
	action{pre, pre.asFollower(), lost(Tick{}), map[string]func(pre, post *Server){
		"no election timeout": func(pre, _ *Server) { pre.Options.CheckQuorum = false },
		"currentTerm changes": func(_, post *Server) { post.CurrentTerm = 5 },
	}}.try(t)
	assert.ErrorContains(t, lost(Flush{})(pre, pre.asFollower()), "no election timeout")
}

func TestALeaderHandsOverToWhoeverHasItsWholeLog(t *testing.T) {
	pre := leader(4, 4)
	handing := but(pre, func(s *Server) { s.Transferring = true })
	action{pre, handing, BeginTransfer, map[string]func(pre, post *Server){
		"only a leader": func(pre, _ *Server) { pre.Role = raft.Follower },
		"nothing over":  func(_, post *Server) { post.Transferring = false },
		"log changes":   func(_, post *Server) { post.Log = post.Log.and(entries(3, 4)...) },
	}}.try(t)
	action{handing, pre, EndTransfer, map[string]func(pre, post *Server){
		"no transfer that ends": func(pre, _ *Server) { pre.Transferring = false },
		"role changes":          func(_, post *Server) { post.Role = raft.Follower },
	}}.try(t)
	a := raft.TimeoutNowArgs{Term: 4, LeaderID: "n1"}
	assert.NoError(t, TimeoutNow(pre.withMatch("n2", 2), "n2", a))
	assert.ErrorContains(t, TimeoutNow(pre, "n2", a), "n2 has the log up to 1, not to 2")
	assert.ErrorContains(t, TimeoutNow(pre, "n4", a), "n4 is no voter")
	assert.ErrorContains(t, TimeoutNow(pre.asFollower(), "n2", a), "it does not lead term 4")
}
