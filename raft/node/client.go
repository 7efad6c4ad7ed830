package node

import (
	"context"
	"errors"
	"sync/atomic"

	"dbdb/raft"
	"dbdb/raft/replica"
)

// What can be wrong with a request. All but ErrOutcomeUnknown mean that it was not
// carried out and will not be.
var (
	ErrNotLeader         = replica.ErrNotLeader
	ErrNoLeader          = replica.ErrNoLeader
	ErrBusy              = replica.ErrBusy
	ErrConfigurationBusy = replica.ErrConfigurationBusy
	ErrBadMember         = replica.ErrBadMember
	ErrUnknownMember     = replica.ErrUnknownMember
	ErrLastVoter         = replica.ErrLastVoter
	ErrNoTransfer        = replica.ErrNoTransfer
	ErrStopped           = replica.ErrStopped
	// ErrOutcomeUnknown: the request is in a log, and may or may not be carried out.
	ErrOutcomeUnknown = replica.ErrOutcomeUnknown
	// ErrTimeout: the context ended before the request was taken up.
	ErrTimeout = errors.New("node: the request was not taken up in time")
)

// Result is what became of a command.
type Result = replica.Result

// Apply has a command replicated, committed and applied, and returns what the state
// machine made of it. Only the leader does that; others return ErrNotLeader.
func (n *Node) Apply(ctx context.Context, cmd []byte) (Result, error) {
	return request(ctx, n, ErrOutcomeUnknown, func(done func(Result, error)) { n.replica.Propose(cmd, done) })
}

// Read returns nil when the local state machine holds every write that was
// acknowledged before the call: from then on a read of it is linearizable. It works
// on every server that can reach a leader.
func (n *Node) Read(ctx context.Context) error {
	_, err := request(ctx, n, ErrNoLeader, func(done func(struct{}, error)) {
		n.replica.Read(func(err error) { done(struct{}{}, err) })
	})
	return err
}

// AddLearner has a server added to the cluster; see raft.AddLearner. It returns
// when the configuration with it is committed.
func (n *Node) AddLearner(ctx context.Context, m raft.Member) error {
	_, err := request(ctx, n, ErrOutcomeUnknown, func(done func(struct{}, error)) {
		n.replica.AddLearner(m, func(err error) { done(struct{}{}, err) })
	})
	return err
}

// RemoveServer has a member removed from the cluster; see raft.RemoveServer. It
// returns when the configuration without it is committed.
func (n *Node) RemoveServer(ctx context.Context, id raft.NodeID) error {
	_, err := request(ctx, n, ErrOutcomeUnknown, func(done func(struct{}, error)) {
		n.replica.RemoveServer(id, func(err error) { done(struct{}{}, err) })
	})
	return err
}

// TransferLeadership hands the leadership over to another voter, or to the one that
// suits best if to is empty. It returns nil once this server does not lead any more.
func (n *Node) TransferLeadership(ctx context.Context, to raft.NodeID) error {
	_, err := request(ctx, n, ErrOutcomeUnknown, func(done func(struct{}, error)) {
		n.replica.TransferLeadership(to, func(err error) { done(struct{}{}, err) })
	})
	return err
}

// pending is a request between a client and the loop. Who takes it first decides:
// once the loop has it, a client that gives up cannot know the outcome.
type pending[T any] struct {
	taken atomic.Bool
	reply chan answer[T]
}

type answer[T any] struct {
	value T
	err   error
}

// request runs start on the loop and waits for its answer. If ctx ends first, the
// error is ErrTimeout while start has not run, and late after that.
func request[T any](ctx context.Context, n *Node, late error, start func(done func(T, error))) (T, error) {
	var none T
	defer n.clients.Add(-1)
	if n.clients.Add(1) > int64(n.cfg.InboxSize) {
		return none, ErrBusy
	}
	p := &pending[T]{reply: make(chan answer[T], 1)}
	accepted := n.inbox.put(func() {
		if p.taken.CompareAndSwap(false, true) {
			start(func(value T, err error) { p.reply <- answer[T]{value, err} })
		}
	})
	if !accepted {
		return none, ErrStopped
	}
	select {
	case a := <-p.reply:
		return a.value, a.err
	case <-ctx.Done():
		if p.taken.CompareAndSwap(false, true) {
			return none, ErrTimeout
		}
		select {
		case a := <-p.reply: // both were ready, and the answer is the better one
			return a.value, a.err
		default:
			return none, late
		}
	}
}
