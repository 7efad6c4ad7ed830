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

// MaxOpenCalls bounds the unfinished calls to one server in one lane. The core has a
// handful open; who has more is told ErrBusy instead of filling memory.
const MaxOpenCalls = 256

// Options are the settings of a Client. A zero field means the default.
type Options struct {
	// CallTimeout is how long a pre-vote, an AppendEntries or a TimeoutNow waits for its
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
	// SnapshotTimeout is how long an InstallSnapshot, which carries one chunk, waits.
	// Default 10 s: a chunk of 1 MiB takes 8.4 s over a link of 1 Mbit/s, and then the
	// follower writes it to its disk. No election waits for it.
	SnapshotTimeout time.Duration
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
	}{
		{&o.CallTimeout, 200 * time.Millisecond},
		{&o.VoteTimeout, 5 * time.Second},
		{&o.ReadIndexTimeout, 500 * time.Millisecond},
		{&o.SnapshotTimeout, 10 * time.Second},
		{&o.DialTimeout, 2 * time.Second},
	} {
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
// it, and calls to one server arrive there in the order in which they were made. Only an
// InstallSnapshot is in order with others of its kind alone: it has a connection of its
// own, so that no heartbeat waits behind a chunk.
//
// done runs on a goroutine of the client. While it blocks, other calls to the same
// server make no progress, and Close waits for it.
type Client struct {
	me   Identity
	opts Options

	mu      sync.Mutex
	closed  bool
	members map[raft.NodeID]*member
	wg      sync.WaitGroup
}

// member is another server: a peer for each lane. Whatever happens to one leaves the
// other alone.
type member struct {
	calls     *peer
	snapshots *peer // nil before the first chunk; few members ever get one
}

func (m *member) close(cause error) {
	m.calls.close(cause)
	if m.snapshots != nil {
		m.snapshots.close(cause)
	}
}

var _ replica.Transport = (*Client)(nil)

// NewClient makes a client that speaks for me. It knows nobody before Configure.
func NewClient(me Identity, opts Options) *Client {
	return &Client{me: me, opts: opts.withDefaults(), members: make(map[raft.NodeID]*member)}
}

// Configure tells who the members are and where. A member with a new address gets a
// new connection, one that is gone is hung up on, in both lanes; the calls that are open to
// either end with an error.
func (c *Client) Configure(cfg raft.Configuration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	for id, m := range c.members {
		now, stays := cfg.Member(id)
		if stays && now.RaftAddr == m.calls.addr {
			continue
		}
		delete(c.members, id)
		if stays {
			m.close(errReplace)
		} else {
			m.close(ErrUnknown)
		}
	}
	for _, m := range cfg.Members {
		if m.ID != c.me.Self && c.members[m.ID] == nil {
			c.members[m.ID] = &member{calls: c.startPeer(m.ID, m.RaftAddr, laneCalls)}
		}
	}
}

// RequestVote asks a server for its vote.
func (c *Client) RequestVote(to raft.NodeID, a raft.RequestVoteArgs, done func(raft.RequestVoteReply, error)) {
	timeout := c.opts.VoteTimeout
	if a.PreVote {
		timeout = c.opts.CallTimeout
	}
	call := newCall(kindRequestVoteArgs, a, EncodeRequestVoteArgs, DecodeRequestVoteReply, done)
	c.make(to, laneCalls, call, timeout)
}

// AppendEntries sends a server entries, or a heartbeat.
func (c *Client) AppendEntries(to raft.NodeID, a raft.AppendEntriesArgs, done func(raft.AppendEntriesReply, error)) {
	call := newCall(kindAppendEntriesArgs, a, EncodeAppendEntriesArgs, DecodeAppendEntriesReply, done)
	c.make(to, laneCalls, call, c.opts.CallTimeout)
}

// InstallSnapshot sends a server a chunk of a snapshot, on a connection of its own. It
// is made for the first chunk and closed when there has been none for snapshotIdle.
func (c *Client) InstallSnapshot(to raft.NodeID, a raft.InstallSnapshotArgs, done func(raft.InstallSnapshotReply, error)) {
	call := newCall(kindInstallSnapshotArgs, a, EncodeInstallSnapshotArgs, DecodeInstallSnapshotReply, done)
	c.make(to, laneSnapshots, call, c.opts.SnapshotTimeout)
}

// TimeoutNow asks a server to start an election at once.
func (c *Client) TimeoutNow(to raft.NodeID, a raft.TimeoutNowArgs, done func(raft.TimeoutNowReply, error)) {
	call := newCall(kindTimeoutNowArgs, a, EncodeTimeoutNowArgs, DecodeTimeoutNowReply, done)
	c.make(to, laneCalls, call, c.opts.CallTimeout)
}

// ReadIndex asks the leader for an index from which a read may be served.
func (c *Client) ReadIndex(to raft.NodeID, a raft.ReadIndexArgs, done func(raft.ReadIndexReply, error)) {
	call := newCall(kindReadIndexArgs, a, EncodeReadIndexArgs, DecodeReadIndexReply, done)
	c.make(to, laneCalls, call, c.opts.ReadIndexTimeout)
}

// make gives a call to its peer, or ends it with an error. That takes a goroutine:
// the callback must not run inside the call. It is rare.
func (c *Client) make(to raft.NodeID, l lane, call call, timeout time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	m, err := c.members[to], error(nil)
	switch {
	case c.closed:
		go call.finish(ErrClosed) // not waited for: Close has returned, or waits already
		return
	case to == c.me.Self:
		err = ErrSelf
	case m == nil:
		err = ErrUnknown
	case l == laneSnapshots:
		if m.snapshots == nil {
			m.snapshots = c.startPeer(to, m.calls.addr, laneSnapshots)
		}
		err = m.snapshots.enqueue(call, timeout)
	default:
		err = m.calls.enqueue(call, timeout)
	}
	if err != nil {
		c.wg.Go(func() { call.finish(err) })
	}
}

// Reachable says whether there is a connection to a member that has welcomed us and
// has not let a deadline pass since it was last heard. Connections are made for
// calls: a member that nobody called is not reachable. The connection for snapshots does
// not count.
func (c *Client) Reachable(id raft.NodeID) bool {
	p := c.peer(id)
	return p != nil && p.reachable()
}

// peer is the one for calls.
func (c *Client) peer(id raft.NodeID) *peer {
	c.mu.Lock()
	defer c.mu.Unlock()
	if m := c.members[id]; m != nil {
		return m.calls
	}
	return nil
}

// Close ends all open calls with ErrClosed and waits until the client's goroutines
// are gone. A call made afterwards ends with ErrClosed.
func (c *Client) Close() {
	c.mu.Lock()
	c.closed = true
	for id, m := range c.members {
		delete(c.members, id)
		m.close(ErrClosed)
	}
	c.mu.Unlock()
	c.wg.Wait()
}
