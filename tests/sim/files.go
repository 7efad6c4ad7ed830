package sim

import (
	"bytes"
	"io"
	"iter"

	"dbdb/raft"
	"dbdb/tests/spec"
)

// files is the replica's Snapshots over the real snapshot files, as package node runs it:
// three kinds of work, each in order, all beside each other and beside the log.
type files struct {
	n                       *node
	own, incoming, outgoing work

	chunk, file transfer // of the chunk that came last, and of the file that is being received
}

// transfer is a snapshot on its way from a leader.
type transfer struct {
	term  raft.Term
	from  raft.NodeID
	index raft.Index
}

// work is the jobs of one kind. A job is real code that makes one file operation after the
// other. Between two of them anything else can happen to the server, as if the job had a
// thread of its own: it is a coroutine, which the disk stops before an operation.
type work struct {
	f     *files
	queue []job
	busy  bool
	steps int // operations until the coroutine is stopped
	// waiting goes on with a job that a slow disk holds up.
	waiting func()

	pause   func()
	resume  func() (struct{}, bool)
	abandon func()
}

type job struct {
	run  func()            // makes the file operations
	over func()            // tells the replica
	what func() spec.Input // that is
}

func newFiles(n *node) *files {
	f := &files{n: n}
	f.own.f, f.incoming.f, f.outgoing.f = f, f, f
	return f
}

func (k *work) put(j job) {
	k.queue = append(k.queue, j)
	k.next()
}

// unfinished counts the jobs that are not over.
func (k *work) unfinished() int {
	if k.busy {
		return len(k.queue) + 1
	}
	return len(k.queue)
}

// next begins the oldest job, unless one is under way.
func (k *work) next() {
	if k.busy || len(k.queue) == 0 {
		return
	}
	j := k.queue[0]
	k.queue, k.busy = k.queue[1:], true
	k.resume, k.abandon = iter.Pull(func(yield func(struct{}) bool) {
		k.pause = func() { yield(struct{}{}) }
		j.run()
	})
	k.planStep(j)
}

func (k *work) planStep(j job) {
	w := k.f.n.w
	if n := k.f.n; n.slowFiles || n.slowOwn && k == &k.f.own {
		k.waiting = func() { k.planStep(j) }
		return
	}
	w.inLife(w.disks.exponential(w.profile.filesMean), k.f.n, func() { k.step(j) })
}

// operation comes before each file operation of the job.
func (k *work) operation() {
	if k.steps == 0 {
		k.pause()
	}
	k.steps--
}

// step lets the job make a few operations. Now and then one of them fails, which costs the
// file and not the process, or the power goes.
func (k *work) step(j job) {
	n := k.f.n
	w, d := n.w, n.disk
	k.steps = 1 + w.disks.IntN(8)
	failing := n.armFile()
	n.armCut(w.profile.fileCuts, k.steps)
	d.between = k.operation
	_, more := k.resume()
	d.between = nil
	if n.powerWent(edgeFiles) {
		return
	}
	if failing != noFault {
		d.disarm(Op(failing))
	}
	if more {
		k.planStep(j)
		return
	}
	k.busy = false
	if n.input(j.what(), j.over) {
		k.next()
	}
}

// abandoned ends the coroutines: the process is gone, the disk answers nobody.
func (f *files) abandoned() {
	for _, k := range []*work{&f.own, &f.incoming, &f.outgoing} {
		if k.abandon != nil {
			k.abandon()
		}
	}
}

// noFault says that no file operation was made to fail.
const noFault = -1

// armFile lets the next operation of a kind fail, sometimes: the disk is full, or worse.
func (n *node) armFile() int {
	w := n.w
	if w.calm || !w.faults.perMille(w.profile.fileFaults) {
		return noFault
	}
	op := [...]Op{OpCreate, OpWrite, OpWrite, OpWrite, OpSync, OpSyncDir, OpRename}[w.faults.IntN(7)]
	if n.disk.faults[op].err != nil {
		return noFault // armed for the log already
	}
	n.disk.FailNext(op, errDisk)
	return int(op)
}

// armCut lets the power go in the middle of one of the next operations, with this share.
func (n *node) armCut(share, operations int) {
	if w := n.w; !w.calm && w.faults.perMille(share) {
		n.disk.CutPower(1 + w.faults.IntN(operations))
	}
}

// powerWent ends the life if the power went during what the server just did.
func (n *node) powerWent(at edge) bool {
	n.disk.cutAt = 0
	if !n.disk.dark {
		return false
	}
	n.crash(at)
	return true
}

// Write implements replica.Snapshots. The cut was taken when it was asked for; the file is
// written later, while commands are applied.
func (f *files) Write(m raft.Snapshot, state io.WriterTo, done func(error)) {
	n := f.n
	n.held.begins(m)
	n.w.check.step(n) // what is committed may be so since a moment ago
	n.w.check.snapshotIsTrue(n, m)
	n.w.check.stateIsRight(n, m.Index)
	n.w.check.knowsWhenRestarted(n)
	w := &watched{state: state}
	if _, err := state.WriteTo(&w.now); err != nil {
		violate("A snapshot is a state that was", "a state cannot be written to memory: %v", err)
	}
	var err error
	f.own.put(job{
		run: func() { err = n.dir.Snapshots().Write(m, w) },
		over: func() {
			n.w.note(snapshotWritten, n, uint64(m.Index), uint64(m.Term), bit(err == nil), 0)
			switch {
			case err != nil && !ofDisk(err):
				violate("A snapshot is a state that was", "n%d cannot write one on a sound disk: %v", n.place+1, err)
			case err != nil:
				n.w.marks.hit(markSnapshotFailed)
			case n.replica.Raft().Snapshot().Index >= m.Index:
				n.w.marks.hit(markOvertaken)
				fallthrough
			default:
				n.w.check.payloadIsRight(n, m, w)
			}
			done(err)
		},
		what: func() spec.Input {
			return ended(err, spec.SnapshotWritten{Snapshot: m}, spec.Other{What: "a snapshot failed"})
		},
	})
}

// watched remembers what a state was when the snapshot was asked for, and what was
// written when its turn came.
type watched struct {
	state        io.WriterTo
	now, written bytes.Buffer
}

// WriteTo implements io.WriterTo.
func (s *watched) WriteTo(w io.Writer) (int64, error) {
	return s.state.WriteTo(io.MultiWriter(w, &s.written))
}

// Read implements replica.Snapshots. Chunks are as small as the profile wants, and some
// were damaged on the way out: whoever gets the file must notice.
func (f *files) Read(index raft.Index, term raft.Term, offset uint64, done func([]byte, uint64, error)) {
	var chunk []byte
	var size uint64
	var err error
	w := f.n.w
	f.outgoing.put(job{
		run: func() {
			chunk, size, err = f.n.dir.Snapshots().ReadAt(index, term, offset)
			chunk = chunk[:min(len(chunk), w.profile.chunkBytes)]
		},
		over: func() {
			if err == nil && len(chunk) > 0 && !w.calm && w.faults.perMille(w.profile.damage) {
				chunk[w.faults.IntN(len(chunk))] ^= byte(1 << w.faults.IntN(8))
			}
			done(chunk, size, err)
		},
		what: func() spec.Input { return ended(err, spec.Other{What: "a chunk was read"}, spec.Failed{}) },
	})
}

// Receive implements replica.Snapshots.
func (f *files) Receive(offset uint64, chunk []byte, done func(error)) {
	if offset > 0 {
		f.n.w.marks.hit(markLaterChunk)
	}
	f.n.held.stores()
	f.oneTransfer(offset)
	var err error
	f.incoming.put(job{
		run:  func() { err = f.n.dir.Snapshots().Receive(offset, chunk) },
		over: func() { done(err) },
		what: func() spec.Input { return ended(err, spec.Other{What: "a chunk is stored"}, spec.ChunkLost{}) },
	})
}

// Received implements replica.Snapshots.
func (f *files) Received(restore func(io.Reader) (func(), error), done func(raft.Snapshot, func(), error)) {
	n := f.n
	var m raft.Snapshot
	var install func()
	var err error
	f.incoming.put(job{
		run: func() {
			m, err = n.dir.Snapshots().Received(func(state io.Reader) (err error) {
				install, err = restore(state)
				return err
			})
		},
		over: func() {
			if n.w.note(snapshotReceived, n, uint64(m.Index), uint64(m.Term), bit(err == nil), 0); err != nil {
				n.w.marks.hit(markReceivedBad)
			}
			done(m, install, err)
		},
		what: func() spec.Input { return ended(err, spec.SnapshotReceived{Snapshot: m}, spec.ChunkLost{}) },
	})
}
