package node

import (
	"sync"
	"time"

	"dbdb/raft"
)

// Log is the write-ahead log that a node saves to: package wal's. Only one
// goroutine uses it at a time.
type Log interface {
	// Write hands Saves to the file, as one frame; Sync makes them durable.
	Write(saves ...raft.Save) error
	Sync() error
	// MarkIdle records, once, that everything before it was synced.
	MarkIdle() error
}

// markAfter is how long the log is left alone before it is marked: then a damaged
// last frame can be told from one that was never synced.
const markAfter = 100 * time.Millisecond

// saver is replica.Disk over a Log. It has a goroutine of its own, so that the loop
// never waits for an fsync: what gathers meanwhile becomes the next frame, and
// group commit grows with the load by itself.
type saver struct {
	log  Log
	post func(func()) // runs a callback on the loop
	fail func(error)  // runs on the loop too, after an error that concerns no Save

	mu     sync.Mutex
	queue  []queuedSave
	taken  raft.Index // the end of the newest entries that run has taken
	wake   chan struct{}
	stop   chan struct{}
	failed error
}

type queuedSave struct {
	save raft.Save
	done func(error)
}

func newSaver(log Log, post func(func()), fail func(error)) *saver {
	return &saver{log: log, post: post, fail: fail, wake: make(chan struct{}, 1), stop: make(chan struct{})}
}

// Save queues s, until start. It never blocks.
func (s *saver) Save(save raft.Save, done func(error)) {
	s.mu.Lock()
	s.queue = append(s.queue, queuedSave{save, done})
	s.mu.Unlock()
}

// start has what is queued written. Entries of a leader may wait until those that were
// written before are committed: that takes a follower's answer too, and a follower is sent
// one batch at a time. A leader that syncs whenever it can syncs three times for each time
// that its followers do, and commits nothing sooner. Whatever it is that makes them wait,
// the core sees no more of it than of a slow disk.
func (s *saver) start(leads bool, commitIndex raft.Index) {
	s.mu.Lock()
	waits := len(s.queue) == 0 || leads && s.taken > commitIndex && len(s.queue) < maxQueuedSaves
	s.mu.Unlock()
	if waits {
		return
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// maxQueuedSaves is how many Saves may wait for a commit. Each is what the loop had to do
// at one time.
const maxQueuedSaves = 64

// run writes what is queued, all of it with one fsync, until stop.
func (s *saver) run() {
	idle := time.NewTimer(markAfter)
	defer idle.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-s.wake:
			s.saveAll()
			idle.Reset(markAfter)
		case <-idle.C:
			if s.failed == nil {
				s.markIdle()
			}
		}
	}
}

func (s *saver) saveAll() {
	s.mu.Lock()
	queue := s.queue
	s.queue = nil
	for _, q := range queue {
		if n := len(q.save.Entries); n > 0 {
			s.taken = q.save.Entries[n-1].Index
		}
	}
	s.mu.Unlock()
	if len(queue) == 0 {
		return
	}
	saves := make([]raft.Save, len(queue))
	for k, q := range queue {
		saves[k] = q.save
	}
	err := s.failed
	if err == nil {
		err = s.log.Write(saves...)
	}
	if err == nil {
		err = s.log.Sync()
	}
	s.failed = err
	s.post(func() {
		for _, q := range queue {
			q.done(err)
		}
	})
}

func (s *saver) markIdle() {
	if err := s.log.MarkIdle(); err != nil {
		s.failed = err
		s.post(func() { s.fail(err) })
	}
}
