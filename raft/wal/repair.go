package wal

import (
	"errors"
	"path"
)

// Repair tells of a torn write that was taken out of the log when it was opened:
// a crash came before its sync, so nobody had been told of it. It is worth a line
// in the server's log, no more.
type Repair struct {
	File   string
	Offset int64 // of the torn frame
	Bytes  int64 // how many bytes, from there on, were zeroed
}

// finish carries out what was decided, and makes durable what the process
// before this one left: this one is about to act on it. That process may have been
// killed before its sync, or have ended because its sync failed. In the second
// case the kernel takes the bytes that it still shows for written, and another sync
// would write nothing; so the newest frame is written again.
func (r *recovery) finish(l *Log) error {
	if err := removeIfThere(r.fsys, path.Join(r.dir, tmpName)); err != nil {
		return err
	}
	if err := r.fsys.SyncDir(r.dir); err != nil {
		return err
	}
	if err := r.fsys.MkdirAll(r.snapshots.dir); err != nil {
		return err
	}
	if err := r.fsys.SyncDir(r.snapshots.dir); err != nil {
		return err
	}
	if r.previous != nil {
		if err := r.finishPrevious(l); err != nil {
			return err
		}
	}
	if err := rewrite(r.active.file, r.buf[r.start:r.offset], r.start, r.tornTo); err != nil {
		return err
	}
	if err := r.active.file.Sync(); err != nil {
		return err
	}
	if err := r.writeLostRecord(l); err != nil {
		return err
	}
	return r.snapshots.removeAllBut(positionOf(r.inForce))
}

// finishPrevious writes the last frame of the previous segment, if the active one
// is still empty: only a frame there proves that this was done. The name of the
// active one is durable by now, as the last frame says.
func (r *recovery) finishPrevious(l *Log) error {
	f, seed := r.previous.file, r.previous.seed
	r.previous = nil
	if r.offset > headerBytes {
		return f.Close()
	}
	b := mark(kindContinued)
	l.last = sealFrame(b, seed, r.end.after)
	err := rewrite(f, b, r.end.at, r.end.tornTo)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// rewrite writes a frame and zeros from its end to tornTo, if that is after it.
func rewrite(f File, frame []byte, off, tornTo int64) error {
	zeros := max(0, tornTo-off-int64(len(frame)))
	return writeAt(f, append(frame[:len(frame):len(frame)], make([]byte, zeros)...), off)
}
