package main

import (
	"context"
	"log/slog"
	"time"

	"dbdb/raft"
	"dbdb/raft/wal"
	"dbdb/rpc"
)

// twinTimeout is how long a twin may take to answer.
const twinTimeout = time.Second

// refuseTwin refuses to start a member at a new address while somebody answers under
// its identity at the old one. The data directory was copied then, and two processes
// would vote and acknowledge as one server: each keeps its promises, and together they
// elect two leaders in one term. A lock tells only of processes with the same directory.
func (p *process) refuseTwin(ctx context.Context, id wal.Identity, c raft.Configuration) error {
	m, known := c.Member(id.NodeID())
	if !known || !p.moved(m) || !answersAs(ctx, id, m.RaftAddr) {
		return nil
	}
	return exit(exitData, "%s runs already, at %s, with a copy of data directory %s: stop it first, or delete this copy and start a node with another name",
		m.Name(), m.RaftAddr, p.o.dataDir)
}

// answersAs says whether a server with this identity is at addr. It asks as a stranger of
// the same cluster: a server does not talk to itself. The question is a pre-vote that
// nobody can grant, which changes nothing.
func answersAs(ctx context.Context, id wal.Identity, addr string) bool {
	stranger := raft.NewNodeID(id.Node, "stranger")
	client := rpc.NewClient(rpc.Identity{Cluster: id.Cluster, Self: stranger},
		rpc.Options{CallTimeout: twinTimeout, DialTimeout: twinTimeout, Logger: slog.New(slog.DiscardHandler)})
	defer client.Close()
	client.Configure(raft.Configuration{Members: []raft.Member{{ID: id.NodeID(), RaftAddr: addr}}})
	answer := make(chan error, 1)
	client.RequestVote(id.NodeID(), raft.RequestVoteArgs{Term: 1, CandidateID: stranger, PreVote: true},
		func(_ raft.RequestVoteReply, err error) { answer <- err })
	select {
	case err := <-answer:
		return err == nil
	case <-ctx.Done():
		return false
	}
}
