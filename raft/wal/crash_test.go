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

// compacted makes a history with snapshots of all sorts: the server's own, and a leader's
// that the log holds, that go beyond its end, and that contradict it.
func compacted() *history {
	h := newHistory()
	h.next(1, 0, 4, 70)
	h.next(1, 0, 3, 80)
	h.snapshot(1, snapshotOf(5, 1), 3, 0, 0)
	h.next(2, 0, 3, 70)
	h.next(2, 9, 2, 80)
	h.snapshot(4, snapshotOf(9, 2), 0, 1, 20)
	h.snapshot(4, snapshotOf(15, 3), 0, 1, 150)
	h.next(4, 0, 3, 70)
	h.snapshot(6, snapshotOf(18, 5), 10, 0, 0)
	h.next(6, 0, 2, 70)
	h.snapshot(6, snapshotOf(20, 6), 0, 0, 0)
	h.next(7, 0, 1, 10)
	return h
}

// progress is how far a life of the log came: to a Save, or to a stage between two.
type progress struct {
	acknowledged int
	stage        stage // towards the next
	attempted    int
}

// stage is what a crash during a Save with a snapshot may leave: currentTerm is durable
// before the snapshot is published, and that before the rest.
type stage int

const (
	nothing stage = iota
	onlyTerm
	onlyPublished
	stages
)

func done(n int) progress { return progress{acknowledged: n, attempted: n} }

// state is the one at a stage after k Saves.
func (h *history) state(k int, s stage) raft.Restored {
	switch next := h.saves[min(k, len(h.saves)-1)]; s {
	case onlyTerm:
		return after(h.states[k], raft.Save{Term: next.Term, VotedFor: next.VotedFor})
	case onlyPublished:
		return after(h.states[k], raft.Save{Term: next.Term, VotedFor: next.VotedFor, Snapshot: next.Snapshot})
	}
	return h.states[k]
}

// possible says whether a crash can have left a stage.
func (h *history) possible(p progress, k int, s stage) bool {
	if s != nothing && (k == len(h.saves) || h.saves[k].Snapshot.Index == 0) {
		return false
	}
	return (k > p.acknowledged || s >= p.stage) && (k < p.attempted || s <= p.stage)
}

// live opens the log and writes on from where it is, as far as the power lasts. It
// ends with an idle mark and an orderly stop.
func live(disk *sim.Disk, h *history, from progress) progress {
	p := from
	d, err := wal.Open(disk, dataDir, options(tiny))
	if err != nil {
		return p
	}
	for k := from.acknowledged; k < len(h.saves); k++ {
		s := h.saves[k]
		if p.stage == onlyPublished {
			s.Snapshot = raft.Snapshot{}
		}
		if s.Snapshot.Index != 0 && makeEither(d, h, k) != nil {
			return p
		}
		p.attempted = k + 1
		if d.Log().Save(s) != nil {
			return p
		}
		p = done(k + 1)
		if k%3 == 2 && d.Log().MarkIdle() != nil {
			return p
		}
	}
	_ = d.Close() // the power may go during this too, which changes nothing
	return p
}

// makeEither makes the snapshot of a Save: the server's own if it can be, else the leader's.
func makeEither(d *wal.Dir, h *history, k int) error {
	m := h.saves[k].Snapshot
	if holds(h.states[k], m) {
		return makeOwn(d, m)
	}
	_, _, err := receive(d, theirs(m), 300)
	return err
}

// theirs is the file of a snapshot that a leader sends.
func theirs(m raft.Snapshot) []byte {
	disk := sim.NewDisk(scripted())
	d, err := wal.Open(disk, dataDir, options(tiny))
	must(err)
	must(makeOwn(d, m))
	file, err := disk.ReadFile(filesIn(disk, "snapshots", "")[0])
	must(err)
	return file
}

// reopen opens a log that must open and finds which of the states it holds. Its snapshot
// must load, and no other may be there.
func reopen(t *testing.T, disk *sim.Disk, h *history, p progress, what string) progress {
	t.Helper()
	d, err := wal.Open(disk, dataDir, options(tiny))
	require.NoError(t, err, what)
	got := d.Log().Restored()
	require.LessOrEqual(t, len(filesIn(disk, "snapshots", "")), 1, what)
	if got.Snapshot.Index != 0 {
		requireLoads(t, d, got.Snapshot)
	}
	for k := p.acknowledged; k <= p.attempted; k++ {
		for s := range stages {
			if h.possible(p, k, s) && same(h.state(k, s), got) {
				return progress{k, s, k}
			}
		}
	}
	require.Fail(t, "acknowledged entries are lost, or others came", "%s: %v: %v", what, p, got)
	return progress{}
}

// The power is cut during every operation of a log's life, from the making of
// its directory over several rolls and snapshots to its end; then during every operation of
// the recovery from that; then the log must be as it was promised, go on, and
// be there again.
func TestACrashAtEveryOperationAndAnotherDuringRecovery(t *testing.T) {
	for name, h := range map[string]*history{"the log alone": several(9), "with snapshots": compacted()} {
		for policy, seeds := range policies {
			t.Run(fmt.Sprintf("%s, policy %d", name, policy), func(t *testing.T) {
				t.Parallel()
				for seed := range (seeds + 1) / 2 {
					crashEverywhere(t, h, policy, uint64(seed))
				}
			})
		}
	}
}

func crashEverywhere(t *testing.T, h *history, policy sim.CrashPolicy, seed uint64) {
	whole := sim.NewDisk(scripted())
	require.Equal(t, done(len(h.saves)), live(whole, h, done(0)))
	for n := 1; n <= whole.Ops(); n += stride {
		disk := sim.NewDisk(seeded(seed))
		disk.CutPower(n)
		p := live(disk, h, done(0))
		disk.Crash(policy)
		recoverTwice(t, disk, h, p, fmt.Sprintf("seed %d, power cut at operation %d", seed, n), seed)
	}
}

func TestTheHistoriesOfTheCrashTestsRollAndCompact(t *testing.T) {
	disk := sim.NewDisk(scripted())
	live(disk, several(9), done(0))
	require.GreaterOrEqual(t, len(segments(disk)), 3)
	disk = sim.NewDisk(scripted())
	live(disk, compacted(), done(0))
	require.NotContains(t, segments(disk), wal.SegmentName(dataDir, 4))
	require.GreaterOrEqual(t, len(segments(disk)), 2)
}

func recoverTwice(t *testing.T, crashed *sim.Disk, h *history, p progress, what string, seed uint64) {
	t.Helper()
	policy := []sim.CrashPolicy{sim.LoseUnsynced, sim.KeepSectors, sim.KillProcess}[seed%3]
	for m := 1; ; m++ {
		disk := crashed.Clone(seeded(seed + uint64(m)))
		disk.CutPower(m)
		_, err := wal.Open(disk, dataDir, options(tiny))
		opened := err == nil
		if !opened {
			require.ErrorIs(t, err, sim.ErrPowerCut, what)
		}
		disk.Crash(policy)
		what := fmt.Sprintf("%s, then policy %d at operation %d of recovery", what, policy, m)
		now := reopen(t, disk, h, p, what)
		disk.Crash(sim.LoseUnsynced) // what was restored once is restored for ever
		require.Equal(t, now, reopen(t, disk, h, now, what), what)
		disk.Crash(sim.LoseUnsynced)
		if opened {
			p := live(disk, h, now)
			require.Equal(t, done(len(h.saves)), p, what)
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
func TestAFailedOperationAtEveryPlaceLosesNothingAcknowledged(t *testing.T) {
	for name, h := range map[string]*history{"the log alone": several(9), "with snapshots": compacted()} {
		for _, op := range []sim.Op{sim.OpSync, sim.OpSyncDir, sim.OpWrite, sim.OpAllocate, sim.OpCreate, sim.OpRename, sim.OpRemove} {
			t.Run(fmt.Sprintf("%s, %v", name, op), func(t *testing.T) { failEach(t, h, op) })
		}
	}
}

func failEach(t *testing.T, h *history, op sim.Op) {
	broken := errorString("EIO")
	for n := 0; ; n++ {
		require.Less(t, n, 1000, "the log fails without a fault")
		disk := sim.NewDisk(seeded(uint64(n)))
		disk.FailLater(op, n, broken)
		p := live(disk, h, done(0))
		if p.acknowledged == len(h.saves) {
			break
		}
		for policy := range policies {
			crashed := disk.Clone(seeded(uint64(n)))
			crashed.Crash(policy)
			what := fmt.Sprintf("%v %d failed, policy %d", op, n, policy)
			now := reopen(t, crashed, h, p, what)
			crashed.Crash(sim.LoseUnsynced) // it was not only in the kernel's cache
			reopen(t, crashed, h, now, what)

			killed := disk.Clone(seeded(uint64(n)))
			killed.Crash(sim.KillProcess) // the next life starts from the kernel's cache
			p := live(killed, h, reopen(t, killed.Clone(seeded(1)), h, p, what))
			killed.Crash(policy)
			reopen(t, killed, h, p, what)
		}
	}
}
