package wal_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"dbdb/raft/wal"
	"dbdb/tests/sim"
)

const roomy = 5 << 10

// torn returns a disk with three synced frames and an unsynced one with three
// entries of size bytes, and where that one is.
func torn(t *testing.T, size int) (disk *sim.Disk, h *history, from, to int) {
	t.Helper()
	h = several(3)
	h.next(4, 1, 3, size)
	disk = sim.NewDisk(scripted())
	log := mustOpen(t, disk, roomy).Log()
	for _, s := range h.saves[:3] {
		require.NoError(t, log.Save(s))
	}
	name := wal.SegmentName(dataDir, 1)
	from = len(bytes.TrimRight(read(t, disk, name), "\x00"))
	require.NoError(t, log.Write(h.saves[3]))
	to = len(bytes.TrimRight(read(t, disk, name), "\x00"))
	return disk, h, from, to
}

// requireRepaired opens a disk after a crash during its fourth Save, and again,
// and writes on. The first three must be there, the fourth may only be there whole.
func requireRepaired(t *testing.T, disk *sim.Disk, h *history, from int, whole bool) {
	t.Helper()
	want := h.states[3]
	if whole {
		want = h.states[4]
	}
	left := read(t, disk, wal.SegmentName(dataDir, 1))
	d := mustOpen(t, disk, roomy)
	requireSame(t, want, d.Log().Restored())
	if repair := d.Repaired(); !whole && !allZero(left[from:]) {
		require.NotNil(t, repair)
		require.Equal(t, int64(from), repair.Offset)
	} else {
		require.Nil(t, repair)
	}
	disk.Crash(sim.LoseUnsynced) // the repair is durable before anything else is done
	if !whole {
		require.True(t, allZero(read(t, disk, wal.SegmentName(dataDir, 1))[from:]), "remnants of the torn frame")
	}
	d = mustOpen(t, disk, roomy)
	require.Nil(t, d.Repaired())
	requireSame(t, want, d.Log().Restored())
	if !whole {
		require.NoError(t, d.Log().Save(h.saves[3]))
		require.NoError(t, d.Close())
		requireSame(t, h.states[4], mustOpen(t, disk, roomy).Log().Restored())
	}
}

func allZero(b []byte) bool { return len(bytes.TrimRight(b, "\x00")) == 0 }

func TestEveryPrefixOfATornFrameIsRepaired(t *testing.T) {
	t.Parallel()
	disk, h, from, to := torn(t, 300)
	for kept := 0; kept <= to-from; kept++ {
		crashed := disk.Clone(scripted(kept))
		crashed.Crash(sim.KeepPrefix)
		requireRepaired(t, crashed, h, from, kept == to-from)
	}
}

func TestEverySubsetOfATornFramesSectorsIsRepaired(t *testing.T) {
	t.Parallel()
	disk, h, from, to := torn(t, 1130)
	sectors := (to-1)/512 - from/512 + 1
	require.LessOrEqual(t, sectors, 8)
	require.GreaterOrEqual(t, sectors, 7)
	for subset := range 1 << sectors {
		var bits []int
		for k := range sectors {
			bits = append(bits, subset>>k&1)
		}
		crashed := disk.Clone(scripted(bits...))
		crashed.Crash(sim.KeepSectors)
		requireRepaired(t, crashed, h, from, subset == 1<<sectors-1)
	}
}

// A client may store the bytes of a frame. They must not pass for evidence that
// the torn frame around them was once synced.
func TestAValueThatLooksLikeAFrameIsNoEvidence(t *testing.T) {
	other := filled(t, several(3), roomy)
	frames := read(t, other, wal.SegmentName(dataDir, 1))[wal.HeaderBytes:]

	h := several(3)
	h.next(4, 0, 1, 2000)
	copy(h.saves[3].Entries[0].Data[700:], frames[:200])
	opt := options(roomy)
	opt.Random = bytes.NewReader(bytes.Repeat([]byte("salt"), 100))
	disk := sim.NewDisk(scripted(0, 1, 1, 1, 1, 1))
	d, err := wal.Open(disk, dataDir, opt)
	require.NoError(t, err)
	for _, s := range h.saves[:3] {
		require.NoError(t, d.Log().Save(s))
	}
	require.NoError(t, d.Log().Write(h.saves[3]))
	disk.Crash(sim.KeepSectors)
	d = mustOpen(t, disk, roomy)
	require.NotNil(t, d.Repaired())
	requireSame(t, h.states[3], d.Log().Restored())
}

// A killed process leaves an unsynced frame that the next one can read. Once
// that one has told others of it, a power failure must not take it away.
func TestWhatAKilledProcessWroteIsSyncedBeforeItIsRestored(t *testing.T) {
	disk, h, _, _ := torn(t, 1130)
	disk.Crash(sim.KillProcess)
	requireSame(t, h.states[4], mustOpen(t, disk, roomy).Log().Restored())
	disk.Crash(sim.LoseUnsynced)
	requireSame(t, h.states[4], mustOpen(t, disk, roomy).Log().Restored())
}
