package spec

import (
	"testing"

	"dbdb/raft"

	"github.com/stretchr/testify/assert"
)

func snapshot(i raft.Index, t raft.Term) raft.Snapshot {
	return raft.Snapshot{Index: i, Term: t, Configuration: cluster("n1", "n2", "n3"), ConfigurationIndex: 1}
}

func TestASnapshotCoversWhatIsApplied(t *testing.T) {
	pre := but(follower(4, 2, 3, 4), func(s *Server) { s.CommitIndex, s.LastApplied = 3, 3 })
	m := snapshot(3, 3)
	action{pre, but(pre, func(s *Server) { s.Snapshot, s.Log = m, s.Log.after(2) }), func(x, y Server) error { return TakeSnapshot(x, y, m) },
		map[string]func(pre, post *Server){
			"is newer":          func(pre, _ *Server) { pre.Snapshot = snapshot(3, 3) },
			"3 is not applied":  func(pre, _ *Server) { pre.LastApplied = 2 },
			"does not have 3@3": func(pre, _ *Server) { pre.Log = follower(4, 2, 2, 4).Log },
			"its configuration is of": func(pre, _ *Server) {
				pre.Log = pre.Log.upTo(2).and(configuration(3, 3, cluster("n1")))
			},
			"the snapshot in force":  func(_, post *Server) { post.Snapshot = snapshot(2, 2) },
			"the log begins after 4": func(_, post *Server) { post.Log = Log{Base: 4} },
			"the log becomes":        func(_, post *Server) { post.Log = post.Log.upTo(3) },
			"commitIndex changes":    func(_, post *Server) { post.CommitIndex = 4 },
		}}.try(t)
}

// Figure 13, rules 2 and 3.
func TestChunksOfOneFileAreStoredInOrder(t *testing.T) {
	s := but(follower(4), func(s *Server) { s.Incoming = Incoming{4, Label{9, 4}, 100} })
	a := raft.InstallSnapshotArgs{Term: 4, LeaderID: "n2", LastIncludedIndex: 9, LastIncludedTerm: 4, Offset: 100, Data: make([]byte, 50), Size: 150, Done: true}
	assert.NoError(t, StoreChunk(s, a))
	assert.Equal(t, Incoming{4, Label{9, 4}, 150}, s.afterChunk(a))
	for name, change := range map[string]func(a *raft.InstallSnapshotArgs){
		"a chunk is missing":  func(a *raft.InstallSnapshotArgs) { a.Offset = 120 },
		"it came before":      func(a *raft.InstallSnapshotArgs) { a.Offset = 50 },
		"of another snapshot": func(a *raft.InstallSnapshotArgs) { a.LastIncludedIndex = 8 },
	} {
		b := a
		change(&b)
		assert.ErrorContains(t, StoreChunk(s, b), "does not go on", name)
	}
	assert.ErrorContains(t, StoreChunk(but(s, func(s *Server) { s.CurrentTerm = 5 }), a), "the leader's term 4 is not 5")
	assert.ErrorContains(t, StoreChunk(but(s, func(s *Server) { s.Incoming.Term = 3 }), a), "does not go on", "of another leader")
	a.Offset = 0
	assert.NoError(t, StoreChunk(s, a), "it begins anew")
}

// Figure 13, rules 6, 7 and 8.
func TestASnapshotTakesThePlaceOfTheLogOrOfItsBeginning(t *testing.T) {
	m := snapshot(3, 3)
	installed := func(log Log) func(*Server) {
		return func(s *Server) { s.Snapshot, s.Log, s.CommitIndex, s.LastApplied = m, log, 3, 3 }
	}
	pre := but(follower(4, 2, 3, 4), func(s *Server) { s.Complete = []Label{{3, 3}} })
	action{pre, but(pre, installed(pre.Log.after(3))), func(x, y Server) error { return InstallSnapshot(x, y, m) },
		map[string]func(pre, post *Server){
			"no complete snapshot":  func(pre, _ *Server) { pre.Complete = nil },
			"is the newest":         func(pre, _ *Server) { pre.Role = raft.Leader },
			"3 is committed":        func(pre, _ *Server) { pre.CommitIndex = 3 },
			"the snapshot in force": func(_, post *Server) { post.Snapshot = snapshot(2, 2) },
			"the log becomes":       func(_, post *Server) { post.Log = Log{Base: 3} },
			"commitIndex becomes 4": func(_, post *Server) { post.CommitIndex = 4 },
			"currentTerm changes":   func(_, post *Server) { post.CurrentTerm = 5 },
		}}.try(t)
	other := but(pre, func(s *Server) { s.Log = follower(4, 2, 2, 4).Log })
	action{other, but(other, installed(Log{Base: 3})), func(x, y Server) error { return InstallSnapshot(x, y, m) },
		map[string]func(pre, post *Server){
			"the log becomes (3, 4@4]": func(_, post *Server) { post.Log = other.Log.after(3) },
		}}.try(t)
	action{pre, pre, ReceiveChunk, map[string]func(pre, post *Server){
		"log changes": func(_, post *Server) { post.Log = Log{Base: 3} },
	}}.try(t)
}

func TestWhoeverHasInstalledASnapshotHoldsWhatItCovers(t *testing.T) {
	pre := leader(4, 4, 4, 4)
	a := raft.InstallSnapshotArgs{Term: 4, LeaderID: "n1", LastIncludedIndex: 3, LastIncludedTerm: 4, Session: 1}
	rep := raft.InstallSnapshotReply{Term: 4, Installed: true}
	action{pre, pre.withMatch("n3", 3), func(x, y Server) error { return HandleInstallSnapshotResponse(x, y, "n3", a, rep) },
		map[string]func(pre, post *Server){
			"only a leader":      func(pre, _ *Server) { pre.Role = raft.Follower },
			"to a leader":        func(pre, _ *Server) { pre.CurrentTerm = 5 },
			"matchIndex changes": func(_, post *Server) { *post = post.withMatch("n3", 4) },
		}}.try(t)
}

func TestALeaderSendsASnapshotThatItHas(t *testing.T) {
	s := but(leader(4, 4, 4), func(s *Server) { s.Labels = []Label{{2, 4}} })
	a := raft.InstallSnapshotArgs{Term: 4, LeaderID: "n1", LastIncludedIndex: 2, LastIncludedTerm: 4, Data: []byte("x"), Size: 1, Done: true}
	assert.NoError(t, SendSnapshot(s, a))
	for words, change := range map[string]func(s *Server, a *raft.InstallSnapshotArgs){
		"did not lead term 3": func(_ *Server, a *raft.InstallSnapshotArgs) { a.Term = 3 },
		"is not durable":      func(s *Server, _ *raft.InstallSnapshotArgs) { s.Durable.Term = 3 },
		"no snapshot 2@3":     func(_ *Server, a *raft.InstallSnapshotArgs) { a.LastIncludedTerm = 3 },
		"is the last: false":  func(_ *Server, a *raft.InstallSnapshotArgs) { a.Done = false },
	} {
		s, a := s, a
		change(&s, &a)
		assert.ErrorContains(t, SendSnapshot(s, a), words)
	}
}
