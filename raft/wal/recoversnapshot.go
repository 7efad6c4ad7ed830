package wal

import (
	"encoding/binary"

	"dbdb/raft"
)

// lostRecord is the record of a snapshot that came into force right before a crash, for
// recovery to write.
type lostRecord struct {
	snapshot position // zero if there is none
	empties  bool
}

// findSnapshot decides which snapshot is in force when all frames were replayed.
//
//   - The record of the newest snapshot names it, and its file must be there: it was
//     durable before the record.
//   - If a newer one was published, a crash came before its record. All that it needs was
//     durable, with evidence, before it was published. So if the log does not hold its last
//     entry, then because the snapshot came from a leader, and the log goes.
//   - Segments were removed only after the record of a snapshot that covers them was
//     synced. If there is no such record, they were lost, or it was.
func (r *recovery) findSnapshot() error {
	recorded := r.state.snapshot
	if r.first.sequence > 1 && (recorded.index == 0 || recorded.index < r.first.before.last.index) {
		return r.missing(r.first.sequence - 1)
	}
	newest, found, err := r.published(recorded)
	if err != nil {
		return err
	}
	if !found {
		return &CorruptError{r.snapshots.name(recorded), 0, "this snapshot is missing: the log goes on where it ends"}
	}
	if newest.index == 0 {
		return nil
	}
	name := r.snapshots.name(newest)
	if r.inForce, err = r.snapshots.meta(name); err != nil {
		return err
	}
	if err := misnamed(name, r.inForce, newest); err != nil {
		return err
	}
	if newest == recorded {
		return nil
	}
	held, _ := r.state.holds(newest)
	r.lost = lostRecord{newest, !held}
	if err := r.install(newest, !held); err != nil {
		return &CorruptError{name, 0, "the log contradicts this snapshot: " + err.Error()}
	}
	return nil
}

// published finds the newest snapshot under a final name, and whether the recorded one has
// its file; none needs no file.
func (r *recovery) published(recorded position) (newest position, found bool, err error) {
	names, err := r.snapshots.list()
	found = recorded.index == 0
	for _, name := range names {
		p, ok := snapshotPosition(name, snapshotSuffix)
		if !ok {
			continue
		}
		found = found || p == recorded
		if p.index > newest.index || p.index == newest.index && p.term > newest.term {
			newest = p
		}
	}
	return newest, found, err
}

// writeLostRecord makes what findSnapshot decided durable, before anybody acts on it and
// before the older snapshot goes.
func (r *recovery) writeLostRecord(l *Log) error {
	if r.lost.snapshot.index == 0 {
		return nil
	}
	b := append(make([]byte, frameHeaderBytes), kindSaves)
	b = binary.AppendUvarint(b, 1)
	b = appendSave(b, raft.Save{
		Term: l.state.term, VotedFor: l.state.vote,
		Snapshot: raft.Snapshot{Index: r.lost.snapshot.index, Term: r.lost.snapshot.term},
	}, r.lost.empties)
	err := l.writeSaves(b)
	r.active = l.active // it may be a new one
	if err != nil {
		return err
	}
	return l.sync()
}
