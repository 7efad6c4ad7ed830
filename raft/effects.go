package raft

// Effects is what the inputs since the last call of Effects ask of the outside.
// The order in which the parts may be carried out is the contract on which
// Raft's safety rests; package replica keeps it, in Flush, and nobody else has to:
//
//   - Send may leave at once, also before the Save: the leader's AppendEntries
//     overlap with its own disk (thesis §10.2.1).
//   - Save must be durable, and so must every Save before it, before SendAfter
//     and the replies to the inputs of this batch leave: "updated on stable
//     storage before responding to RPCs" (Figure 2).
//   - Apply goes to the state machine, in order.
//   - Reads may be served once the state machine has applied their Index.
type Effects struct {
	Send      []Call
	Save      Save
	SendAfter []Call
	Apply     []Entry
	Reads     []ReadState
}

// Call is one RPC to make: exactly one of the arguments is set.
type Call struct {
	To            NodeID
	RequestVote   *RequestVoteArgs
	AppendEntries *AppendEntriesArgs
	// InstallSnapshot comes without Data, Size and Done: whoever keeps the file fills
	// them in, with what it has at Offset.
	InstallSnapshot *InstallSnapshotArgs
	TimeoutNow      *TimeoutNowArgs
}

// Save is one atomic change of the persistent state of Figure 2. Term and vote
// travel together: written one after the other, a crash between them leaves a
// new term with an old vote (hashicorp/raft#661).
type Save struct {
	// Seq numbers the Saves of one process life, from 1. A zero Seq means that
	// there is nothing to save.
	Seq      uint64
	Term     Term
	VotedFor NodeID
	// TruncateFrom, if not 0, removes the entries at this index and after it,
	// before Entries are appended.
	TruncateFrom Index
	// Snapshot, if its Index is not 0, comes into force after the truncation and before
	// Entries: its file, which is complete, replaces the one before it, and the log up
	// to its Index may go. Entries after Index stay if the log holds Index with the
	// snapshot's Term; else the whole log goes (Figure 13, rules 6 and 7).
	Snapshot Snapshot
	// KeepFrom is the first index that should stay in the log although the snapshot
	// covers it, for followers that are a little behind. Only with Snapshot.
	KeepFrom Index
	// Entries are appended to the log: the first has the index after the last one
	// that remains.
	Entries []Entry
}

// lastIndex is the highest index that is durable once s is, as far as s says.
func (s Save) lastIndex() Index {
	if n := len(s.Entries); n > 0 {
		return s.Entries[n-1].Index
	}
	return s.Snapshot.Index
}

// ReadState tells that the read asked for with ReadIndex(ID) may be served by any
// state machine that has applied Index (thesis §6.4).
type ReadState struct {
	ID    uint64
	Index Index
}

// Restored is what the disk gives back at start: the persistent state of Figure 2.
// Its zero value is a server that never ran.
type Restored struct {
	Term     Term
	VotedFor NodeID
	Snapshot Snapshot // the one in force; its Index is 0 if there is none
	// Entries is the log without a hole. It begins at index 1, or anywhere up to the
	// index after the snapshot's.
	Entries []Entry
}
