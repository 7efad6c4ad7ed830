package wal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"

	"dbdb/raft"
)

// Snapshots are the snapshot files of a data directory. While the log is written, one
// goroutine may use Write, another Receive and Received, and a third ReadAt: they share
// no file. An error costs the file that was being made or sent, and nothing else.
type Snapshots struct {
	files    snapshotFiles
	received incoming
	closed   bool
}

// incoming is a file that is on its way from the leader.
type incoming struct {
	file     File // nil if there is none
	size     uint64
	unsynced int
}

var errSnapshotsClosed = errors.New("the data directory is closed")

// Write stores the state of a state machine as the snapshot m: when it returns, its
// file is complete and durable. It comes into force when the Log writes a Save that
// names it; until then it is as if it did not exist.
func (s *Snapshots) Write(m raft.Snapshot, state io.WriterTo) error {
	if s.closed {
		return errSnapshotsClosed
	}
	f, err := s.create(ownTmp)
	if err != nil {
		return err
	}
	if err := errors.Join(writeSnapshot(f, m, state), f.Close()); err != nil {
		return s.discard(ownTmp, err)
	}
	return s.files.complete(ownTmp, positionOf(m))
}

func (s *Snapshots) create(tmp string) (File, error) {
	name := path.Join(s.files.dir, tmp)
	if err := removeIfThere(s.files.fsys, name); err != nil {
		return nil, err
	}
	return s.files.fsys.Create(name)
}

// discard removes a file that failed, as it may be what fills the disk, and returns why.
func (s *Snapshots) discard(tmp string, why error) error {
	return errors.Join(why, removeIfThere(s.files.fsys, path.Join(s.files.dir, tmp)))
}

// ReadAt reads up to raft.MaxChunkBytes at an offset of the file of a snapshot that is
// in force, to be sent to another server, and tells the size of the whole file. When a
// newer snapshot has come into force, the error is fs.ErrNotExist.
func (s *Snapshots) ReadAt(index raft.Index, term raft.Term, offset uint64) (chunk []byte, size uint64, err error) {
	if s.closed {
		return nil, 0, errSnapshotsClosed
	}
	f, err := s.files.fsys.Open(s.files.name(position{index, term}))
	if err != nil {
		return nil, 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	n, err := f.Size()
	if err != nil {
		return nil, 0, err
	}
	if size = uint64(n); offset > size {
		return nil, 0, fmt.Errorf("offset %d of snapshot %v, which has %d bytes", offset, position{index, term}, size)
	}
	chunk = make([]byte, min(size-offset, raft.MaxChunkBytes))
	return chunk, size, readAt(f, chunk, int64(offset))
}

// Receive stores a chunk of another server's snapshot file. Offset 0 begins a new
// file; any other must be where the last chunk ended. After an error the file must be
// begun again.
func (s *Snapshots) Receive(offset uint64, chunk []byte) error {
	if s.closed {
		return errSnapshotsClosed
	}
	if offset == 0 {
		if err := s.begin(); err != nil {
			return err
		}
	}
	if s.received.file == nil || offset != s.received.size {
		return fmt.Errorf("a chunk at offset %d of a snapshot of which %d bytes have been received", offset, s.received.size)
	}
	if err := s.received.append(chunk); err != nil {
		return s.giveUp(err)
	}
	return nil
}

// begin makes an empty file for what is to come.
func (s *Snapshots) begin() error {
	if err := s.stop(); err != nil {
		return err
	}
	f, err := s.create(receivedTmp)
	if err == nil {
		s.received = incoming{file: f}
	}
	return err
}

func (i *incoming) append(chunk []byte) error {
	if err := writeAt(i.file, chunk, int64(i.size)); err != nil {
		return err
	}
	i.size += uint64(len(chunk))
	if i.unsynced += len(chunk); i.unsynced < syncSnapshotBytes {
		return nil
	}
	i.unsynced = 0
	return i.file.Sync()
}

// stop closes the file that is being received, if any.
func (s *Snapshots) stop() error {
	f := s.received.file
	s.received = incoming{}
	if f == nil {
		return nil
	}
	return f.Close()
}

// giveUp drops what was received.
func (s *Snapshots) giveUp(why error) error {
	return s.discard(receivedTmp, errors.Join(why, s.stop()))
}

// Received ends the file that Receive filled: all of it is verified while load reads
// the state out of it, and then made durable. As with Write, a Save brings it into
// force. Damage is no *CorruptError here: it came from outside, and only the file that was
// received is lost.
func (s *Snapshots) Received(load func(state io.Reader) error) (raft.Snapshot, error) {
	if s.closed {
		return raft.Snapshot{}, errSnapshotsClosed
	}
	if s.received.file == nil {
		return raft.Snapshot{}, errors.New("no snapshot was being received")
	}
	m, err := s.received.verify(load)
	if err == nil {
		err = s.received.file.Sync()
	}
	if err != nil {
		return raft.Snapshot{}, s.giveUp(err)
	}
	if err := s.stop(); err != nil {
		return raft.Snapshot{}, s.discard(receivedTmp, err)
	}
	return m, s.files.complete(receivedTmp, positionOf(m))
}

func (i *incoming) verify(load func(state io.Reader) error) (raft.Snapshot, error) {
	r, m, err := newSnapshotReader(i.file, receivedTmp)
	if err == nil {
		err = r.loadAll(load)
	}
	if err != nil {
		return raft.Snapshot{}, fmt.Errorf("the snapshot that was received cannot be used: %v", err)
	}
	return m, nil
}

// Load verifies the snapshot in force while load reads the state out of it. Damage is a
// *CorruptError.
func (s *Snapshots) Load(m raft.Snapshot, load func(state io.Reader) error) (err error) {
	if s.closed {
		return errSnapshotsClosed
	}
	name := s.files.name(positionOf(m))
	f, err := s.files.fsys.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return &CorruptError{name, 0, "this snapshot is missing"}
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	r, stored, err := newSnapshotReader(f, name)
	if err != nil {
		return err
	}
	if err := misnamed(name, stored, positionOf(m)); err != nil {
		return err
	}
	return r.loadAll(load)
}

// close lets the file go that is being received; the next Open removes it.
func (s *Snapshots) close() error {
	if s.closed {
		return nil
	}
	s.closed = true
	return s.stop()
}
