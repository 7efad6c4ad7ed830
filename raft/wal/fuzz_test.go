package wal_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"dbdb/raft"
	"dbdb/raft/wal"
	"dbdb/tests/sim"
)

// FuzzOpen opens a segment made of a frame with any payload, correctly sealed, and
// any bytes after it, with a whole segment of any bytes as the other way, beside a
// snapshot of the first entry. Whatever they are, Open either refuses and touches nothing, or gives a log that is the
// same when it is opened again and that can be written on.
func FuzzOpen(f *testing.F) {
	h := several(4)
	for _, s := range h.saves {
		f.Add(wal.PayloadOf(s), []byte{}, false)
	}
	f.Add(wal.PayloadOf(h.saves...), []byte{1, 2, 3}, false)
	held := wal.PayloadOf(raft.Save{Term: 1, Entries: []raft.Entry{entry(1, 1, 5)}}, raft.Save{Term: 1, Snapshot: snapshotOf(1, 1)})
	f.Add(held, []byte{}, false)
	f.Add(wal.PayloadOf(raft.Save{Term: 1, Snapshot: snapshotOf(9, 1)}), []byte{}, false)
	f.Add([]byte{2}, make([]byte, 30), false)
	f.Add([]byte{3}, []byte{}, false)
	f.Add([]byte{wal.KindSaves, 0xff, 0xff, 0xff, 0xff, 0x0f}, []byte{0xff, 0xff, 0xff, 0xff}, false)
	f.Add([]byte("dbdb.wal"), []byte{}, true)
	empty := filled(f, newHistory(), 4096)
	d := mustOpen(f, empty, 4096)
	instance := d.Identity().Instance
	require.NoError(f, d.Close())
	name := wal.SegmentName(dataDir, 1)
	m := snapshotOf(1, 1)
	file := fileOf(f, m, stateOf(m))

	f.Fuzz(func(t *testing.T, payload, tail []byte, raw bool) {
		disk := empty.Clone(scripted())
		disk.WriteFile(snapshotPath(m), file)
		segment := append([]byte{}, payload...)
		if !raw {
			segment = wal.SegmentWith(instance, 4096, tail, payload)
		}
		disk.WriteFile(name, segment)
		d, err := wal.Open(disk, dataDir, options(4096))
		if err != nil {
			require.Equal(t, segment, read(t, disk, name))
			return
		}
		restored := d.Log().Restored()
		if restored.Snapshot.Index != 0 {
			requireLoads(t, d, m)
		}
		disk.Crash(sim.LoseUnsynced)
		d = mustOpen(t, disk, 4096)
		require.Nil(t, d.Repaired())
		requireSame(t, restored, d.Log().Restored())

		restored.Term++
		restored.VotedFor = ""
		require.NoError(t, d.Log().Save(raft.Save{Seq: 1, Term: restored.Term}))
		require.NoError(t, d.Close())
		requireSame(t, restored, mustOpen(t, disk, 4096).Log().Restored())
	})
}
