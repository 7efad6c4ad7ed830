package wal_test

import (
	"bytes"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"dbdb/raft"
	"dbdb/raft/wal"
	"dbdb/tests/sim"
)

// FuzzReceived takes in a file of any bytes, and one of any meta and blocks that is
// correctly sealed. It is refused, or it is a snapshot that can come into force and load
// the same state after a restart.
func FuzzReceived(f *testing.F) {
	m := snapshotOf(7, 3)
	file := fileOf(f, m, stateOf(m))
	configuration := m.Configuration.Encode()
	f.Add(file, uint64(0), uint64(0), uint64(0), []byte{}, []byte{}, []byte{}, true)
	f.Add(file[:len(file)-1], uint64(0), uint64(0), uint64(0), []byte{}, []byte{}, []byte{}, true)
	f.Add([]byte{}, uint64(7), uint64(3), uint64(2), configuration, []byte("one"), []byte("two"), false)
	f.Add([]byte{1}, uint64(7), uint64(3), uint64(2), configuration, []byte{}, []byte{}, false)
	f.Add([]byte{}, uint64(7), uint64(3), uint64(9), configuration, []byte{}, []byte{}, false)
	f.Add([]byte{}, uint64(7), uint64(3), uint64(2), []byte{}, []byte("one"), []byte{}, false)
	f.Add([]byte{}, uint64(1)<<63, uint64(3), uint64(2), configuration, []byte("one"), []byte{}, false)

	f.Fuzz(func(t *testing.T, b []byte, index, term, at uint64, configuration, one, two []byte, raw bool) {
		if !raw {
			m := raft.Snapshot{Index: raft.Index(index), Term: raft.Term(term), ConfigurationIndex: raft.Index(at)}
			b = append(wal.SnapshotOf(m, configuration, one, two), b...)
		}
		disk := sim.NewDisk(scripted())
		d := mustOpen(t, disk, 4096)
		require.NoError(t, d.Snapshots().Receive(0, b))
		var state []byte
		m, err := d.Snapshots().Received(into(&state))
		if err != nil {
			require.Empty(t, filesIn(disk, "snapshots", ""))
			return
		}
		if !raw {
			require.True(t, bytes.Equal(append(one, two...), state))
		}
		require.NoError(t, d.Log().Save(raft.Save{Seq: 1, Term: m.Term, Snapshot: m}))
		disk.Crash(sim.LoseUnsynced)
		d = mustOpen(t, disk, 4096)
		require.True(t, sameSnapshot(m, d.Log().Restored().Snapshot))
		require.NoError(t, d.Snapshots().Load(m, func(r io.Reader) error {
			again, err := io.ReadAll(r)
			require.True(t, bytes.Equal(state, again))
			return err
		}))
	})
}
