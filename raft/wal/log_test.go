package wal_test

import (
	"errors"
	"io"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"dbdb/raft"
	"dbdb/raft/wal"
	"dbdb/tests/sim"
)

func TestALogOverSeveralSegmentsComesBackAsItWas(t *testing.T) {
	for name, fsys := range map[string]wal.FS{"simulated": sim.NewDisk(scripted()), "real": inTempDir(t)} {
		t.Run(name, func(t *testing.T) {
			h := several(60)
			d := mustOpen(t, fsys, tiny)
			requireSame(t, raft.Restored{}, d.Log().Restored())
			for k, s := range h.saves {
				require.NoError(t, d.Log().Save(s))
				if k%7 == 0 {
					require.NoError(t, d.Close())
					d = mustOpen(t, fsys, tiny)
					require.Nil(t, d.Repaired())
					requireSame(t, h.states[k+1], d.Log().Restored())
				}
			}
			require.NoError(t, d.Close())
			d = mustOpen(t, fsys, tiny)
			requireSame(t, h.now(), d.Log().Restored())
			require.NoError(t, d.Close())
		})
	}
}

func TestSeveralSavesAreOneFrameOneWriteAndOneSync(t *testing.T) {
	h := several(5)
	disk := sim.NewDisk(scripted())
	d := mustOpen(t, disk, 4096)
	before := disk.Ops()
	require.NoError(t, d.Log().Write(h.saves...))
	require.NoError(t, d.Log().Sync())
	require.Equal(t, 2, disk.Ops()-before)
	disk.Crash(sim.LoseUnsynced)
	requireSame(t, h.now(), mustOpen(t, disk, 4096).Log().Restored())
}

func TestAWriteIsNotDurableBeforeItsSync(t *testing.T) {
	h := several(3)
	disk := sim.NewDisk(scripted())
	log := mustOpen(t, disk, 4096).Log()
	require.NoError(t, log.Save(h.saves[0]))
	require.NoError(t, log.Write(h.saves[1]))
	disk.Crash(sim.LoseUnsynced)
	requireSame(t, h.states[1], mustOpen(t, disk, 4096).Log().Restored())
}

func TestASecondWriteSyncsTheFirst(t *testing.T) {
	h := several(3)
	disk := sim.NewDisk(scripted())
	log := mustOpen(t, disk, 4096).Log()
	require.NoError(t, log.Write(h.saves[0]))
	require.NoError(t, log.Write(h.saves[1]))
	disk.Crash(sim.LoseUnsynced)
	requireSame(t, h.states[1], mustOpen(t, disk, 4096).Log().Restored())
}

func TestNothingToSaveWritesNothing(t *testing.T) {
	disk := sim.NewDisk(scripted())
	log := mustOpen(t, disk, 4096).Log()
	before := disk.Ops()
	require.NoError(t, log.Write())
	require.NoError(t, log.Write(raft.Save{}, raft.Save{}))
	require.NoError(t, log.Sync())
	require.NoError(t, log.MarkIdle())
	require.Equal(t, before, disk.Ops())
}

func TestAFrameLargerThanASegmentGetsOneOfItsOwn(t *testing.T) {
	h := several(3)
	h.next(5, 0, 3, 10_000)
	h.next(5, 0, 1, 10)
	disk := filled(t, h, tiny)
	requireSame(t, h.now(), mustOpen(t, disk, tiny).Log().Restored())
	require.Len(t, segments(disk), 3)
	require.Greater(t, len(read(t, disk, segments(disk)[1])), 30_000)
}

func TestAFrameThatJustFitsAndOneThatJustDoesNot(t *testing.T) {
	for size := 150; size < 300; size++ {
		h := newHistory()
		h.next(1, 0, 1, size)
		h.next(1, 0, 1, 1)
		requireSame(t, h.now(), mustOpen(t, filled(t, h, tiny), tiny).Log().Restored())
	}
}

func TestEntriesWithoutDataAndOfEveryKindComeBack(t *testing.T) {
	configuration := raft.Configuration{Members: []raft.Member{{ID: "node1.0", Role: raft.Voter}}}
	save := raft.Save{Seq: 1, Term: 3, VotedFor: "node1.0", Entries: []raft.Entry{
		{Index: 1, Term: 1, Kind: raft.EntryNoop},
		{Index: 2, Term: 2, Kind: raft.EntryConfiguration, Data: configuration.Encode()},
		{Index: 3, Term: 2, Kind: raft.EntryCommand},
	}}
	disk := sim.NewDisk(scripted())
	require.NoError(t, mustOpen(t, disk, 4096).Log().Save(save))
	disk.Crash(sim.LoseUnsynced)
	got := mustOpen(t, disk, 4096).Log().Restored()
	require.Equal(t, raft.Restored{Term: 3, VotedFor: "node1.0", Entries: save.Entries}, got)
}

func TestRestoredIsHandedOverOnce(t *testing.T) {
	log := mustOpen(t, sim.NewDisk(scripted()), 4096).Log()
	log.Restored()
	require.Panics(t, func() { log.Restored() })
}

func TestASaveThatContradictsTheLogEndsIt(t *testing.T) {
	first := raft.Save{Seq: 1, Term: 5, VotedFor: "node1.0", Entries: []raft.Entry{entry(1, 4, 1), entry(2, 5, 1)}}
	for name, bad := range map[string]raft.Save{
		"term goes back":                   {Seq: 2, Term: 4},
		"another vote in the same term":    {Seq: 2, Term: 5, VotedFor: "node2.0"},
		"vote withdrawn":                   {Seq: 2, Term: 5},
		"hole":                             {Seq: 2, Term: 5, VotedFor: "node1.0", Entries: []raft.Entry{entry(4, 5, 1)}},
		"overlap without truncation":       {Seq: 2, Term: 5, VotedFor: "node1.0", Entries: []raft.Entry{entry(2, 5, 1)}},
		"older term than the entry before": {Seq: 2, Term: 5, VotedFor: "node1.0", Entries: []raft.Entry{entry(3, 4, 1)}},
		"entry of a later term":            {Seq: 2, Term: 5, VotedFor: "node1.0", Entries: []raft.Entry{entry(3, 6, 1)}},
		"entry of term 0":                  {Seq: 2, Term: 5, VotedFor: "node1.0", TruncateFrom: 1, Entries: []raft.Entry{entry(1, 0, 1)}},
		"truncation beyond the end":        {Seq: 2, Term: 5, VotedFor: "node1.0", TruncateFrom: 3},
		"unknown kind":                     {Seq: 2, Term: 5, VotedFor: "node1.0", Entries: []raft.Entry{{Index: 3, Term: 5, Kind: 9}}},
		"broken configuration":             {Seq: 2, Term: 5, VotedFor: "node1.0", Entries: []raft.Entry{{Index: 3, Term: 5, Kind: raft.EntryConfiguration, Data: []byte{9}}}},
		"vote of a kilobyte":               {Seq: 2, Term: 6, VotedFor: raft.NodeID(make([]byte, 1024))},
		"term beyond any":                  {Seq: 2, Term: 1 << 63},
	} {
		t.Run(name, func(t *testing.T) {
			disk := sim.NewDisk(scripted())
			log := mustOpen(t, disk, 4096).Log()
			require.NoError(t, log.Save(first))
			err := log.Write(bad)
			require.Error(t, err)
			require.Equal(t, err, log.Write(raft.Save{Seq: 3, Term: 9}))
			disk.Crash(sim.KeepAll)
			require.Len(t, mustOpen(t, disk, 4096).Log().Restored().Entries, 2)
		})
	}
}

// Recovery refuses such an entry: if it were written, the log could never be opened again.
func TestAnEntryBeyondTheLargestIndexIsNotWritten(t *testing.T) {
	h := newHistory()
	h.snapshot(2, snapshotOf(raft.MaxIndex-1, 2), 0, 1, 5)
	disk := filled(t, h, 4096)
	log := mustOpen(t, disk, 4096).Log()
	require.ErrorContains(t, log.Save(raft.Save{Seq: 1, Term: 3, Entries: []raft.Entry{entry(raft.MaxIndex+1, 3, 5)}}), "beyond any real one")
	disk.Crash(sim.KeepAll)
	requireSame(t, h.now(), mustOpen(t, disk, 4096).Log().Restored())
}

func TestAnyFailedOperationIsTheLastOne(t *testing.T) {
	disaster := errors.New("disaster")
	for name, fail := range map[string]func(*sim.Disk){
		"write":       func(d *sim.Disk) { d.FailWrite(disaster) },
		"sync":        func(d *sim.Disk) { d.FailSync(disaster) },
		"short write": func(d *sim.Disk) { d.ShortWrite(9, disaster) },
	} {
		t.Run(name, func(t *testing.T) {
			h := several(4)
			disk := sim.NewDisk(scripted())
			d := mustOpen(t, disk, 4096)
			require.NoError(t, d.Log().Save(h.saves[0]))
			fail(disk)
			err := d.Log().Save(h.saves[1])
			require.ErrorIs(t, err, disaster)
			requireOver(t, d, disk, err, h)
		})
	}
}

func TestAShortWriteWithoutAnErrorIsAnError(t *testing.T) {
	h := several(4)
	disk := sim.NewDisk(scripted())
	d := mustOpen(t, disk, 4096)
	require.NoError(t, d.Log().Save(h.saves[0]))
	disk.ShortWrite(9, nil)
	err := d.Log().Save(h.saves[1])
	require.ErrorIs(t, err, io.ErrShortWrite)
	requireOver(t, d, disk, err, h)
}

// requireOver checks that a log whose second Save failed says the same error for
// ever, touches its files no more, and keeps its first Save.
func requireOver(t *testing.T, d *wal.Dir, disk *sim.Disk, err error, h *history) {
	t.Helper()
	before := disk.Ops()
	require.Equal(t, err, d.Log().Write(h.saves[2]))
	require.Equal(t, err, d.Log().Sync())
	require.Equal(t, err, d.Log().MarkIdle())
	require.NoError(t, d.Close())
	require.Equal(t, before, disk.Ops())
	disk.Crash(sim.LoseUnsynced)
	requireSame(t, h.states[1], mustOpen(t, disk, 4096).Log().Restored())
}

func TestAFullDiskAtARollEndsTheLogAndLosesNothing(t *testing.T) {
	h := newHistory()
	for range 4 {
		h.next(1, 0, 1, 120)
	}
	disk := sim.NewDisk(scripted())
	log := mustOpen(t, disk, tiny).Log()
	disk.FailAllocate(syscall.ENOSPC)
	done := 0
	var err error
	for done < len(h.saves) && err == nil {
		if err = log.Save(h.saves[done]); err == nil {
			done++
		}
	}
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.Equal(t, 1, done)
	require.Equal(t, err, log.Save(h.saves[done]))
	disk.Crash(sim.KeepAll)

	again := mustOpen(t, disk, tiny).Log()
	requireSame(t, h.states[done], again.Restored())
	for ; done < len(h.saves); done++ {
		require.NoError(t, again.Save(h.saves[done]))
	}
}

func TestAClosedLogIsClosed(t *testing.T) {
	d := mustOpen(t, sim.NewDisk(scripted()), 4096)
	require.NoError(t, d.Close())
	require.NoError(t, d.Close())
	require.Error(t, d.Log().Write(raft.Save{Seq: 1, Term: 1}))
	require.Error(t, d.Log().Sync())
	require.Error(t, d.Log().MarkIdle())
}

func TestMarkIdleWritesOnlyWhenTheNewestFrameHasNoSuccessor(t *testing.T) {
	disk := sim.NewDisk(scripted())
	log := mustOpen(t, disk, 4096).Log()
	require.NoError(t, log.Save(raft.Save{Seq: 1, Term: 1}))
	before := disk.Ops()
	require.NoError(t, log.MarkIdle())
	require.Equal(t, 2, disk.Ops()-before)
	require.NoError(t, log.MarkIdle())
	require.Equal(t, 2, disk.Ops()-before)

	disk.Crash(sim.LoseUnsynced)
	log = mustOpen(t, disk, 4096).Log()
	before = disk.Ops()
	require.NoError(t, log.MarkIdle())
	require.Equal(t, before, disk.Ops())
}

// A mark that does not fit makes the next segment instead, whose header is as
// good a proof.
func TestMarkIdleInAFullSegment(t *testing.T) {
	for size := 150; size < 300; size++ {
		h := newHistory()
		h.next(1, 0, 1, size)
		disk := sim.NewDisk(scripted())
		log := mustOpen(t, disk, tiny).Log()
		require.NoError(t, log.Save(h.saves...))
		require.NoError(t, log.MarkIdle())
		disk.Crash(sim.LoseUnsynced)
		requireSame(t, h.now(), mustOpen(t, disk.Clone(scripted()), tiny).Log().Restored())
		disk.Corrupt(segments(disk)[0], wal.HeaderBytes+wal.FrameHeaderBytes+5, 1)
		refused(t, disk, tiny, "an entry of %d bytes", size)
	}
}
