package wal

import (
	"io"

	"dbdb/raft"
)

// Snapshots are the snapshot files of a data directory. Its methods may be called
// while the log is written, but not two of them at a time.
type Snapshots struct{}

// Snapshots gives access to the snapshot files.
func (d *Dir) Snapshots() *Snapshots { return &Snapshots{} }

// Write stores the state of a state machine as the snapshot m: when it returns, its
// file is complete and durable. It comes into force when the Log writes a Save that
// names it; until then it is as if it did not exist.
func (s *Snapshots) Write(m raft.Snapshot, state io.WriterTo) error { panic("not built yet") }

// ReadAt reads up to raft.MaxChunkBytes at an offset of the file of a snapshot that is
// in force, to be sent to another server, and tells the size of the whole file.
func (s *Snapshots) ReadAt(index raft.Index, term raft.Term, offset uint64) (chunk []byte, size uint64, err error) {
	panic("not built yet")
}

// Receive stores a chunk of another server's snapshot file. Offset 0 begins a new
// file; any other must be where the last chunk ended.
func (s *Snapshots) Receive(offset uint64, chunk []byte) error { panic("not built yet") }

// Received ends the file that Receive filled: all of it is verified while load reads
// the state out of it, and then made durable. As with Write, a Save brings it into
// force.
func (s *Snapshots) Received(load func(state io.Reader) error) (raft.Snapshot, error) {
	panic("not built yet")
}

// Load verifies the snapshot in force while load reads the state out of it. Damage is a
// *CorruptError.
func (s *Snapshots) Load(m raft.Snapshot, load func(state io.Reader) error) error {
	panic("not built yet")
}
