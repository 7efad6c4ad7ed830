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
	log      []cell // log[i-1] is the entry at index i
}

func imageOf(d raft.Restored) image {
	m := image{term: d.Term, votedFor: d.VotedFor, log: make([]cell, len(d.Entries))}
	for k, e := range d.Entries {
		m.log[k] = cellOf(e)
	}
	return m
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
	return image{term: m.term, votedFor: m.votedFor, log: slices.Clone(m.log)}
}

func (m *image) equal(o *image) bool {
	return m.term == o.term && m.votedFor == o.votedFor && slices.Equal(m.log, o.log)
}

// apply carries out a Save. A Save that does not fit the log before it is an error:
// carried out on a disk it would leave a hole.
func (m *image) apply(s raft.Save) error {
	m.term, m.votedFor = s.Term, s.VotedFor
	if s.TruncateFrom > 0 {
		if s.TruncateFrom > m.last()+1 {
			return fmt.Errorf("save %d truncates from %d a log that ends at %d", s.Seq, s.TruncateFrom, m.last())
		}
		m.log = m.log[:s.TruncateFrom-1]
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
	return fmt.Sprintf("term %d, vote %q, log to %d@%d", m.term, m.votedFor, m.last(), m.at(m.last()).term)
}
