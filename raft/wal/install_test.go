package wal_test

import (
	"io/fs"
	"testing"

	"github.com/stretchr/testify/require"

	"dbdb/raft"
	"dbdb/raft/wal"
	"dbdb/tests/sim"
)

// grown returns a directory with entries 1 to n of 100 bytes, in segments of three.
func grown(t *testing.T, n raft.Index) (*sim.Disk, *wal.Dir) {
	t.Helper()
	disk := sim.NewDisk(scripted())
	d := mustOpen(t, disk, tiny+130)
	for i := range n {
		require.NoError(t, d.Log().Save(raft.Save{Seq: 1, Term: 1, Entries: []raft.Entry{entry(i+1, 1, 100)}}))
	}
	return disk, d
}

// restart opens the directory after a power failure.
func restart(t *testing.T, disk *sim.Disk) (*wal.Dir, raft.Restored) {
	t.Helper()
	disk.Crash(sim.LoseUnsynced)
	d := mustOpen(t, disk, tiny+130)
	return d, d.Log().Restored()
}

func TestASnapshotComesIntoForceWithItsSaveAndNotBefore(t *testing.T) {
	disk, d := grown(t, 5)
	m := snapshotOf(4, 1)
	require.NoError(t, makeOwn(d, m))
	d, r := restart(t, disk)
	require.Zero(t, r.Snapshot)
	require.Empty(t, filesIn(disk, "snapshots", ""), "what is not in force is removed")

	require.NoError(t, makeOwn(d, m))
	require.NoError(t, d.Log().Save(raft.Save{Seq: 1, Term: 1, Snapshot: m}))
	d, r = restart(t, disk)
	require.Equal(t, m, r.Snapshot)
	requireLoads(t, d, m)
	require.Equal(t, raft.Index(5), lastIndex(r), "the entries after the snapshot stay")
}

func TestEntriesThatASnapshotCoversGoByWholeSegments(t *testing.T) {
	disk, d := grown(t, 20)
	before := len(segments(disk))
	m := snapshotOf(17, 1)
	require.NoError(t, makeOwn(d, m))
	require.NoError(t, d.Log().Save(raft.Save{Seq: 1, Term: 1, Snapshot: m}))
	require.Less(t, len(segments(disk)), before-3)
	_, r := restart(t, disk)
	first := r.Entries[0].Index
	require.LessOrEqual(t, first, raft.Index(18))
	require.Greater(t, first, raft.Index(12))
	require.Equal(t, raft.Index(20), lastIndex(r))
}

func TestEntriesFromKeepFromOnStay(t *testing.T) {
	for keep := raft.Index(1); keep <= 18; keep++ {
		disk, d := grown(t, 20)
		m := snapshotOf(17, 1)
		require.NoError(t, makeOwn(d, m))
		require.NoError(t, d.Log().Save(raft.Save{Seq: 1, Term: 1, Snapshot: m, KeepFrom: keep}))
		_, r := restart(t, disk)
		require.LessOrEqual(t, r.Entries[0].Index, keep)
		require.Greater(t, r.Entries[0].Index+4, keep, "whole segments below KeepFrom go")
	}
}

// Figure 13, rules 6 and 7.
func TestALeadersSnapshotEmptiesTheLogUnlessTheLogHoldsItsLastEntry(t *testing.T) {
	for name, c := range map[string]struct {
		m    raft.Snapshot
		last raft.Index
	}{
		"held":                       {snapshotOf(5, 1), 8},
		"held, at the end":           {snapshotOf(8, 1), 8},
		"another term at its index":  {snapshotOf(5, 2), 5},
		"beyond the end of the log":  {snapshotOf(30, 2), 30},
		"right after the log's end":  {snapshotOf(9, 1), 9},
		"another term, at the end":   {snapshotOf(8, 2), 8},
		"the first entry of the log": {snapshotOf(1, 1), 8},
	} {
		t.Run(name, func(t *testing.T) {
			disk, d := grown(t, 8)
			m, _, err := receive(d, fileOf(t, c.m, stateOf(c.m)), 100)
			require.NoError(t, err)
			next := []raft.Entry{entry(c.last+1, 2, 5)}
			require.NoError(t, d.Log().Save(raft.Save{Seq: 1, Term: 2, Snapshot: m, Entries: next}))
			d, r := restart(t, disk)
			require.Equal(t, c.m, r.Snapshot)
			require.Equal(t, c.last+1, lastIndex(r))
			require.Equal(t, c.last == 8 && c.m.Term == 1, len(r.Entries) > 1)
			requireLoads(t, d, m)
		})
	}
}

func TestTheSavesOfOneWriteStayInTheirOrder(t *testing.T) {
	disk, d := grown(t, 3)
	own, received := snapshotOf(4, 2), snapshotOf(9, 3)
	require.NoError(t, makeOwn(d, own))
	require.NoError(t, makeOwn(d, received))
	require.NoError(t, d.Log().Write(
		raft.Save{Seq: 2, Term: 2, Entries: []raft.Entry{entry(4, 2, 5), entry(5, 2, 5)}},
		raft.Save{Seq: 3, Term: 2, Snapshot: own},
		raft.Save{Seq: 4, Term: 2, Entries: []raft.Entry{entry(6, 2, 5)}},
		raft.Save{},
		raft.Save{Seq: 5, Term: 4, VotedFor: "node1.0", TruncateFrom: 6, Snapshot: received},
		raft.Save{Seq: 6, Term: 4, VotedFor: "node1.0", Entries: []raft.Entry{entry(10, 4, 5)}},
	))
	require.NoError(t, d.Log().Sync())
	_, r := restart(t, disk)
	require.Equal(t, raft.Restored{Term: 4, VotedFor: "node1.0", Snapshot: received, Entries: []raft.Entry{entry(10, 4, 5)}}, r)
}

func TestASnapshotThatContradictsTheLogEndsIt(t *testing.T) {
	other := snapshotOf(7, 2)
	other.Configuration = snapshotOf(6, 2).Configuration
	for name, bad := range map[string]raft.Save{
		"older than the one in force":         {Seq: 2, Term: 2, Snapshot: snapshotOf(3, 1)},
		"the one in force again":              {Seq: 2, Term: 2, Snapshot: snapshotOf(5, 2)},
		"another at the same index":           {Seq: 2, Term: 3, Snapshot: snapshotOf(5, 3)},
		"of an older term":                    {Seq: 2, Term: 2, Snapshot: snapshotOf(7, 1)},
		"of a term beyond currentTerm":        {Seq: 2, Term: 2, Snapshot: snapshotOf(7, 3)},
		"of no term":                          {Seq: 2, Term: 2, Snapshot: snapshotOf(7, 0)},
		"never written":                       {Seq: 2, Term: 2, Snapshot: snapshotOf(6, 2)},
		"with another configuration":          {Seq: 2, Term: 2, Snapshot: other},
		"together with another contradiction": {Seq: 2, Term: 2, Snapshot: snapshotOf(7, 2), TruncateFrom: 99},
		"with a hole after it":                {Seq: 2, Term: 2, Snapshot: snapshotOf(7, 2), Entries: []raft.Entry{entry(9, 2, 1)}},
		"truncating what another covers":      {Seq: 2, Term: 2, TruncateFrom: 5},
	} {
		t.Run(name, func(t *testing.T) {
			disk := sim.NewDisk(scripted())
			d := mustOpen(t, disk, 4096)
			require.NoError(t, makeOwn(d, snapshotOf(5, 2)))
			require.NoError(t, d.Log().Save(raft.Save{Seq: 1, Term: 2, Snapshot: snapshotOf(5, 2), Entries: []raft.Entry{entry(6, 2, 1)}}))
			for _, m := range []raft.Snapshot{snapshotOf(3, 1), snapshotOf(5, 2), snapshotOf(5, 3), snapshotOf(7, 1), snapshotOf(7, 2), snapshotOf(7, 3)} {
				require.NoError(t, makeOwn(d, m))
			}
			err := d.Log().Save(bad)
			require.Error(t, err)
			require.Equal(t, err, d.Log().Save(raft.Save{Seq: 3, Term: 9}))
			disk.Crash(sim.KeepAll)
			d = mustOpen(t, disk, 4096)
			r := d.Log().Restored()
			require.Equal(t, snapshotOf(5, 2), r.Snapshot)
			require.Equal(t, []raft.Entry{entry(6, 2, 1)}, r.Entries)
			requireLoads(t, d, r.Snapshot)
		})
	}
}

func TestOnlyTheNewestSnapshotStays(t *testing.T) {
	disk, d := grown(t, 8)
	for _, index := range []raft.Index{2, 3, 5} {
		require.NoError(t, makeOwn(d, snapshotOf(index, 1)))
	}
	require.NoError(t, d.Log().Save(raft.Save{Seq: 1, Term: 1, Snapshot: snapshotOf(2, 1)}))
	require.Len(t, filesIn(disk, "snapshots", ""), 3, "newer ones wait for their Save")
	require.NoError(t, d.Log().Save(raft.Save{Seq: 2, Term: 1, Snapshot: snapshotOf(5, 1)}))
	require.Equal(t, []string{snapshotPath(snapshotOf(5, 1))}, filesIn(disk, "snapshots", ""))
	_, _, err := d.Snapshots().ReadAt(2, 1, 0)
	require.ErrorIs(t, err, fs.ErrNotExist)
}

// A truncation in the first segment that remains may reach back into those that are gone;
// and if the power goes while they are removed, the next segment may begin right after it.
// What comes instead may be of older terms than what went (Figure 8, e).
func TestATruncationBelowTheFirstRemainingEntry(t *testing.T) {
	for from := raft.Index(2); from <= 10; from++ {
		for _, size := range []int{1, 600} {
			disk := sim.NewDisk(scripted())
			d := mustOpen(t, disk, tiny+130)
			var state raft.Restored
			save := func(s raft.Save) {
				s.Seq, state = 1, after(state, s)
				require.NoError(t, d.Log().Save(s))
			}
			for i := raft.Index(1); i <= 10; i++ {
				term := raft.Term(1)
				if i >= from {
					term = 4
				}
				save(raft.Save{Term: 4, Entries: []raft.Entry{entry(i, term, 100)}})
			}
			save(raft.Save{Term: 5, TruncateFrom: from})
			for i := from; i <= 12; i++ {
				save(raft.Save{Term: 5, Entries: []raft.Entry{entry(i, 2, size)}})
				size = 1
			}
			require.NoError(t, d.Close())
			installAsPowerLasts(t, disk, state, raft.Save{Seq: 1, Term: 5, Snapshot: snapshotOf(11, 2)})
		}
	}
}

// installAsPowerLasts saves s with the power cut during each operation of it.
func installAsPowerLasts(t *testing.T, before *sim.Disk, state raft.Restored, s raft.Save) {
	t.Helper()
	for n := 1; ; n++ {
		disk := before.Clone(seeded(1))
		d := mustOpen(t, disk, tiny+130)
		require.NoError(t, makeOwn(d, s.Snapshot))
		disk.CutPower(n)
		err := d.Log().Save(s)
		_, r := restart(t, disk)
		if err == nil {
			requireSame(t, after(state, s), r)
			require.Greater(t, r.Entries[0].Index, raft.Index(1))
			return
		}
		require.True(t, same(state, r) || same(after(state, s), r), "operation %d: %v", n, r)
	}
}

// What is known of the log must not grow with every term there ever was.
func TestTheTermsBelowASnapshotAreForgotten(t *testing.T) {
	d := mustOpen(t, sim.NewDisk(scripted()), 1<<20)
	for i := range raft.Index(100) {
		require.NoError(t, d.Log().Save(raft.Save{Seq: 1, Term: raft.Term(i + 1), Entries: []raft.Entry{entry(i+1, raft.Term(i+1), 1)}}))
	}
	require.Equal(t, 100, wal.Runs(d.Log()))
	require.NoError(t, makeOwn(d, snapshotOf(97, 97)))
	require.NoError(t, d.Log().Save(raft.Save{Seq: 1, Term: 100, Snapshot: snapshotOf(97, 97)}))
	require.Equal(t, 3, wal.Runs(d.Log()))
	require.NoError(t, d.Log().Save(raft.Save{Seq: 1, Term: 100, TruncateFrom: 98}))
	require.Error(t, d.Log().Save(raft.Save{Seq: 1, Term: 100, Entries: []raft.Entry{entry(98, 96, 1)}}), "the snapshot's term is still known")
}

func TestALongNodeIDFitsIntoASegmentsHeader(t *testing.T) {
	disk := sim.NewDisk(scripted())
	d := mustOpen(t, disk, tiny)
	vote := raft.NodeID(make([]byte, raft.MaxNodeIDBytes))
	require.NoError(t, d.Log().Save(raft.Save{Seq: 1, Term: 7, VotedFor: vote, Entries: []raft.Entry{entry(1, 7, 10)}}))
	require.NoError(t, d.Log().Save(raft.Save{Seq: 2, Term: 7, VotedFor: vote, Entries: []raft.Entry{entry(2, 7, 200)}}))
	require.NoError(t, makeOwn(d, snapshotOf(2, 7)))
	require.NoError(t, d.Log().Save(raft.Save{Seq: 3, Term: 7, VotedFor: vote, Snapshot: snapshotOf(2, 7)}))
	require.NotContains(t, segments(disk), wal.SegmentName(dataDir, 1))
	disk.Crash(sim.LoseUnsynced)
	r := mustOpen(t, disk, tiny).Log().Restored()
	require.Equal(t, vote, r.VotedFor)
	require.Equal(t, raft.Term(7), r.Term)
}
