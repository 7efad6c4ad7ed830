package replica

import (
	"io"

	"dbdb/raft"
)

// The four things a replica needs from the outside. In production they are
// files, TCP and a map in memory; in the simulator all four are simulated.
// None of their methods may block, and every callback runs on the replica's own
// thread, never inside the call that was given it.

// Disk makes the persistent state of Figure 2 durable.
type Disk interface {
	// Save calls done when s, and every Save before it, is durable, or with the
	// error that ends this process: after a failed fsync nobody can say what the
	// disk holds (the "fsyncgate" of 2018), so nobody may retry.
	Save(s raft.Save, done func(error))
}

// Snapshots keeps snapshots of the state machine in files beside the log. A snapshot
// comes into force with the Save that names it, which goes to Disk; here its file is
// made, read and received. Errors cost the snapshot, not the process.
type Snapshots interface {
	// Write stores state as the snapshot m. done(nil) means that its file is complete
	// and durable.
	Write(m raft.Snapshot, state io.WriterTo, done func(error))
	// Read reads up to raft.MaxChunkBytes at an offset of a snapshot that is in force,
	// and tells the size of its file.
	Read(index raft.Index, term raft.Term, offset uint64, done func(chunk []byte, size uint64, err error))

	// Receive stores a chunk of a snapshot that comes from the leader; offset 0 begins a
	// new one. Received ends it: the file is verified while restore reads the state out
	// of it, and made durable. Both are carried out in order.
	Receive(offset uint64, chunk []byte, done func(error))
	Received(restore func(io.Reader) (install func(), err error), done func(m raft.Snapshot, install func(), err error))
}

// Transport carries RPCs to other servers. Each done is called exactly once, with
// the reply or with an error; an error means only that no reply will come. Calls
// to one server arrive there in the order in which they were made.
type Transport interface {
	// Configure tells the addresses of all servers that may have to be called, whenever
	// they change: the members, and for a while those that were removed.
	Configure(raft.Configuration)

	RequestVote(to raft.NodeID, a raft.RequestVoteArgs, done func(raft.RequestVoteReply, error))
	AppendEntries(to raft.NodeID, a raft.AppendEntriesArgs, done func(raft.AppendEntriesReply, error))
	InstallSnapshot(to raft.NodeID, a raft.InstallSnapshotArgs, done func(raft.InstallSnapshotReply, error))
	TimeoutNow(to raft.NodeID, a raft.TimeoutNowArgs, done func(raft.TimeoutNowReply, error))
	ReadIndex(to raft.NodeID, a raft.ReadIndexArgs, done func(raft.ReadIndexReply, error))
}

// StateMachine is what the replicated log drives. Apply must be deterministic: the
// same commands in the same order give the same state everywhere. It has no
// error to return because a replica that skipped a command has left its cluster:
// what cannot be carried out must panic.
type StateMachine interface {
	// Apply carries out the command at index i and returns what its client is told.
	Apply(i raft.Index, cmd []byte) (result []byte)

	// Snapshot returns the state as it is now: a consistent cut that can be written on
	// another thread while Apply goes on (§7).
	Snapshot() io.WriterTo
	// Restore reads a state that Snapshot wrote. It may run on another thread, and the
	// state stays as it is until install is called, on the replica's: then it is the
	// one that was read.
	Restore(r io.Reader) (install func(), err error)
}
