package rpc

import (
	"bufio"
	"context"
	"hash/crc32"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dbdb/raft"
)

const (
	n1 raft.NodeID = "node1.aaaaaa"
	n2 raft.NodeID = "node2.bbbbbb"
	n3 raft.NodeID = "node3.cccccc"

	testCluster = "3f2a77d0c1"
)

func identity(id raft.NodeID) Identity { return Identity{Cluster: testCluster, Self: id} }

var discard = slog.New(slog.DiscardHandler)

// answering is a Handler that answers every call at once.
type answering struct{}

func (answering) RequestVote(a raft.RequestVoteArgs, done func(raft.RequestVoteReply)) {
	done(raft.RequestVoteReply{Term: a.Term, VoteGranted: true})
}

func (answering) AppendEntries(a raft.AppendEntriesArgs, done func(raft.AppendEntriesReply)) {
	done(raft.AppendEntriesReply{Term: a.Term, Success: true})
}

func (answering) InstallSnapshot(a raft.InstallSnapshotArgs, done func(raft.InstallSnapshotReply)) {
	done(raft.InstallSnapshotReply{Term: a.Term, Offset: a.Offset + uint64(len(a.Data)), Installed: a.Done})
}

func (answering) TimeoutNow(a raft.TimeoutNowArgs, done func(raft.TimeoutNowReply)) {
	done(raft.TimeoutNowReply{Term: a.Term})
}

func (answering) ReadIndex(_ raft.ReadIndexArgs, done func(raft.ReadIndexReply)) {
	done(raft.ReadIndexReply{Success: true, Index: 7})
}

// handlerFunc answers an AppendEntries as it likes and the other calls at once.
type handlerFunc func(a raft.AppendEntriesArgs, done func(raft.AppendEntriesReply))

func (handlerFunc) RequestVote(a raft.RequestVoteArgs, done func(raft.RequestVoteReply)) {
	answering{}.RequestVote(a, done)
}

func (f handlerFunc) AppendEntries(a raft.AppendEntriesArgs, done func(raft.AppendEntriesReply)) {
	f(a, done)
}

func (handlerFunc) InstallSnapshot(a raft.InstallSnapshotArgs, done func(raft.InstallSnapshotReply)) {
	answering{}.InstallSnapshot(a, done)
}

func (handlerFunc) TimeoutNow(a raft.TimeoutNowArgs, done func(raft.TimeoutNowReply)) {
	answering{}.TimeoutNow(a, done)
}

func (handlerFunc) ReadIndex(a raft.ReadIndexArgs, done func(raft.ReadIndexReply)) {
	answering{}.ReadIndex(a, done)
}

// network is a listener and a dialler that are joined by net.Pipe: it needs no
// time, so a test under synctest sees only the waits of the code.
type network struct {
	accept chan net.Conn
	closed chan struct{}
	once   sync.Once
	mu     sync.Mutex
	dials  int
}

func newNetwork() *network {
	return &network{accept: make(chan net.Conn), closed: make(chan struct{})}
}

func (n *network) Dial(ctx context.Context, _ string) (net.Conn, error) {
	n.mu.Lock()
	n.dials++
	n.mu.Unlock()
	near, far := net.Pipe()
	select {
	case n.accept <- far:
		return near, nil
	case <-n.closed:
		return nil, io.ErrClosedPipe
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (n *network) dialled() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.dials
}

func (n *network) Accept() (net.Conn, error) {
	select {
	case conn := <-n.accept:
		return conn, nil
	case <-n.closed:
		return nil, net.ErrClosed
	}
}

func (n *network) Close() error {
	n.once.Do(func() { close(n.closed) })
	return nil
}

func (n *network) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

// serve runs a server of node2 on a listener until the end of the test.
func serve(t testing.TB, l net.Listener, h Handler) *Server {
	s := NewServer(identity(n2), h, discard)
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.Serve(l); err != nil {
			panic(err)
		}
	})
	t.Cleanup(func() {
		s.Close()
		wg.Wait()
	})
	return s
}

func listenTCP(t testing.TB) net.Listener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	return l
}

// members makes a configuration of node1, which the tests' client is, and of
// node2 at an address.
func members(addr string) raft.Configuration {
	return raft.Configuration{Members: []raft.Member{
		{ID: n1, Role: raft.Voter, RaftAddr: "127.0.0.1:1"},
		{ID: n2, Role: raft.Voter, RaftAddr: addr},
	}}
}

// patient is for the tests in real time: a slow machine must not look like a slow peer.
var patient = Options{CallTimeout: time.Minute, VoteTimeout: time.Minute, ReadIndexTimeout: time.Minute, SnapshotTimeout: time.Minute, DialTimeout: time.Minute, Logger: discard}

// newClient makes a client of node1 that knows node2, until the end of the test.
func newClient(t testing.TB, addr string, opts Options) *Client {
	if opts.Logger == nil {
		opts.Logger = discard
	}
	c := NewClient(identity(n1), opts)
	t.Cleanup(c.Close)
	c.Configure(members(addr))
	return c
}

// outcome is how an AppendEntries ended.
type outcome struct {
	reply raft.AppendEntriesReply
	err   error
	at    time.Time
}

// appendEntries makes a call and returns where its outcome will be.
func appendEntries(c *Client, to raft.NodeID, a raft.AppendEntriesArgs) <-chan outcome {
	out := make(chan outcome, 2) // room for a second answer, which would be a bug
	c.AppendEntries(to, a, func(r raft.AppendEntriesReply, err error) { out <- outcome{r, err, time.Now()} })
	return out
}

func heartbeat() raft.AppendEntriesArgs { return raft.AppendEntriesArgs{Term: 1, LeaderID: n1} }

// call makes one heartbeat and waits for its outcome.
func callOnce(c *Client) error { return (<-appendEntries(c, n2, heartbeat())).err }

// stranger is a raw connection to a server.
type stranger struct {
	t testing.TB
	net.Conn
	in *bufio.Reader
}

func connect(t testing.TB, addr string) *stranger {
	conn, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	return newStranger(t, conn)
}

func newStranger(t testing.TB, conn net.Conn) *stranger {
	t.Cleanup(func() { conn.Close() })
	return &stranger{t, conn, bufio.NewReader(conn)}
}

// greet says hello as a peer and waits for the welcome.
func (s *stranger) greet(from raft.NodeID) {
	s.t.Helper()
	s.greetFor(from, laneCalls)
}

func (s *stranger) greetFor(from raft.NodeID, l lane) {
	s.t.Helper()
	require.NoError(s.t, sendHello(s.Conn, s.in, identity(from), n2, l))
}

// sendFrame sends a frame with a right checksum, whatever its payload.
func (s *stranger) sendFrame(k kind, seq uint64, payload []byte) {
	s.t.Helper()
	buf, err := endFrame(append(beginFrame(nil, k, seq), payload...), 0)
	require.NoError(s.t, err)
	_, err = s.Write(buf)
	require.NoError(s.t, err)
}

// reply reads the next frame from the server.
func (s *stranger) reply() (frame, error) {
	r := frameReader{conn: s.Conn, in: s.in, limit: maxReplyBytes}
	return r.next()
}

// requireClosed waits until the server has closed the connection.
func (s *stranger) requireClosed() {
	s.t.Helper()
	_, _ = io.Copy(io.Discard, s.in) // a reset is a close, too
	_, err := s.in.ReadByte()
	require.Error(s.t, err)
}

func crcOf(data []byte) uint32 { return crc32.Checksum(data, castagnoli) }

// lastError is why a peer is not reachable, nil if it is or was never called.
func lastError(c *Client, id raft.NodeID) error {
	p := c.peer(id)
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lastErr
}
