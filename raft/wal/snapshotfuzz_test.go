package wal_test

import (
	"bytes"
	"io"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"dbdb/raft"
	"dbdb/raft/wal"
	"dbdb/tests/sim"
)

// takeIn receives a file as it comes from a leader, in chunks of any size. It is refused,
// and nothing of it stays; or it is a snapshot that comes into force and gives the same
// state after a crash. It returns what was accepted.
func takeIn(t *testing.T, file []byte, chunk int) (m raft.Snapshot, state []byte, ok bool) {
	disk := sim.NewDisk(scripted())
	d := mustOpen(t, disk, fuzzSegment)
	require.NoError(t, d.Snapshots().Receive(0, nil))
	m, state, err := receive(d, file, chunk)
	if err != nil {
		require.Empty(t, filesIn(disk, "snapshots", ""))
		return m, nil, false
	}
	require.NoError(t, d.Log().Save(raft.Save{Seq: 1, Term: m.Term, Snapshot: m}))
	disk.Crash(sim.LoseUnsynced)
	d = mustOpen(t, disk, fuzzSegment)
	require.True(t, sameSnapshot(m, d.Log().Restored().Snapshot))
	require.NoError(t, d.Snapshots().Load(m, func(r io.Reader) error {
		again, err := io.ReadAll(r)
		require.True(t, bytes.Equal(state, again))
		return err
	}))
	return m, state, true
}

// FuzzReceivedOfAnyBytes takes in a file of any bytes. What is accepted is to the bit
// what this server would have written: no second file is taken for the same snapshot.
func FuzzReceivedOfAnyBytes(f *testing.F) {
	m := snapshotOf(7, 3)
	file := fileOf(f, m, stateOf(m))
	f.Add(file, uint16(1<<15))
	f.Add(file[:len(file)-1], uint16(100))
	f.Fuzz(func(t *testing.T, file []byte, chunk uint16) {
		if m, state, ok := takeIn(t, file, int(chunk)+1); ok {
			require.True(t, bytes.Equal(file, fileOf(t, m, contents(state))))
		}
	})
}

// FuzzReceivedWithRightChecksums does so with the checksums repaired: blocks of any
// length and contents, a header of any numbers.
func FuzzReceivedWithRightChecksums(f *testing.F) {
	m := snapshotOf(7, 3)
	f.Add(fileOf(f, m, stateOf(m)), uint16(1<<15))
	f.Add(wal.SnapshotOf(m, m.Configuration.Encode(), []byte("one"), []byte("two")), uint16(7))
	f.Fuzz(func(t *testing.T, file []byte, chunk uint16) {
		file = clone(file)
		wal.ResealSnapshot(file)
		takeIn(t, file, int(chunk)+1)
	})
}

// FuzzReceived takes in a file of any numbers and blocks, correctly sealed, with perhaps
// something after its end. It is accepted exactly if a server could have it: then the
// state is what the blocks hold.
func FuzzReceived(f *testing.F) {
	configuration := snapshotOf(7, 3).Configuration.Encode()
	f.Add(uint64(7), uint64(3), uint64(2), configuration, []byte("one"), []byte("two"), []byte{})
	f.Add(uint64(7), uint64(3), uint64(2), configuration, []byte{}, []byte{}, []byte{})
	f.Fuzz(func(t *testing.T, index, term, at uint64, configuration, one, two, rest []byte) {
		m := raft.Snapshot{Index: raft.Index(index), Term: raft.Term(term), ConfigurationIndex: raft.Index(at)}
		blocks := slices.DeleteFunc([][]byte{configuration, one, two}, func(b []byte) bool { return len(b) == 0 })
		got, state, ok := takeIn(t, append(wal.SnapshotOf(m, blocks...), rest...), 300)
		require.Equal(t, possible(m, blocks) && len(rest) == 0, ok)
		if ok {
			require.Equal(t, m.Index, got.Index)
			require.True(t, bytes.Equal(slices.Concat(blocks[1:]...), state))
		}
	})
}

// possible says whether there can be a snapshot with these numbers and blocks.
func possible(m raft.Snapshot, blocks [][]byte) bool {
	for _, b := range blocks {
		if len(b) > 64<<10 {
			return false
		}
	}
	if len(blocks) == 0 {
		return false
	}
	_, err := raft.DecodeConfiguration(blocks[0])
	return err == nil && m.Index >= 1 && m.Index <= raft.MaxIndex && m.Term >= 1 && m.Term <= raft.MaxTerm && m.ConfigurationIndex <= m.Index
}
