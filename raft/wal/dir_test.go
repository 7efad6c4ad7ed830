package wal_test

import (
	"errors"
	"path"
	"testing"

	"github.com/stretchr/testify/require"

	"dbdb/raft"
	"dbdb/raft/wal"
	"dbdb/tests/sim"
)

func TestANewDirectoryGetsAnIdentityThatStays(t *testing.T) {
	disk := sim.NewDisk(scripted())
	first := mustOpen(t, disk, tiny)
	require.Equal(t, "node1", first.Identity().Node)
	require.Regexp(t, "^[0-9a-f]{8}$", first.Identity().Instance)
	require.Equal(t, raft.NodeID("node1."+first.Identity().Instance), first.Identity().NodeID())
	require.Empty(t, first.Identity().Cluster)
	require.NoError(t, first.Close())
	require.Equal(t, first.Identity(), mustOpen(t, disk, tiny).Identity())
}

func TestAWipedNodeIsAnotherServer(t *testing.T) {
	opt := options(tiny)
	one, err := wal.Open(sim.NewDisk(scripted()), dataDir, opt)
	require.NoError(t, err)
	two, err := wal.Open(sim.NewDisk(scripted()), dataDir, opt)
	require.NoError(t, err)
	require.NotEqual(t, one.Identity().NodeID(), two.Identity().NodeID())
}

func TestTheDirectoryOfAnotherNodeIsRefused(t *testing.T) {
	disk := sim.NewDisk(scripted())
	require.NoError(t, mustOpen(t, disk, tiny).Close())
	opt := options(tiny)
	opt.Node = "node2"
	_, err := wal.Open(disk, dataDir, opt)
	var mismatch *wal.MismatchError
	require.ErrorAs(t, err, &mismatch)
	require.EqualError(t, err, `data directory data/node1 holds the data of "node1"; you asked for "node2"`)
	mustOpen(t, disk, tiny)
}

func TestANodeWithoutANameIsRefused(t *testing.T) {
	for _, name := range []string{"", string(make([]byte, 64))} {
		_, err := wal.Open(sim.NewDisk(scripted()), dataDir, wal.Options{Node: name})
		require.Error(t, err)
	}
}

func TestALockedDirectoryIsRefusedUntilItsOwnerIsGone(t *testing.T) {
	disk := sim.NewDisk(scripted())
	d := mustOpen(t, disk, tiny)
	_, err := wal.Open(disk, dataDir, options(tiny))
	var locked *wal.LockedError
	require.ErrorAs(t, err, &locked)
	require.Equal(t, dataDir, locked.Path)
	require.NoError(t, d.Close())
	mustOpen(t, disk, tiny)
	disk.Crash(sim.KillProcess)
	mustOpen(t, disk, tiny)
}

func TestSetClusterIsDurableWhenItReturns(t *testing.T) {
	disk := sim.NewDisk(scripted())
	d := mustOpen(t, disk, tiny)
	require.NoError(t, d.SetCluster("3f2a", true))
	want := d.Identity()
	require.Equal(t, "3f2a", want.Cluster)
	require.True(t, want.Founding)
	disk.Crash(sim.LoseUnsynced)
	require.Equal(t, want, mustOpen(t, disk, tiny).Identity())
}

func TestAClusterChangesWholeOrNotAtAllAtEveryCrash(t *testing.T) {
	everyCrash(t, func(t *testing.T, disk *sim.Disk, policy sim.CrashPolicy, cut func()) {
		d := mustOpen(t, disk, tiny)
		require.NoError(t, d.SetCluster("old", true))
		before := d.Identity()
		cut()
		err := d.SetCluster("new", false)
		disk.Crash(policy)
		after := mustOpen(t, disk, tiny).Identity()
		if err == nil || after != before {
			require.Equal(t, wal.Identity{Node: before.Node, Instance: before.Instance, Cluster: "new"}, after)
		}
		disk.Crash(sim.LoseUnsynced)
		require.Equal(t, after, mustOpen(t, disk, tiny).Identity())
	})
}

func TestAFailedSetClusterIsTheLastOne(t *testing.T) {
	for _, op := range []sim.Op{sim.OpRemove, sim.OpCreate, sim.OpWrite, sim.OpSync, sim.OpRename, sim.OpSyncDir} {
		disk := sim.NewDisk(scripted())
		d := mustOpen(t, disk, tiny)
		disaster := errors.New("disaster")
		disk.FailNext(op, disaster)
		err := d.SetCluster("3f2a", false)
		require.ErrorIs(t, err, disaster, "%v", op)
		require.Equal(t, err, d.SetCluster("3f2a", false))
		require.Empty(t, d.Identity().Cluster)
	}
}

func TestRestsOfACrashedReplacementAreNoObstacle(t *testing.T) {
	disk := sim.NewDisk(scripted())
	require.NoError(t, mustOpen(t, disk, tiny).Close())
	disk.WriteFile(path.Join(dataDir, "identity.json.tmp"), []byte("{"))
	disk.WriteFile(path.Join(dataDir, "wal/next.tmp"), []byte("dbdb"))
	d := mustOpen(t, disk, tiny)
	require.NoError(t, d.SetCluster("3f2a", false))
	h := several(20)
	for _, s := range h.saves {
		require.NoError(t, d.Log().Save(s))
	}
	require.NoError(t, d.Close())
	requireSame(t, h.now(), mustOpen(t, disk, tiny).Log().Restored())
}

func TestFilesThatAreNotSegmentsAreLeftAlone(t *testing.T) {
	disk := sim.NewDisk(scripted())
	require.NoError(t, mustOpen(t, disk, tiny).Close())
	for _, name := range []string{"notes", "2.wal", "0000000000000002.wal.bak", "000000000000000A.wal"} {
		disk.WriteFile(path.Join(dataDir, "wal", name), []byte("x"))
	}
	require.NoError(t, mustOpen(t, disk, tiny).Close())
	require.Len(t, disk.Files(), 4+3) // and LOCK, identity, one segment
}
