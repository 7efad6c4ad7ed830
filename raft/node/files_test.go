package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbdb/raft"
	"dbdb/raft/replica"
)

// Snapshots, removal and hand-over in whole nodes.

// withSmallLogs has nodes take a snapshot after some twenty commands, and keep nothing
// that it covers.
func withSmallLogs(c *Config) {
	c.SnapshotBytes = 400
	c.Raft.TrailingBytes = -1
}

// write has a leader carry out so many commands.
func write(t *testing.T, n *Node, count int) {
	t.Helper()
	for k := range count {
		_, err := n.Apply(t.Context(), fmt.Append(nil, k))
		require.NoError(t, err)
	}
}

// applied is what the state machine of a node has done, as the loop sees it.
func (c *cluster) applied(n *Node) []string {
	done := make(chan []string)
	n.post(func() {
		var buf bytes.Buffer
		_, _ = n.cfg.StateMachine.Snapshot().WriteTo(&buf)
		done <- strings.Split(buf.String(), "\n")
	})
	return <-done
}

func (c *cluster) reconnect(n *Node) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.cut, n.Info().ID)
}

// waitFor lets time pass until something is so.
func waitFor(t *testing.T, what string, so func() bool) {
	t.Helper()
	for range 1000 {
		if so() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	require.FailNow(t, "not within 10 s: "+what)
}

// store is the snapshots of a node.
func (n *Node) store() *memorySnapshots { return n.cfg.Snapshots.(*memorySnapshots) }

func TestAFollowerThatWasCutOffWhileTheLogWasCompactedComesBackBySnapshot(t *testing.T) {
	inBubbleWith(t, 3, withSmallLogs, func(t *testing.T, c *cluster) {
		l, f := c.leader(), c.follower()
		c.isolate(f)
		write(t, l, 100)
		waitFor(t, "a snapshot", func() bool { return l.Info().SnapshotIndex > 50 })
		c.reconnect(f)
		waitFor(t, "it catches up", func() bool { return f.Info().AppliedIndex >= l.Info().CommitIndex })
		require.Greater(t, f.Info().SnapshotIndex, raft.Index(50))
		f.store().mu.Lock()
		require.Greater(t, f.store().chunks, 2, "in several chunks")
		f.store().mu.Unlock()
		write(t, c.leader(), 1)
		require.NoError(t, f.Read(t.Context()))
		require.Equal(t, c.applied(c.leader()), c.applied(f))
		require.Len(t, c.applied(f), 101)
	})
}

func TestHowFarASnapshotIsCanBeSeen(t *testing.T) {
	var logs syncBuffer
	slow := func(c *Config) {
		withSmallLogs(c)
		c.Logger = slog.New(slog.NewTextHandler(&logs, nil))
		c.Snapshots.(*memorySnapshots).delay = time.Second // for each chunk that arrives
	}
	inBubbleWith(t, 3, slow, func(t *testing.T, c *cluster) {
		l, f := c.leader(), c.follower()
		c.isolate(f)
		write(t, l, 100)
		c.reconnect(f)
		waitFor(t, "some of it arrives", func() bool { return f.Info().Receiving.Percent() > 0 })
		waitFor(t, "both say so", func() bool {
			return strings.Contains(logs.String(), "receiving a snapshot") && strings.Contains(logs.String(), "sending a snapshot")
		})
		waitFor(t, "it is installed", func() bool { return f.Info().SnapshotIndex > 0 })
		require.Zero(t, f.Info().Receiving)
		require.Contains(t, logs.String(), "snapshot received")
	})
}

func TestALeaderIsRemovedUnderLoad(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, c *cluster) {
		l := c.leader()
		stop := make(chan struct{})
		var clients sync.WaitGroup
		acknowledged := make([]int, 8)
		for k := range acknowledged {
			clients.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					if _, err := c.leader().Apply(t.Context(), fmt.Append(nil, k)); err == nil {
						acknowledged[k]++
					} else {
						// Of what was refused nothing is done, so it may be tried again.
						assert.ErrorIs(t, err, ErrNotLeader)
						time.Sleep(time.Millisecond)
					}
				}
			})
		}
		time.Sleep(100 * time.Millisecond)
		require.NoError(t, l.RemoveServer(t.Context(), l.Info().ID))
		waitFor(t, "another leads", func() bool { return c.leader() != l })
		require.NotZero(t, l.Info().RemovedAt)
		time.Sleep(100 * time.Millisecond)
		close(stop)
		clients.Wait()

		next := c.leader()
		term := next.Info().Term
		time.Sleep(10 * time.Second)
		require.Equal(t, term, next.Info().Term, "the one that left disturbs nobody")
		require.Len(t, next.Info().Configuration.Members, 2)
		done := strings.Join(c.applied(next), "")
		for k, count := range acknowledged {
			require.Equal(t, count, strings.Count(done, fmt.Sprint(k)), "client %d", k)
		}
	})
}

func TestALeadershipIsHandedOver(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, c *cluster) {
		l, f := c.leader(), c.follower()
		write(t, l, 3)
		begun := time.Now()
		require.NoError(t, l.TransferLeadership(t.Context(), f.Info().ID))
		waitFor(t, "the other one leads", func() bool { return f.Info().State == raft.Leader })
		require.Less(t, time.Since(begun), 100*time.Millisecond, "no election timeout had to pass")
		require.NoError(t, f.TransferLeadership(t.Context(), ""))
		require.ErrorIs(t, f.TransferLeadership(t.Context(), ""), ErrNotLeader)
		require.ErrorIs(t, f.RemoveServer(t.Context(), l.Info().ID), ErrNotLeader)
		write(t, c.leader(), 1)
	})
}

func TestALeaderThatCannotHandOverGoesOn(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, c *cluster) {
		l, f := c.leader(), c.follower()
		c.isolate(f)
		require.ErrorIs(t, l.TransferLeadership(t.Context(), f.Info().ID), ErrOutcomeUnknown, "was it told?")
		time.Sleep(time.Second)
		begun := time.Now()
		require.ErrorIs(t, l.TransferLeadership(t.Context(), f.Info().ID), ErrNoTransfer)
		require.Zero(t, time.Since(begun), "nobody is there to wait for")
		write(t, l, 1)
	})
}

// A snapshot may take minutes. Nothing is lost with it when the node stops.
func TestCloseDoesNotWaitForASnapshot(t *testing.T) {
	for name, stuck := range map[string]func(*testing.T, *cluster) *Node{
		"being written": func(t *testing.T, c *cluster) *Node {
			l := c.leader()
			l.cfg.StateMachine.(*counter).slow.Store(true)
			write(t, l, 50)
			waitFor(t, "it is written", func() bool { return l.store().busy() })
			return l
		},
		"being received": func(t *testing.T, c *cluster) *Node {
			l, f := c.leader(), c.follower()
			c.isolate(f)
			write(t, l, 50)
			f.cfg.StateMachine.(*counter).slow.Store(true)
			c.reconnect(f)
			waitFor(t, "it is read", func() bool { return f.store().busy() })
			return f
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubbleWith(t, 3, withSmallLogs, func(t *testing.T, c *cluster) {
				n := stuck(t, c)
				begun := time.Now()
				require.NoError(t, n.Close())
				require.Less(t, time.Since(begun), time.Second)
			})
		})
	}
}

func TestASnapshotThatCannotBeWrittenCostsOnlyTheSnapshot(t *testing.T) {
	var logs syncBuffer
	fails := func(c *Config) {
		withSmallLogs(c)
		c.Logger = slog.New(slog.NewTextHandler(&logs, nil))
		c.Snapshots.(*memorySnapshots).err = errors.New("disk full")
	}
	inBubbleWith(t, 1, fails, func(t *testing.T, c *cluster) {
		l := c.leader()
		write(t, l, 100)
		require.Zero(t, l.Info().SnapshotIndex)
		require.Contains(t, logs.String(), "no snapshot written")
		require.Equal(t, 1, strings.Count(logs.String(), "disk full"), "not tried again at once")
		l.store().fail(nil)
		time.Sleep(10 * time.Second)
		require.NotZero(t, l.Info().SnapshotIndex)
		require.NoError(t, l.Close())
	})
}

func TestASnapshotThatCannotBeReadOrReceivedIsSentAgain(t *testing.T) {
	for name, who := range map[string]func(l, f *Node) *Node{
		"by the leader":   func(l, _ *Node) *Node { return l },
		"by the follower": func(_, f *Node) *Node { return f },
	} {
		t.Run(name, func(t *testing.T) {
			var logs syncBuffer
			logged := func(c *Config) {
				withSmallLogs(c)
				c.Logger = slog.New(slog.NewTextHandler(&logs, nil))
			}
			inBubbleWith(t, 3, logged, func(t *testing.T, c *cluster) {
				l, f := c.leader(), c.follower()
				c.isolate(f)
				write(t, l, 100)
				waitFor(t, "a snapshot", func() bool { return l.Info().SnapshotIndex > 0 })
				who(l, f).store().fail(errors.New("bad sector"))
				c.reconnect(f)
				time.Sleep(time.Second)
				require.Equal(t, 1, strings.Count(logs.String(), "bad sector"), "said once, not with each heartbeat")
				require.Zero(t, f.Info().SnapshotIndex)
				who(l, f).store().fail(nil)
				waitFor(t, "it is installed", func() bool { return f.Info().SnapshotIndex > 0 })
			})
		})
	}
}

// smallDisk has room for one chunk.
type smallDisk struct{ Snapshots }

func (smallDisk) Receive(offset uint64, _ []byte) error {
	if offset > 0 {
		return errors.New("disk full")
	}
	return nil
}

// The first chunk fits every time, which is no reason to say of each attempt how it ended.
func TestThatADiskIsTooSmallForASnapshotIsSaidOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logs syncBuffer
		var routines sync.WaitGroup
		f := newFiles(smallDisk{}, func(callback func()) { callback() }, slog.New(slog.NewTextHandler(&logs, nil)))
		f.start(&routines)
		for range 3 {
			f.Receive(0, []byte("chunk"), func(error) {})
			f.Receive(5, []byte("chunk"), func(error) {})
			synctest.Wait()
		}
		close(f.stop)
		routines.Wait()
		require.Equal(t, 1, strings.Count(logs.String(), "disk full"))
	})
}

// A node that is closed while clients wait for a change answers them all.
func TestCloseAnswersChangesAndTransfers(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, c *cluster) {
		l := c.leader()
		require.ErrorIs(t, l.RemoveServer(context.Background(), "n9"), replica.ErrUnknownMember)
		c.isolate(l)
		results := make(chan error)
		go func() { results <- l.AddLearner(context.Background(), raft.Member{ID: "n8"}) }()
		synctest.Wait()
		go func() { results <- l.AddLearner(context.Background(), raft.Member{ID: "n9"}) }()
		go func() { results <- l.TransferLeadership(context.Background(), c.follower().Info().ID) }()
		synctest.Wait()
		require.NoError(t, l.Close())
		var unknown, stopped int
		for range 3 {
			switch err := <-results; {
			case errors.Is(err, ErrOutcomeUnknown):
				unknown++
			case errors.Is(err, ErrStopped):
				stopped++
			}
		}
		require.Equal(t, 1, unknown, "n8 is in the log")
		require.Equal(t, 2, stopped)
	})
}

// syncBuffer is a buffer for many writers.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// endlessState is a state that takes longer to write than anybody waits, a piece every
// millisecond.
type endlessState struct{}

func (endlessState) WriteTo(w io.Writer) (n int64, err error) {
	for err == nil {
		time.Sleep(time.Millisecond)
		_, err = w.Write([]byte("x"))
	}
	return n, err
}
