package spec

import (
	"testing"

	"dbdb/raft"

	"github.com/stretchr/testify/assert"
)

// cluster is a configuration of voters.
func cluster(ids ...raft.NodeID) raft.Configuration {
	var c raft.Configuration
	for _, id := range ids {
		c.Members = append(c.Members, raft.Member{ID: id, Role: raft.Voter, RaftAddr: string(id) + ":1", HTTPAddr: string(id) + ":2"})
	}
	return c
}

func configuration(i raft.Index, t raft.Term, c raft.Configuration) raft.Entry {
	return raft.Entry{Index: i, Term: t, Kind: raft.EntryConfiguration, Data: c.Encode()}
}

// entries has a command for each term, from an index on.
func entries(from raft.Index, terms ...raft.Term) []raft.Entry {
	var es []raft.Entry
	for k, t := range terms {
		es = append(es, raft.Entry{Index: from + raft.Index(k), Term: t, Kind: raft.EntryCommand, Data: []byte{byte(t)}})
	}
	return es
}

// follower is n1 of three, with the configuration at index 1 and commands after it, all durable.
func follower(term raft.Term, terms ...raft.Term) Server {
	c := cluster("n1", "n2", "n3")
	s := Server{
		ID: "n1", Options: Options{ElectionTicks: 20}, CurrentTerm: term, InUse: c,
		Log: Log{Entries: append([]raft.Entry{configuration(1, 1, c)}, entries(2, terms...)...)},
	}
	s.Durable, s.Handed = s.persistent(), s.persistent()
	return s
}

func candidate(term raft.Term, terms ...raft.Term) Server {
	s := follower(term, terms...)
	s.Role, s.VotedFor = raft.Candidate, s.ID
	s.Durable, s.Handed = s.persistent(), s.persistent()
	s.Asked = []raft.RequestVoteArgs{{Term: term, CandidateID: s.ID, LastLogIndex: s.Log.Last(), LastLogTerm: s.LastTerm()}}
	return s
}

// leader has all of its log on its disk, and the others have its first entry.
func leader(term raft.Term, terms ...raft.Term) Server {
	s := candidate(term, terms...)
	s.Role, s.Leader, s.Led = raft.Leader, s.ID, []raft.Term{term}
	for _, id := range []raft.NodeID{"n2", "n3"} {
		s.Peers = append(s.Peers, Peer{ID: id, NextIndex: 2, MatchIndex: 1, Session: 1})
	}
	return s
}

// but is a server with something changed.
func but(s Server, change func(*Server)) Server {
	change(&s)
	return s
}

// action is one predicate, with a step that it allows and steps that it does not.
type action struct {
	pre, post Server
	holds     func(pre, post Server) error
	// broken change the step; what each is rejected with has these words in it.
	broken map[string]func(pre, post *Server)
}

func (a action) try(t *testing.T) {
	t.Helper()
	assert.NoError(t, a.holds(a.pre, a.post))
	for words, change := range a.broken {
		pre, post := a.pre, a.post
		change(&pre, &post)
		assert.ErrorContains(t, a.holds(pre, post), words)
	}
}
