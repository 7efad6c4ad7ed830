package raft

import (
	"errors"
	"fmt"
)

// The RPCs of Figure 2, with the paper's field names. A field that the paper
// does not have says where it comes from.

// RequestVoteArgs: "invoked by candidates to gather votes" (Figure 2, §5.2).
type RequestVoteArgs struct {
	Term         Term   // candidate's term; in a pre-vote, the term it would campaign in
	CandidateID  NodeID // candidate requesting vote
	LastLogIndex Index  // index of candidate's last log entry (§5.4)
	LastLogTerm  Term   // term of candidate's last log entry (§5.4)

	PreVote bool // only ask: nobody's term or vote changes (thesis §9.6)
	// LeadershipTransfer says that the leader itself asked for this election, so
	// that hearing from it is no reason to refuse (thesis §4.2.3).
	LeadershipTransfer bool
}

// RequestVoteReply answers a RequestVote.
type RequestVoteReply struct {
	Term        Term // currentTerm, for candidate to update itself
	VoteGranted bool // true means candidate received vote

	// RemovedAt, if not 0, is the index of a committed configuration without the
	// candidate. A server that was down while it was removed learns it here: nobody
	// else speaks to it any more.
	RemovedAt Index
	// CommitTerm, if RemovedAt is not 0, is the term of the last entry that whoever says so
	// has committed: no configuration of an earlier term has the candidate again.
	CommitTerm Term
}

// AppendEntriesArgs: "invoked by leader to replicate log entries; also used as
// heartbeat" (Figure 2, §5.3).
type AppendEntriesArgs struct {
	Term         Term    // leader's term
	LeaderID     NodeID  // so follower can redirect clients
	PrevLogIndex Index   // index of log entry immediately preceding new ones
	PrevLogTerm  Term    // term of PrevLogIndex entry
	Entries      []Entry // log entries to store (empty for heartbeat)
	LeaderCommit Index   // leader's commitIndex

	// ReadRound is the leader's newest ReadIndex round when this left: whatever
	// answers it acknowledges the leader for the reads of that round (thesis §6.4).
	ReadRound uint64
	// Session numbers the leader's runs of replication to this peer. An answer to
	// an earlier run is not evidence about this one. The follower does not read it.
	Session uint64
}

// lastTerm is the term of the last entry that the message speaks of.
func (a AppendEntriesArgs) lastTerm() Term {
	if n := len(a.Entries); n > 0 {
		return a.Entries[n-1].Term
	}
	return a.PrevLogTerm
}

// AppendEntriesReply answers an AppendEntries.
type AppendEntriesReply struct {
	Term    Term // currentTerm, for leader to update itself
	Success bool // true if follower contained entry matching PrevLogIndex and PrevLogTerm

	// After a failed consistency check: the term of the conflicting entry and the
	// first index it stores for that term (end of §5.3). ConflictTerm 0 means that
	// the log is too short, and ConflictIndex is its first free index.
	ConflictIndex Index
	ConflictTerm  Term
}

// InstallSnapshotArgs: "invoked by leader to send chunks of a snapshot to a
// follower. Leaders always send chunks in order" (Figure 13). The paper's lastConfig
// (thesis Figure 5.3) is in the snapshot's own header.
type InstallSnapshotArgs struct {
	Term              Term   // leader's term
	LeaderID          NodeID // so follower can redirect clients
	LastIncludedIndex Index  // the snapshot replaces all entries up through and including this index
	LastIncludedTerm  Term   // term of LastIncludedIndex
	Offset            uint64 // byte offset where chunk is positioned in the snapshot file
	Data              []byte // raw bytes of the snapshot chunk, starting at Offset
	Done              bool   // true if this is the last chunk

	// Size is the size of the whole file, so that the follower can tell how far it is.
	Size uint64
	// Session numbers the leader's runs of replication to this peer, as in AppendEntries.
	Session uint64
}

// InstallSnapshotReply answers an InstallSnapshot.
type InstallSnapshotReply struct {
	Term Term // currentTerm, for leader to update itself

	// Offset is the next byte that the follower wants: after a lost message or a
	// restart the leader goes on there.
	Offset uint64
	// Installed says that the follower's durable state covers LastIncludedIndex.
	Installed bool
}

// TimeoutNowArgs tells a follower that has the whole log to start an election at
// once: the leader wants to hand over (thesis §3.10).
type TimeoutNowArgs struct {
	Term     Term // leader's term
	LeaderID NodeID
}

// TimeoutNowReply answers a TimeoutNow.
type TimeoutNowReply struct {
	Term Term // currentTerm, for leader to update itself
}

// ReadIndexArgs asks the leader for an index from which a follower may serve a
// linearizable read of its own (thesis §6.4).
type ReadIndexArgs struct {
	From NodeID // the server that asks
}

// ReadIndexReply answers a ReadIndex once the leader has heard from a majority.
type ReadIndexReply struct {
	Success bool  // false: this server does not lead, or could not confirm that it does
	Index   Index // read from a state machine that has applied this index
}

// Bounds on what a message, or a file, may claim. They keep its bytes from overflowing
// the arithmetic of the core; no real cluster comes near them.
const (
	MaxTerm  Term  = 1 << 62
	MaxIndex Index = 1 << 62
	// MaxNodeIDBytes is the longest NodeID: a name of 63 bytes, a dot and a suffix.
	MaxNodeIDBytes = 128
)

var errMalformed = errors.New("malformed message")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errMalformed, fmt.Sprintf(format, args...))
}

func validID(id NodeID) bool { return id != nobody && len(id) <= MaxNodeIDBytes }

// Validate says whether the core may be given this message. The transport calls
// it on everything that came from another process.
func (a RequestVoteArgs) Validate() error {
	switch {
	case !validID(a.CandidateID):
		return malformed("candidate id of %d bytes", len(a.CandidateID))
	case a.Term == 0 || a.Term > MaxTerm:
		return malformed("term %d", a.Term)
	case a.LastLogIndex > MaxIndex:
		return malformed("last log index %d", a.LastLogIndex)
	case a.LastLogTerm >= a.Term:
		return malformed("last log term %d in an election of term %d", a.LastLogTerm, a.Term)
	case (a.LastLogIndex == 0) != (a.LastLogTerm == 0):
		return malformed("last log entry %d@%d", a.LastLogIndex, a.LastLogTerm)
	}
	return nil
}

// Validate says whether the core may be given this message: the entries follow
// PrevLogIndex without a hole (a batch with a hole was logcabin#160), their terms
// do not decrease and none is newer than the leader's, configurations decode.
func (a AppendEntriesArgs) Validate() error {
	switch {
	case !validID(a.LeaderID):
		return malformed("leader id of %d bytes", len(a.LeaderID))
	case a.Term == 0 || a.Term > MaxTerm:
		return malformed("term %d", a.Term)
	case a.PrevLogIndex > MaxIndex || a.LeaderCommit > MaxIndex:
		return malformed("index beyond %d", MaxIndex)
	case (a.PrevLogIndex == 0) != (a.PrevLogTerm == 0):
		return malformed("previous log entry %d@%d", a.PrevLogIndex, a.PrevLogTerm)
	}
	term := a.PrevLogTerm
	for k, e := range a.Entries {
		if e.Index != a.PrevLogIndex+Index(k)+1 {
			return malformed("entry %v at position %d after index %d", e, k, a.PrevLogIndex)
		}
		if err := e.validate(); err != nil {
			return err
		}
		if e.Term < term {
			return malformed("entry %v after one of term %d", e, term)
		}
		term = e.Term
	}
	if term > a.Term {
		return malformed("entries of term %d from a leader of term %d", term, a.Term)
	}
	return nil
}

func (e Entry) validate() error {
	switch {
	case e.Term == 0 || e.Kind > EntryConfiguration:
		return malformed("entry %v of kind %d", e, e.Kind)
	case e.Kind == EntryConfiguration:
		_, err := DecodeConfiguration(e.Data)
		return err
	}
	return nil
}

// MaxChunkBytes is the most that one InstallSnapshot carries.
const MaxChunkBytes = 1 << 20

// maxSnapshotBytes keeps offsets from overflowing.
const maxSnapshotBytes = 1 << 50

// Validate says whether the core may be given this message: the chunk lies within
// the snapshot, and it is the last one exactly if the snapshot ends with it.
func (a InstallSnapshotArgs) Validate() error {
	switch {
	case !validID(a.LeaderID):
		return malformed("leader id of %d bytes", len(a.LeaderID))
	case a.Term == 0 || a.Term > MaxTerm:
		return malformed("term %d", a.Term)
	case a.LastIncludedIndex == 0 || a.LastIncludedIndex > MaxIndex:
		return malformed("snapshot through index %d", a.LastIncludedIndex)
	case a.LastIncludedTerm == 0 || a.LastIncludedTerm > a.Term:
		return malformed("snapshot of term %d from a leader of term %d", a.LastIncludedTerm, a.Term)
	case len(a.Data) > MaxChunkBytes || a.Size > maxSnapshotBytes || a.Offset > a.Size || uint64(len(a.Data)) > a.Size-a.Offset:
		return malformed("%d bytes at offset %d of a snapshot of %d", len(a.Data), a.Offset, a.Size)
	case a.Done != (a.Offset+uint64(len(a.Data)) == a.Size):
		return malformed("last chunk: %v, at %d of %d", a.Done, a.Offset+uint64(len(a.Data)), a.Size)
	}
	return nil
}

// Validate says whether the core may be given this message.
func (a TimeoutNowArgs) Validate() error {
	if !validID(a.LeaderID) || a.Term == 0 || a.Term > MaxTerm {
		return malformed("leader %q of term %d", a.LeaderID, a.Term)
	}
	return nil
}

// Validate says whether a reply is one that a server could have sent.
func (rep InstallSnapshotReply) Validate() error {
	if rep.Term == 0 || rep.Term > MaxTerm || rep.Offset > maxSnapshotBytes {
		return malformed("reply in term %d at offset %d", rep.Term, rep.Offset)
	}
	return nil
}

// Validate says whether a reply is one that a server could have sent.
func (rep TimeoutNowReply) Validate() error {
	if rep.Term > MaxTerm {
		return malformed("term %d", rep.Term)
	}
	return nil
}

// Validate says whether the core may be given this message.
func (a ReadIndexArgs) Validate() error {
	if !validID(a.From) {
		return malformed("id of %d bytes", len(a.From))
	}
	return nil
}

// Validate says whether a reply is one that a server could have sent.
func (rep RequestVoteReply) Validate() error {
	if rep.Term > MaxTerm || rep.CommitTerm > MaxTerm || rep.RemovedAt > MaxIndex {
		return malformed("term %d, removed at %d, committed in term %d", rep.Term, rep.RemovedAt, rep.CommitTerm)
	}
	return nil
}

// Validate says whether a reply is one that a server could have sent.
func (rep AppendEntriesReply) Validate() error {
	if rep.Term == 0 || rep.Term > MaxTerm || rep.ConflictIndex > MaxIndex || rep.ConflictTerm > MaxTerm {
		return malformed("reply in term %d with conflict %d@%d", rep.Term, rep.ConflictIndex, rep.ConflictTerm)
	}
	return nil
}

// Validate says whether a reply is one that a server could have sent.
func (rep ReadIndexReply) Validate() error {
	if rep.Index > MaxIndex {
		return malformed("read index %d", rep.Index)
	}
	return nil
}
