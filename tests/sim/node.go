package sim

import (
	"errors"
	"fmt"
	"io"
	"path"
	"syscall"

	"dbdb/kvstore"
	"dbdb/raft"
	"dbdb/raft/replica"
	"dbdb/raft/wal"
	"dbdb/tests/spec"
)

// node is one simulated server: a disk that lasts, and lives that do not.
type node struct {
	w           *world
	place       int    // in world.nodes
	name        string // the operator's, and its address
	id          raft.NodeID
	wanted      bool // as a member
	replaced    bool // to be wiped once it is removed; it is never wanted again
	gone        bool // its disk was wiped: this server is no more
	disk        *Disk
	period      int64    // µs between two of its ticks
	pausedUntil int64    // as a garbage collector or a hypervisor would
	slowUntil   int64    // its disk is
	crowdUntil  int64    // what comes is one batch
	damaged     []string // files that were, since it last started
	broken      bool     // it was found damaged: it never starts again

	snapshotBytes int  // how much log makes a snapshot due
	slowLog       bool // its disk writes and syncs the log only when the stage says so
	slowFiles     bool // and snapshots' files
	slowOwn       bool // of these, the one that it makes itself

	// Of the life that it is in.
	life         uint64
	up           bool
	dir          *wal.Dir
	saver        *saver
	files        *files
	replica      *replica.Replica
	store        *kvstore.Store
	doomed       edge  // where in this step it crashes, if it does
	failed       error // the replica's word that its disk is gone
	diskBroken   bool  // a fault was armed in this life
	flushPlanned bool
	elected      bool               // since the last Flush
	told         raft.Configuration // the transport, by the replica
	requests     uint64             // and reads that have come
	ledThrough   uint64             // the last of them before it was last seen leading
	questions    int                // of others for a read index, not answered
	wishes       int                // of the operator, not answered
	ticks        int
	transfers    []int // when those not answered were asked for, in ticks
	calls        int   // to other servers, in all lives
	heard        int64 // when a leader's message came last

	// What the checker remembers; see checker.go.
	lasting lasting
	view    view
	held    *held // to the specification
}

// dataDir is where a server keeps its log on its disk.
const dataDir = "data"

// newNode makes a server on an empty disk. One that has its machine's name to itself is
// called like it, to be easy to read.
func newNode(w *world, place int, name string) *node {
	n := &node{w: w, place: place, name: fmt.Sprintf("n%d", place+1), period: tickPeriod}
	if n.id = raft.NodeID(n.name); name != "" {
		n.name, n.id = name, raft.NewNodeID(name, n.name)
	}
	n.disk, n.snapshotBytes = NewDisk(w.disks), w.profile.snapshotBytes
	n.held = holdTo(n)
	if w.profile.clockSkew {
		n.period = w.faults.between(tickPeriod/2, 2*tickPeriod)
	}
	return n
}

func (n *node) member() raft.Member {
	return raft.Member{ID: n.id, RaftAddr: n.name + ":2222", HTTPAddr: n.name + ":8222"}
}

// open opens the data directory as a process does.
func (n *node) open() (*wal.Dir, error) {
	return wal.Open(n.disk, dataDir, wal.Options{
		Node: n.name, SegmentBytes: n.w.profile.segmentBytes, Random: n.w.disks,
	})
}

// format gives the server its first Save, on an empty disk.
func (n *node) format(first raft.Save) {
	dir, err := n.open()
	if err == nil {
		err = dir.Log().Save(first)
	}
	if err != nil {
		violate("Recovery", "n%d cannot begin on an empty disk: %v", n.place+1, err)
	}
	n.w.check.durable(n, first)
	n.disk.Crash(LoseUnsynced)
}

// start begins a life: real recovery from the disk, then a new replica.
func (n *node) start() {
	n.life++
	n.store = kvstore.New()
	restored, ok := n.recover()
	if !ok {
		return
	}
	w := n.w
	n.up, n.failed, n.doomed, n.flushPlanned, n.pausedUntil, n.diskBroken = true, nil, noEdge, false, 0, false
	n.saver, n.files, n.told = &saver{n: n}, newFiles(n), raft.Configuration{}
	n.wishes, n.ticks, n.transfers = 0, 0, nil
	n.crowdUntil, n.elected, n.questions = 0, false, 0
	n.replica = replica.New(replica.Config{
		Raft:             n.raftConfig(),
		Disk:             n.saver,
		Snapshots:        n.files,
		SnapshotBytes:    n.snapshotBytes,
		Transport:        &transport{n: n},
		StateMachine:     &machine{n: n},
		ReadTimeoutTicks: w.profile.readTimeoutTicks,
		Failed:           func(err error) { n.failed = err },
	}, restored)
	n.held.starts(restored)
	w.check.born(n)
	w.recorder.write("start n%d", n.place+1)
	w.note(started, n, n.life, uint64(n.lasting.durable.term), uint64(n.lasting.durable.last()), 0)
	if !w.played() {
		n.planTick(w.faults.between(1, n.period))
	}
}

func (n *node) raftConfig() raft.Config {
	cfg := n.w.profile.raft
	cfg.ID = n.id
	cfg.Rand = stream(n.w.options.Seed, streamNodes+uint64(n.place)<<32+n.life)
	cfg.Tracer = n.traced
	return cfg
}

func (n *node) traced(e raft.Event) {
	n.w.trace.add(record{at: n.w.now, what: transition, node: place(n), peer: nowhere, event: e})
	n.w.marks.transition(e)
	n.w.recorder.rule(n, e)
	if last := n.view.log.last(); e.Rule == raft.RuleVoteRefused && (e.Of < n.view.log.at(last).term || e.Of == n.view.log.at(last).term && e.Index < last) {
		n.w.marks.hit(markVoteRefusedForLog)
	}
	switch e.Rule {
	case raft.RuleSnapshotTaken:
		n.w.tookSnapshot(n)
	case raft.RuleCaughtUp:
		n.w.promotes(n, e.Peer)
	case raft.RuleRemovedLeader:
		n.w.check.leavesWhenCommitted(n, e.Index, n.replica.Raft().Status().CommitIndex)
	}
}

// recover opens the log as a restarted process does. It says false if the server
// crashed once more meanwhile.
func (n *node) recover() (restored raft.Restored, ok bool) {
	w := n.w
	secondCrash := !w.calm && w.faults.perMille(w.profile.crashInRecovery)
	if secondCrash {
		n.disk.CutPower(1 + w.faults.IntN(6))
	}
	before := n.fingerprint()
	n.armRead()
	dir, err := n.open()
	if err == nil {
		before = n.fingerprint() // a torn tail was repaired, and the log was judged sound
		restored = dir.Log().Restored()
		w.check.recovered(n, restored)
		err = n.load(dir, restored)
		if dir.Repaired() != nil {
			w.marks.hit(markTornFrame)
		}
	}
	n.disk.disarm(OpRead)
	w.note(recovered, n, bit(secondCrash), bit(err == nil), uint64(n.lasting.durable.last()), 0)
	if secondCrash {
		w.marks.hit(markCrashInRecovery)
		n.lose()
		w.inLife(w.faults.between(1, 50)*millisecond, n, n.start)
		return restored, false
	}
	if err != nil {
		n.cannotStart(err, before)
		return restored, false
	}
	n.sound()
	n.dir = dir
	return restored, true
}

// load brings the state machine to where the snapshot in force ends.
func (n *node) load(dir *wal.Dir, restored raft.Restored) error {
	if restored.Snapshot.Index == 0 {
		return nil
	}
	n.w.marks.hit(markRestartFromSnapshot)
	return dir.Snapshots().Load(restored.Snapshot, func(state io.Reader) error {
		install, err := n.store.Restore(state)
		if err == nil {
			install()
		}
		return err
	})
}

func bit(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

func (n *node) planTick(delay int64) {
	n.w.inLife(delay, n, func() {
		if n.tick() {
			n.planTick(n.period)
			n.rarely()
		}
	})
}

func (n *node) tick() bool {
	n.w.note(tick, n, 0, 0, 0, 0)
	n.ticks++
	n.transfersEnd()
	calls, life := n.calls, n.life
	up := n.input(spec.Tick{}, n.replica.Tick)
	if n.life == life && n.calls > calls && n.view.State == raft.Leader {
		n.w.recorder.write("heartbeat n%d", n.place+1)
	}
	return up
}

// input is one thing that happens to the server. What follows in the same
// batch, if the run has batches, comes before the Flush. It says whether the
// server is still there.
func (n *node) input(what spec.Input, happen func()) bool {
	n.held.step(what, happen)
	p := &n.w.profile
	n.crowds()
	switch {
	case n.failed != nil:
	case n.crowded():
		n.w.check.step(n)
		n.planFlush(n.crowdUntil - n.w.now)
	case p.batchDelay > 0 && n.w.work.perMille(p.batching):
		n.w.check.step(n)
		n.planFlush(n.w.work.between(0, p.batchDelay))
	default:
		n.flush()
	}
	return n.survive()
}

func (n *node) planFlush(delay int64) {
	if n.flushPlanned {
		return
	}
	n.flushPlanned = true
	n.w.inLife(delay, n, func() {
		n.flushPlanned = false
		n.flush()
		n.survive()
	})
}

func (n *node) flush() {
	n.held.step(spec.Flush{}, n.replica.Flush)
	n.w.check.step(n)
	n.w.check.flushed(n)
	if n.elected && n.view.State != raft.Leader {
		n.w.marks.hit(markLedUnnoticed)
	}
	n.elected = false
}

// survive ends the life if something in this step was fatal.
func (n *node) survive() bool {
	switch {
	case n.failed != nil:
		n.crash(edgeDiskFailed)
	case n.doomed != noEdge:
		n.crash(n.doomed)
	}
	return n.up
}

// edge is a moment between two effects at which a crash is most telling.
type edge uint8

const (
	noEdge edge = iota
	edgeAny
	edgeWritten    // after the write, before the sync
	edgeSynced     // after the sync, before anybody is told
	edgeReplied    // right after a reply left
	edgeSent       // right after a request left
	edgeDiskFailed // the process ended itself
	edgeAcked      // right after a client was told that its write is done
	edgeFiles      // between two operations on a snapshot's file
	edgeSwitch     // while a snapshot comes into force
)

// doom lets the server crash at the end of this step, sometimes.
func (n *node) doom(at edge) {
	if !n.w.calm && n.w.faults.perMille(n.w.profile.crashAtEdge) {
		n.doomed = at
	}
}

// crash ends the life without a word: no waiter is answered. The disk keeps what
// the luck of the draw leaves.
func (n *node) crash(at edge) {
	n.w.note(crashed, n, uint64(at), uint64(n.lasting.durable.last()), uint64(n.lasting.durable.term), 0)
	n.end()
	n.lose()
	n.planRestart()
}

// stop ends the life as SIGTERM does: everybody who waits gets an answer.
func (n *node) stop() {
	n.w.note(stopped, n, 0, 0, 0, 0)
	n.replica.Close()
	n.w.clients.mustBeAnswered(n)
	if n.wishes > 0 {
		violate("Every waiter is answered", "n%d stops and leaves the operator waiting", n.place+1)
	}
	n.endFiles()
	n.disk.dark = false
	if err := n.dir.Close(); err != nil && !n.diskBroken && !errors.Is(err, syscall.ENOSPC) {
		violate("Recovery", "n%d cannot close its log: %v", n.place+1, err)
	}
	n.end()
	n.w.recorder.crash(n, KillProcess)
	n.disk.Crash(KillProcess)
	n.planRestart()
}

func (n *node) end() {
	n.w.check.ended(n)
	n.w.clients.forgotten(n)
	n.endFiles()
	n.up, n.replica, n.store, n.dir = false, nil, nil, nil
	n.life++ // whatever was planned in the old life is void
}

// endFiles ends what is being done to snapshots' files: to it, the power is gone.
func (n *node) endFiles() {
	n.disk.dark = true
	n.files.abandoned()
}

// segments counts the files of the log.
func (n *node) segments() int { return len(n.disk.directory(path.Join(dataDir, "wal")).now) }

// lose takes from the disk what was not synced, by the usual odds of power cuts.
func (n *node) lose() {
	if n.w.played() {
		n.disk.Crash(n.w.stage.losing)
		return
	}
	policy := LoseUnsynced
	switch odds := n.w.disks.IntN(100); {
	case odds < 45:
	case odds < 65:
		policy = KeepPrefix
	case odds < 80:
		policy = KeepSectors
	case odds < 88:
		policy = KeepAll
	default:
		policy = KillProcess
	}
	n.w.marks.hit(markLoseAll + mark(policy))
	n.w.recorder.crash(n, policy)
	n.disk.Crash(policy)
}

func (n *node) planRestart() {
	if n.w.played() {
		return
	}
	p := &n.w.profile
	down := n.w.faults.exponential(p.downMean)
	if n.w.calm {
		down = 0
	}
	n.w.inLife(millisecond+down, n, n.start)
}

// diskLatency is how long a sync takes.
func (n *node) diskLatency() int64 {
	p := &n.w.profile
	mean := p.diskMean
	if n.place == p.slowDisk {
		mean *= 10
	}
	if n.w.now < n.slowUntil {
		mean = max(mean, p.slowMean)
	}
	return p.diskMin + n.w.disks.exponential(mean)
}

// machine is the replica's StateMachine: the real store, watched.
type machine struct{ n *node }

// Apply implements replica.StateMachine.
func (m *machine) Apply(i raft.Index, cmd []byte) []byte {
	m.n.w.check.applies(m.n, i, cmd)
	result := m.n.store.Apply(i, cmd)
	m.n.w.check.appliedTo(m.n, i)
	m.n.w.check.commandTakesEffect(m.n, i, cmd)
	return result
}

// Snapshot implements replica.StateMachine.
func (m *machine) Snapshot() io.WriterTo { return m.n.store.Snapshot() }

// Restore implements replica.StateMachine.
func (m *machine) Restore(r io.Reader) (func(), error) {
	install, err := m.n.store.Restore(r)
	return func() {
		install()
		m.n.w.check.installs(m.n)
	}, err
}
