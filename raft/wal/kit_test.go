package wal_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
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
	before := h.now()
	s := raft.Save{Seq: uint64(len(h.saves)) + 1, Term: term, VotedFor: before.VotedFor, TruncateFrom: truncateFrom}
	if term != before.Term {
		s.VotedFor = raft.NodeID(fmt.Sprintf("node%d.0123", term%3))
	}
	after := raft.Restored{Term: s.Term, VotedFor: s.VotedFor, Entries: before.Entries}
	if truncateFrom != 0 {
		after.Entries = after.Entries[:truncateFrom-1]
	}
	first := raft.Index(len(after.Entries)) + 1
	for k := range raft.Index(entries) {
		s.Entries = append(s.Entries, entry(first+k, term, size))
	}
	after.Entries = append(after.Entries[:len(after.Entries):len(after.Entries)], s.Entries...)
	h.saves, h.states = append(h.saves, s), append(h.states, after)
	return s
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
		if last := raft.Index(len(h.now().Entries)); k%5 == 4 && last > 1 {
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
	log := mustOpen(t, disk, segmentBytes).Log()
	for _, s := range h.saves {
		require.NoError(t, log.Save(s))
	}
	disk.Crash(sim.LoseUnsynced)
	return disk
}

func segments(disk *sim.Disk) []string {
	var names []string
	for k := uint64(1); ; k++ {
		name := wal.SegmentName(dataDir, k)
		if _, err := disk.ReadFile(name); err != nil {
			return names
		}
		names = append(names, name)
	}
}

func read(t testing.TB, disk *sim.Disk, name string) []byte {
	t.Helper()
	b, err := disk.ReadFile(name)
	require.NoError(t, err)
	return b
}

// same compares without the cost of a diff, as it is called a million times.
func same(a, b raft.Restored) bool {
	if a.Term != b.Term || a.VotedFor != b.VotedFor || len(a.Entries) != len(b.Entries) {
		return false
	}
	for k, e := range a.Entries {
		o := b.Entries[k]
		if e.Index != o.Index || e.Term != o.Term || e.Kind != o.Kind || !bytes.Equal(e.Data, o.Data) {
			return false
		}
	}
	return true
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
