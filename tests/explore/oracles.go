package explore

import (
	"slices"

	"dbdb/raft"
)

// What a server may not do, whatever the others do. It is asked once for each server and
// input; ghost.go has what is asked of all of them. The names are those of the simulator's
// oracles.

// diskIsRight: durable terms rise, and a term has one durable vote.
func diskIsRight(place int, d raft.Restored, s raft.Save) {
	switch {
	case s.Term < d.Term:
		violate("Durable terms rise", "%s saves term %d; its disk has %d", idOf(place), s.Term, d.Term)
	case s.Term == d.Term && d.VotedFor != "" && s.VotedFor != d.VotedFor:
		violate("One durable vote per term", "%s changes its vote of term %d from %s to %q", idOf(place), s.Term, d.VotedFor, s.VotedFor)
	}
}

// leavesDurably: whatever a message says of its sender's term, vote and log is durable.
func leavesDurably(d *driver, m *message) {
	not := func(format string, args ...any) { violate("Durable before it leaves", format, args...) }
	who, disk := idOf(d.place), &d.disk
	switch c := m.call; {
	case c.RequestVote != nil && m.isReply:
		if a := c.RequestVote; m.vote.VoteGranted && !a.PreVote && disk.Term == a.Term && disk.VotedFor != a.CandidateID {
			not("%s votes for %s in term %d; its disk has a vote for %q", who, a.CandidateID, a.Term, disk.VotedFor)
		}
		promises(d, m.vote.Term)
	case c.RequestVote != nil:
		if a := c.RequestVote; !a.PreVote {
			promises(d, a.Term)
			if disk.Term == a.Term && disk.VotedFor != a.CandidateID {
				not("%s is a candidate of term %d; its disk has a vote for %q", who, a.Term, disk.VotedFor)
			}
		}
	case c.AppendEntries != nil && m.isReply:
		promises(d, m.entries.Term)
		if a := c.AppendEntries; m.entries.Success && disk.Term == a.Term {
			acknowledges(d, *a)
		}
	case c.AppendEntries != nil:
		promises(d, c.AppendEntries.Term)
	case c.InstallSnapshot != nil && m.isReply:
		promises(d, m.chunk.Term)
		if last := c.InstallSnapshot.LastIncludedIndex; m.chunk.Installed && lastOf(disk) < last {
			not("%s has installed a snapshot through %d; its disk ends at %d", who, last, lastOf(disk))
		}
	case c.InstallSnapshot != nil:
		promises(d, c.InstallSnapshot.Term)
	}
}

func promises(d *driver, term raft.Term) {
	if d.disk.Term < term {
		violate("Durable before it leaves", "%s speaks in term %d; its disk has term %d", idOf(d.place), term, d.disk.Term)
	}
}

func lastOf(d *raft.Restored) raft.Index {
	if n := len(d.Entries); n > 0 {
		return d.Entries[n-1].Index
	}
	return d.Snapshot.Index
}

func acknowledges(d *driver, a raft.AppendEntriesArgs) {
	durable := cellsOf(d.disk.Snapshot.Index, d.disk.Entries)
	for _, e := range a.Entries {
		if !durable.holds(e.Index, cellOf(e)) {
			violate("Durable before it leaves", "%s acknowledges %v; its disk does not hold it", idOf(d.place), e)
		}
	}
	if i := a.PrevLogIndex; i > durable.base && (i > durable.last() || durable.all[i-durable.base-1].term != a.PrevLogTerm) {
		violate("Durable before it leaves", "%s acknowledges %d@%d; its disk does not hold it", idOf(d.place), i, a.PrevLogTerm)
	}
}

// stepIsRight compares a server with what it was.
func stepIsRight(place int, before, next *server, in input) {
	who := idOf(place)
	if in.what == restart {
		if next.Term != before.disk.Term || next.VotedFor != before.disk.VotedFor || next.LastIndex != lastOf(&before.disk) {
			violate("Recovery", "%s starts in term %d, vote %q, log to %d; its disk had more", who, next.Term, next.VotedFor, next.LastIndex)
		}
		configurationInUse(who, next)
		return
	}
	switch {
	case next.Term < before.Term || next.CommitIndex < before.CommitIndex || next.LastApplied < before.LastApplied:
		violate("Monotone indexes", "%s went from term %d, commit %d, applied %d to %d, %d, %d", who,
			before.Term, before.CommitIndex, before.LastApplied, next.Term, next.CommitIndex, next.LastApplied)
	case next.Term == before.Term && before.VotedFor != "" && next.VotedFor != before.VotedFor:
		violate("One vote per term", "%s changes its vote of term %d from %s to %q", who, next.Term, before.VotedFor, next.VotedFor)
	case next.RemovedAt > 0 && (next.State == raft.PreCandidate || next.State == raft.Candidate):
		violate("A removed server is quiet", "%s is a %v; it knows that it was removed at %d", who, next.State, next.RemovedAt)
	}
	if before.State == raft.Leader && next.State == raft.Leader && before.Term == next.Term {
		appendsOnly(who, before, next)
	}
	configurationInUse(who, next)
}

// appendsOnly: "a leader never overwrites or deletes entries in its log", and a change of
// the configuration waits for the one before, and for an entry of the leader's own term.
func appendsOnly(who raft.NodeID, before, next *server) {
	for k, is := range before.log.all {
		if i := before.log.base + raft.Index(k+1); !next.log.holds(i, is) {
			violate("Leader Append-Only", "%s, leader of term %d, loses its entry %d@%d", who, next.Term, i, is.term)
		}
	}
	old := before.Configuration
	committed := next.CommitIndex
	for _, e := range next.core.LogEntries(before.LastIndex+1, next.LastIndex) {
		if e.Kind != raft.EntryConfiguration {
			continue
		}
		c, err := raft.DecodeConfiguration(e.Data)
		if err != nil {
			violate("Configuration", "%s has an unreadable one at %v: %v", who, e, err)
		}
		if n := differences(old, c); n > 1 {
			violate("Configuration", "%s's at %v changes %d servers", who, e, n)
		}
		if before.ConfigurationIndex > committed {
			violate("Changes wait", "%s, leader of term %d, changes the configuration at %v; the one at %d is not committed", who, next.Term, e, before.ConfigurationIndex)
		}
		if committed <= next.log.base && next.log.base > 0 && before.SnapshotIndex < next.SnapshotIndex {
			continue // a snapshot of this step has covered which term was committed
		}
		if termAt(next, committed) != next.Term {
			violate("Changes wait", "%s, leader of term %d, changes the configuration at %v; it has committed nothing of its term", who, next.Term, e)
		}
		old = c
	}
}

func termAt(s *server, i raft.Index) raft.Term {
	if i <= s.log.base {
		return s.core.Snapshot().Term
	}
	return s.log.all[i-s.log.base-1].term
}

// differences counts the servers that are in one of two configurations, or in both with
// different roles.
func differences(a, b raft.Configuration) (n int) {
	for _, m := range a.Members {
		if o, found := b.Member(m.ID); !found || o != m {
			n++
		}
	}
	for _, m := range b.Members {
		if _, found := a.Member(m.ID); !found {
			n++
		}
	}
	return n
}

// configurationInUse: a server uses the last one in its log.
func configurationInUse(who raft.NodeID, s *server) {
	want := s.core.Snapshot().Configuration
	for _, e := range s.core.LogEntries(s.SnapshotIndex+1, s.LastIndex) {
		if e.Kind == raft.EntryConfiguration {
			want, _ = raft.DecodeConfiguration(e.Data)
		}
	}
	if !slices.Equal(want.Members, s.Configuration.Members) {
		violate("The last configuration of the log is in use", "%s uses %v; its log has %v", who, s.Configuration, want)
	}
}
