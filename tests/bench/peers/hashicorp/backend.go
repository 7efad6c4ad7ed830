package main

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"dbdb/httpapi"
	dbdb "dbdb/raft"
)

// applyTimeout is how long a command may wait for a place in the queue; dbdb's own deadline.
const applyTimeout = 5 * time.Second

// backend is hashicorp/raft behind dbdb's HTTP API. Removal, hand-over and how far the
// others are: nothing that is measured asks for them.
type backend struct {
	httpapi.Backend
	raft *raft.Raft
	self dbdb.NodeID

	// members is read for every request, and hashicorp/raft copies it each time.
	members atomic.Pointer[dbdb.Configuration]
	// barrier is the newest term in which this leader has applied all that is older.
	barrier atomic.Uint64
}

const lookAtMembers = 20 * time.Millisecond

func newBackend(r *raft.Raft, self raft.ServerID) *backend {
	b := &backend{raft: r, self: nodeID(self)}
	b.look()
	go func() {
		for range time.Tick(lookAtMembers) {
			b.look()
		}
	}()
	return b
}

// look takes a new copy of the members.
func (b *backend) look() {
	var c dbdb.Configuration
	for _, s := range b.raft.GetConfiguration().Configuration().Servers {
		m := dbdb.Member{ID: nodeID(s.ID), RaftAddr: string(s.Address), HTTPAddr: httpAddr(s.ID)}
		if s.Suffrage == raft.Voter {
			m.Role = dbdb.Voter
		}
		c.Members = append(c.Members, m)
	}
	b.members.Store(&c)
}

var states = map[raft.RaftState]dbdb.State{
	raft.Leader: dbdb.Leader, raft.Candidate: dbdb.Candidate, raft.Follower: dbdb.Follower, raft.Shutdown: dbdb.Follower,
}

func (b *backend) Info() httpapi.Info {
	_, leader := b.raft.LeaderWithID()
	i := httpapi.Info{
		Name: b.self.Name(), ID: b.self, Cluster: "ba5e",
		State: states[b.raft.State()], Term: dbdb.Term(b.raft.CurrentTerm()), Leader: nodeID(leader),
		CommitIndex: dbdb.Index(b.raft.CommitIndex()), AppliedIndex: dbdb.Index(b.raft.AppliedIndex()),
		LastIndex: dbdb.Index(b.raft.LastIndex()), Configuration: *b.members.Load(),
	}
	if i.State != dbdb.Leader {
		i.LeaderContact = time.Since(b.raft.LastContact())
	}
	return i
}

func (b *backend) Apply(_ context.Context, cmd []byte) (httpapi.Result, error) {
	f := b.raft.Apply(cmd, applyTimeout)
	if err := f.Error(); err != nil {
		return httpapi.Result{}, translate(err)
	}
	value, _ := f.Response().([]byte)
	return httpapi.Result{Index: dbdb.Index(f.Index()), Term: dbdb.Term(b.raft.CurrentTerm()), Value: value}, nil
}

// Read asks a majority whether this server still leads. A new leader must first have
// applied what its predecessors committed, which the library leaves to its user.
func (b *backend) Read(context.Context) error {
	term := b.raft.CurrentTerm()
	if b.barrier.Load() < term {
		if err := b.raft.Barrier(applyTimeout).Error(); err != nil {
			return httpapi.ErrNoLeader
		}
		b.barrier.Store(term)
	}
	if b.raft.VerifyLeader().Error() != nil {
		return httpapi.ErrNoLeader
	}
	return nil
}

func (b *backend) AddLearner(_ context.Context, m dbdb.Member) error {
	return translate(b.raft.AddVoter(serverID(m.ID, m.HTTPAddr), raft.ServerAddress(m.RaftAddr), 0, applyTimeout).Error())
}

func (b *backend) Progress(context.Context) ([]httpapi.Progress, error) { return nil, nil }

// Reachable is not known. To be counted as there only makes messages shorter.
func (b *backend) Reachable(dbdb.NodeID) bool { return true }

// translate gives the library's errors the names that the API knows. What is not certain
// not to have happened is unknown.
func translate(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, raft.ErrNotLeader):
		return httpapi.ErrNotLeader
	case errors.Is(err, raft.ErrLeadershipTransferInProgress):
		return httpapi.ErrNotLeader
	case errors.Is(err, raft.ErrEnqueueTimeout):
		return httpapi.ErrTimeout
	}
	return httpapi.ErrOutcomeUnknown
}
