package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"dbdb/raft"
)

// Log is the write-ahead log. It is opened with its data directory, see Open.
type Log struct {
	fsys         FS
	dir          string
	instance     string
	random       io.Reader
	segmentBytes int64

	snapshots snapshotFiles

	restored *raft.Restored // until Restored takes it
	repair   *Repair

	state   state   // after the Saves given to Write
	written summary // of the state, according to the frames so far
	active  *segment
	remain  []beginning // of all segments that are there, oldest first; active is the last
	offset  int64       // in active, where the next frame goes
	last    link        // the newest frame
	dirty   bool        // it was written but not synced
	bare    bool        // nothing after it proves yet that it was synced
	buf     []byte
	err     error // once set, the answer to everything
}

// maxKeptBuffer is how much memory a Log keeps for its next frame.
const maxKeptBuffer = 4 << 20

// errClosed is the answer of a log that was closed.
var errClosed = errors.New("the write-ahead log is closed")

// Restored hands over what the log held when it was opened. It can be called
// once, as the log keeps no copy: entries would stay in memory twice.
func (l *Log) Restored() raft.Restored {
	r := l.restored
	if r == nil {
		panic("wal: Restored was called twice")
	}
	l.restored = nil
	return *r
}

// Write appends Saves, in order, as one frame in one write. They are durable only
// after Sync. If the frame before was not synced, Write syncs it first: two
// unsynced frames could be lost in either order, and the second would then pass
// as evidence that the first was damaged. Saves with nothing to save (Seq 0) are
// left out.
//
// A Save with a snapshot is not that quick. All before it gets a frame of its own and is
// synced, the snapshot's file comes into force, and the Save itself is synced too, as what
// it makes superfluous is then removed: the snapshot before it, and segments below
// KeepFrom.
//
// Any error ends the log, also that of a Save that contradicts the ones before
// it: its caller has a bug, and what it has told others is in doubt.
func (l *Log) Write(saves ...raft.Save) error {
	if l.err != nil {
		return l.err
	}
	return l.fail(l.write(saves))
}

// write begins a frame with each Save that has a snapshot.
func (l *Log) write(saves []raft.Save) error {
	for len(saves) > 0 {
		n := 1
		for n < len(saves) && !installs(saves[n]) {
			n++
		}
		write := l.append
		if installs(saves[0]) {
			write = l.install
		}
		if err := write(saves[:n]); err != nil {
			return err
		}
		saves = saves[n:]
	}
	return nil
}

// append writes Saves as one frame.
func (l *Log) append(saves []raft.Save) error {
	b, err := l.encode(saves)
	if err != nil || b == nil {
		return err
	}
	return l.writeSaves(b)
}

// encode judges Saves and puts them into a frame, nil if none saves anything.
func (l *Log) encode(saves []raft.Save) ([]byte, error) {
	n := 0
	for _, s := range saves {
		if s.Seq != 0 {
			n++
		}
	}
	if n == 0 {
		return nil, nil
	}
	b := append(l.buf[:0], make([]byte, frameHeaderBytes)...)
	b = append(b, kindSaves)
	b = binary.AppendUvarint(b, uint64(n))
	for _, s := range saves {
		if s.Seq == 0 {
			continue
		}
		empties, err := l.state.save(s)
		if err != nil {
			return nil, fmt.Errorf("refusing to write a Save: %w", err)
		}
		b = appendSave(b, s, empties)
	}
	return b, nil
}

// writeSaves writes what encode made, and keeps its buffer for the next one.
func (l *Log) writeSaves(b []byte) error {
	if err := l.writeFrame(b, true); err != nil {
		return err
	}
	l.written = l.state.summary
	if l.buf = b; cap(b) > maxKeptBuffer {
		l.buf = nil
	}
	return nil
}

// Sync makes everything written durable, with one fdatasync; without an unsynced
// frame it does nothing.
func (l *Log) Sync() error {
	if l.err != nil {
		return l.err
	}
	return l.fail(l.sync())
}

// Save is Write and Sync in one.
func (l *Log) Save(saves ...raft.Save) error {
	if err := l.Write(saves...); err != nil {
		return err
	}
	return l.Sync()
}

// MarkIdle writes evidence that the newest frame was synced, and syncs it: from
// then on damage to that frame is told from a torn write. It is for pauses, as it
// costs a sync, and does nothing if there is evidence already.
func (l *Log) MarkIdle() error {
	if l.err != nil {
		return l.err
	}
	return l.fail(l.markIdle())
}

// Close marks the log as idle, so that after an orderly stop all damage can be
// told, and closes its file. A log that is broken is only closed.
func (l *Log) Close() error {
	if errors.Is(l.err, errClosed) {
		return nil
	}
	var err error
	if l.err == nil {
		err = l.markIdle()
	}
	l.err = errClosed
	return errors.Join(err, l.active.file.Close())
}

func (l *Log) fail(err error) error {
	if err != nil && l.err == nil {
		l.err = fmt.Errorf("write-ahead log %s: %w", l.active.name, err)
	}
	return l.err
}

func (l *Log) sync() error {
	if !l.dirty {
		return nil
	}
	if err := l.active.file.Sync(); err != nil {
		return err
	}
	l.dirty = false
	return nil
}

// writeFrame writes a frame, into a new segment if it does not fit. Room for the
// frame that ends the segment always remains.
func (l *Log) writeFrame(b []byte, data bool) error {
	if len(b)-frameHeaderBytes > maxPayload {
		return fmt.Errorf("a frame of %d bytes is too large", len(b))
	}
	if err := l.sync(); err != nil {
		return err
	}
	if !l.fits(len(b)) {
		if err := l.roll(len(b)); err != nil {
			return err
		}
	}
	return l.put(b, data)
}

func (l *Log) fits(frameBytes int) bool {
	return l.offset+int64(frameBytes)+markBytes <= l.active.size
}

func (l *Log) put(b []byte, data bool) error {
	next := sealFrame(b, l.active.seed, l.last)
	if err := writeAt(l.active.file, b, l.offset); err != nil {
		return err
	}
	l.last, l.offset = next, l.offset+int64(len(b))
	l.dirty, l.bare = true, data
	return nil
}

func (l *Log) markIdle() error {
	if err := l.sync(); err != nil || !l.bare {
		return err
	}
	if !l.fits(markBytes) {
		return l.roll(0)
	}
	if err := l.put(mark(kindIdle), false); err != nil {
		return err
	}
	return l.sync()
}

func mark(kind byte) []byte { return append(make([]byte, frameHeaderBytes, markBytes), kind) }

// roll makes the next segment and then ends the active one by a frame that says so.
// That order is what lets recovery tell a lost segment from one that was never
// made: a crash in between leaves an unended segment before an empty one.
func (l *Log) roll(frameBytes int) error {
	next, err := createSegment(l.fsys, l.dir, l.random, header{
		sequence: l.active.sequence + 1,
		size:     max(l.segmentBytes, headerBytes+int64(frameBytes)+markBytes),
		last:     l.last,
		before:   l.written,
		instance: l.instance,
	})
	if err != nil {
		return err
	}
	if err := l.end(); err != nil {
		return errors.Join(err, next.file.Close())
	}
	done := l.active
	l.active, l.offset = next, headerBytes
	l.remain = append(l.remain, next.beginning())
	return done.file.Close()
}

// end writes the last frame of the active segment, durably.
func (l *Log) end() error {
	if err := l.put(mark(kindContinued), false); err != nil {
		return err
	}
	return l.sync()
}
