package node

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbdb/raft"
)

// Nodes in a bubble of virtual time. The network between them is a function call
// after a delay; the disk is a slice.

type network struct {
	mu    sync.Mutex
	nodes map[raft.NodeID]*Node
	cut   map[raft.NodeID]bool
}

// call runs deliver on the other node, unless one of the two is cut off.
func (w *network) call(from, to raft.NodeID, deliver func(*Node), failed func(error)) {
	time.AfterFunc(time.Millisecond, func() {
		w.mu.Lock()
		n := w.nodes[to]
		down := n == nil || w.cut[from] || w.cut[to]
		w.mu.Unlock()
		if down {
			failed(errors.New("unreachable"))
			return
		}
		deliver(n)
	})
}

type endpoint struct {
	*network
	self raft.NodeID
}

func (e endpoint) Configure(raft.Configuration) {}

func (e endpoint) RequestVote(to raft.NodeID, a raft.RequestVoteArgs, done func(raft.RequestVoteReply, error)) {
	e.call(e.self, to, func(n *Node) { n.RequestVote(a, func(rep raft.RequestVoteReply) { done(rep, nil) }) },
		func(err error) { done(raft.RequestVoteReply{}, err) })
}

func (e endpoint) AppendEntries(to raft.NodeID, a raft.AppendEntriesArgs, done func(raft.AppendEntriesReply, error)) {
	e.call(e.self, to, func(n *Node) { n.AppendEntries(a, func(rep raft.AppendEntriesReply) { done(rep, nil) }) },
		func(err error) { done(raft.AppendEntriesReply{}, err) })
}

func (e endpoint) ReadIndex(to raft.NodeID, a raft.ReadIndexArgs, done func(raft.ReadIndexReply, error)) {
	e.call(e.self, to, func(n *Node) { n.ReadIndex(a, func(rep raft.ReadIndexReply) { done(rep, nil) }) },
		func(err error) { done(raft.ReadIndexReply{}, err) })
}

// memoryLog is a log whose fsync takes a while and may fail.
type memoryLog struct {
	mu     sync.Mutex
	frames [][]raft.Save
	marks  int
	err    error
	delay  time.Duration
}

func (l *memoryLog) Write(saves ...raft.Save) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.frames = append(l.frames, saves)
	return nil
}

func (l *memoryLog) Sync() error {
	l.mu.Lock()
	delay := l.delay
	l.mu.Unlock()
	time.Sleep(delay)
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

func (l *memoryLog) MarkIdle() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.marks++
	return l.err
}

// counter is a state machine. If it is slow, snapshots of it never end.
type counter struct {
	applied []string
	slow    atomic.Bool
}

func (c *counter) Apply(_ raft.Index, cmd []byte) []byte {
	c.applied = append(c.applied, string(cmd))
	return fmt.Append(nil, len(c.applied))
}

type cluster struct {
	network
	t        *testing.T
	logs     []*memoryLog
	machines []*counter
}

func startCluster(t *testing.T, size int, change func(*Config)) *cluster {
	c := &cluster{t: t, network: network{nodes: map[raft.NodeID]*Node{}, cut: map[raft.NodeID]bool{}}}
	var conf raft.Configuration
	for k := range size {
		conf.Members = append(conf.Members, raft.Member{ID: raft.NodeID(fmt.Sprintf("n%d", k+1)), Role: raft.Voter})
	}
	first := raft.Entry{Index: 1, Term: 1, Kind: raft.EntryConfiguration, Data: conf.Encode()}
	for k, m := range conf.Members {
		log, machine := &memoryLog{delay: time.Millisecond}, &counter{}
		c.logs, c.machines = append(c.logs, log), append(c.machines, machine)
		cfg := Config{
			Raft: raft.Config{ID: m.ID, Rand: rand.New(rand.NewPCG(uint64(k), 1))}, Log: log, Snapshots: &memorySnapshots{},
			Restored:  raft.Restored{Term: 1, Entries: []raft.Entry{first}},
			Transport: endpoint{&c.network, m.ID}, StateMachine: machine,
		}
		change(&cfg)
		n, err := Open(cfg)
		require.NoError(t, err)
		c.mu.Lock()
		c.nodes[m.ID] = n
		c.mu.Unlock()
	}
	return c
}

func (c *cluster) node(k int) *Node { return c.nodes[raft.NodeID(fmt.Sprintf("n%d", k))] }

func (c *cluster) close() {
	for k := range c.logs {
		_ = c.node(k + 1).Close()
	}
}

// leader waits for one leader that all reachable nodes follow.
func (c *cluster) leader() *Node {
	for range 1000 {
		for _, n := range c.nodes {
			if n.Info().State == raft.Leader && !c.cut[n.Info().ID] {
				return n
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	require.FailNow(c.t, "no leader within 10 s")
	return nil
}

func (c *cluster) follower() *Node {
	l := c.leader()
	for _, n := range c.nodes {
		if n != l {
			return n
		}
	}
	return nil
}

func (c *cluster) isolate(n *Node) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut[n.Info().ID] = true
}

func inBubble(t *testing.T, size int, test func(*testing.T, *cluster)) {
	inBubbleWith(t, size, func(*Config) {}, test)
}

// inBubbleWith changes the configuration of each node first.
func inBubbleWith(t *testing.T, size int, change func(*Config), test func(*testing.T, *cluster)) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, size, change)
		defer c.close()
		test(t, c)
	})
}

func TestACommandIsAppliedEverywhereAndReadAnywhere(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, c *cluster) {
		res, err := c.leader().Apply(t.Context(), []byte("x"))
		require.NoError(t, err)
		require.Equal(t, []byte("1"), res.Value)
		for k := range 3 {
			require.NoError(t, c.node(k+1).Read(t.Context()))
			synctest.Wait()
			require.Equal(t, []string{"x"}, c.machines[k].applied)
		}
	})
}

func TestOnlyTheLeaderTakesCommands(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, c *cluster) {
		f := c.follower()
		_, err := f.Apply(t.Context(), []byte("x"))
		require.ErrorIs(t, err, ErrNotLeader)
		require.ErrorIs(t, f.AddLearner(t.Context(), raft.Member{ID: "n9"}), ErrNotLeader)
		require.NoError(t, c.leader().AddLearner(t.Context(), raft.Member{ID: "n9"}))
	})
}

// Many clients at once share fsyncs.
func TestClientsShareFrames(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, c *cluster) {
		l := c.leader()
		var clients sync.WaitGroup
		for range 64 {
			clients.Go(func() {
				for range 10 {
					_, err := l.Apply(t.Context(), []byte("x"))
					assert.NoError(t, err)
				}
			})
		}
		clients.Wait()
		require.NoError(t, l.Read(t.Context()))
		for _, log := range c.logs {
			log.mu.Lock()
			require.Less(t, len(log.frames), 100, "640 commands")
			log.mu.Unlock()
		}
	})
}

func TestALeaderThatIsCutOffDoesNotCallAnUnknownOutcomeAFailure(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, c *cluster) {
		l := c.leader()
		c.isolate(l)
		_, err := l.Apply(t.Context(), []byte("x"))
		require.ErrorIs(t, err, ErrOutcomeUnknown, "it steps down when it hears from nobody")
		require.ErrorIs(t, l.Read(t.Context()), ErrNoLeader)
		_, err = c.leader().Apply(t.Context(), []byte("y"))
		require.NoError(t, err)
	})
}

func TestAClientThatGivesUpLeavesTheOutcomeUnknown(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, c *cluster) {
		l := c.leader()
		ctx, cancel := context.WithTimeout(t.Context(), time.Microsecond)
		defer cancel()
		_, err := l.Apply(ctx, []byte("x"))
		require.ErrorIs(t, err, ErrOutcomeUnknown)
		res, err := l.Apply(t.Context(), []byte("y"))
		require.NoError(t, err)
		require.Equal(t, []byte("2"), res.Value, "here it was done")
	})
}

func TestARequestThatWasNeverTakenUpIsNotDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &Node{cfg: Config{}.withDefaults(), inbox: newMailbox()} // no loop
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := n.Apply(ctx, []byte("x"))
		require.ErrorIs(t, err, ErrTimeout)
		for _, input := range n.inbox.take(nil) {
			input() // would need the replica, if the request were still wanted
		}
	})
}

func TestTooManyRequestsAreRefused(t *testing.T) {
	inBubble(t, 1, func(t *testing.T, c *cluster) {
		l := c.leader()
		l.clients.Store(int64(l.cfg.InboxSize))
		_, err := l.Apply(t.Context(), []byte("x"))
		require.ErrorIs(t, err, ErrBusy)
		l.clients.Store(0)
		_, err = l.Apply(t.Context(), []byte("x"))
		require.NoError(t, err)
	})
}

// The bubble fails the test if a goroutine is left.
func TestCloseAnswersEverybodyAndLeavesNoGoroutine(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, c *cluster) {
		l := c.leader()
		c.isolate(l)
		results := make(chan error, 20)
		for range 10 {
			go func() { _, err := l.Apply(context.Background(), []byte("x")); results <- err }()
			go func() { results <- l.Read(context.Background()) }()
		}
		time.Sleep(10 * time.Millisecond)
		require.NoError(t, l.Close())
		<-l.Done()
		var unknown, stopped int
		for range 20 {
			switch err := <-results; {
			case errors.Is(err, ErrOutcomeUnknown):
				unknown++
			case errors.Is(err, ErrStopped):
				stopped++
			}
		}
		require.Equal(t, 10, unknown)
		require.Equal(t, 10, stopped)
		_, err := l.Apply(t.Context(), []byte("x"))
		require.ErrorIs(t, err, ErrStopped)
		_, err = l.Status(t.Context())
		require.ErrorIs(t, err, ErrStopped)
	})
}

func TestADiskErrorStopsTheNode(t *testing.T) {
	for name, fail := range map[string]func(*testing.T, *Node){
		"of a save":     func(t *testing.T, n *Node) { _, err := n.Apply(t.Context(), []byte("x")); require.Error(t, err) },
		"of a mark":     func(*testing.T, *Node) { time.Sleep(time.Second) },
		"and of a save": func(t *testing.T, n *Node) { n.saver.failed = errors.New("before"); _, _ = n.Apply(t.Context(), nil) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 1, func(t *testing.T, c *cluster) {
				l := c.leader()
				c.logs[0].mu.Lock()
				c.logs[0].err = errors.New("fsync failed")
				c.logs[0].mu.Unlock()
				fail(t, l)
				<-l.Done()
				require.Error(t, l.Close())
			})
		})
	}
}

// Votes wait for the disk, and terms must not outrun it.
func TestALeaderIsElectedAlsoOnSlowDisks(t *testing.T) {
	for _, size := range []int{1, 3} {
		for _, delay := range []time.Duration{190 * time.Millisecond, 300 * time.Millisecond} {
			t.Run(fmt.Sprintf("%d nodes, fsync of %v", size, delay), func(t *testing.T) {
				inBubble(t, size, func(t *testing.T, c *cluster) {
					for _, log := range c.logs {
						log.mu.Lock()
						log.delay = delay
						log.mu.Unlock()
					}
					// The first leader may meet a rival whose vote for itself became durable later.
					applied := func() bool {
						_, err := c.leader().Apply(t.Context(), []byte("x"))
						return err == nil
					}
					for attempt := 0; !applied(); attempt++ {
						require.Less(t, attempt, 5)
						time.Sleep(time.Second)
					}
				})
			})
		}
	}
}

func TestAnIdleLogIsMarkedOnce(t *testing.T) {
	inBubble(t, 1, func(t *testing.T, c *cluster) {
		c.leader()
		time.Sleep(time.Minute)
		c.logs[0].mu.Lock()
		defer c.logs[0].mu.Unlock()
		require.Equal(t, 1, c.logs[0].marks)
	})
}

func TestStatusTellsOfPeers(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, c *cluster) {
		l := c.leader()
		_, err := l.Apply(t.Context(), []byte("x"))
		require.NoError(t, err)
		s, err := l.Status(t.Context())
		require.NoError(t, err)
		require.Len(t, s.Peers, 2)
		require.Equal(t, s.LastIndex, l.Info().LastIndex)
		require.Zero(t, s.LeaderContact)
		require.Less(t, c.follower().Info().LeaderContact, 100*time.Millisecond)
	})
}

func TestOpenRefusesHalfAConfiguration(t *testing.T) {
	_, err := Open(Config{})
	require.Error(t, err)
	_, err = Open(Config{Raft: raft.Config{ID: "n1", Rand: rand.New(rand.NewPCG(1, 1))}})
	require.Error(t, err)
}

func (e endpoint) InstallSnapshot(to raft.NodeID, a raft.InstallSnapshotArgs, done func(raft.InstallSnapshotReply, error)) {
	e.call(e.self, to, func(n *Node) { n.InstallSnapshot(a, func(rep raft.InstallSnapshotReply) { done(rep, nil) }) },
		func(err error) { done(raft.InstallSnapshotReply{}, err) })
}

func (e endpoint) TimeoutNow(to raft.NodeID, a raft.TimeoutNowArgs, done func(raft.TimeoutNowReply, error)) {
	e.call(e.self, to, func(n *Node) { n.TimeoutNow(a, func(rep raft.TimeoutNowReply) { done(rep, nil) }) },
		func(err error) { done(raft.TimeoutNowReply{}, err) })
}

// Snapshot implements replica.StateMachine. The cut is a copy.
func (c *counter) Snapshot() io.WriterTo {
	if c.slow.Load() {
		return endlessState{}
	}
	return bytes.NewBufferString(strings.Join(c.applied, "\n"))
}

func (c *counter) Restore(r io.Reader) (func(), error) {
	for c.slow.Load() {
		time.Sleep(time.Millisecond)
		if _, err := r.Read(make([]byte, 0)); err != nil {
			return nil, err
		}
	}
	b, err := io.ReadAll(r)
	return func() { c.applied = strings.Split(string(b), "\n") }, err
}

// memorySnapshots is a snapshot store whose files are a line of JSON, which says what
// is covered, and the state.
type memorySnapshots struct {
	mu       sync.Mutex
	files    map[raft.Index][]byte // in force, or about to be
	incoming []byte
	chunks   int           // that arrived
	working  int           // on a state, right now
	delay    time.Duration // of each chunk that arrives
	err      error
}

func (s *memorySnapshots) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// busy says whether a state is being written or read.
func (s *memorySnapshots) busy() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.working > 0
}

func (s *memorySnapshots) work(change int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.working += change
}

func (s *memorySnapshots) Write(m raft.Snapshot, state io.WriterTo) error {
	s.work(1)
	defer s.work(-1)
	head, _ := json.Marshal(m)
	file := bytes.NewBuffer(append(head, '\n'))
	_, err := state.WriteTo(file)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err = errors.Join(err, s.err); err == nil {
		s.keep(m.Index, file.Bytes())
	}
	return err
}

func (s *memorySnapshots) keep(i raft.Index, file []byte) {
	if s.files == nil {
		s.files = map[raft.Index][]byte{}
	}
	s.files[i] = file
}

// ReadAt reads tiny chunks, so that there are several.
func (s *memorySnapshots) ReadAt(i raft.Index, _ raft.Term, offset uint64) ([]byte, uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	file := s.files[i]
	size := uint64(len(file))
	if file == nil || offset > size {
		return nil, 0, fmt.Errorf("%d bytes of snapshot %d, and offset %d was asked for", size, i, offset)
	}
	return file[offset:min(offset+100, size)], size, s.err
}

func (s *memorySnapshots) Receive(offset uint64, chunk []byte) error {
	time.Sleep(s.delay)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil || offset != 0 && offset != uint64(len(s.incoming)) {
		return errors.Join(errors.New("not stored"), s.err)
	}
	s.chunks++
	s.incoming = append(s.incoming[:offset], chunk...)
	return nil
}

func (s *memorySnapshots) Received(load func(io.Reader) error) (m raft.Snapshot, err error) {
	s.work(1)
	defer s.work(-1)
	s.mu.Lock()
	file := bytes.Clone(s.incoming)
	s.mu.Unlock()
	head, state, _ := bytes.Cut(file, []byte("\n"))
	if err := json.Unmarshal(head, &m); err != nil {
		return m, err
	}
	if err := load(bytes.NewReader(state)); err != nil {
		return m, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keep(m.Index, file)
	return m, nil
}
