package spec

import (
	"fmt"

	"dbdb/raft"
)

// Input is one thing that happens to a server.
type Input interface{ String() string }

type (
	// Received is a request of another server. ID is what its reply names; no other request
	// of this server's life has it.
	Received struct {
		ID   uint64
		From raft.NodeID
		Args any
	}
	// Answered is the reply to a request of the server's own.
	Answered struct {
		From  raft.NodeID
		Args  any
		Reply any
	}
	// Failed says that no reply to a request will come.
	Failed struct {
		To   raft.NodeID
		Args any
	}
	// Tick is the passing of time; timers may run out.
	Tick struct{}
	// ElectionTimer is the election timer that runs out now, whatever the clock says.
	ElectionTimer struct{}
	// HeartbeatTimer is a leader's timer that does.
	HeartbeatTimer struct{}
	// Command is a client's, to be replicated.
	Command struct{ Data []byte }
	// ClientRead is a client's read, with a number that no request or read of this life has.
	ClientRead struct{ ID uint64 }
	// Wish is the operator's: add or remove a server, hand over the leadership.
	Wish struct{}
	// Saved is the disk's word that a Save is durable.
	Saved struct{ Save raft.Save }
	// SnapshotWritten says that a snapshot of the own state machine is complete.
	SnapshotWritten struct{ Snapshot raft.Snapshot }
	// SnapshotReceived says that a leader's snapshot is complete and sound.
	SnapshotReceived struct{ Snapshot raft.Snapshot }
	// ChunkLost says that a chunk, or the snapshot that it was to end, could not be stored.
	ChunkLost struct{}
	// Other is what the core does not hear of, as that a snapshot's file was read.
	Other struct{ What string }
	// Flush lets out what the inputs before it have asked for.
	Flush struct{}
)

// String names the input in a rejection.
func (in Received) String() string { return fmt.Sprintf("%s asks %s", in.From, describe(in.Args)) }
func (in Answered) String() string {
	return fmt.Sprintf("%s answers %s to %s", in.From, describe(in.Reply), describe(in.Args))
}
func (in Failed) String() string {
	return fmt.Sprintf("no answer of %s to %s", in.To, describe(in.Args))
}
func (Tick) String() string           { return "time passes" }
func (ElectionTimer) String() string  { return "the election timer runs out" }
func (HeartbeatTimer) String() string { return "the heartbeat timer runs out" }
func (Command) String() string        { return "a client's command" }
func (ClientRead) String() string     { return "a client reads" }
func (Wish) String() string           { return "the operator's wish" }
func (in Saved) String() string       { return fmt.Sprintf("Save %d is durable", in.Save.Seq) }
func (in SnapshotWritten) String() string {
	return fmt.Sprintf("the own snapshot %v is complete", labelOf(in.Snapshot))
}
func (in SnapshotReceived) String() string {
	return fmt.Sprintf("the leader's snapshot %v is complete", labelOf(in.Snapshot))
}
func (ChunkLost) String() string { return "a chunk could not be stored" }
func (in Other) String() string  { return in.What }
func (Flush) String() string     { return "what was asked for leaves" }

// Output is what left the server during a step.
type Output struct {
	Sent    []Sent
	Replies []Replied
	Saves   []raft.Save     // handed to the disk
	Stored  bool            // the chunk of the request that came
	Begun   []raft.Snapshot // of the own state machine, that are being written from now on
	Served  []uint64        // clients' reads, from the own state machine
	GaveUp  []uint64        // those that were told that nobody could confirm them
}

// Sent is a request that left.
type Sent struct {
	To   raft.NodeID
	Args any
}

// Replied is a reply that left, to the request of that ID.
type Replied struct {
	To    uint64
	Reply any
}

// describe writes a message without the bytes that it carries.
func describe(message any) string {
	switch m := message.(type) {
	case raft.AppendEntriesArgs:
		return fmt.Sprintf("AppendEntries{term %d, of %s, prev %d@%d, entries %v, commit %d, session %d}", m.Term, m.LeaderID, m.PrevLogIndex, m.PrevLogTerm, m.Entries, m.LeaderCommit, m.Session)
	case raft.InstallSnapshotArgs:
		return fmt.Sprintf("InstallSnapshot{term %d, of %s, %d@%d, bytes %d to %d of %d}", m.Term, m.LeaderID, m.LastIncludedIndex, m.LastIncludedTerm, m.Offset, m.Offset+uint64(len(m.Data)), m.Size)
	}
	return fmt.Sprintf("%T%+v", message, message)
}
