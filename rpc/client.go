package rpc

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"time"

	"dbdb/raft"
	"dbdb/raft/replica"
)

// MaxOpenCalls bounds the unfinished calls to one server. The core has a handful
// open; who has more is told ErrBusy instead of filling memory.
const MaxOpenCalls = 256

// Options are the settings of a Client. A zero field means the default.
type Options struct {
	// CallTimeout is how long a pre-vote or an AppendEntries waits for its
	// reply. Default 200 ms: the shortest election timeout. No call then outlives the
	// election that it was made for, and a leader whose calls fail knows it before
	// its peers may campaign. A longer one would hold places in the leader's window for
	// a peer that hangs; a shorter one would call a slow fsync a failure.
	CallTimeout time.Duration
	// VoteTimeout is how long a RequestVote that is no pre-vote waits. Default 5 s: the
	// voter answers when its vote is durable, and on a disk that takes longer than
	// CallTimeout no election would ever end. A late vote is harmless, as it counts
	// in its own term only.
	VoteTimeout time.Duration
	// ReadIndexTimeout is how long a ReadIndex waits. Default 500 ms: the leader asks
	// a majority first, and a failed read only makes a client ask again.
	ReadIndexTimeout time.Duration
	// DialTimeout bounds name lookup, connection and hello. Default 2 s: TCP repeats
	// a lost first packet after 1 s.
	DialTimeout time.Duration
	// Dial opens a connection to a member's RaftAddr. The default is TCP, which looks
	// the name up each time: a container that restarts has another address.
	Dial func(ctx context.Context, addr string) (net.Conn, error)
	// Logger is told when a member becomes reachable and when it ceases to be.
	// Default slog.Default().
	Logger *slog.Logger
}

func (o Options) withDefaults() Options {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{{&o.CallTimeout, 200 * time.Millisecond}, {&o.VoteTimeout, 5 * time.Second}, {&o.ReadIndexTimeout, 500 * time.Millisecond}, {&o.DialTimeout, 2 * time.Second}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if o.Dial == nil {
		o.Dial = func(ctx context.Context, addr string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "tcp", addr)
		}
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o
}

// Client makes Raft's calls to other servers. It is a replica.Transport: no method
// blocks, every done is called exactly once and never inside the call that was given
// it, and calls to one server arrive there in the order in which they were made.
//
// done runs on a goroutine of the client. While it blocks, other calls to the same
// server make no progress, and Close waits for it.
type Client struct {
	me   Identity
	opts Options

	mu     sync.Mutex
	closed bool
	peers  map[raft.NodeID]*peer
	wg     sync.WaitGroup
}

var _ replica.Transport = (*Client)(nil)

// NewClient makes a client that speaks for me. It knows nobody before Configure.
func NewClient(me Identity, opts Options) *Client {
	return &Client{me: me, opts: opts.withDefaults(), peers: make(map[raft.NodeID]*peer)}
}

// Configure tells who the members are and where. A member with a new address gets a
// new connection, one that is gone is hung up on; the calls that are open to
// either end with an error.
func (c *Client) Configure(cfg raft.Configuration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	for id, p := range c.peers {
		m, member := cfg.Member(id)
		if member && m.RaftAddr == p.addr {
			continue
		}
		delete(c.peers, id)
		if member {
			p.close(errReplace)
		} else {
			p.close(ErrUnknown)
		}
	}
	for _, m := range cfg.Members {
		if m.ID != c.me.Self && c.peers[m.ID] == nil {
			c.peers[m.ID] = c.startPeer(m)
		}
	}
}

// RequestVote asks a server for its vote.
func (c *Client) RequestVote(to raft.NodeID, a raft.RequestVoteArgs, done func(raft.RequestVoteReply, error)) {
	timeout := c.opts.VoteTimeout
	if a.PreVote {
		timeout = c.opts.CallTimeout
	}
	c.make(to, requestVoteCall(a, done), timeout)
}

// AppendEntries sends a server entries, or a heartbeat.
func (c *Client) AppendEntries(to raft.NodeID, a raft.AppendEntriesArgs, done func(raft.AppendEntriesReply, error)) {
	c.make(to, appendEntriesCall(a, done), c.opts.CallTimeout)
}

// ReadIndex asks the leader for an index from which a read may be served.
func (c *Client) ReadIndex(to raft.NodeID, a raft.ReadIndexArgs, done func(raft.ReadIndexReply, error)) {
	c.make(to, readIndexCall(a, done), c.opts.ReadIndexTimeout)
}

// make gives a call to its peer, or ends it with an error. That takes a goroutine:
// the callback must not run inside the call. It is rare.
func (c *Client) make(to raft.NodeID, call call, timeout time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, err := c.peers[to], error(nil)
	switch {
	case c.closed:
		go call.finish(ErrClosed) // not waited for: Close has returned, or waits already
		return
	case to == c.me.Self:
		err = ErrSelf
	case p == nil:
		err = ErrUnknown
	default:
		err = p.enqueue(call, timeout)
	}
	if err != nil {
		c.wg.Go(func() { call.finish(err) })
	}
}

// Reachable says whether there is a connection to a member that has welcomed us and
// has not let a deadline pass since it was last heard. Connections are made for
// calls: a member that nobody called is not reachable.
func (c *Client) Reachable(id raft.NodeID) bool {
	p := c.peer(id)
	return p != nil && p.reachable()
}

func (c *Client) peer(id raft.NodeID) *peer {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.peers[id]
}

// Close ends all open calls with ErrClosed and waits until the client's goroutines
// are gone. A call made afterwards ends with ErrClosed.
func (c *Client) Close() {
	c.mu.Lock()
	c.closed = true
	for id, p := range c.peers {
		delete(c.peers, id)
		p.close(ErrClosed)
	}
	c.mu.Unlock()
	c.wg.Wait()
}

// InstallSnapshot will be replaced.
func (c *Client) InstallSnapshot(_ raft.NodeID, _ raft.InstallSnapshotArgs, done func(raft.InstallSnapshotReply, error)) {
	done(raft.InstallSnapshotReply{}, ErrUnknown)
}

// TimeoutNow will be replaced.
func (c *Client) TimeoutNow(_ raft.NodeID, _ raft.TimeoutNowArgs, done func(raft.TimeoutNowReply, error)) {
	done(raft.TimeoutNowReply{}, ErrUnknown)
}
