package wal

import (
	"path"

	"dbdb/raft"
)

// installs says whether a Save brings a snapshot into force.
func installs(s raft.Save) bool { return s.Seq != 0 && s.Snapshot.Index != 0 }

// install writes Saves of which the first brings a snapshot into force. Each step waits
// until the one before it is durable:
//
//  1. currentTerm, and the entries that the snapshot covers, with evidence. Published
//     before them, a snapshot could outlive the term that it was made in; and a torn
//     frame could then not be told from damage to what the snapshot was made of.
//  2. The file under its final name. From here on it is in force, come what may: if the
//     record is lost, recovery writes it.
//  3. The record.
//  4. What is not needed any more goes. Recovery takes this as evidence for the record.
func (l *Log) install(saves []raft.Save) error {
	first := saves[0]
	if first.Term != l.state.term || first.VotedFor != l.state.vote {
		if err := l.append([]raft.Save{{Seq: first.Seq, Term: first.Term, VotedFor: first.VotedFor}}); err != nil {
			return err
		}
	}
	b, err := l.encode(saves)
	if err != nil {
		return err
	}
	if err := l.markIdle(); err != nil {
		return err
	}
	if err := l.snapshots.publish(first.Snapshot); err != nil {
		return err
	}
	if err := l.writeSaves(b); err != nil {
		return err
	}
	if err := l.sync(); err != nil {
		return err
	}
	if err := l.snapshots.removeBefore(positionOf(first.Snapshot)); err != nil {
		return err
	}
	return l.compact(keepFrom(first))
}

// keepFrom is the first index that must stay in the log.
func keepFrom(s raft.Save) raft.Index {
	if s.KeepFrom == 0 || s.KeepFrom > s.Snapshot.Index {
		return s.Snapshot.Index + 1
	}
	return s.KeepFrom
}

// beginning is which segment it is and where the log ended before it.
type beginning struct {
	sequence uint64
	last     raft.Index
}

func (s *segment) beginning() beginning { return beginning{s.sequence, s.before.last.index} }

// compact removes the oldest segments, as far as all their entries are below keep. Each
// removal is durable before the next: in another order, a crash would leave a hole, which
// looks like a segment that was lost.
func (l *Log) compact(keep raft.Index) error {
	for len(l.remain) > 1 && l.remain[1].last < keep {
		if err := l.fsys.Remove(path.Join(l.dir, segmentName(l.remain[0].sequence))); err != nil {
			return err
		}
		if err := l.fsys.SyncDir(l.dir); err != nil {
			return err
		}
		l.remain = l.remain[1:]
	}
	return nil
}
