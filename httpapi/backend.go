package httpapi

import (
	"context"
	"errors"
	"time"

	"dbdb/raft"
)

// Backend is the node behind the API. It also stands for a process that is no
// member of any cluster yet: HTTP is served from the start, so that an operator
// can ask a node what it waits for.
type Backend interface {
	// Info is cheap and never blocks: it is called for every request.
	Info() Info

	// Apply puts a command into the log and waits until it is applied on this
	// node. It fails with one of the errors below, ErrNotLeader unless
	// this node leads.
	Apply(ctx context.Context, cmd []byte) (Result, error)

	// Read returns nil once the local state may be read linearizably. Every node
	// can do it; it gives up with ErrNoLeader.
	Read(ctx context.Context) error

	// AddLearner returns nil once a configuration that holds m is committed. For a
	// member that is there already it updates the addresses. Errors as for Apply, and
	// ErrConfigurationBusy.
	AddLearner(ctx context.Context, m raft.Member) error

	// Progress asks the node's loop how far the other members are; only a leader
	// knows. An error means that the loop does not answer.
	Progress(ctx context.Context) ([]Progress, error)

	// Reachable says whether the last attempt to talk to a member succeeded.
	Reachable(id raft.NodeID) bool
}

// What a Backend's methods can fail with, for errors.Is. All but ErrOutcomeUnknown
// mean: definitely not done.
var (
	ErrNotMember         = errors.New("this node belongs to no cluster yet")
	ErrNotLeader         = errors.New("this node is not the leader")
	ErrNoLeader          = errors.New("no leader is known")
	ErrBusy              = errors.New("too many requests are waiting")
	ErrTimeout           = errors.New("the deadline passed before anything was done")
	ErrBadMember         = errors.New("this node cannot be added")
	ErrConfigurationBusy = errors.New("another change of the configuration is in flight")
	ErrStopped           = errors.New("this node is stopping")
	ErrOutcomeUnknown    = errors.New("the outcome is unknown")
)

// Result says where a command is in the log.
type Result struct {
	Index raft.Index
	Term  raft.Term
	Value []byte // what the state machine returned
}

// Info is what a node knows at one moment, without asking anybody.
type Info struct {
	Name    string // the operator's --node-id
	ID      raft.NodeID
	Cluster string // "" while the node belongs to none
	Waits   string // what for, in a sentence, while it belongs to none

	State         raft.State
	Term          raft.Term
	Leader        raft.NodeID // "" when no leader is known
	CommitIndex   raft.Index
	AppliedIndex  raft.Index
	LastIndex     raft.Index
	Configuration raft.Configuration
	// LeaderContact is how long ago the leader was heard from; 0 on the leader.
	LeaderContact time.Duration
}

// leads says whether the node believes that it is the leader.
func (i Info) leads() bool { return i.State == raft.Leader }

// leader returns the member that leads, if it is known and is another one.
func (i Info) leader() (raft.Member, bool) {
	if i.Leader == "" || i.Leader == i.ID {
		return raft.Member{}, false
	}
	return i.Configuration.Member(i.Leader)
}

// Progress is a leader's view of one other member.
type Progress struct {
	ID         raft.NodeID
	MatchIndex raft.Index
	NextIndex  raft.Index
}
