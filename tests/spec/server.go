package spec

import (
	"slices"

	"dbdb/raft"
)

// Server is one server's state: Figure 2's box "State", what the thesis adds, and what has
// to be remembered beside that to judge the next step. It is a value: a step makes a new one.
type Server struct {
	ID      raft.NodeID
	Options Options

	// "Persistent state on all servers" (Figure 2), and the snapshot that has taken the
	// place of the log's beginning (§7).
	CurrentTerm raft.Term
	VotedFor    raft.NodeID
	Log         Log
	Snapshot    raft.Snapshot

	// "Volatile state on all servers" (Figure 2), and the role (Figure 4).
	Role        raft.State
	Leader      raft.NodeID // of CurrentTerm, if known
	CommitIndex raft.Index
	LastApplied raft.Index
	InUse       raft.Configuration // what it takes for the cluster
	Heard       int                // ticks since its election timer was reset
	RemovedAt   raft.Index         // the configuration without it that it was told of; 0 for none

	// "Volatile state on leaders" (Figure 2); Transferring is of thesis §3.10.
	Peers        []Peer
	Transferring bool

	Memory
}

// Options are the rules of the thesis that can be switched off.
type Options struct {
	PreVote     bool // thesis §9.6
	CheckQuorum bool // thesis §6.2, and §4.2.3: ignore candidates while a leader is heard
	// ElectionTicks is "the minimum election timeout" of thesis §4.2.3.
	ElectionTicks int
}

// Peer is what a leader knows of another server.
type Peer struct {
	ID         raft.NodeID
	NextIndex  raft.Index
	MatchIndex raft.Index
	Session    uint64 // of replication: an answer to another one says nothing of this one
}

// Memory is what cannot be seen of a server, and follows from what has happened to it: as
// votesGranted in raft.tla.
type Memory struct {
	Votes    []raft.NodeID // whose vote it has, in its election (votesGranted)
	PreVotes []raft.NodeID // who would vote for it, in the term after CurrentTerm
	Asked    []raft.RequestVoteArgs
	Needed   bool        // somebody asked for its vote, and cannot have it: see mayCampaign
	Led      []raft.Term // that it has led
	Labels   []Label     // of the snapshots that it has had
	Owed     []Owed      // replies that have not left
	Since    []Server    // its states from the last Flush on

	Durable Image       // what the disk has told to be on it (Persist)
	Handed  Image       // and what will be, when it has written all that it was given
	Written []raft.Save // that it was given, and has not told of yet

	Incoming Incoming // a leader's snapshot, on its way here (Figure 13)
	Complete []Label  // those that are here, and were not judged yet
	Reads    Reads
}

// Label is lastIncludedIndex and lastIncludedTerm (Figure 13).
type Label struct {
	Index raft.Index
	Term  raft.Term
}

// Look fills in what can be seen of a server; the rest is taken from the state before.
func Look(r *raft.Raft, before Server) Server {
	st := r.Status()
	s := before
	s.CurrentTerm, s.VotedFor, s.Role, s.Leader = st.Term, st.VotedFor, st.State, st.Leader
	s.CommitIndex, s.LastApplied, s.Snapshot, s.InUse = st.CommitIndex, st.LastApplied, r.Snapshot(), st.Configuration
	s.Log = Log{Base: st.LastIndex, Entries: r.LogEntries(1, st.LastIndex)}
	s.Log.Base -= raft.Index(len(s.Log.Entries))
	s.Transferring, s.Peers, s.Heard, s.RemovedAt = r.Transferring(), nil, st.LeaderHeard, st.RemovedAt
	for _, p := range st.Peers {
		s.Peers = append(s.Peers, Peer{p.ID, p.NextIndex, p.MatchIndex, p.Session})
	}
	return s
}

// hearsLeader: "within the minimum election timeout of hearing from a current leader" (thesis
// §4.2.3). A leader hears itself.
func (s Server) hearsLeader() bool {
	return s.Options.CheckQuorum && s.Leader != "" && (s.Role == raft.Leader || s.Heard < s.Options.ElectionTicks)
}

// Term is the term of the entry at an index, if the log or the snapshot tells. Index 0 is
// before the log, and every log has it (Figure 2).
func (s Server) Term(i raft.Index) (raft.Term, bool) {
	if i == 0 {
		return 0, true
	}
	if e, ok := s.Log.At(i); ok {
		return e.Term, true
	}
	if i == s.Snapshot.Index {
		return s.Snapshot.Term, true
	}
	return 0, false
}

// LastTerm is the term of the last entry.
func (s Server) LastTerm() raft.Term {
	t, _ := s.Term(s.Log.Last())
	return t
}

// has says whether the log holds an entry of that index and term. What a snapshot has taken
// the place of was committed, so whoever speaks of it speaks of the same entry.
func (s Server) has(i raft.Index, t raft.Term) bool {
	term, known := s.Term(i)
	return known && term == t || !known && i <= s.Snapshot.Index
}

// Configuration is the latest in the log, "regardless of whether the entry is committed"
// (§6, thesis §4.1), and its index.
func (s Server) Configuration() (raft.Configuration, raft.Index) {
	return configurationIn(s.Log, s.Snapshot, s.Log.Last())
}

// CommittedConfiguration is the latest that is known to be committed, and its index.
func (s Server) CommittedConfiguration() (raft.Configuration, raft.Index) {
	return configurationIn(s.Log, s.Snapshot, s.CommitIndex)
}

func (s Server) peer(id raft.NodeID) (Peer, bool) {
	k := slices.IndexFunc(s.Peers, func(p Peer) bool { return p.ID == id })
	if k < 0 {
		return Peer{}, false
	}
	return s.Peers[k], true
}

// withMatch is the server with another matchIndex of a peer.
func (s Server) withMatch(id raft.NodeID, match raft.Index) Server {
	s.Peers = slices.Clone(s.Peers)
	for k := range s.Peers {
		if s.Peers[k].ID == id {
			s.Peers[k].MatchIndex = match
		}
	}
	return s
}

// asFollower is the server without what dies with the role.
func (s Server) asFollower() Server {
	s.Role, s.Peers, s.Transferring = raft.Follower, nil, false
	return s
}

// majority says whether more than half of the voters say yes (§5.2).
func majority(c raft.Configuration, yes func(raft.NodeID) bool) bool {
	voters, n := 0, 0
	for _, m := range c.Members {
		if m.Role != raft.Voter {
			continue
		}
		voters++
		if yes(m.ID) {
			n++
		}
	}
	return 2*n > voters
}
