package wal

import (
	"fmt"
	"slices"

	"dbdb/raft"
)

// position is a place in the log and the term of the entry there.
type position struct {
	index raft.Index
	term  raft.Term
}

func positionOf(m raft.Snapshot) position { return position{m.Index, m.Term} }

func (p position) String() string { return fmt.Sprintf("%d@%d", p.index, p.term) }

// summary is what the log says, but for its entries. Each segment's header repeats it, so
// that recovery can begin at any segment.
type summary struct {
	term     raft.Term
	vote     raft.NodeID
	last     position // the end of the log
	snapshot position // the one in force; zero if there is none
}

// validate says whether a log can have such a summary.
func (s summary) validate() error {
	switch {
	case s.term > raft.MaxTerm || s.last.index > raft.MaxIndex:
		return fmt.Errorf("currentTerm %d and last entry %v are beyond any real ones", s.term, s.last)
	case len(s.vote) > raft.MaxNodeIDBytes:
		return fmt.Errorf("votedFor has %d bytes", len(s.vote))
	case s.last.term > s.term || (s.last.index == 0) != (s.last.term == 0):
		return fmt.Errorf("last entry %v in currentTerm %d", s.last, s.term)
	case s.snapshot.index > s.last.index || s.snapshot.term > s.last.term || (s.snapshot.index == 0) != (s.snapshot.term == 0):
		return fmt.Errorf("snapshot %v of a log that ends with %v", s.snapshot, s.last)
	}
	return nil
}

// state is what the log says so far, as far as it takes to judge the next Save.
// Write and recovery judge by the same rules, so what was written can be read.
type state struct {
	summary
	// start is what comes before runs: the snapshot, or nothing, or what the header of the
	// first segment says was before it. A term of 0 at an index that is not 0 is
	// unknown: it was in a segment that is gone, which only recovery meets.
	start position
	runs  []run // the terms of the entries after start, oldest first
}

// run is a stretch of entries of one term, up to the next run.
type run struct {
	first raft.Index
	term  raft.Term
}

// beginAt is the state before a segment with this summary in its header, if nothing
// older is there any more.
func beginAt(s summary) state { return state{summary: s, start: s.last} }

// advance takes over a Save's term, vote and truncation. A term that goes back or
// a vote that changes within a term would let a server vote twice (§5.2). What a
// snapshot covers is committed and never truncated.
func (s *state) advance(term raft.Term, vote raft.NodeID, truncateFrom raft.Index) error {
	switch {
	case term > raft.MaxTerm:
		return fmt.Errorf("term %d is beyond any real one", term)
	case term < s.term:
		return fmt.Errorf("currentTerm goes back from %d to %d", s.term, term)
	case len(vote) > raft.MaxNodeIDBytes:
		return fmt.Errorf("votedFor has %d bytes", len(vote))
	case term == s.term && s.vote != "" && vote != s.vote:
		return fmt.Errorf("votedFor of term %d changes from %q to %q", term, s.vote, vote)
	case truncateFrom > s.last.index:
		return fmt.Errorf("truncation from index %d of a log that ends at %d", truncateFrom, s.last.index)
	case truncateFrom != 0 && truncateFrom <= s.snapshot.index:
		return fmt.Errorf("truncation from index %d, which snapshot %v covers", truncateFrom, s.snapshot)
	}
	s.term, s.vote = term, vote
	if truncateFrom != 0 {
		s.truncate(truncateFrom - 1)
	}
	return nil
}

// truncate makes last the end of the log.
func (s *state) truncate(last raft.Index) {
	for len(s.runs) > 0 && s.runs[len(s.runs)-1].first > last {
		s.runs = s.runs[:len(s.runs)-1]
	}
	if last == s.snapshot.index {
		s.start = s.snapshot
	} else if last < s.start.index {
		s.start = position{index: last} // of a term that is not known
	}
	s.last = position{last, s.start.term}
	if n := len(s.runs); n > 0 {
		s.last.term = s.runs[n-1].term
	}
}

// learnLastTerm takes over the term of the last entry, if it stood in a segment that is
// gone, from the header of a later one.
func (s *state) learnLastTerm(last position) {
	if s.last.index != 0 && s.last.index == last.index && len(s.runs) == 0 {
		s.last, s.start = last, last
	}
}

// holds says whether the entry at p's index has p's term. It is not known of entries
// before start.
func (s *state) holds(p position) (held, known bool) {
	switch {
	case p.index > s.last.index:
		return false, true
	case p.index < s.start.index || p.index == s.start.index && s.start.term == 0:
		return false, false
	case p.index == s.start.index:
		return p == s.start, true
	}
	k := len(s.runs) - 1
	for s.runs[k].first > p.index {
		k--
	}
	return s.runs[k].term == p.term, true
}

// install takes over the snapshot of a Save. It empties the log unless the log holds the
// snapshot's last entry (Figure 13, rules 6 and 7); the record says which, because
// recovery cannot always see it.
func (s *state) install(p position, empties bool) error {
	held, known := s.holds(p)
	switch {
	case p.term == 0 || p.index > raft.MaxIndex:
		return fmt.Errorf("a snapshot cannot end with %v", p)
	case p.index <= s.snapshot.index || p.term < s.snapshot.term:
		return fmt.Errorf("snapshot %v is not newer than snapshot %v, which is in force", p, s.snapshot)
	case p.term > s.term:
		return fmt.Errorf("snapshot %v is newer than currentTerm %d", p, s.term)
	case known && held == empties:
		return fmt.Errorf("snapshot %v empties the log: %v; the log holds its last entry: %v", p, empties, held)
	}
	s.snapshot = p
	switch {
	case empties:
		s.last, s.start, s.runs = p, p, nil
	case p.index >= s.start.index:
		s.forget(p)
	}
	return nil
}

// forget drops the terms of all entries up to p, which the log holds.
func (s *state) forget(p position) {
	k := 0
	for k+1 < len(s.runs) && s.runs[k+1].first <= p.index+1 {
		k++
	}
	s.runs = slices.Delete(s.runs, 0, k)
	s.start = p
	if s.last.index == p.index {
		s.last, s.runs = p, nil
	} else if len(s.runs) > 0 {
		s.runs[0].first = max(s.runs[0].first, p.index+1)
	}
}

// add appends an entry. Its index is the next one, its term not older than the
// entry before it and not newer than currentTerm (§5.3).
func (s *state) add(e raft.Entry) error {
	switch {
	case e.Index != s.last.index+1:
		return fmt.Errorf("entry %v follows index %d", e, s.last.index)
	case e.Index > raft.MaxIndex || e.Term > raft.MaxTerm:
		return fmt.Errorf("entry %v is beyond any real one", e)
	case e.Term == 0 || e.Term < s.last.term:
		return fmt.Errorf("entry %v follows one of term %d", e, s.last.term)
	case e.Term > s.term:
		return fmt.Errorf("entry %v is newer than currentTerm %d", e, s.term)
	case e.Kind > raft.EntryConfiguration:
		return fmt.Errorf("entry %v has unknown kind %d", e, e.Kind)
	case e.Kind == raft.EntryConfiguration:
		if _, err := raft.DecodeConfiguration(e.Data); err != nil {
			return fmt.Errorf("entry %v: %w", e, err)
		}
	}
	if n := len(s.runs); n == 0 || e.Term != s.runs[n-1].term {
		s.runs = append(s.runs, run{e.Index, e.Term})
	}
	s.last = position{e.Index, e.Term}
	return nil
}

// save judges and takes over a whole Save, and says whether its snapshot empties the log.
func (s *state) save(save raft.Save) (empties bool, err error) {
	if err := s.advance(save.Term, save.VotedFor, save.TruncateFrom); err != nil {
		return false, err
	}
	if save.Snapshot.Index != 0 {
		held, _ := s.holds(positionOf(save.Snapshot))
		empties = !held
		if err := s.install(positionOf(save.Snapshot), empties); err != nil {
			return false, err
		}
	}
	for _, e := range save.Entries {
		if err := s.add(e); err != nil {
			return false, err
		}
	}
	return empties, nil
}
