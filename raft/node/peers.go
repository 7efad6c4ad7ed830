package node

import (
	"dbdb/raft"
	"dbdb/raft/replica"
)

// The handler of other servers' RPCs. Each method returns as soon as the loop has
// been given the request; done is called on the loop when the reply may leave,
// and not at all if the node stops first.

// RequestVote handles the RPC of a candidate.
func (n *Node) RequestVote(a raft.RequestVoteArgs, done func(raft.RequestVoteReply)) {
	n.post(func() { n.replica.RequestVote(a, done) })
}

// AppendEntries handles the RPC of a leader.
func (n *Node) AppendEntries(a raft.AppendEntriesArgs, done func(raft.AppendEntriesReply)) {
	n.post(func() { n.replica.AppendEntries(a, done) })
}

// ReadIndex handles the question of a follower that wants to serve a read.
func (n *Node) ReadIndex(a raft.ReadIndexArgs, done func(raft.ReadIndexReply)) {
	n.post(func() { n.replica.ReadIndex(a, done) })
}

// InstallSnapshot handles a chunk of a leader's snapshot.
func (n *Node) InstallSnapshot(a raft.InstallSnapshotArgs, done func(raft.InstallSnapshotReply)) {
	n.post(func() { n.replica.InstallSnapshot(a, done) })
}

// TimeoutNow handles the wish of a leader that wants to hand over.
func (n *Node) TimeoutNow(a raft.TimeoutNowArgs, done func(raft.TimeoutNowReply)) {
	n.post(func() { n.replica.TimeoutNow(a, done) })
}

// loopTransport brings a transport's answers back to the loop.
type loopTransport struct {
	replica.Transport
	post func(func())
}

func (t loopTransport) RequestVote(to raft.NodeID, a raft.RequestVoteArgs, done func(raft.RequestVoteReply, error)) {
	t.Transport.RequestVote(to, a, func(rep raft.RequestVoteReply, err error) { t.post(func() { done(rep, err) }) })
}

func (t loopTransport) AppendEntries(to raft.NodeID, a raft.AppendEntriesArgs, done func(raft.AppendEntriesReply, error)) {
	t.Transport.AppendEntries(to, a, func(rep raft.AppendEntriesReply, err error) { t.post(func() { done(rep, err) }) })
}

func (t loopTransport) ReadIndex(to raft.NodeID, a raft.ReadIndexArgs, done func(raft.ReadIndexReply, error)) {
	t.Transport.ReadIndex(to, a, func(rep raft.ReadIndexReply, err error) { t.post(func() { done(rep, err) }) })
}

func (t loopTransport) InstallSnapshot(to raft.NodeID, a raft.InstallSnapshotArgs, done func(raft.InstallSnapshotReply, error)) {
	t.Transport.InstallSnapshot(to, a, func(rep raft.InstallSnapshotReply, err error) { t.post(func() { done(rep, err) }) })
}

func (t loopTransport) TimeoutNow(to raft.NodeID, a raft.TimeoutNowArgs, done func(raft.TimeoutNowReply, error)) {
	t.Transport.TimeoutNow(to, a, func(rep raft.TimeoutNowReply, err error) { t.post(func() { done(rep, err) }) })
}
