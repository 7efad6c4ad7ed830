package raft

import (
	"fmt"
	"strings"
)

// NodeID identifies one data directory for ever: the operator's name and a
// random suffix, as "node2.7f3a9c". A wiped node that comes back under the same
// name is a new server with a new NodeID, so the votes and acknowledgements that
// it forgot cannot be mistaken for its own (paper §5.1, thesis §4.1).
//
// The empty NodeID is "nobody": no vote, no leader. No server has it.
type NodeID string

// NewNodeID puts a NodeID together. The suffix has no dot.
func NewNodeID(name, suffix string) NodeID { return NodeID(name + "." + suffix) }

// Name is the operator's name for the server: the NodeID up to its last dot.
func (id NodeID) Name() string {
	if dot := strings.LastIndexByte(string(id), '.'); dot > 0 {
		return string(id[:dot])
	}
	return string(id)
}

// nobody is the NodeID of no server: "votedFor null" in Figure 2.
const nobody NodeID = ""

// Term is a logical clock: each term has at most one leader (§5.1).
// Term 0 is before the first election.
type Term uint64

// Index is a position in the log. The first entry has index 1; index 0 is
// "before the log" and matches every log (Figure 2).
type Index uint64

// EntryKind says who reads an entry's Data.
type EntryKind uint8

const (
	// EntryNoop is what a new leader appends to learn what is committed (§8).
	EntryNoop EntryKind = iota
	// EntryCommand carries a command for the state machine.
	EntryCommand
	// EntryConfiguration carries an encoded Configuration (thesis §4.1).
	EntryConfiguration
)

// Entry is one position of the replicated log: "each entry contains command for
// state machine, and term when entry was received by leader" (Figure 2).
// Entries are values that never change: a log that is overwritten gets new ones,
// so a message in flight keeps the entries that it was made with.
type Entry struct {
	Index Index
	Term  Term
	Kind  EntryKind
	Data  []byte
}

// String writes an entry as index@term, the notation of scripts and traces.
func (e Entry) String() string { return fmt.Sprintf("%d@%d", e.Index, e.Term) }

// State is a server's role (§5.1, Figure 4), with PreCandidate of thesis §9.6.
type State uint8

const (
	// Follower answers the requests of candidates and leaders.
	Follower State = iota
	// PreCandidate asks whether an election could be won, before it disturbs anybody.
	PreCandidate
	// Candidate has raised its term and asks for votes.
	Candidate
	// Leader orders all client commands of its term.
	Leader
)

func (s State) String() string {
	return [...]string{"follower", "pre-candidate", "candidate", "leader"}[s]
}
