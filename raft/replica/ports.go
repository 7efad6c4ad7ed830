package replica

import "dbdb/raft"

// The three things a replica needs from the outside. In production they are
// files, TCP and a map in memory; in the simulator all three are simulated.
// None of their methods may block, and every callback runs on the replica's own
// thread, never inside the call that was given it.

// Disk makes the persistent state of Figure 2 durable.
type Disk interface {
	// Save calls done when s, and every Save before it, is durable, or with the
	// error that ends this process: after a failed fsync nobody can say what the
	// disk holds (the "fsyncgate" of 2018), so nobody may retry.
	Save(s raft.Save, done func(error))
}

// Transport carries RPCs to other servers. Each done is called exactly once, with
// the reply or with an error; an error means only that no reply will come. Calls
// to one server arrive there in the order in which they were made.
type Transport interface {
	// Configure tells the addresses of all members, whenever the configuration changes.
	Configure(raft.Configuration)

	RequestVote(to raft.NodeID, a raft.RequestVoteArgs, done func(raft.RequestVoteReply, error))
	AppendEntries(to raft.NodeID, a raft.AppendEntriesArgs, done func(raft.AppendEntriesReply, error))
	ReadIndex(to raft.NodeID, a raft.ReadIndexArgs, done func(raft.ReadIndexReply, error))
}

// StateMachine is what the replicated log drives. Apply must be deterministic: the
// same commands in the same order give the same state everywhere. It has no
// error to return because a replica that skipped a command has left its cluster:
// what cannot be carried out must panic.
type StateMachine interface {
	// Apply carries out the command at index i and returns what its client is told.
	Apply(i raft.Index, cmd []byte) (result []byte)
}
