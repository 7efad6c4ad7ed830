package raft

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// The words in which the tests of this package speak.

// server is a Raft with a disk that the test controls.
type server struct {
	*Raft
	t *testing.T
	// effects of all flushes since the last take
	sent    []Call
	applied []Entry
	reads   []ReadState
	pending []Save // handed out, not yet durable
	durable Restored
}

// members returns the configuration of voters n1, n2, …
func members(n int) Configuration {
	var c Configuration
	for k := range n {
		id := NodeID("n" + string(rune('1'+k)))
		c = c.with(Member{ID: id, Role: Voter, RaftAddr: string(id) + ":2221", HTTPAddr: string(id) + ":8221"})
	}
	return c
}

// logOf returns a log whose entries have these terms. The first holds c.
func logOf(c Configuration, terms ...Term) []Entry {
	var entries []Entry
	for k, t := range terms {
		e := Entry{Index: Index(k) + 1, Term: t, Kind: EntryCommand, Data: []byte{byte('a' + k)}}
		if k == 0 {
			e.Kind, e.Data = EntryConfiguration, c.Encode()
		}
		entries = append(entries, e)
	}
	return entries
}

// newServer starts n1 of a cluster of voters, in the term of its last entry. Its
// log has entries of the given terms, the first being the configuration.
func newServer(t *testing.T, voters int, terms ...Term) *server {
	t.Helper()
	disk := Restored{Entries: logOf(members(voters), terms...)}
	if len(terms) > 0 {
		disk.Term = terms[len(terms)-1]
	}
	return start(t, Config{}, disk)
}

func start(t *testing.T, cfg Config, disk Restored) *server {
	if cfg.ID == "" {
		cfg.ID = "n1"
	}
	cfg.Rand = rand.New(rand.NewPCG(1, 1))
	return &server{Raft: New(cfg, disk), t: t, durable: disk}
}

// flush takes the effects; the disk does not answer.
func (s *server) flush() Effects {
	e := s.Effects()
	s.sent = append(s.sent, e.Send...)
	s.applied = append(s.applied, e.Apply...)
	s.reads = append(s.reads, e.Reads...)
	if e.Save.Seq != 0 {
		s.pending = append(s.pending, e.Save)
	}
	if len(e.SendAfter) > 0 {
		s.sent = append(s.sent, e.SendAfter...)
	}
	return e
}

// settle flushes and makes everything durable until nothing moves any more.
func (s *server) settle() {
	for s.flush(); len(s.pending) > 0; s.flush() {
		s.syncOne()
	}
}

// syncOne makes the oldest pending Save durable.
func (s *server) syncOne() {
	save := s.pending[0]
	s.pending = s.pending[1:]
	s.durable = onDisk(s.durable, save)
	s.Saved(save)
}

// onDisk is what a disk holds after one more Save: the contract of Save in a few lines.
func onDisk(d Restored, save Save) Restored {
	from := func(i Index, entries []Entry) []Entry {
		k := slices.IndexFunc(entries, func(e Entry) bool { return e.Index >= i })
		if k < 0 {
			return nil
		}
		return entries[k:]
	}
	d.Term, d.VotedFor = save.Term, save.VotedFor
	entries := slices.Clone(d.Entries)
	if save.TruncateFrom != 0 {
		entries = entries[:len(entries)-len(from(save.TruncateFrom, entries))]
	}
	if m := save.Snapshot; m.Index != 0 {
		d.Snapshot = m
		kept := slices.ContainsFunc(entries, func(e Entry) bool { return e.Index == m.Index && e.Term == m.Term })
		if entries = from(save.KeepFrom, entries); !kept {
			entries = nil
		}
	}
	d.Entries = append(entries, save.Entries...)
	return d
}

// restart is a crash: what was not durable is gone.
func (s *server) restart() *server { return start(s.t, s.cfg, s.durable) }

// takeSent returns what was sent since it was last called.
func (s *server) takeSent() []Call {
	sent := s.sent
	s.sent = nil
	return sent
}

// appendsTo returns the AppendEntries to one server among what was sent.
func appendsTo(to NodeID, sent []Call) []AppendEntriesArgs {
	var found []AppendEntriesArgs
	for _, c := range sent {
		if c.To == to && c.AppendEntries != nil {
			found = append(found, *c.AppendEntries)
		}
	}
	return found
}

// withEntries returns the AppendEntries to one server that are no heartbeats.
func withEntries(to NodeID, sent []Call) []AppendEntriesArgs {
	var found []AppendEntriesArgs
	for _, a := range appendsTo(to, sent) {
		if len(a.Entries) > 0 {
			found = append(found, a)
		}
	}
	return found
}

// campaign makes the server a candidate whose vote is durable.
func (s *server) campaign() {
	s.t.Helper()
	s.ElectionTimeout()
	for _, m := range s.Configuration().Members {
		if s.state == PreCandidate {
			s.grant(m.ID, true)
		}
	}
	s.settle()
}

// grant delivers a vote, or a pre-vote.
func (s *server) grant(from NodeID, pre bool) {
	a := RequestVoteArgs{Term: s.currentTerm, CandidateID: s.cfg.ID, PreVote: pre}
	if pre {
		a.Term++
	}
	s.HandleRequestVoteReply(from, a, RequestVoteReply{Term: s.currentTerm, VoteGranted: true})
}

// elect makes the server the leader of the next term.
func (s *server) elect() {
	s.t.Helper()
	s.campaign()
	for _, m := range s.Configuration().Members {
		if s.state == Candidate && m.ID != s.cfg.ID {
			s.grant(m.ID, false)
		}
	}
	s.settle()
	require.Equal(s.t, Leader, s.state)
}

// answer replies with success to all AppendEntries that were sent to a server, in order,
// as that server would if its log were the leader's.
func (s *server) answer(from NodeID) {
	for len(appendsTo(from, s.sent)) > 0 {
		sent := s.takeSent()
		for _, c := range sent {
			if c.To != from || c.AppendEntries == nil {
				s.sent = append(s.sent, c)
			}
		}
		for _, a := range appendsTo(from, sent) {
			s.HandleAppendEntriesReply(from, a, AppendEntriesReply{Term: a.Term, Success: true})
		}
		s.settle()
	}
}

// compact takes a snapshot of all that is applied, and keeps no entry that it covers.
func (s *server) compact() Snapshot {
	s.t.Helper()
	s.cfg.TrailingBytes = -1
	m, _, ok := s.NextSnapshot()
	require.True(s.t, ok)
	require.True(s.t, s.Compact(m))
	s.settle()
	return m
}

// snapshotAt is a snapshot of a cluster of three, whose configuration is at index 1.
func snapshotAt(i Index, t Term) Snapshot {
	return Snapshot{Index: i, Term: t, Configuration: members(3), ConfigurationIndex: 1}
}

// chunkBytes is what a chunk carries in these tests.
const chunkBytes = 10

// filled is a chunk as it leaves: with what a file of so many bytes has at its offset.
func filled(a InstallSnapshotArgs, size uint64) InstallSnapshotArgs {
	a.Size = size
	a.Data = make([]byte, min(chunkBytes, size-a.Offset))
	a.Done = a.Offset+uint64(len(a.Data)) == size
	return a
}

// chunkOf is a chunk of n2's snapshot, whose file has 30 bytes.
func chunkOf(term Term, m Snapshot, offset uint64) InstallSnapshotArgs {
	return filled(InstallSnapshotArgs{Term: term, LeaderID: "n2", LastIncludedIndex: m.Index, LastIncludedTerm: m.Term, Offset: offset}, 30)
}

// receive takes a whole snapshot of n2 and installs it.
func (s *server) receive(term Term, m Snapshot) bool {
	s.t.Helper()
	for offset := uint64(0); offset < 30; offset += chunkBytes {
		_, store := s.HandleInstallSnapshot(chunkOf(term, m, offset))
		require.True(s.t, store)
	}
	return s.FinishSnapshot(m)
}

// chunksTo returns the chunks to one server among what was sent.
func chunksTo(to NodeID, sent []Call) []InstallSnapshotArgs {
	var found []InstallSnapshotArgs
	for _, c := range sent {
		if c.To == to && c.InstallSnapshot != nil {
			found = append(found, *c.InstallSnapshot)
		}
	}
	return found
}

// timeoutNows returns who was told to start an election.
func timeoutNows(sent []Call) []NodeID {
	var found []NodeID
	for _, c := range sent {
		if c.TimeoutNow != nil {
			found = append(found, c.To)
		}
	}
	return found
}

// terms writes down the terms of the log.
func (s *server) terms() []Term {
	var terms []Term
	for _, e := range s.log.entries {
		terms = append(terms, e.Term)
	}
	return terms
}

// from is an AppendEntries of n2 as leader of a term: entries of the given terms
// after the previous entry.
func from(term Term, prev Index, prevTerm Term, terms ...Term) AppendEntriesArgs {
	a := AppendEntriesArgs{Term: term, LeaderID: "n2", PrevLogIndex: prev, PrevLogTerm: prevTerm}
	for k, t := range terms {
		a.Entries = append(a.Entries, Entry{Index: prev + Index(k) + 1, Term: t, Kind: EntryCommand, Data: []byte("n2")})
	}
	return a
}

// vote is a RequestVote of n2.
func vote(term Term, last Index, lastTerm Term) RequestVoteArgs {
	return RequestVoteArgs{Term: term, CandidateID: "n2", LastLogIndex: last, LastLogTerm: lastTerm}
}

func ticks(s *server, n int) {
	for range n {
		s.Tick()
	}
}
