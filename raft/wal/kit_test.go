package wal_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dbdb/raft"
	"dbdb/raft/wal"
	"dbdb/tests/sim"
)

// script is a sim.Rand whose numbers the test chooses; it gives zeros at the end.
type script []int

func (s *script) IntN(n int) int {
	if len(*s) == 0 {
		return 0
	}
	v := (*s)[0]
	*s = (*s)[1:]
	if v >= n {
		panic(fmt.Sprintf("the script says %d of %d", v, n))
	}
	return v
}

func scripted(numbers ...int) *script { s := script(numbers); return &s }

func seeded(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }

const dataDir = "data/node1"

// tiny segments hold a handful of small frames.
const tiny = wal.HeaderBytes + 300

func options(segmentBytes int64) wal.Options {
	return wal.Options{Node: "node1", SegmentBytes: segmentBytes, Random: rand.NewChaCha8([32]byte{7})}
}

func mustOpen(t testing.TB, fsys wal.FS, segmentBytes int64) *wal.Dir {
	t.Helper()
	d, err := wal.Open(fsys, dataDir, options(segmentBytes))
	require.NoError(t, err)
	return d
}

// refused opens a directory that must not open, and returns the damage.
func refused(t testing.TB, fsys wal.FS, segmentBytes int64, what string, args ...any) *wal.CorruptError {
	t.Helper()
	_, err := wal.Open(fsys, dataDir, options(segmentBytes))
	var corrupt *wal.CorruptError
	require.ErrorAs(t, err, &corrupt, what, args)
	return corrupt
}

// history makes Saves that follow each other, and the states that they lead to.
type history struct {
	saves  []raft.Save
	states []raft.Restored // states[k] is after k Saves
}

func newHistory() *history { return &history{states: []raft.Restored{{}}} }

func (h *history) now() raft.Restored { return h.states[len(h.states)-1] }

// next appends a Save of the given number of entries of size bytes, in a term.
func (h *history) next(term raft.Term, truncateFrom raft.Index, entries, size int) raft.Save {
	return h.then(raft.Save{Term: term, TruncateFrom: truncateFrom}, entries, size)
}

// snapshot appends a Save with a snapshot, then the given number of entries.
func (h *history) snapshot(term raft.Term, m raft.Snapshot, keepFrom raft.Index, entries, size int) raft.Save {
	return h.then(raft.Save{Term: term, Snapshot: m, KeepFrom: keepFrom}, entries, size)
}

func (h *history) then(s raft.Save, entries, size int) raft.Save {
	before := h.now()
	s.Seq, s.VotedFor = uint64(len(h.saves))+1, before.VotedFor
	if s.Term != before.Term {
		s.VotedFor = raft.NodeID(fmt.Sprintf("node%d.0123", s.Term%3))
	}
	first := lastIndex(after(before, s)) + 1
	for k := range raft.Index(entries) {
		s.Entries = append(s.Entries, entry(first+k, s.Term, size))
	}
	h.saves, h.states = append(h.saves, s), append(h.states, after(before, s))
	return s
}

// after is what a Save makes of a state. Entries that a snapshot covers may stay or go, so
// here they stay.
func after(r raft.Restored, s raft.Save) raft.Restored {
	r.Term, r.VotedFor = s.Term, s.VotedFor
	if s.TruncateFrom != 0 {
		keep := len(r.Entries) - int(lastIndex(r)-s.TruncateFrom+1)
		r.Entries = r.Entries[:max(0, keep)]
	}
	if s.Snapshot.Index != 0 {
		if !holds(r, s.Snapshot) {
			r.Entries = nil
		}
		r.Snapshot = s.Snapshot
	}
	r.Entries = append(r.Entries[:len(r.Entries):len(r.Entries)], s.Entries...)
	return r
}

func holds(r raft.Restored, m raft.Snapshot) bool {
	for _, e := range r.Entries {
		if e.Index == m.Index {
			return e.Term == m.Term
		}
	}
	return false
}

func lastIndex(r raft.Restored) raft.Index {
	if n := len(r.Entries); n > 0 {
		return r.Entries[n-1].Index
	}
	return r.Snapshot.Index
}

// entry makes an entry whose data depends on all its numbers.
func entry(i raft.Index, term raft.Term, size int) raft.Entry {
	e := raft.Entry{Index: i, Term: term, Kind: raft.EntryCommand}
	if size > 0 {
		e.Data = bytes.Repeat([]byte{byte(i)*7 + byte(term) | 1}, size)
	}
	return e
}

// several makes a history with everything that a Save can say.
func several(n int) *history {
	h := newHistory()
	h.next(1, 0, 0, 0)
	for k := 1; k < n; k++ {
		term := raft.Term(1 + k/4)
		truncateFrom := raft.Index(0)
		if last := lastIndex(h.now()); k%5 == 4 && last > 1 {
			truncateFrom = last
		}
		h.next(term, truncateFrom, k%3, 10+k)
	}
	return h
}

// filled returns a disk with the history, every Save a synced frame, as a crash
// left it right after the last Sync.
func filled(t testing.TB, h *history, segmentBytes int64) *sim.Disk {
	t.Helper()
	disk := sim.NewDisk(scripted())
	d := mustOpen(t, disk, segmentBytes)
	for _, s := range h.saves {
		if s.Snapshot.Index != 0 {
			require.NoError(t, makeOwn(d, s.Snapshot))
		}
		require.NoError(t, d.Log().Save(s))
	}
	disk.Crash(sim.LoseUnsynced)
	return disk
}

func segments(disk *sim.Disk) []string { return filesIn(disk, "wal", ".wal") }

func filesIn(disk *sim.Disk, dir, suffix string) []string {
	var names []string
	for _, name := range disk.Files() {
		if path.Dir(name) == path.Join(dataDir, dir) && strings.HasSuffix(name, suffix) {
			names = append(names, name)
		}
	}
	return names
}

func read(t testing.TB, disk *sim.Disk, name string) []byte {
	t.Helper()
	b, err := disk.ReadFile(name)
	require.NoError(t, err)
	return b
}

// same compares without the cost of a diff, as it is called a million times. Entries that
// the snapshot covers may be missing from b, but only at its beginning.
func same(a, b raft.Restored) bool {
	if a.Term != b.Term || a.VotedFor != b.VotedFor || !sameSnapshot(a.Snapshot, b.Snapshot) || len(b.Entries) > len(a.Entries) {
		return false
	}
	gone := len(a.Entries) - len(b.Entries)
	if gone > 0 && a.Entries[gone-1].Index > a.Snapshot.Index {
		return false
	}
	for k, e := range a.Entries[gone:] {
		o := b.Entries[k]
		if e.Index != o.Index || e.Term != o.Term || e.Kind != o.Kind || !bytes.Equal(e.Data, o.Data) {
			return false
		}
	}
	return true
}

func sameSnapshot(a, b raft.Snapshot) bool {
	return a.Index == b.Index && a.Term == b.Term && a.ConfigurationIndex == b.ConfigurationIndex &&
		slices.Equal(a.Configuration.Members, b.Configuration.Members)
}

func requireSame(t require.TestingT, want, got raft.Restored) {
	if !same(want, got) {
		require.Equal(t, want, got)
		require.Fail(t, "the states differ")
	}
}

type errorString string

func (e errorString) Error() string { return string(e) }

func errorAs[E error](err error, target *E) bool {
	found, ok := errors.AsType[E](err)
	*target = found
	return ok
}
