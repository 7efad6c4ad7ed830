package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dbdb/kvstore"
	"dbdb/raft"
	"dbdb/raft/wal"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// halfCluster makes two voters with a key, stops both, and returns the survivor.
func halfCluster(t *testing.T) (survivor, lost *testNode) {
	inEmptyDirectory(t)
	survivor = newNode(t, "node1").start("--bootstrap").ready()
	lost = newNode(t, "node2").start("--join", survivor.addr()).ready()
	eventually(t, "node2 votes", func() bool { return survivor.status().Members[1].Role == "voter" })
	status, body := survivor.call("POST", "/apply", `{"op":"set","key":"kept","value":"yes"}`)
	require.Equal(t, 200, status, body)
	lost.halt()
	survivor.halt()
	return survivor, lost
}

func TestASurvivorGoesOnAloneWithWhatItHas(t *testing.T) {
	node1, node2 := halfCluster(t)
	code, stdout, stderr := runOnce(t, nil, "recover", "--data-dir", "data/node1", "--node-id", "node1", "--yes")
	require.Zero(t, code, stderr)
	assert.Empty(t, stderr)
	assert.Regexp(t, `\nDone: node1 is the only member of the new cluster [0-9a-f]{4}…\. Start it with its old command line\.\n$`, stdout)

	node1.start("--bootstrap").ready()
	_, body := node1.call("GET", "/get?key=kept", "")
	assert.Equal(t, "{\"data\":\"yes\"}\n", body)
	readme(t, node1, node1)
	require.Len(t, node1.status().Members, 1)

	// Whoever was dropped is of another cluster now.
	node2.start("--join", node1.addr())
	node2.says("the address of --join is in another cluster")
	eventually(t, "node2 is refused", func() bool { return strings.Contains(node1.log.String(), "cluster ID mismatch") })
	node2.halt()
	require.NoError(t, os.RemoveAll("data/node2"))
	node2.start("--join", node1.addr()).ready()
	readme(t, node2, node1, node2)
}

func TestRecoverSaysWhatItWouldDoAndChangesNothing(t *testing.T) {
	node1, node2 := halfCluster(t)
	before := node1.identity()
	code, stdout, stderr := runOnce(t, nil, "recover", "--data-dir", "data/node1")
	assert.Equal(t, 2, code)
	assert.Regexp(t, `^node1 \(voter\) becomes the only voter of a new cluster, with the data in data/node1\.
  its log ends at index \d+, of term 2
  dropped are     node2 \(voter, localhost:\d+\)
What the others acknowledged and node1 does not have is lost\.
What node1 has but nobody was told of may come into force\.
The others can come back only as new nodes: delete their data, then start them with --join\.
$`, stdout)
	assert.Equal(t, "dbdb: nothing was changed: add --yes to do it\n", stderr)
	assert.Equal(t, before, node1.identity())
	node1.start()
	node2.start()
	node1.ready()
	node2.ready()
	readme(t, node2, node1, node2)
}

func (n *testNode) identity() wal.Identity {
	dir, err := wal.Open(wal.OS{}, filepath.Join("data", n.name), wal.Options{Node: n.name})
	require.NoError(n.t, err)
	defer dir.Close()
	return dir.Identity()
}

// The new cluster's id is durable first: who was killed then is in a cluster of its own
// with the configuration of old, and completes it by doing it again.
func TestARecoveryThatWasKilledIsCompletedByAnother(t *testing.T) {
	node1, _ := halfCluster(t)
	old := node1.identity().Cluster
	dir, err := wal.Open(wal.OS{}, filepath.Join("data", "node1"), wal.Options{Node: "node1"})
	require.NoError(t, err)
	require.NoError(t, dir.SetCluster(newClusterID(), false))
	require.NoError(t, dir.Close())
	code, _, stderr := runOnce(t, nil, "recover", "--data-dir", "data/node1", "--yes")
	require.Zero(t, code, stderr)
	assert.NotEqual(t, old, node1.identity().Cluster)
	node1.start().ready()
	readme(t, node1, node1)
	node1.halt()

	cluster := node1.identity().Cluster
	code, stdout, _ := runOnce(t, nil, "recover", "--data-dir", "data/node1", "--yes")
	assert.Zero(t, code, "it is done already")
	assert.Contains(t, stdout, "Nothing to do: node1 is the only member of cluster ")
	assert.Equal(t, cluster, node1.identity().Cluster)
}

// withSnapshot makes everything in a stopped node's log part of a snapshot, and returns its
// file.
func (n *testNode) withSnapshot() (file string) {
	path := filepath.Join("data", n.name)
	dir, err := wal.Open(wal.OS{}, path, wal.Options{Node: n.name})
	require.NoError(n.t, err)
	defer dir.Close()
	disk := dir.Log().Restored()
	last, term := lastEntry(disk)
	m := raft.Snapshot{Index: last, Term: term, Configuration: configurationOf(disk), ConfigurationIndex: 1}
	require.NoError(n.t, dir.Snapshots().Write(m, kvstore.New().Snapshot()))
	require.NoError(n.t, dir.Log().Save(raft.Save{Seq: 1, Term: disk.Term, VotedFor: disk.VotedFor, Snapshot: m, KeepFrom: last + 1}))
	files, err := filepath.Glob(filepath.Join(path, "snapshots", "*.snapshot"))
	require.NoError(n.t, err)
	require.Len(n.t, files, 1)
	return files[0]
}

// It would be the only member of its cluster, and could not be started.
func TestASurvivorWhoseSnapshotIsDamagedIsLeftAsItIs(t *testing.T) {
	node1, _ := halfCluster(t)
	file := node1.withSnapshot()
	before := node1.identity()
	whole, err := os.ReadFile(file)
	require.NoError(t, err)
	for _, args := range []string{"recover --data-dir data/node1 --yes", "recover --data-dir data/node1"} {
		require.NoError(t, os.WriteFile(file, whole[:len(whole)-1], 0o600))
		code, stdout, stderr := runOnce(t, nil, strings.Fields(args)...)
		assert.Equal(t, 4, code)
		assert.Empty(t, stdout)
		assert.Contains(t, stderr, "the file ends before the snapshot does")
		require.NoError(t, os.WriteFile(file, whole, 0o600))
		assert.Equal(t, before, node1.identity())
	}
	code, _, stderr := runOnce(t, nil, "recover", "--data-dir", "data/node1", "--yes")
	require.Zero(t, code, stderr)
	node1.start().ready()
}

// The other way round, a crash in between would leave a second leader for the old cluster.
func TestARecoveryChangesTheClusterBeforeTheLog(t *testing.T) {
	node1, node2 := halfCluster(t)
	inTheWay := filepath.Join("data", "node1", "identity.json.tmp", "x")
	require.NoError(t, os.MkdirAll(inTheWay, 0o700))
	code, _, _ := runOnce(t, nil, "recover", "--data-dir", "data/node1", "--yes")
	require.Equal(t, 1, code)
	require.NoError(t, os.RemoveAll(filepath.Dir(inTheWay)))
	node1.start()
	node2.start()
	node1.ready()
	assert.Len(t, node1.status().Members, 2)
}

func TestRecoverRefusesWhatIsNoSurvivor(t *testing.T) {
	inEmptyDirectory(t)
	refused := func(want string, args ...string) {
		t.Helper()
		code, stdout, stderr := runOnce(t, nil, append([]string{"recover", "--yes"}, args...)...)
		assert.Equal(t, 3, code)
		assert.Empty(t, stdout)
		assert.Contains(t, stderr, want)
		assert.Equal(t, 1, strings.Count(stderr, "\n"), stderr)
	}
	refused("dbdb: data/node1 cannot be recovered: there is no identity.json, so it is no data directory, or it is damaged\n", "--data-dir", "data/node1")
	requireNothingMade(t)

	require.NoError(t, os.WriteFile("file", nil, 0o600))
	refused("dbdb: ", "--data-dir", "file")

	node1 := newNode(t, "node1").start()
	node1.says("belongs to no cluster yet")
	refused("dbdb: data directory data/node1 is in use by another dbdb (pid ", "--data-dir", "data/node1")
	node1.halt()
	refused("dbdb: data/node1 never belonged to a cluster: start node1 with --bootstrap or --join\n", "--data-dir", "data/node1")
	refused("dbdb: data directory data/node1 holds the data of \"node1\"; you asked for \"node2\"\n", "--data-dir", "data/node1", "--node-id", "node2")
	assert.Empty(t, node1.identity().Cluster)

	dir, err := wal.Open(wal.OS{}, "removed", wal.Options{Node: "node2"})
	require.NoError(t, err)
	require.NoError(t, dir.SetCluster("abcd", false))
	require.NoError(t, dir.Log().Save(raft.Bootstrap(raft.Member{ID: "node1.aaaaaaaa"})))
	require.NoError(t, dir.Close())
	refused("dbdb: node2 is no member of the newest configuration in removed, it was removed: recover another survivor\n", "--data-dir", "removed")
}

func TestTheSoleVoterComesAfterTheLogOrItsSnapshot(t *testing.T) {
	self := raft.Member{ID: "n1.a", Role: raft.Learner, RaftAddr: "h:1", HTTPAddr: "h:2"}
	for name, tc := range map[string]struct {
		disk raft.Restored
		at   raft.Index
	}{
		"a log":                   {raft.Restored{Term: 5, Entries: []raft.Entry{{Index: 1, Term: 1}, {Index: 2, Term: 4}}}, 3},
		"a snapshot":              {raft.Restored{Term: 5, Snapshot: raft.Snapshot{Index: 7, Term: 3}}, 8},
		"a snapshot and a log":    {raft.Restored{Term: 5, Snapshot: raft.Snapshot{Index: 7, Term: 3}, Entries: []raft.Entry{{Index: 8, Term: 4}}}, 9},
		"a vote in its last term": {raft.Restored{Term: 5, VotedFor: "n2.b", Entries: []raft.Entry{{Index: 1, Term: 1}}}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			s := soleVoter(self, tc.disk)
			assert.Equal(t, raft.Term(6), s.Term)
			assert.Empty(t, s.VotedFor, "the vote belongs to the old term")
			require.Len(t, s.Entries, 1)
			assert.Equal(t, tc.at, s.Entries[0].Index)
			assert.Equal(t, raft.Term(6), s.Entries[0].Term)
			c, err := raft.DecodeConfiguration(s.Entries[0].Data)
			require.NoError(t, err)
			self.Role = raft.Voter
			assert.Equal(t, []raft.Member{self}, c.Members)
		})
	}
}
