package wal_test

import (
	"bytes"
	"path"
	"testing"

	"github.com/stretchr/testify/require"

	"dbdb/raft"
	"dbdb/raft/wal"
	"dbdb/tests/sim"
)

func TestASegmentThatWasCutOrGrewIsRefused(t *testing.T) {
	t.Parallel()
	disk := filled(t, several(15), tiny)
	names := segments(disk)
	require.GreaterOrEqual(t, len(names), 3)
	for _, name := range names {
		whole := read(t, disk, name)
		for size := range whole {
			disk.WriteFile(name, whole[:size])
			require.Equal(t, name, refused(t, disk, tiny, "%s cut to %d", name, size).File)
		}
		disk.WriteFile(name, append(whole, 0))
		require.Equal(t, name, refused(t, disk, tiny, "%s grew", name).File)
		disk.WriteFile(name, whole)
	}
	mustOpen(t, disk, tiny)
}

// opened is what became of a damaged log.
type opened struct {
	restored raft.Restored
	repaired *wal.Repair
}

// eachFlip flips every bit of every segment, one at a time, and calls judge with
// what opened nevertheless. All else must be refused, and left untouched.
func eachFlip(t *testing.T, disk *sim.Disk, judge func(name string, offset int, o opened)) {
	t.Helper()
	damaged := disk.Clone(scripted())
	for _, name := range segments(disk) {
		for offset := range read(t, disk, name) {
			for bit := range 8 {
				if (8*offset+bit)%stride != 0 {
					continue
				}
				damaged.Corrupt(name, int64(offset), 1<<bit)
				before := read(t, damaged, name)
				d, err := wal.Open(damaged, dataDir, options(tiny))
				if err == nil {
					judge(name, offset, opened{d.Log().Restored(), d.Repaired()})
					damaged = disk.Clone(scripted())
					continue
				}
				var corrupt *wal.CorruptError
				if !errorAs(err, &corrupt) || corrupt.File != name {
					require.Fail(t, "not the damage that was done", "%s, offset %d, bit %d: %v", name, offset, bit, err)
				}
				if !bytes.Equal(before, read(t, damaged, name)) {
					require.Fail(t, "a damaged file was touched", name)
				}
				damaged.Corrupt(name, int64(offset), 1<<bit)
			}
		}
	}
}

func TestEveryFlippedBitIsRefusedExceptInTheNewestFrame(t *testing.T) {
	t.Parallel()
	h := several(15)
	disk := filled(t, h, tiny)
	names := segments(disk)
	require.GreaterOrEqual(t, len(names), 3)
	newest := names[len(names)-1]
	end := len(bytes.TrimRight(read(t, disk, newest), "\x00"))
	start := end - len(wal.PayloadOf(h.saves[len(h.saves)-1])) - wal.FrameHeaderBytes
	require.Greater(t, start, wal.HeaderBytes, "the newest frame must not be the only one of its segment")

	lost, kept := 0, 0
	eachFlip(t, disk, func(name string, offset int, o opened) {
		require.Equal(t, newest, name)
		require.GreaterOrEqual(t, offset, start)
		require.NotNil(t, o.repaired)
		if offset < end {
			requireSame(t, h.states[len(h.saves)-1], o.restored)
			lost++
			return
		}
		requireSame(t, h.now(), o.restored)
		kept++
	})
	require.InDelta(t, 8*(end-start)/stride, lost, stride-1)
	require.InDelta(t, 8*(tiny-end)/stride, kept, stride-1)
}

func TestAfterAnIdleMarkEveryFlippedBitOfDataIsRefused(t *testing.T) {
	t.Parallel()
	h := several(15)
	disk := filled(t, h, tiny)
	require.NoError(t, mustOpen(t, disk, tiny).Log().MarkIdle())
	disk.Crash(sim.LoseUnsynced)
	eachFlip(t, disk, func(_ string, _ int, o opened) { requireSame(t, h.now(), o.restored) })
}

func TestEveryFlippedBitOfTheIdentityIsRefused(t *testing.T) {
	disk := filled(t, several(3), tiny)
	name := path.Join(dataDir, "identity.json")
	for offset := range read(t, disk, name) {
		for bit := range 8 {
			damaged := disk.Clone(scripted())
			damaged.Corrupt(name, int64(offset), 1<<bit)
			_, err := wal.Open(damaged, dataDir, options(tiny))
			var corrupt *wal.CorruptError
			var format *wal.FormatError
			if !errorAs(err, &corrupt) {
				require.ErrorAs(t, err, &format)
			}
		}
	}
}

func TestAMissingSegmentIsDamageWhicheverItIs(t *testing.T) {
	disk := filled(t, several(24), tiny)
	for _, name := range segments(disk) {
		damaged := disk.Clone(scripted())
		damaged.RemoveFile(name)
		require.Equal(t, name, refused(t, damaged, tiny, "without %s", name).File)
	}
	for _, name := range segments(disk) {
		disk.RemoveFile(name)
	}
	refused(t, disk, tiny, "without segments")
}

func TestASegmentThatEndedIsMissedEvenWhenTheNextOneWasEmpty(t *testing.T) {
	h := newHistory()
	h.next(1, 0, 1, 228)
	disk := sim.NewDisk(scripted())
	log := mustOpen(t, disk, tiny).Log()
	require.NoError(t, log.Save(h.saves...))
	require.NoError(t, log.MarkIdle())
	disk.Crash(sim.LoseUnsynced)
	names := segments(disk)
	require.Len(t, names, 2)
	disk.RemoveFile(names[1])
	require.Equal(t, names[1], refused(t, disk, tiny, "without the empty segment").File)
}

func TestAnIdentityWithoutItsLogAndALogWithoutItsIdentityAreDamage(t *testing.T) {
	for _, gone := range []string{"identity.json", "wal/0000000000000001.wal"} {
		disk := filled(t, several(3), tiny)
		name := path.Join(dataDir, gone)
		disk.RemoveFile(name)
		require.Equal(t, name, refused(t, disk, tiny, "without %s", gone).File)
	}
}

func TestASegmentOfAnotherNodeIsRefused(t *testing.T) {
	disk := filled(t, several(24), tiny)
	opt := options(tiny)
	opt.Random = bytes.NewReader(bytes.Repeat([]byte("other node"), 1000))
	other := sim.NewDisk(scripted())
	d, err := wal.Open(other, dataDir, opt)
	require.NoError(t, err)
	for _, s := range several(24).saves {
		require.NoError(t, d.Log().Save(s))
	}
	for _, name := range segments(disk) {
		damaged := disk.Clone(scripted())
		damaged.WriteFile(name, read(t, other, name))
		require.Contains(t, refused(t, damaged, tiny, name).What, "belongs to instance")
	}
}

func TestASegmentUnderAnotherNameIsRefused(t *testing.T) {
	disk := filled(t, several(24), tiny)
	names := segments(disk)
	disk.WriteFile(names[2], read(t, disk, names[1]))
	require.Contains(t, refused(t, disk, tiny, "swapped").What, "under the name of segment 3")
}

func TestASegmentFromABackupIsRefused(t *testing.T) {
	h := several(24)
	disk := filled(t, h, tiny)
	backup := sim.NewDisk(scripted())
	log := mustOpen(t, backup, tiny).Log()
	for len(segments(backup)) < 2 {
		require.NoError(t, log.Save(h.saves[0]))
		h.saves = h.saves[1:]
	}
	older := read(t, backup, segments(backup)[1])
	disk.WriteFile(segments(disk)[1], older)
	require.Contains(t, refused(t, disk, tiny, "older segment").What, "the next segment was made after")
}

// Frames that were written whole, checksum and all, and still cannot be right: a
// bug wrote them, or someone's hand did.
func TestAFrameWithAnImpossibleContentIsRefused(t *testing.T) {
	good := raft.Save{Term: 2, VotedFor: "node1.0", Entries: []raft.Entry{entry(1, 2, 5)}}
	huge := append([]byte{wal.KindSaves, 1, 2, 0, 0}, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1)
	for name, payload := range map[string][]byte{
		"term goes back":       wal.PayloadOf(raft.Save{Term: 1}),
		"hole":                 wal.PayloadOf(raft.Save{Term: 2, VotedFor: "node1.0", Entries: []raft.Entry{entry(3, 2, 5)}}),
		"changed vote":         wal.PayloadOf(raft.Save{Term: 2, VotedFor: "node2.0"}),
		"unknown kind":         {9},
		"mark with contents":   {2, 1},
		"no Saves at all":      {wal.KindSaves},
		"more Saves than said": append(wal.PayloadOf(good), 1),
		"endless entries":      huge,
		"endless vote":         {wal.KindSaves, 1, 2, 0xff, 0xff, 0xff, 0xff, 0x0f, 'x'},
		"snapshot not held":    wal.PayloadOf(raft.Save{Term: 2, VotedFor: "node1.0", Snapshot: snapshotOf(2, 2)}),
		"snapshot of a flag":   {wal.KindSaves, 1, 3, 0, 0, 1, 2, 9, 0},
		"snapshot held, empty": {wal.KindSaves, 1, 3, 0, 0, 1, 2, 1, 0},
		"snapshot of no term":  {wal.KindSaves, 1, 3, 0, 0, 9, 0, 1, 0},
		"cut in the snapshot":  {wal.KindSaves, 1, 3, 0, 0, 1, 2},
		"cut":                  wal.PayloadOf(raft.Save{Term: 3, Entries: []raft.Entry{entry(2, 3, 5)}})[:7],
	} {
		t.Run(name, func(t *testing.T) {
			disk := filled(t, newHistory(), 4096)
			d := mustOpen(t, disk, 4096)
			instance := d.Identity().Instance
			require.NoError(t, d.Close())
			segment := wal.SegmentWith(instance, 4096, nil, wal.PayloadOf(good), payload)
			disk.WriteFile(wal.SegmentName(dataDir, 1), segment)
			at := int64(wal.HeaderBytes + wal.FrameHeaderBytes + len(wal.PayloadOf(good)))
			require.Equal(t, at, refused(t, disk, 4096, name).Offset)
		})
	}
}

// The frame that ends a segment must fit. Were it written behind the segment's end, the
// file would have another size than its header says, and could never be opened again.
func TestASegmentWithoutRoomForItsLastFrameIsRefused(t *testing.T) {
	disk := filled(t, newHistory(), 4096)
	d := mustOpen(t, disk, 4096)
	instance := d.Identity().Instance
	require.NoError(t, d.Close())
	name := wal.SegmentName(dataDir, 1)
	payload := wal.PayloadOf(raft.Save{Term: 1, Entries: []raft.Entry{entry(1, 1, 200)}})
	whole := wal.HeaderBytes + wal.FrameHeaderBytes + len(payload)
	for size := whole; size < whole+wal.MarkBytes; size++ {
		disk.WriteFile(name, wal.SegmentWith(instance, size, nil, payload))
		require.Contains(t, refused(t, disk, 4096, "%d bytes", size).What, "no room")
	}
	for size := wal.HeaderBytes; size < wal.HeaderBytes+wal.MarkBytes; size++ {
		disk.WriteFile(name, wal.SegmentWith(instance, size, nil))
		require.Contains(t, refused(t, disk, 4096, "%d bytes", size).What, "no room")
	}
	disk.WriteFile(name, wal.SegmentWith(instance, whole+wal.MarkBytes, nil, payload))
	log := mustOpen(t, disk, 4096).Log()
	require.NoError(t, log.Save(raft.Save{Seq: 1, Term: 2}))
	disk.Crash(sim.LoseUnsynced)
	require.EqualValues(t, 2, mustOpen(t, disk, 4096).Log().Restored().Term)
}

func TestAFirstSegmentThatFollowsSomethingIsRefused(t *testing.T) {
	disk := filled(t, newHistory(), 4096)
	d := mustOpen(t, disk, 4096)
	instance := d.Identity().Instance
	require.NoError(t, d.Close())
	disk.WriteFile(wal.SegmentName(dataDir, 1), wal.SegmentAfter(7, 0, instance, 4096))
	require.Contains(t, refused(t, disk, 4096, "index").What, "begins after index 7")
	disk.WriteFile(wal.SegmentName(dataDir, 1), wal.SegmentAfter(0, 7, instance, 4096))
	require.Contains(t, refused(t, disk, 4096, "frame").What, "frame 7 was before it")
	disk.WriteFile(wal.SegmentName(dataDir, 1), wal.SegmentAfter(0, 0, instance, 4096))
	mustOpen(t, disk, 4096)
}

// A disk may write a sound frame to the wrong place.
func TestAFrameInThePlaceOfAnotherIsRefused(t *testing.T) {
	h := newHistory()
	for range 3 {
		h.next(1, 0, 1, 10)
	}
	disk := filled(t, h, 4096)
	name := wal.SegmentName(dataDir, 1)
	segment := read(t, disk, name)
	second := wal.HeaderBytes + wal.FrameHeaderBytes + len(wal.PayloadOf(h.saves[0]))
	size := wal.FrameHeaderBytes + len(wal.PayloadOf(h.saves[1]))
	copy(segment[second+size:], segment[second:second+size])
	disk.WriteFile(name, segment)
	corrupt := refused(t, disk, 4096, "frame 2 twice")
	require.Equal(t, int64(second+size), corrupt.Offset)
	require.Contains(t, corrupt.What, "frame 2 stands where frame 3 should")
}

// Two copies of a directory that both went on have different frames of one number. Put
// together from blocks of both, a segment has the right numbers all along; that a frame follows
// another one than it was written after is told by the checksum in it alone.
func TestAFrameOfAnotherCopyOfTheLogIsRefused(t *testing.T) {
	h := newHistory()
	h.next(1, 0, 1, 10)
	disk := filled(t, h, 4096)
	other := disk.Clone(scripted())
	second := raft.Save{Seq: 2, Term: 1, VotedFor: h.now().VotedFor, Entries: []raft.Entry{entry(2, 1, 10)}}
	third := raft.Save{Seq: 3, Term: 1, VotedFor: h.now().VotedFor, Entries: []raft.Entry{entry(3, 1, 10)}}
	require.NoError(t, mustOpen(t, disk, 4096).Log().Save(second))
	log := mustOpen(t, other, 4096).Log()
	second.Entries[0].Data = []byte("otherwise!")
	require.NoError(t, log.Save(second))
	require.NoError(t, log.Save(third))
	disk.Crash(sim.LoseUnsynced)

	name := wal.SegmentName(dataDir, 1)
	segment := read(t, disk, name)
	end := len(bytes.TrimRight(segment, "\x00"))
	copy(segment[end:], read(t, other, name)[end:])
	disk.WriteFile(name, segment)
	corrupt := refused(t, disk, 4096, "frame 3 of the other copy")
	require.EqualValues(t, end, corrupt.Offset)
}

func TestAnUnknownFormatIsRefusedAsSuch(t *testing.T) {
	var format *wal.FormatError
	disk := filled(t, newHistory(), 4096)
	d := mustOpen(t, disk, 4096)
	instance := d.Identity().Instance
	require.NoError(t, d.Close())
	for _, version := range []byte{1, 3} {
		disk.WriteFile(wal.SegmentName(dataDir, 1), wal.SegmentOfFormat(version, instance, 4096))
		_, err := wal.Open(disk, dataDir, options(4096))
		require.ErrorAs(t, err, &format)
		require.Equal(t, uint64(version), format.Version)
	}

	disk.WriteFile(path.Join(dataDir, "identity.json"), []byte(`{"format":7,"future":true}`))
	_, err := wal.Open(disk, dataDir, options(4096))
	require.ErrorAs(t, err, &format)
	require.Equal(t, uint64(7), format.Version)
}

func TestAReadErrorIsNotTakenForDamage(t *testing.T) {
	h := several(10)
	disk := filled(t, h, tiny)
	broken := errorString("EIO")
	reads := 0
	for {
		damaged := disk.Clone(scripted())
		damaged.FailLater(sim.OpRead, reads, broken)
		d, err := wal.Open(damaged, dataDir, options(tiny))
		if err == nil {
			requireSame(t, h.now(), d.Log().Restored())
			break
		}
		require.ErrorIs(t, err, broken)
		var corrupt *wal.CorruptError
		require.False(t, errorAs(err, &corrupt), "%v", err)
		reads++
	}
	require.Greater(t, reads, 10)
}

// Recovery begins with what the header of the first segment says, so it must be possible.
func TestASegmentThatBeginsWithAnImpossibleStateIsRefused(t *testing.T) {
	m := snapshotOf(7, 3)
	for name, before := range map[string]wal.Before{
		"term beyond any":                 {Term: 1 << 63, Last: [2]uint64{7, 3}, Snapshot: [2]uint64{7, 3}},
		"index beyond any":                {Term: 3, Last: [2]uint64{1 << 63, 3}, Snapshot: [2]uint64{7, 3}},
		"vote of a kilobyte":              {Term: 3, VoteBytes: 1024, Last: [2]uint64{7, 3}, Snapshot: [2]uint64{7, 3}},
		"last entry beyond currentTerm":   {Term: 2, Last: [2]uint64{7, 3}, Snapshot: [2]uint64{7, 3}},
		"last entry without a term":       {Term: 3, Last: [2]uint64{7, 0}},
		"term without a last entry":       {Term: 3, Last: [2]uint64{0, 2}},
		"snapshot beyond the log":         {Term: 3, Last: [2]uint64{6, 3}, Snapshot: [2]uint64{7, 3}},
		"snapshot newer than the log":     {Term: 3, Last: [2]uint64{7, 2}, Snapshot: [2]uint64{7, 3}},
		"snapshot without a term":         {Term: 3, Last: [2]uint64{7, 3}, Snapshot: [2]uint64{7, 0}},
		"no snapshot covers what is gone": {Term: 3, Last: [2]uint64{8, 3}, Snapshot: [2]uint64{7, 3}},
		"nothing covers what is gone":     {Term: 3, Last: [2]uint64{7, 3}},
		"nothing covers the terms before": {Term: 3},
	} {
		t.Run(name, func(t *testing.T) {
			disk := putInForce(t, m, stateOf(m))
			d := mustOpen(t, disk, 4096)
			instance := d.Identity().Instance
			require.NoError(t, d.Close())
			disk.RemoveFile(wal.SegmentName(dataDir, 1))
			disk.WriteFile(wal.SegmentName(dataDir, 2), wal.SegmentBeginning(before, instance, 4096))
			refused(t, disk, 4096, name)

			good := wal.Before{Term: 3, VoteBytes: raft.MaxNodeIDBytes, Last: [2]uint64{7, 3}, Snapshot: [2]uint64{7, 3}}
			disk.WriteFile(wal.SegmentName(dataDir, 2), wal.SegmentBeginning(good, instance, 4096))
			require.Equal(t, m, mustOpen(t, disk, 4096).Log().Restored().Snapshot)
		})
	}
}

func TestASegmentThatRemembersAnotherPastIsRefused(t *testing.T) {
	disk := sim.NewDisk(scripted())
	d := mustOpen(t, disk, tiny)
	m := snapshotOf(2, 3)
	require.NoError(t, makeOwn(d, m))
	require.NoError(t, d.Log().Save(raft.Save{Seq: 1, Term: 5, VotedFor: "node1.0", Snapshot: m, Entries: []raft.Entry{entry(3, 4, 9)}}))
	require.NoError(t, d.Log().Save(raft.Save{Seq: 2, Term: 5, VotedFor: "node1.0", Entries: []raft.Entry{entry(4, 5, 250)}}))
	require.NoError(t, d.Close())
	name := wal.SegmentName(dataDir, 2)
	segment := read(t, disk, name)
	for at, b := range map[int]byte{
		wal.AtTerm: 6, wal.AtVote: 'm', wal.AtLastTerm: 3, wal.AtSnapshotIndex: 1, wal.AtSnapshotTerm: 2,
	} {
		require.NotEqual(t, b, segment[at])
		disk.WriteFile(name, wal.ChangeHeader(segment, at, b))
		require.Equal(t, name, refused(t, disk, tiny, "byte %d", at).File)
	}
	disk.WriteFile(name, wal.ChangeHeader(segment, wal.AtTerm, 5))
	require.Equal(t, raft.Index(4), lastIndex(mustOpen(t, disk, tiny).Log().Restored()))
}
