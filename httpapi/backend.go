package httpapi

import (
	"context"
	"errors"
	"fmt"
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

	// RemoveServer returns nil once a configuration without id is committed. Errors as
	// for Apply, and ErrConfigurationBusy, ErrUnknownMember and ErrLastVoter.
	RemoveServer(ctx context.Context, id raft.NodeID) error

	// TransferLeadership hands the leadership over to another voter, or to the one that
	// suits best if to is empty. It returns nil once this node does not lead any more;
	// ErrNotLeader if it did not lead, ErrNoTransfer if it still does and goes on, and
	// ErrOutcomeUnknown if the other one was told to lead and may still do so.
	TransferLeadership(ctx context.Context, to raft.NodeID) error

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
	ErrUnknownMember     = errors.New("no such member")
	ErrLastVoter         = errors.New("the only voter cannot be removed")
	ErrNoTransfer        = errors.New("the leadership was not handed over")
	ErrStopped           = errors.New("this node is stopping")
	ErrOutcomeUnknown    = errors.New("the outcome is unknown")
)

// errRemoved means that this node was a member and is none any more. Nothing was done.
var errRemoved = errors.New("this node was removed")

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
	LeaderCommit  raft.Index // how far the cluster has committed, as far as this node was told
	AppliedIndex  raft.Index
	LastIndex     raft.Index
	SnapshotIndex raft.Index // where the snapshot in force ends; 0 if there is none
	Configuration raft.Configuration
	// RemovedAt is the index of the configuration that removed this node; 0 if it is a
	// member, or was never one.
	RemovedAt raft.Index
	TookPart  bool // as a member, since the start
	// Receiving says how much of the leader's snapshot has arrived; zero if none comes.
	Receiving raft.Transferred
	// LeaderContact is how long ago the leader was heard from; 0 on the leader.
	LeaderContact time.Duration
}

// leads says whether the node believes that it is the leader.
func (i Info) leads() bool { return i.State == raft.Leader }

// removed says whether the node was removed. A leader that removes itself still leads
// until that is committed.
func (i Info) removed() bool { return i.RemovedAt != 0 && !i.leads() }

// removal is the sentence for a node that was removed.
func (i Info) removal() string { return fmt.Sprintf("%s was removed at index %d", i.Name, i.RemovedAt) }

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
	// Snapshot says how much of a snapshot it has; zero if it is sent none.
	Snapshot raft.Transferred
}
