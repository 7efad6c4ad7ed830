package node

import (
	"errors"
	"io"
	"log/slog"
	"sync"
	"time"

	"dbdb/raft"
)

// Snapshots is where a node's snapshots are: package wal's. Its own snapshot is
// written, another server's received, and chunks are read for others, by three
// goroutines.
type Snapshots interface {
	Write(m raft.Snapshot, state io.WriterTo) error
	ReadAt(index raft.Index, term raft.Term, offset uint64) (chunk []byte, size uint64, err error)
	Receive(offset uint64, chunk []byte) error
	Received(load func(state io.Reader) error) (raft.Snapshot, error)
}

// files is replica.Snapshots over Snapshots. A snapshot takes seconds to write or to
// read, so each kind of work has a goroutine; the loop waits for none of them.
type files struct {
	store Snapshots
	post  func(func()) // runs a callback on the loop
	log   *slog.Logger
	stop  chan struct{}

	own, incoming, outgoing *mailbox // of work

	// What failed is tried again, and said when it begins to fail: to receive fails until a
	// whole snapshot was received, as the first chunks fit on any disk. Each belongs to the
	// goroutine of its kind of work.
	receiveFails, readFails bool
}

func newFiles(store Snapshots, post func(func()), log *slog.Logger) *files {
	return &files{
		store: store, post: post, log: log, stop: make(chan struct{}),
		own: newMailbox(), incoming: newMailbox(), outgoing: newMailbox(),
	}
}

func (f *files) start(routines *sync.WaitGroup) {
	for _, work := range []*mailbox{f.own, f.incoming, f.outgoing} {
		routines.Go(func() { f.run(work) })
	}
}

func (f *files) run(work *mailbox) {
	var jobs []func()
	for {
		select {
		case <-f.stop:
			return
		case <-work.wake:
		}
		jobs = work.take(jobs)
		for _, job := range jobs {
			job()
		}
	}
}

// Write implements replica.Snapshots.
func (f *files) Write(m raft.Snapshot, state io.WriterTo, done func(error)) {
	f.own.put(func() {
		begun := time.Now()
		err := f.store.Write(m, stoppable{state, f.stop})
		f.say("snapshot written", m, begun, err)
		f.post(func() { done(err) })
	})
}

// Read implements replica.Snapshots.
func (f *files) Read(index raft.Index, term raft.Term, offset uint64, done func([]byte, uint64, error)) {
	f.outgoing.put(func() {
		chunk, size, err := f.store.ReadAt(index, term, offset)
		if err != nil && !f.readFails {
			f.log.Warn("a snapshot cannot be read for another server", "index", uint64(index), "err", err)
		}
		f.readFails = err != nil
		f.post(func() { done(chunk, size, err) })
	})
}

// Receive implements replica.Snapshots.
func (f *files) Receive(offset uint64, chunk []byte, done func(error)) {
	f.incoming.put(func() {
		err := f.store.Receive(offset, chunk)
		if err != nil && !f.receiveFails {
			f.log.Warn("a snapshot cannot be received", "err", err)
		}
		f.receiveFails = f.receiveFails || err != nil
		f.post(func() { done(err) })
	})
}

// Received implements replica.Snapshots.
func (f *files) Received(restore func(io.Reader) (func(), error), done func(raft.Snapshot, func(), error)) {
	f.incoming.put(func() {
		begun := time.Now()
		var install func()
		m, err := f.store.Received(func(state io.Reader) (err error) {
			install, err = restore(stoppableReader{state, f.stop})
			return err
		})
		f.receiveFails = f.receiveFails && err != nil
		f.say("snapshot received", m, begun, err)
		f.post(func() { done(m, install, err) })
	})
}

func (f *files) say(what string, m raft.Snapshot, begun time.Time, err error) {
	switch {
	case errors.Is(err, errStopping):
	case err != nil:
		f.log.Warn("no "+what, "index", uint64(m.Index), "err", err)
	default:
		f.log.Info(what, "index", uint64(m.Index), "term", uint64(m.Term), "took", time.Since(begun).Round(time.Millisecond))
	}
}

// errStopping ends the work on a snapshot when the node stops: it may be large, and
// nothing is lost with it.
var errStopping = errors.New("the node is stopping")

func stopping(stop <-chan struct{}) error {
	select {
	case <-stop:
		return errStopping
	default:
		return nil
	}
}

// stoppable is a state that stops being written when the node stops.
type stoppable struct {
	state io.WriterTo
	stop  <-chan struct{}
}

// WriteTo implements io.WriterTo.
func (s stoppable) WriteTo(w io.Writer) (int64, error) {
	return s.state.WriteTo(stoppableWriter{w, s.stop})
}

type stoppableWriter struct {
	io.Writer
	stop <-chan struct{}
}

func (w stoppableWriter) Write(p []byte) (int, error) {
	if err := stopping(w.stop); err != nil {
		return 0, err
	}
	return w.Writer.Write(p)
}

type stoppableReader struct {
	io.Reader
	stop <-chan struct{}
}

func (r stoppableReader) Read(p []byte) (int, error) {
	if err := stopping(r.stop); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}
