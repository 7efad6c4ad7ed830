package main

import (
	"context"
	"errors"
	"sync/atomic"

	"dbdb/httpapi"
	"dbdb/raft"
	"dbdb/raft/node"
	"dbdb/rpc"
)

// backend is the node behind the HTTP API, which is served before there is one.
type backend struct {
	name   string
	waits  atomic.Pointer[string]     // see waitFor
	member atomic.Pointer[membership] // nil until this node belongs to a cluster
}

// membership is a running node of a cluster.
type membership struct {
	cluster string
	node    *node.Node
	peers   *rpc.Client
}

func newBackend(name string) *backend {
	b := &backend{name: name}
	b.waitFor(name + " is starting")
	return b
}

// waitFor says, to whoever asks, why this node belongs to no cluster yet.
func (b *backend) waitFor(what string) { b.waits.Store(&what) }

var _ httpapi.Backend = (*backend)(nil)

func (b *backend) Info() httpapi.Info {
	m := b.member.Load()
	if m == nil {
		return httpapi.Info{Name: b.name, Waits: *b.waits.Load()}
	}
	i := m.node.Info()
	return httpapi.Info{
		Name: b.name, ID: i.ID, Cluster: m.cluster,
		State: i.State, Term: i.Term, Leader: i.Leader,
		CommitIndex: i.CommitIndex, LeaderCommit: i.LeaderCommit, AppliedIndex: i.AppliedIndex, LastIndex: i.LastIndex,
		SnapshotIndex: i.SnapshotIndex, Configuration: i.Configuration, RemovedAt: i.RemovedAt, TookPart: i.TookPart,
		Receiving: i.Receiving, LeaderContact: i.LeaderContact,
	}
}

func (b *backend) Apply(ctx context.Context, cmd []byte) (httpapi.Result, error) {
	m := b.member.Load()
	if m == nil {
		return httpapi.Result{}, httpapi.ErrNotMember
	}
	r, err := m.node.Apply(ctx, cmd)
	return httpapi.Result{Index: r.Index, Term: r.Term, Value: r.Value}, translate(err)
}

func (b *backend) Read(ctx context.Context) error {
	m := b.member.Load()
	if m == nil {
		return httpapi.ErrNotMember
	}
	return translate(m.node.Read(ctx))
}

func (b *backend) AddLearner(ctx context.Context, learner raft.Member) error {
	m := b.member.Load()
	if m == nil {
		return httpapi.ErrNotMember
	}
	return translate(m.node.AddLearner(ctx, learner))
}

func (b *backend) RemoveServer(ctx context.Context, id raft.NodeID) error {
	m := b.member.Load()
	if m == nil {
		return httpapi.ErrNotMember
	}
	return translate(m.node.RemoveServer(ctx, id))
}

func (b *backend) TransferLeadership(ctx context.Context, to raft.NodeID) error {
	m := b.member.Load()
	if m == nil {
		return httpapi.ErrNotMember
	}
	return translate(m.node.TransferLeadership(ctx, to))
}

func (b *backend) Progress(ctx context.Context) ([]httpapi.Progress, error) {
	m := b.member.Load()
	if m == nil {
		return nil, nil
	}
	st, err := m.node.Status(ctx)
	if err != nil {
		return nil, translate(err)
	}
	var progress []httpapi.Progress
	for _, p := range st.Peers {
		progress = append(progress, httpapi.Progress{ID: p.ID, MatchIndex: p.MatchIndex, NextIndex: p.NextIndex, Snapshot: p.Snapshot})
	}
	return progress, nil
}

func (b *backend) Reachable(id raft.NodeID) bool {
	m := b.member.Load()
	return m != nil && m.peers.Reachable(id)
}

// translation gives the node's errors the names that the API knows.
var translation = []struct{ from, to error }{
	{node.ErrNotLeader, httpapi.ErrNotLeader},
	{node.ErrNoLeader, httpapi.ErrNoLeader},
	{node.ErrBusy, httpapi.ErrBusy},
	{node.ErrTimeout, httpapi.ErrTimeout},
	{node.ErrBadMember, httpapi.ErrBadMember},
	{node.ErrConfigurationBusy, httpapi.ErrConfigurationBusy},
	{node.ErrUnknownMember, httpapi.ErrUnknownMember},
	{node.ErrLastVoter, httpapi.ErrLastVoter},
	{node.ErrNoTransfer, httpapi.ErrNoTransfer},
	{node.ErrStopped, httpapi.ErrStopped},
	{node.ErrOutcomeUnknown, httpapi.ErrOutcomeUnknown},
}

func translate(err error) error {
	if err == nil {
		return nil
	}
	for _, t := range translation {
		if errors.Is(err, t.from) {
			return t.to
		}
	}
	return err
}
