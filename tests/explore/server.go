package explore

import (
	"slices"

	"dbdb/raft"
)

// server is one server in one of the states that it can be in: the core, what is durable,
// and the Saves that are not, with what waits for them. It never changes, so all states of
// the world in which it is the same share it.
type server struct {
	core  *raft.Raft
	disk  raft.Restored
	saves []held
	file  []part // of a snapshot that it receives

	raft.Status
	log, durable cells
	sessions     [maxNodes]uint64 // a leader's, by place; 0 is none
	holds        [maxNodes]uint8  // what replies it holds back, by caller
	held         []uint32         // and which
	hash         []uint64

	outcomes memo
}

// held is a Save that is not durable yet, and what leaves when it is: "updated on stable
// storage before responding to RPCs" (Figure 2).
type held struct {
	raft.Save
	replies, calls []*message
}

// part is a chunk that was stored: of which snapshot it is.
type part struct {
	index raft.Index
	term  raft.Term
	by    raft.Term // of the leader that sent it
}

const (
	holdsReply   = 1 << iota // one whose caller cares for nothing but its term
	holdsCurrent             // one of the caller's present session
)

// cell is what an entry is: its term, and a hash of what it says.
type cell struct {
	term raft.Term
	kind raft.EntryKind
	what uint64
}

// cells is a log: entries from index base+1 on. What is before was committed.
type cells struct {
	base raft.Index
	all  []cell
}

func (c *cells) last() raft.Index { return c.base + raft.Index(len(c.all)) }

// holds says whether the log has that entry, or a snapshot that covers it.
func (c *cells) holds(i raft.Index, is cell) bool {
	return i <= c.base || i <= c.last() && c.all[i-c.base-1] == is
}

func cellsOf(base raft.Index, entries []raft.Entry) cells {
	c := cells{base: base}
	for _, e := range entries {
		if e.Index <= base {
			continue
		}
		c.all = append(c.all, cellOf(e))
	}
	return c
}

func cellOf(e raft.Entry) cell {
	return cell{e.Term, e.Kind, hashOf(append([]byte{byte(e.Kind)}, e.Data...))}
}

// look fills in what is asked of a server again and again.
func (s *server) look() {
	s.Status = s.core.Status()
	s.log = cellsOf(s.SnapshotIndex, s.core.LogEntries(s.SnapshotIndex+1, s.LastIndex))
	s.durable = cellsOf(s.disk.Snapshot.Index, s.disk.Entries)
	for _, p := range s.Peers {
		s.sessions[placeOf(p.ID)] = p.Session
	}
	for _, h := range s.saves {
		for _, m := range h.replies {
			s.holds[m.to] |= holdsReply
			if m.current {
				s.holds[m.to] |= holdsCurrent
			}
		}
	}
}

func (e *encoder) server(s *server) {
	e.buf = s.core.AppendState(e.buf, e.rename)
	e.numbers(uint64(s.disk.Term))
	e.id(s.disk.VotedFor)
	e.snapshot(s.disk.Snapshot)
	e.log(s.disk.Entries)
	e.numbers(uint64(len(s.saves)))
	for _, h := range s.saves {
		e.numbers(uint64(h.Term), uint64(h.TruncateFrom), uint64(h.KeepFrom))
		e.id(h.VotedFor)
		e.snapshot(h.Snapshot)
		e.log(h.Entries)
		e.unordered(h.replies)
		e.unordered(h.calls)
	}
	e.numbers(uint64(len(s.file)))
	for _, p := range s.file {
		e.numbers(uint64(p.index), uint64(p.term), uint64(p.by))
	}
}

// unordered writes messages that leave at the same moment. In which order depends on names.
func (e *encoder) unordered(all []*message) {
	texts := make([]string, len(all))
	for k, m := range all {
		one := encoder{names: e.names}
		one.message(m)
		texts[k] = string(one.buf)
	}
	slices.Sort(texts)
	e.numbers(uint64(len(texts)))
	for _, text := range texts {
		e.buf = append(e.buf, text...)
	}
}

// written is the disk after a Save. Nothing of what it was is changed.
func written(d raft.Restored, s raft.Save) raft.Restored {
	d.Term, d.VotedFor = s.Term, s.VotedFor
	entries := d.Entries
	if s.TruncateFrom > 0 {
		entries = before(entries, s.TruncateFrom)
	}
	if s.Snapshot.Index > 0 {
		at := before(entries, s.Snapshot.Index+1)
		goesOn := len(at) > 0 && at[len(at)-1].Index == s.Snapshot.Index && at[len(at)-1].Term == s.Snapshot.Term
		d.Snapshot = s.Snapshot
		if goesOn {
			entries = entries[len(before(entries, s.KeepFrom)):]
		} else {
			entries = nil
		}
	}
	d.Entries = append(entries[:len(entries):len(entries)], s.Entries...)
	return d
}

// before is the beginning of a log, up to an index that it ends before.
func before(entries []raft.Entry, i raft.Index) []raft.Entry {
	n := 0
	for n < len(entries) && entries[n].Index < i {
		n++
	}
	return entries[:n:n]
}
