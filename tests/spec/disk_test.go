package spec

import (
	"testing"

	"dbdb/raft"

	"github.com/stretchr/testify/assert"
)

func TestWhatIsWrittenBecomesDurableInOrder(t *testing.T) {
	first := raft.Save{Seq: 1, Term: 5, VotedFor: "n2", Entries: entries(2, 5)}
	second := raft.Save{Seq: 2, Term: 6, TruncateFrom: 2, Entries: entries(2, 6)}
	pre := but(follower(4), func(s *Server) { s.Written = []raft.Save{first, second} })
	action{pre, pre.afterPersist(first), func(x, y Server) error { return Persist(x, y, first) },
		map[string]func(pre, post *Server){
			"is not the next":   func(pre, _ *Server) { pre.Written = []raft.Save{second, first} },
			"the disk holds":    func(_, post *Server) { post.Durable.VotedFor = "" },
			"votedFor changes ": func(_, post *Server) { post.VotedFor = "n2" },
		}}.try(t)
	both := pre.afterPersist(first).afterPersist(second)
	assert.True(t, both.Durable.same(Image{Term: 6, Log: follower(6, 6).Log}), "%v", both.Durable)
	assert.Empty(t, both.Written)
}

// Figure 13, rules 6 and 7, on the disk.
func TestASnapshotOnTheDiskKeepsTheLogThatGoesOnWithIt(t *testing.T) {
	disk := follower(4, 2, 3, 4).Durable
	kept := disk.after(raft.Save{Term: 4, Snapshot: raft.Snapshot{Index: 3, Term: 3}})
	assert.Equal(t, Label{3, 3}, kept.Snapshot)
	assert.Equal(t, raft.Index(4), kept.Log.Last())
	dropped := disk.after(raft.Save{Term: 4, Snapshot: raft.Snapshot{Index: 3, Term: 4}, Entries: entries(4, 4)})
	assert.Equal(t, Log{3, entries(4, 4)}, dropped.Log)
	assert.True(t, dropped.holds(2, 9), "a snapshot is in its place")
	assert.False(t, dropped.holds(4, 3))
	assert.False(t, dropped.holds(5, 4))
}

func TestACrashLeavesABeginningOfWhatWasWritten(t *testing.T) {
	first := raft.Save{Seq: 1, Term: 5, VotedFor: "n2"}
	second := raft.Save{Seq: 2, Term: 6, VotedFor: "n3", Snapshot: raft.Snapshot{Index: 2, Term: 6}, Entries: entries(3, 6)}
	pre := but(follower(4, 2), func(s *Server) { s.Written = []raft.Save{first, second} })
	disk := func(term raft.Term, vote raft.NodeID, l Label, log Log) Image { return Image{term, vote, log, l} }
	none := Label{}
	for name, found := range map[string]Image{
		"nothing of it":         disk(4, "", none, pre.Log),
		"the first":             disk(5, "n2", none, pre.Log),
		"the second's term":     disk(6, "n3", none, pre.Log),
		"the second's snapshot": disk(6, "n3", Label{2, 6}, Log{Base: 2}),
		"all":                   disk(6, "n3", Label{2, 6}, Log{2, entries(3, 6)}),
	} {
		post := Server{ID: "n1", CurrentTerm: found.Term, VotedFor: found.VotedFor, Log: found.Log,
			Snapshot: raft.Snapshot{Index: found.Snapshot.Index, Term: found.Snapshot.Term}, CommitIndex: found.Snapshot.Index, LastApplied: found.Snapshot.Index}
		assert.NoError(t, Restart(pre, found, post), name)
		for words, broken := range map[string]func(*Server){
			"starts with commitIndex": func(s *Server) { s.CommitIndex++ },
			"starts as candidate":     func(s *Server) { s.Role = raft.Candidate },
			"it starts with (term":    func(s *Server) { s.VotedFor = "n1" },
			"what was volatile":       func(s *Server) { s.Leader = "n2" },
		} {
			assert.ErrorContains(t, Restart(pre, found, but(post, broken)), words, name)
		}
	}
	for name, found := range map[string]Image{
		"less than was durable":   disk(3, "", none, pre.Log),
		"a vote without its term": disk(4, "n2", none, pre.Log),
		"entries before the file": disk(6, "n3", none, Log{2, entries(3, 6)}),
		"the second without any":  disk(6, "n3", none, pre.Log.upTo(1)),
	} {
		assert.ErrorContains(t, Restart(pre, found, Server{}), "the disk gives back", name)
	}
}

func TestNothingOfThePersistentStateIsForgotten(t *testing.T) {
	s := follower(4, 2)
	assert.NoError(t, WriteAll(s))
	for _, change := range []func(*Server){
		func(s *Server) { s.CurrentTerm = 5 },
		func(s *Server) { s.VotedFor = "n2" },
		func(s *Server) { s.Log = s.Log.and(entries(3, 4)...) },
		func(s *Server) { s.Log = follower(4, 3).Log },
		func(s *Server) { s.Snapshot.Index = 2 },
	} {
		assert.ErrorContains(t, WriteAll(but(s, change)), "the disk was given")
	}
}
