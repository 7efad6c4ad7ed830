package wal

import (
	"fmt"

	"dbdb/raft"
)

// state is what the log says so far, as far as it takes to judge the next Save.
// Write and recovery judge by the same rules, so what was written can be read.
type state struct {
	term raft.Term
	vote raft.NodeID
	last raft.Index
	runs []run // the terms of the log, oldest first
}

// run is a stretch of entries of one term, up to the next run.
type run struct {
	first raft.Index
	term  raft.Term
}

func (s *state) lastTerm() raft.Term {
	if len(s.runs) == 0 {
		return 0
	}
	return s.runs[len(s.runs)-1].term
}

// advance takes over a Save's term, vote and truncation. A term that goes back or
// a vote that changes within a term would let a server vote twice (§5.2).
func (s *state) advance(term raft.Term, vote raft.NodeID, truncateFrom raft.Index) error {
	switch {
	case term > maxTerm:
		return fmt.Errorf("term %d is beyond any real one", term)
	case term < s.term:
		return fmt.Errorf("currentTerm goes back from %d to %d", s.term, term)
	case len(vote) > raft.MaxNodeIDBytes:
		return fmt.Errorf("votedFor has %d bytes", len(vote))
	case term == s.term && s.vote != "" && vote != s.vote:
		return fmt.Errorf("votedFor of term %d changes from %q to %q", term, s.vote, vote)
	}
	if truncateFrom > s.last {
		return fmt.Errorf("truncation from index %d of a log that ends at %d", truncateFrom, s.last)
	}
	s.term, s.vote = term, vote
	if truncateFrom != 0 {
		s.last = truncateFrom - 1
		for len(s.runs) > 0 && s.runs[len(s.runs)-1].first > s.last {
			s.runs = s.runs[:len(s.runs)-1]
		}
	}
	return nil
}

// add appends an entry. Its index is the next one, its term not older than the
// entry before it and not newer than currentTerm (§5.3).
func (s *state) add(e raft.Entry) error {
	switch {
	case e.Index != s.last+1:
		return fmt.Errorf("entry %v follows index %d", e, s.last)
	case e.Term == 0 || e.Term < s.lastTerm():
		return fmt.Errorf("entry %v follows one of term %d", e, s.lastTerm())
	case e.Term > s.term:
		return fmt.Errorf("entry %v is newer than currentTerm %d", e, s.term)
	case e.Kind > raft.EntryConfiguration:
		return fmt.Errorf("entry %v has unknown kind %d", e, e.Kind)
	case e.Kind == raft.EntryConfiguration:
		if _, err := raft.DecodeConfiguration(e.Data); err != nil {
			return fmt.Errorf("entry %v: %w", e, err)
		}
	}
	if e.Term != s.lastTerm() {
		s.runs = append(s.runs, run{e.Index, e.Term})
	}
	s.last = e.Index
	return nil
}

// save judges and takes over a whole Save.
func (s *state) save(save raft.Save) error {
	if err := s.advance(save.Term, save.VotedFor, save.TruncateFrom); err != nil {
		return err
	}
	for _, e := range save.Entries {
		if err := s.add(e); err != nil {
			return err
		}
	}
	return nil
}
