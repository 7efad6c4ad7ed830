package wal_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"dbdb/raft"
	"dbdb/raft/wal"
	"dbdb/tests/sim"
)

var policies = map[sim.CrashPolicy]int{ // and how many seeds each is worth
	sim.LoseUnsynced: 3, sim.KeepPrefix: 3, sim.KeepSectors: 6, sim.KeepAll: 3, sim.KillProcess: 3,
}

// everyCrash runs a scene with the power cut during each operation after cut is
// called, and with each policy, until an operation is reached that never comes.
func everyCrash(t *testing.T, scene func(t *testing.T, disk *sim.Disk, policy sim.CrashPolicy, cut func())) {
	t.Helper()
	for policy, seeds := range policies {
		for seed := range seeds {
			for n, reached := 1, true; reached; n++ {
				disk := sim.NewDisk(seeded(uint64(seed)))
				last := 0
				scene(t, disk, policy, func() { last = disk.Ops() + n; disk.CutPower(n) })
				reached = disk.Ops() >= last
			}
		}
	}
}

// progress is how far a life of the log came.
type progress struct{ acknowledged, attempted int }

// live opens the log and writes on from where it is, as far as the power lasts. It
// ends with an idle mark and an orderly stop.
func live(disk *sim.Disk, h *history, from int) (p progress) {
	p = progress{from, from}
	d, err := wal.Open(disk, dataDir, options(tiny))
	if err != nil {
		return p
	}
	for k := from; k < len(h.saves); k++ {
		p.attempted++
		if d.Log().Save(h.saves[k]) != nil {
			return p
		}
		p.acknowledged++
		if k%3 == 2 && d.Log().MarkIdle() != nil {
			return p
		}
	}
	_ = d.Close() // the power may go during this too, which changes nothing
	return p
}

// reopen opens a log that must open and finds which of the states it holds.
func reopen(t *testing.T, disk *sim.Disk, h *history, p progress, what string) int {
	t.Helper()
	d, err := wal.Open(disk, dataDir, options(tiny))
	require.NoError(t, err, what)
	got := d.Log().Restored()
	for k := p.acknowledged; k <= p.attempted; k++ {
		if same(h.states[k], got) {
			return k
		}
	}
	require.Fail(t, "acknowledged entries are lost, or others came", "%s: %d to %d: %v", what, p.acknowledged, p.attempted, got)
	return 0
}

// The power is cut during every operation of a log's life, from the making of
// its directory over several rolls to its end; then during every operation of
// the recovery from that; then the log must be as it was promised, go on, and
// be there again.
func TestACrashAtEveryOperationAndAnotherDuringRecovery(t *testing.T) {
	t.Parallel()
	h := several(9)
	whole := sim.NewDisk(scripted())
	live(whole, h, 0)
	require.GreaterOrEqual(t, len(segments(whole)), 3)
	for policy, seeds := range policies {
		for n := 1; n <= whole.Ops(); n += stride {
			for seed := range seeds {
				disk := sim.NewDisk(seeded(uint64(seed)))
				disk.CutPower(n)
				p := live(disk, h, 0)
				disk.Crash(policy)
				what := fmt.Sprintf("policy %d, seed %d, power cut at operation %d", policy, seed, n)
				recoverTwice(t, disk, h, p, what, uint64(seed))
			}
		}
	}
}

func recoverTwice(t *testing.T, crashed *sim.Disk, h *history, p progress, what string, seed uint64) {
	t.Helper()
	policy := []sim.CrashPolicy{sim.LoseUnsynced, sim.KeepSectors, sim.KillProcess}[seed%3]
	for m := 1; ; m++ {
		disk := crashed.Clone(seeded(seed + uint64(m)))
		disk.CutPower(m)
		_, err := wal.Open(disk, dataDir, options(tiny))
		done := err == nil
		if !done {
			require.ErrorIs(t, err, sim.ErrPowerCut, what)
		}
		disk.Crash(policy)
		what := fmt.Sprintf("%s, then policy %d at operation %d of recovery", what, policy, m)
		k := reopen(t, disk, h, p, what)
		disk.Crash(sim.LoseUnsynced) // what was restored once is restored for ever
		require.Equal(t, k, reopen(t, disk, h, progress{k, k}, what), what)
		disk.Crash(sim.LoseUnsynced)
		if done {
			p := live(disk, h, k)
			require.Equal(t, progress{len(h.saves), len(h.saves)}, p, what)
			reopen(t, disk, h, p, what)
			return
		}
	}
}

// An instance that was told to others must not be forgotten by a crash.
func TestAnIdentityThatWasReadOnceStays(t *testing.T) {
	everyCrash(t, func(t *testing.T, disk *sim.Disk, policy sim.CrashPolicy, cut func()) {
		cut()
		first, err := wal.Open(disk, dataDir, options(tiny))
		told := wal.Identity{}
		if err == nil {
			told = first.Identity()
		}
		disk.Crash(policy)
		again := mustOpen(t, disk, tiny)
		if err == nil {
			require.Equal(t, told, again.Identity())
		}
		told = again.Identity()
		require.NoError(t, again.Log().Save(raft.Save{Seq: 1, Term: 1}))
		disk.Crash(sim.LoseUnsynced)
		require.Equal(t, told, mustOpen(t, disk, tiny).Identity())
	})
}

// A failed sync leaves the log in doubt; a crash after it must not.
func TestAFailedSyncAtEveryPlaceLosesNothingAcknowledged(t *testing.T) {
	h := several(9)
	broken := errorString("EIO")
	for _, op := range []sim.Op{sim.OpSync, sim.OpSyncDir, sim.OpWrite, sim.OpAllocate, sim.OpCreate, sim.OpRename} {
		for after := 0; ; after++ {
			disk := sim.NewDisk(seeded(uint64(after)))
			disk.FailLater(op, after, broken)
			p := live(disk, h, 0)
			if p.acknowledged == len(h.saves) {
				break
			}
			for policy := range policies {
				crashed := disk.Clone(seeded(uint64(after)))
				crashed.Crash(policy)
				what := fmt.Sprintf("%v %d failed, policy %d", op, after, policy)
				k := reopen(t, crashed, h, p, what)
				crashed.Crash(sim.LoseUnsynced) // it was not only in the kernel's cache
				reopen(t, crashed, h, progress{k, k}, what)

				killed := disk.Clone(seeded(uint64(after)))
				killed.Crash(sim.KillProcess) // the next life starts from the kernel's cache
				p := live(killed, h, reopen(t, killed.Clone(seeded(1)), h, p, what))
				killed.Crash(policy)
				reopen(t, killed, h, p, what)
			}
		}
	}
}
