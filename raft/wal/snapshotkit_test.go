package wal_test

import (
	"fmt"
	"io"
	"path"
	"testing"

	"github.com/stretchr/testify/require"

	"dbdb/raft"
	"dbdb/raft/wal"
	"dbdb/tests/sim"
)

// contents is the state of a state machine.
type contents []byte

func (c contents) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(c)
	return int64(n), err
}

// snapshotOf makes a snapshot whose configuration depends on where it is.
func snapshotOf(index raft.Index, term raft.Term) raft.Snapshot {
	return raft.Snapshot{Index: index, Term: term, ConfigurationIndex: index / 2, Configuration: raft.Configuration{Members: []raft.Member{
		{ID: "node1.0", Role: raft.Voter, RaftAddr: fmt.Sprintf("localhost:%d", index), HTTPAddr: "localhost:8221"},
		{ID: "node2.0", Role: raft.Learner},
	}}}
}

// stateOf is what the state machine holds at a snapshot.
func stateOf(m raft.Snapshot) contents {
	return contents(fmt.Sprintf("the state after entry %d of term %d", m.Index, m.Term))
}

// makeOwn writes a snapshot as a server does of its own state.
func makeOwn(d *wal.Dir, m raft.Snapshot) error { return d.Snapshots().Write(m, stateOf(m)) }

// fileOf is the file of a snapshot as another server would send it.
func fileOf(t testing.TB, m raft.Snapshot, state io.WriterTo) []byte {
	t.Helper()
	disk := sim.NewDisk(scripted())
	d := mustOpen(t, disk, 4096)
	require.NoError(t, d.Snapshots().Write(m, state))
	names := filesIn(disk, "snapshots", "")
	require.Len(t, names, 1)
	return read(t, disk, names[0])
}

// receive takes in a file, in chunks.
func receive(d *wal.Dir, file []byte, chunk int) (raft.Snapshot, []byte, error) {
	for off := 0; off < len(file); off += chunk {
		if err := d.Snapshots().Receive(uint64(off), file[off:min(len(file), off+chunk)]); err != nil {
			return raft.Snapshot{}, nil, err
		}
	}
	var state []byte
	m, err := d.Snapshots().Received(into(&state))
	return m, state, err
}

// into is a load that keeps what it reads.
func into(state *[]byte) func(io.Reader) error {
	return func(r io.Reader) (err error) {
		*state, err = io.ReadAll(r)
		return err
	}
}

// requireLoads checks that a snapshot in force has the state that belongs to it.
func requireLoads(t require.TestingT, d *wal.Dir, m raft.Snapshot) {
	var state []byte
	require.NoError(t, d.Snapshots().Load(m, into(&state)))
	require.Equal(t, stateOf(m), contents(state))
}

func snapshotPath(m raft.Snapshot) string {
	return path.Join(dataDir, "snapshots", fmt.Sprintf("%016x-%016x.snapshot", uint64(m.Index), uint64(m.Term)))
}

// putInForce writes a snapshot of a log that ends with it, in term 3, and returns its disk.
func putInForce(t testing.TB, m raft.Snapshot, state io.WriterTo) *sim.Disk {
	t.Helper()
	disk := sim.NewDisk(scripted())
	d := mustOpen(t, disk, 4096)
	require.NoError(t, d.Snapshots().Write(m, state))
	require.NoError(t, d.Log().Save(raft.Save{Seq: 1, Term: 3, VotedFor: "node1.0", Snapshot: m}))
	require.NoError(t, d.Close())
	return disk
}

// loadDamaged opens a directory and loads its snapshot. One of them must refuse.
func loadDamaged(disk *sim.Disk, m raft.Snapshot) error {
	d, err := wal.Open(disk, dataDir, options(4096))
	if err != nil {
		return err
	}
	var state []byte
	return d.Snapshots().Load(m, into(&state))
}
