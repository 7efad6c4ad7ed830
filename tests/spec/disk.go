package spec

import (
	"fmt"

	"dbdb/raft"
)

// Image is what a disk holds: "persistent state on all servers, updated on stable storage
// before responding to RPCs" (Figure 2).
type Image struct {
	Term     raft.Term
	VotedFor raft.NodeID
	Log      Log
	Snapshot Label
}

func imageOf(r raft.Restored) Image {
	i := Image{Term: r.Term, VotedFor: r.VotedFor, Snapshot: labelOf(r.Snapshot)}
	i.Log = Log{Base: r.Snapshot.Index, Entries: r.Entries}
	if len(r.Entries) > 0 {
		i.Log.Base = r.Entries[0].Index - 1
	}
	return i
}

// after is the image when a Save is written: term and vote, then what is truncated, then a
// snapshot that comes into force, then entries.
func (i Image) after(s raft.Save) Image {
	i.Term, i.VotedFor = s.Term, s.VotedFor
	if s.TruncateFrom > 0 {
		i.Log = i.Log.upTo(s.TruncateFrom - 1)
	}
	if s.Snapshot.Index > 0 {
		i = i.withSnapshot(labelOf(s.Snapshot))
	}
	if len(s.Entries) > 0 {
		i.Log = i.Log.and(s.Entries...)
	}
	return i
}

// withSnapshot: "if existing log entry has same index and term as snapshot's last included
// entry, retain log entries following it. Discard the entire log" (Figure 13, receiver rules
// 6 and 7).
func (i Image) withSnapshot(l Label) Image {
	if e, ok := i.Log.At(l.Index); !ok || e.Term != l.Term {
		i.Log = Log{Base: l.Index}
	}
	i.Snapshot = l
	return i
}

// same compares all that is promised.
func (i Image) same(o Image) bool {
	base := max(i.Snapshot.Index, i.Log.Base, o.Log.Base)
	return i.Term == o.Term && i.VotedFor == o.VotedFor && i.Snapshot == o.Snapshot && i.Log.after(base).same(o.Log.after(base))
}

// has says whether the disk holds the same entry at n as the server's log.
func (i Image) has(n raft.Index, s Server) bool {
	term, _ := s.Term(n)
	return i.holds(n, term)
}

// holds says whether the disk holds an entry, or a snapshot in its place.
func (i Image) holds(n raft.Index, term raft.Term) bool {
	if e, ok := i.Log.At(n); ok {
		return e.Term == term
	}
	return n <= i.Snapshot.Index
}

// String writes an image on one line.
func (i Image) String() string {
	return fmt.Sprintf("(term %d, vote %q, log %v, snapshot %v)", i.Term, i.VotedFor, i.Log, i.Snapshot)
}

// persistent is what of a server must be on its disk.
func (s Server) persistent() Image {
	return Image{s.CurrentTerm, s.VotedFor, s.Log, labelOf(s.Snapshot)}
}

// Persist: of what was written, the beginning becomes durable, in order. The disk tells of one
// Save after the other.
func Persist(pre, post Server, s raft.Save) error {
	return all(
		must(len(pre.Written) > 0 && pre.Written[0].Seq == s.Seq, "Save %d is not the next that was written", s.Seq),
		must(post.Durable.same(pre.Durable.after(s)), "the disk holds %v, not %v", post.Durable, pre.Durable.after(s)),
		unchanged(pre, post),
	)
}

// afterPersist is where Persist leads.
func (s Server) afterPersist(save raft.Save) Server {
	s.Durable = s.Durable.after(save)
	if len(s.Written) > 0 {
		s.Written = s.Written[1:]
	}
	return s
}

// WriteAll: whatever of the persistent state has changed is on its way to the disk when
// something leaves (Figure 2, "updated on stable storage before responding to RPCs").
func WriteAll(s Server) error {
	return must(s.Handed.same(s.persistent()), "the disk was given %v; the server is at %v", s.Handed, s.persistent())
}

// Restart: "crash and recovery" of §5.5 and raft.tla's Restart: what was durable is there
// again, and of what was only written any beginning; everything else is as on the first day.
func Restart(pre Server, found Image, post Server) error {
	return all(
		must(pre.mayFind(found), "the disk gives back %v; durable was %v, and %d Saves were under way", found, pre.Durable, len(pre.Written)),
		startsAs(found, post),
	)
}

func startsAs(found Image, s Server) error {
	return all(
		must(s.persistent().same(found), "it starts with %v, not with %v", s.persistent(), found),
		must(s.Role == raft.Follower, "it starts as %v", s.Role),
		must(s.CommitIndex == found.Snapshot.Index && s.LastApplied == found.Snapshot.Index, "it starts with commitIndex %d, lastApplied %d, and a snapshot through %d", s.CommitIndex, s.LastApplied, found.Snapshot.Index),
		must(len(s.Peers) == 0 && s.Leader == "", "it remembers what was volatile"),
	)
}

// mayFind says what a crash can leave: a Save is there or is not, but for one with a snapshot,
// whose term may come before its file, and that before its entries.
func (s Server) mayFind(found Image) bool {
	at := s.Durable
	if at.same(found) {
		return true
	}
	for _, save := range s.Written {
		if save.Snapshot.Index > 0 {
			term := raft.Save{Term: save.Term, VotedFor: save.VotedFor}
			cut := term
			cut.TruncateFrom = save.TruncateFrom
			file, both := term, cut
			file.Snapshot, both.Snapshot = save.Snapshot, save.Snapshot
			for _, stage := range []raft.Save{term, cut, file, both} {
				if at.after(stage).same(found) {
					return true
				}
			}
		}
		if at = at.after(save); at.same(found) {
			return true
		}
	}
	return false
}
