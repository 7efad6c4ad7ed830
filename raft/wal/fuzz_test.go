package wal_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"dbdb/raft"
	"dbdb/raft/wal"
	"dbdb/tests/sim"
)

// Each target here opens a directory whose files were made by the fuzzer, and demands of
// it what judge does.

// fuzzSegment is the size of the segments that the targets write on in: so small that a
// Save or two begin the next one.
const fuzzSegment = tiny

// judge opens a directory. It is refused, with an error that says what it is, and nothing
// in it is changed. Or it is sound: the log is the same when it is opened again after a
// crash; what may be written to it is there after the next crash, and what it refuses to
// write is not; and a snapshot in force gives its state, or says that it is damaged.
func judge(t *testing.T, disk *sim.Disk) {
	before := everything(t, disk)
	d, err := wal.Open(disk, dataDir, options(fuzzSegment))
	if err != nil {
		requireSays(t, err)
		require.Equal(t, before, everything(t, disk))
		return
	}
	restored := d.Log().Restored()
	if m := restored.Snapshot; m.Index != 0 {
		var state []byte
		if err := d.Snapshots().Load(m, into(&state)); err != nil {
			requireSays(t, err)
		}
	}
	again := func() {
		disk.Crash(sim.LoseUnsynced)
		d = mustOpen(t, disk, fuzzSegment)
		require.Nil(t, d.Repaired())
		requireSame(t, restored, d.Log().Restored())
	}
	again()
	for _, s := range furtherSaves(restored) {
		if s.Snapshot.Index != 0 && makeOwn(d, s.Snapshot) != nil {
			continue // no such snapshot can be written
		}
		if d.Log().Save(s) == nil {
			restored = after(restored, s)
		}
		again()
	}
	require.NoError(t, d.Close())
	requireSame(t, restored, mustOpen(t, disk, fuzzSegment).Log().Restored())
}

// furtherSaves are a term with entries that fill a segment, entries for the next one, a
// truncation, and a snapshot of all.
func furtherSaves(r raft.Restored) []raft.Save {
	term, last := r.Term+1, lastIndex(r)
	first := raft.Save{Seq: 1, Term: term, VotedFor: "node2.0a0b", Entries: []raft.Entry{entry(last+1, term, 100), entry(last+2, term, 100)}}
	second := raft.Save{Seq: 2, Term: term, VotedFor: "node2.0a0b", Entries: []raft.Entry{entry(last+3, term, 200)}}
	cut := raft.Save{Seq: 3, Term: term + 1, TruncateFrom: last + 3}
	return []raft.Save{first, second, cut, {Seq: 4, Term: term + 1, Snapshot: snapshotOf(last+2, term)}}
}

// requireSays demands an error that says what is wrong with which file.
func requireSays(t *testing.T, err error) {
	var corrupt *wal.CorruptError
	var format *wal.FormatError
	if !errorAs(err, &corrupt) && !errorAs(err, &format) {
		require.Fail(t, "an error that does not say what is wrong", "%v", err)
	}
}

// everything is the contents of all files but the lock.
func everything(t *testing.T, disk *sim.Disk) map[string]string {
	files := map[string]string{}
	for _, name := range append(segments(disk), filesIn(disk, "snapshots", "")...) {
		files[name] = string(read(t, disk, name))
	}
	return files
}

// FuzzOpenOfAnyBytes opens a directory with one or two segments and perhaps a snapshot,
// each of any bytes.
func FuzzOpenOfAnyBytes(f *testing.F) {
	for _, d := range fuzzDirs(f) {
		f.Add(d.first, d.segments[0], d.segments[1], d.snapshot)
	}
	empty := filled(f, newHistory(), fuzzSegment)
	f.Fuzz(func(t *testing.T, first byte, one, two, snapshot []byte) {
		disk := empty.Clone(scripted())
		put(disk, first, one, two)
		if index, term := wal.ResealSnapshot(clone(snapshot)); index != 0 {
			disk.WriteFile(snapshotPath(raft.Snapshot{Index: index, Term: term}), snapshot)
		}
		judge(t, disk)
	})
}

// FuzzOpenWithRightChecksums does the same, but repairs all numbers, links and checksums
// first: the checksums keep the fuzzer from what is behind them, but not whoever writes a
// file with a bug in it.
func FuzzOpenWithRightChecksums(f *testing.F) {
	for _, d := range fuzzDirs(f) {
		f.Add(d.first, d.segments[0], d.segments[1], d.snapshot)
	}
	empty := filled(f, newHistory(), fuzzSegment)
	f.Fuzz(func(t *testing.T, first byte, one, two, snapshot []byte) {
		disk := empty.Clone(scripted())
		first = max(first, 1)
		one, two, snapshot = clone(one), clone(two), clone(snapshot)
		wal.Reseal(uint64(first), one, two)
		put(disk, first, one, two)
		if index, term := wal.ResealSnapshot(snapshot); index != 0 {
			disk.WriteFile(snapshotPath(raft.Snapshot{Index: index, Term: term}), snapshot)
		}
		judge(t, disk)
	})
}

// FuzzOpenOfFrames opens a segment of two frames with any payloads, correctly sealed, and
// any bytes after them, beside a snapshot of the first entry. It spares the fuzzer the
// layout of a segment.
func FuzzOpenOfFrames(f *testing.F) {
	h := several(5)
	for _, s := range h.saves {
		f.Add(wal.PayloadOf(s), []byte{}, []byte{})
	}
	f.Add(wal.PayloadOf(h.saves[0]), wal.PayloadOf(h.saves[1:]...), []byte{1, 2, 3})
	one := wal.PayloadOf(raft.Save{Term: 1, Entries: []raft.Entry{entry(1, 1, 5)}})
	f.Add(one, wal.PayloadOf(raft.Save{Term: 1, Snapshot: fuzzSnapshot}), []byte{})
	empty := filled(f, newHistory(), fuzzSegment)
	d := mustOpen(f, empty, fuzzSegment)
	instance := d.Identity().Instance
	require.NoError(f, d.Close())
	snapshot := fileOf(f, fuzzSnapshot, stateOf(fuzzSnapshot))

	f.Fuzz(func(t *testing.T, one, two, tail []byte) {
		var frames [][]byte
		for _, payload := range [][]byte{one, two} {
			if len(payload) > 0 {
				frames = append(frames, payload)
			}
		}
		disk := empty.Clone(scripted())
		disk.WriteFile(wal.SegmentName(dataDir, 1), wal.SegmentWith(instance, 4096, tail, frames...))
		disk.WriteFile(snapshotPath(fuzzSnapshot), snapshot)
		judge(t, disk)
	})
}

var fuzzSnapshot = snapshotOf(1, 1)

// put writes one or two segments in the place of what is there; an empty one is none.
func put(disk *sim.Disk, first byte, segments ...[]byte) {
	disk.RemoveFile(wal.SegmentName(dataDir, 1))
	for k, b := range segments {
		if len(b) > 0 {
			disk.WriteFile(wal.SegmentName(dataDir, uint64(first)+uint64(k)), b)
		}
	}
}

func clone(b []byte) []byte { return append([]byte{}, b...) }

// fuzzDir is what a directory holds.
type fuzzDir struct {
	first    byte // the number of the first segment
	segments [2][]byte
	snapshot []byte
}

// fuzzDirs are directories that were really written: an empty log, a short one, one that
// goes on in a second segment, one with a snapshot, one whose first segment went with what
// a snapshot covers, and two at the end of all terms and indexes.
func fuzzDirs(f *testing.F) []fuzzDir {
	long, snapshots, compacted := several(4), several(2), newHistory()
	long.next(3, 0, 1, 250)
	snapshots.snapshot(2, fuzzSnapshot, 1, 1, 10)
	compacted.next(1, 0, 1, 200)
	compacted.next(1, 0, 1, 200)
	compacted.snapshot(1, snapshotOf(2, 1), 0, 1, 10)
	lastTerm, lastIndex := newHistory(), newHistory()
	lastTerm.next(raft.MaxTerm, 0, 1, 10)
	lastIndex.snapshot(2, snapshotOf(raft.MaxIndex-1, 2), 0, 1, 10)
	var dirs []fuzzDir
	for _, h := range []*history{newHistory(), several(4), long, snapshots, compacted, lastTerm, lastIndex} {
		disk := filled(f, h, fuzzSegment)
		d := fuzzDir{first: 1}
		names := segments(disk)
		for _, name := range filesIn(disk, "snapshots", "") {
			d.snapshot = read(f, disk, name)
		}
		if names[0] != wal.SegmentName(dataDir, 1) {
			d.first = 2
		}
		require.LessOrEqual(f, len(names), 2)
		for k, name := range names {
			d.segments[k] = read(f, disk, name)
		}
		dirs = append(dirs, d)
	}
	require.EqualValues(f, 2, dirs[4].first)
	require.NotEmpty(f, dirs[2].segments[1])
	require.NotEmpty(f, dirs[3].snapshot)
	return dirs
}
