package sim

import (
	"fmt"
	"slices"

	"dbdb/raft"
)

// cell is what the oracles remember of a log entry: enough to tell it from any
// other entry, without keeping a reference into the memory of the node that is judged.
type cell struct {
	term raft.Term
	kind raft.EntryKind
	sum  uint64
}

func cellOf(e raft.Entry) cell { return cell{term: e.Term, kind: e.Kind, sum: checksum(e.Data)} }

// checksum is FNV-1a. The values of the workload are unique, so two commands with
// one checksum are one command.
func checksum(data []byte) uint64 {
	h := uint64(14695981039346656037)
	for _, b := range data {
		h = (h ^ uint64(b)) * 1099511628211
	}
	return h
}

// image is a server's persistent state of Figure 2, as a model: what its disk must
// hold once the Saves applied to it are durable.
type image struct {
	term     raft.Term
	votedFor raft.NodeID
	snapshot raft.Index // the end of the snapshot in force
	// log[i-1] is the entry at index i. What the snapshot stands for is in it too: what was
	// committed there.
	log []cell
}

// imageOf is what recovery gave back. Entries that were kept although the snapshot
// covers them must be those that were committed.
func imageOf(d raft.Restored, committed []commitment) (image, error) {
	m := image{term: d.Term, votedFor: d.VotedFor, snapshot: d.Snapshot.Index}
	if m.snapshot > raft.Index(len(committed)) {
		return m, fmt.Errorf("the snapshot ends at %d; %d entries are committed", m.snapshot, len(committed))
	}
	m.log = cellsOf(committed[:m.snapshot])
	next := m.snapshot + 1
	if len(d.Entries) > 0 {
		next = min(next, d.Entries[0].Index)
	}
	for _, e := range d.Entries {
		switch {
		case e.Index != next:
			return m, fmt.Errorf("entry %v is where %d belongs", e, next)
		case e.Index > m.snapshot:
			m.log = append(m.log, cellOf(e))
		case m.at(e.Index) != cellOf(e):
			return m, fmt.Errorf("entry %v, which the snapshot covers, is not what was committed there", e)
		}
		next++
	}
	if next <= m.snapshot {
		return m, fmt.Errorf("the log ends at %d, before the snapshot at %d", next-1, m.snapshot)
	}
	return m, nil
}

func cellsOf(committed []commitment) []cell {
	cells := make([]cell, len(committed), len(committed)+8)
	for k := range committed {
		cells[k] = committed[k].cell
	}
	return cells
}

func (m *image) last() raft.Index { return raft.Index(len(m.log)) }

// at returns the entry at index i; the zero cell is "before the log" or "not there".
func (m *image) at(i raft.Index) cell {
	if i == 0 || i > m.last() {
		return cell{}
	}
	return m.log[i-1]
}

func (m *image) clone() image {
	return image{term: m.term, votedFor: m.votedFor, snapshot: m.snapshot, log: slices.Clone(m.log)}
}

func (m *image) equal(o *image) bool {
	return m.term == o.term && m.votedFor == o.votedFor && m.snapshot == o.snapshot && slices.Equal(m.log, o.log)
}

// apply carries out a Save. A Save that does not fit the log before it is an error:
// carried out on a disk it would leave a hole. A snapshot takes the place of the whole
// log unless the log holds its last entry (Figure 13, rules 6 and 7).
func (m *image) apply(s raft.Save, committed []commitment) error {
	m.term, m.votedFor = s.Term, s.VotedFor
	if s.TruncateFrom > 0 {
		if s.TruncateFrom > m.last()+1 {
			return fmt.Errorf("save %d truncates from %d a log that ends at %d", s.Seq, s.TruncateFrom, m.last())
		}
		m.log = m.log[:s.TruncateFrom-1]
	}
	if i := s.Snapshot.Index; i > 0 {
		if i > raft.Index(len(committed)) {
			return fmt.Errorf("save %d has a snapshot through %d; %d entries are committed", s.Seq, i, len(committed))
		}
		if m.at(i).term != s.Snapshot.Term {
			m.log = cellsOf(committed[:i])
		}
		m.snapshot = i
	}
	for _, e := range s.Entries {
		if e.Index != m.last()+1 {
			return fmt.Errorf("save %d puts entry %v after index %d", s.Seq, e, m.last())
		}
		m.log = append(m.log, cellOf(e))
	}
	return nil
}

func (m *image) String() string {
	return fmt.Sprintf("term %d, vote %q, snapshot to %d, log to %d@%d", m.term, m.votedFor, m.snapshot, m.last(), m.at(m.last()).term)
}
