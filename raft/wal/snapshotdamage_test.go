package wal_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"dbdb/raft"
	"dbdb/raft/wal"
	"dbdb/tests/sim"
)

func TestEveryFlippedBitOfASnapshotIsDamage(t *testing.T) {
	t.Parallel()
	m := snapshotOf(7, 3)
	disk := putInForce(t, m, stateOf(m))
	name := snapshotPath(m)
	for offset := range read(t, disk, name) {
		for bit := range 8 {
			if (8*offset+bit)%stride != 0 {
				continue
			}
			damaged := disk.Clone(scripted())
			damaged.Corrupt(name, int64(offset), 1<<bit)
			requireDamage(t, name, loadDamaged(damaged, m), "offset %d, bit %d", offset, bit)
		}
	}
}

func requireDamage(t *testing.T, file string, err error, what string, args ...any) {
	t.Helper()
	var corrupt *wal.CorruptError
	if !errorAs(err, &corrupt) || corrupt.File != file {
		require.Fail(t, "not the damage that was done", append([]any{what + ": %v"}, append(args, err)...)...)
	}
}

func TestASnapshotThatWasCutOrGrewIsDamage(t *testing.T) {
	m := snapshotOf(7, 3)
	disk := putInForce(t, m, stateOf(m))
	name := snapshotPath(m)
	whole := read(t, disk, name)
	for size := range whole {
		damaged := disk.Clone(scripted())
		damaged.WriteFile(name, whole[:size])
		requireDamage(t, name, loadDamaged(damaged, m), "cut to %d", size)
	}
	disk.WriteFile(name, append(whole, 0))
	requireDamage(t, name, loadDamaged(disk, m), "grew")
}

// Blocks that are sound in themselves, in another order or from another file.
func TestBlocksThatMovedAreDamage(t *testing.T) {
	m := snapshotOf(7, 3)
	const header, block = 512, 8 + 64<<10
	configuration := 8 + len(m.Configuration.Encode())
	at := func(k int) int { return header + configuration + k*block }
	state := varied(3*(64<<10) + 5)
	good := fileOf(t, m, state)
	other := fileOf(t, m, append(slices.Clone(state[1:]), 9))
	newer := fileOf(t, snapshotOf(8, 3), state)
	for name, bad := range map[string][]byte{
		"exchanged":            slices.Concat(good[:at(0)], good[at(1):at(2)], good[at(0):at(1)], good[at(2):]),
		"left out":             slices.Concat(good[:at(1)], good[at(2):]),
		"twice":                slices.Concat(good[:at(1)], good[at(0):at(1)], good[at(1):]),
		"of another state":     slices.Concat(good[:at(1)], other[at(1):at(2)], good[at(2):]),
		"of another snapshot":  slices.Concat(good[:header], newer[header:]),
		"another's end":        slices.Concat(good[:len(good)-16], other[len(other)-16:]),
		"an early end":         slices.Concat(good[:at(2)], good[len(good)-16:]),
		"under another's name": newer,
	} {
		t.Run(name, func(t *testing.T) {
			disk := putInForce(t, m, state)
			disk.WriteFile(snapshotPath(m), bad)
			requireDamage(t, snapshotPath(m), loadDamaged(disk, m), name)
		})
	}
}

func TestASnapshotOfAnUnknownFormatIsRefusedAsSuch(t *testing.T) {
	m := snapshotOf(7, 3)
	disk := putInForce(t, m, stateOf(m))
	d := mustOpen(t, disk.Clone(scripted()), 4096)
	disk.WriteFile(snapshotPath(m), wal.SnapshotOfFormat(7))
	_, err := wal.Open(disk, dataDir, options(4096))
	var format *wal.FormatError
	require.ErrorAs(t, err, &format)
	require.Equal(t, uint64(7), format.Version)
	require.NoError(t, d.Close())
}

func TestASnapshotThatIsNotThereIsDamageAndNotAnEmptyStore(t *testing.T) {
	older, m := snapshotOf(3, 1), snapshotOf(6, 1)
	disk, d := grown(t, 9)
	for _, m := range []raft.Snapshot{older, m} {
		require.NoError(t, makeOwn(d, m))
		require.NoError(t, d.Log().Save(raft.Save{Seq: 1, Term: 1, Snapshot: m}))
	}
	disk.Crash(sim.LoseUnsynced)
	file := read(t, disk, snapshotPath(m))
	disk.RemoveFile(snapshotPath(m))
	require.Equal(t, snapshotPath(m), refused(t, disk, tiny, "none").File)

	disk.WriteFile(snapshotPath(older), theirs(older))
	require.Equal(t, snapshotPath(m), refused(t, disk, tiny, "an older one").File)
	disk.WriteFile(snapshotPath(snapshotOf(8, 1)), theirs(snapshotOf(8, 1)))
	require.Equal(t, snapshotPath(m), refused(t, disk, tiny, "a newer one").File)
	disk.RemoveFile(snapshotPath(snapshotOf(8, 1)))
	disk.WriteFile(snapshotPath(m), file)
	requireLoads(t, mustOpen(t, disk, tiny), m)
}

// Nobody publishes a snapshot before currentTerm has reached its term.
func TestASnapshotThatTheLogContradictsIsDamage(t *testing.T) {
	for name, m := range map[string]raft.Snapshot{"term": snapshotOf(9, 4), "two at one index": snapshotOf(7, 2), "older term": snapshotOf(9, 2)} {
		disk := putInForce(t, snapshotOf(7, 3), stateOf(snapshotOf(7, 3)))
		disk.WriteFile(snapshotPath(m), theirs(m))
		if name == "two at one index" {
			disk.RemoveFile(snapshotPath(snapshotOf(7, 3)))
			require.Equal(t, snapshotPath(snapshotOf(7, 3)), refused(t, disk, 4096, name).File)
			continue
		}
		require.Equal(t, snapshotPath(m), refused(t, disk, 4096, name).File)
	}
}

func TestASnapshotWithoutAnIdentityIsDamage(t *testing.T) {
	disk := sim.NewDisk(scripted())
	m := snapshotOf(7, 3)
	disk.WriteFile(snapshotPath(m), theirs(m))
	require.Contains(t, refused(t, disk, 4096, "identity").What, "there is a snapshot")
}

// A crash between the segments that go leaves some of them; that any other is missing is
// damage.
func TestAMissingSegmentOfACompactedLogIsDamage(t *testing.T) {
	disk, d := grown(t, 20)
	m := snapshotOf(11, 1)
	require.NoError(t, makeOwn(d, m))
	require.NoError(t, d.Log().Save(raft.Save{Seq: 1, Term: 1, Snapshot: m}))
	disk.Crash(sim.LoseUnsynced)
	names := segments(disk)
	require.GreaterOrEqual(t, len(names), 3)
	require.NotContains(t, names, wal.SegmentName(dataDir, 1))
	for _, name := range names {
		damaged := disk.Clone(scripted())
		damaged.RemoveFile(name)
		require.Equal(t, name, refused(t, damaged, tiny, "without %s", name).File)
	}
}

// The same flips as in a log without snapshots. Here the newest frame is the record of the
// snapshot, and that segments are gone is evidence for it.
func TestEveryFlippedBitOfACompactedLogIsRefused(t *testing.T) {
	t.Parallel()
	disk, d := grown(t, 8)
	m := snapshotOf(7, 1)
	require.NoError(t, makeOwn(d, m))
	require.NoError(t, d.Log().Save(raft.Save{Seq: 1, Term: 1, Snapshot: m}))
	disk.Crash(sim.LoseUnsynced)
	names := segments(disk)
	require.NotContains(t, names, wal.SegmentName(dataDir, 1))
	newest := names[len(names)-1]
	for offset := range bytes.TrimRight(read(t, disk, newest), "\x00") {
		for bit := range 8 {
			if (8*offset+bit)%stride != 0 {
				continue
			}
			disk.Corrupt(newest, int64(offset), 1<<bit)
			refused(t, disk, tiny, "offset %d, bit %d", offset, bit)
			disk.Corrupt(newest, int64(offset), 1<<bit)
		}
	}
	d = mustOpen(t, disk, tiny)
	require.Equal(t, m, d.Log().Restored().Snapshot)
}

// When a snapshot is published, its entries have been synced, and there is evidence: else
// damage to them would look like a torn write, and the snapshot like a leader's that
// replaces them.
func TestDamageToWhatAPublishedSnapshotWasMadeOfIsSeen(t *testing.T) {
	disk := sim.NewDisk(scripted())
	d := mustOpen(t, disk, 4096)
	entries := []raft.Entry{entry(1, 1, 50), entry(2, 1, 50), entry(3, 1, 50)}
	require.NoError(t, d.Log().Save(raft.Save{Seq: 1, Term: 1, Entries: entries}))
	at := len(bytes.TrimRight(read(t, disk, segments(disk)[0]), "\x00")) - 10
	m := snapshotOf(2, 1)
	require.NoError(t, makeOwn(d, m))
	disaster := errors.New("disaster")
	disk.FailLater(sim.OpWrite, 1, disaster) // the mark is the first write, the record the second
	require.ErrorIs(t, d.Log().Save(raft.Save{Seq: 2, Term: 1, Snapshot: m}), disaster)
	disk.Crash(sim.LoseUnsynced)

	r := mustOpen(t, disk.Clone(scripted()), 4096).Log().Restored()
	require.Equal(t, raft.Restored{Term: 1, Snapshot: m, Entries: entries}, r)
	disk.Corrupt(segments(disk)[0], int64(at), 1)
	require.Contains(t, refused(t, disk, 4096, "the entries").What, "is damaged")
}

// The names of segments are removed one by one: a hole between them can then only be damage.
func TestSegmentsAreRemovedOldestFirstAndDurably(t *testing.T) {
	disk, d := grown(t, 20)
	m := snapshotOf(20, 1)
	require.NoError(t, makeOwn(d, m))
	all := len(segments(disk))
	for n := 1; ; n++ {
		crashed := disk.Clone(seeded(uint64(n)))
		d := mustOpen(t, crashed, tiny+130)
		require.NoError(t, makeOwn(d, m))
		crashed.CutPower(n)
		err := d.Log().Save(raft.Save{Seq: 1, Term: 1, Snapshot: m})
		crashed.Crash(sim.KeepSectors)
		_, r := restart(t, crashed)
		require.Equal(t, raft.Index(20), max(lastIndex(r), r.Snapshot.Index))
		if err == nil {
			require.Less(t, len(segments(crashed)), all-3)
			break
		}
	}
}
