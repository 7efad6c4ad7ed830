package wal_test

import (
	"encoding/hex"
	"flag"
	"os"
	"path"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dbdb/raft"
	"dbdb/raft/wal"
	"dbdb/tests/sim"
)

var update = flag.Bool("update", false, "write the golden files anew")

// counting is a source of random numbers that are not.
type counting byte

func (c *counting) Read(b []byte) (int, error) {
	for k := range b {
		*c++
		b[k] = byte(*c)
	}
	return len(b), nil
}

func golden() *sim.Disk {
	disk := sim.NewDisk(scripted())
	random := counting(0)
	d, err := wal.Open(disk, dataDir, wal.Options{Node: "node1", SegmentBytes: 1024, Random: &random})
	must(err)
	must(d.SetCluster("3f2a91bc", true))
	must(d.Log().Save(raft.Save{Seq: 1, Term: 1, VotedFor: "node1.01020304"}))
	must(d.Log().Save(
		raft.Save{Seq: 2, Term: 1, VotedFor: "node1.01020304", Entries: []raft.Entry{
			{Index: 1, Term: 1, Kind: raft.EntryNoop},
			{Index: 2, Term: 1, Kind: raft.EntryCommand, Data: []byte("set x 23")},
		}},
		raft.Save{Seq: 3, Term: 300, TruncateFrom: 2, Entries: []raft.Entry{
			{Index: 2, Term: 300, Kind: raft.EntryCommand, Data: []byte("set y 42")},
		}},
	))
	must(d.Log().MarkIdle())
	must(d.Snapshots().Write(goldenSnapshot, contents("x is 23, y is 42")))
	must(d.Log().Save(raft.Save{Seq: 4, Term: 301, VotedFor: "node2.0a0b0c0d", Snapshot: goldenSnapshot, KeepFrom: 1}))
	// The next frame begins a segment, whose header says what was before it.
	must(d.Log().Save(raft.Save{Seq: 5, Term: 301, VotedFor: "node2.0a0b0c0d", Entries: []raft.Entry{
		{Index: 3, Term: 301, Kind: raft.EntryCommand, Data: []byte(strings.Repeat("z", 400))},
	}}))
	return disk
}

var goldenSnapshot = raft.Snapshot{Index: 2, Term: 300, ConfigurationIndex: 1, Configuration: raft.Configuration{Members: []raft.Member{
	{ID: "node1.01020304", Role: raft.Voter, RaftAddr: "localhost:2221", HTTPAddr: "localhost:8221"},
	{ID: "node2.0a0b0c0d", Role: raft.Learner, RaftAddr: "localhost:2222", HTTPAddr: "localhost:8222"},
}}}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

var goldenFiles = map[string]string{
	"testdata/segment-2.hex":      "wal/0000000000000001.wal",
	"testdata/segment-2-next.hex": "wal/0000000000000002.wal",
	"testdata/snapshot-1.hex":     "snapshots/0000000000000002-000000000000012c.snapshot",
	"testdata/identity-1.json":    "identity.json",
}

func render(file string, b []byte) []byte {
	if path.Ext(file) == ".hex" {
		return []byte(hex.Dump(b))
	}
	return b
}

// Whoever changes a byte of the format breaks every data directory there is. This
// test fails first; the way out is a new format number.
func TestTheFormatIsTheOneOfTheGoldenFiles(t *testing.T) {
	disk := golden()
	for file, name := range goldenFiles {
		got := render(file, read(t, disk, path.Join(dataDir, name)))
		if *update {
			require.NoError(t, os.WriteFile(file, got, 0o644))
		}
		want, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Equal(t, string(want), string(got))
	}
}

func TestTheGoldenDirectoryOpens(t *testing.T) {
	disk := golden()
	disk.Crash(sim.LoseUnsynced)
	d := mustOpen(t, disk, 1024)
	require.Equal(t, wal.Identity{Node: "node1", Instance: "01020304", Cluster: "3f2a91bc", Founding: true}, d.Identity())
	require.Equal(t, raft.Restored{Term: 301, VotedFor: "node2.0a0b0c0d", Snapshot: goldenSnapshot, Entries: []raft.Entry{
		{Index: 1, Term: 1, Kind: raft.EntryNoop},
		{Index: 2, Term: 300, Kind: raft.EntryCommand, Data: []byte("set y 42")},
		{Index: 3, Term: 301, Kind: raft.EntryCommand, Data: []byte(strings.Repeat("z", 400))},
	}}, d.Log().Restored())
	var state []byte
	require.NoError(t, d.Snapshots().Load(goldenSnapshot, into(&state)))
	require.Equal(t, "x is 23, y is 42", string(state))
}
