// Package node runs a replica: goroutines start here, and only here. One loop owns
// the replica and takes what there is to take — ticks, clients' requests, other
// servers' RPCs, the disk's and the network's answers — then calls Flush, once for
// all of it. Another goroutine writes the log, and three more write, receive and read
// the files of snapshots. The loop waits for none of them.
//
// Caveats: there is no lease, so every linearizable read costs a round of
// heartbeats (shared by all reads that wait for it); a batch is as large as what
// arrived while the last one was handled.
package node

import (
	"errors"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"dbdb/raft"
	"dbdb/raft/replica"
)

// Config is what a Node is made of. Zero durations and sizes mean the default.
type Config struct {
	Raft         raft.Config
	Log          Log
	Snapshots    Snapshots
	Restored     raft.Restored
	Transport    replica.Transport
	StateMachine replica.StateMachine
	Logger       *slog.Logger

	// TickInterval is the length of a tick. Default 10 ms, which with the defaults of
	// raft.Config gives heartbeats of 50 ms and election timeouts of 200 to 400 ms.
	TickInterval time.Duration
	// ReadTimeout is how long a read looks for a leader. Default 2 s.
	ReadTimeout time.Duration
	// InboxSize bounds the clients' requests that are under way; more get ErrBusy.
	// Default 4,096.
	InboxSize int
	// SnapshotBytes is how much the log grows before a snapshot takes its place; see
	// replica.Config.
	SnapshotBytes int
}

func (c Config) withDefaults() Config {
	if c.TickInterval == 0 {
		c.TickInterval = 10 * time.Millisecond
	}
	if c.ReadTimeout == 0 {
		c.ReadTimeout = 2 * time.Second
	}
	if c.InboxSize == 0 {
		c.InboxSize = 4096
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Node is one running server. Its methods may be called from any goroutine.
type Node struct {
	cfg     Config
	replica *replica.Replica // the loop's
	inbox   *mailbox
	saver   *saver
	files   *files
	said    time.Time    // when progress was logged last; the loop's
	clients atomic.Int64 // requests under way
	info    atomic.Pointer[Info]

	stop     chan struct{}
	stopOnce sync.Once
	stopped  chan struct{} // the loop has ended
	err      error         // why, if nobody called Close; read after stopped
	routines sync.WaitGroup
}

// Open starts a node. The caller keeps the Log, the Snapshots, the Transport and the
// StateMachine and closes them after Close.
func Open(cfg Config) (*Node, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Raft.Validate(); err != nil {
		return nil, err
	}
	if cfg.Log == nil || cfg.Snapshots == nil || cfg.Transport == nil || cfg.StateMachine == nil {
		return nil, errors.New("node: Log, Snapshots, Transport and StateMachine must be set")
	}
	n := &Node{cfg: cfg, inbox: newMailbox(), stop: make(chan struct{}), stopped: make(chan struct{})}
	n.saver = newSaver(cfg.Log, n.post, n.failed)
	n.files = newFiles(cfg.Snapshots, n.post, cfg.Logger.With("node", cfg.Raft.ID.Name()))
	n.replica = replica.New(replica.Config{
		Raft:             n.cfg.Raft,
		Disk:             n.saver,
		Snapshots:        n.files,
		Transport:        loopTransport{cfg.Transport, n.post},
		StateMachine:     cfg.StateMachine,
		ReadTimeoutTicks: int(cfg.ReadTimeout / cfg.TickInterval),
		MaxReads:         cfg.InboxSize,
		SnapshotBytes:    cfg.SnapshotBytes,
		Failed:           n.failed,
	}, cfg.Restored)
	n.publish()
	n.routines.Go(n.saver.run)
	n.files.start(&n.routines)
	n.routines.Go(n.loop)
	return n, nil
}

// post gives the loop something to do. After the end of the loop it is dropped.
func (n *Node) post(input func()) { n.inbox.put(input) }

func (n *Node) loop() {
	ticker := time.NewTicker(n.cfg.TickInterval)
	defer ticker.Stop()
	var inputs []func()
	for {
		ticked := false
		select {
		case <-n.stop:
			n.finish()
			return
		case <-ticker.C:
			n.replica.Tick()
			ticked = true
		case <-n.inbox.wake:
			runtime.Gosched() // who is about to put something in does so
		}
		inputs = n.inbox.take(inputs)
		for _, input := range inputs {
			input()
		}
		n.replica.Flush()
		n.publish()
		now := n.info.Load()
		n.saver.start(now.State == raft.Leader && !ticked, now.CommitIndex)
		if n.replica.Raft().MoreToApply() {
			n.post(func() {}) // come back soon, after whoever else waits
		}
	}
}

// finish answers everybody: who waits in the replica, and who never got there.
func (n *Node) finish() {
	n.replica.Close()
	for _, input := range n.inbox.close() {
		input() // the replica is closed and refuses
	}
	close(n.saver.stop)
	close(n.files.stop)
	close(n.stopped)
}

// failed ends the node after a disk error. It runs on the loop.
func (n *Node) failed(err error) {
	n.stopOnce.Do(func() {
		n.err = err
		n.cfg.Logger.Error("the log cannot be written; stopping, as nothing may be promised any more", "err", err)
		close(n.stop)
	})
}

// Done is closed when the node has stopped, by itself or by Close.
func (n *Node) Done() <-chan struct{} { return n.stopped }

// Close stops the node and returns when its goroutines are gone. Every request that
// is under way gets an answer. The error says why the node stopped by itself, if it
// did.
func (n *Node) Close() error {
	n.stopOnce.Do(func() { close(n.stop) })
	<-n.stopped
	n.routines.Wait()
	return n.err
}
