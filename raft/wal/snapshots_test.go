package wal_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"dbdb/raft"
	"dbdb/raft/wal"
	"dbdb/tests/sim"
)

const mebibyte = 1 << 20

// varied is a state in which no two blocks are alike.
func varied(n int) contents {
	b := make(contents, n)
	for k := range b {
		b[k] = byte(k>>16*31 + k>>8*7 + k)
	}
	return b
}

// piecemeal is a state that is written a few bytes at a time.
type piecemeal contents

func (p piecemeal) WriteTo(w io.Writer) (n int64, err error) {
	for len(p) > 0 && err == nil {
		k := min(len(p), 1+int(n)%1000)
		_, err = w.Write(p[:k])
		p, n = p[k:], n+int64(k)
	}
	return n, err
}

func TestASnapshotOfAnySizeComesBackAsItWas(t *testing.T) {
	m := snapshotOf(7, 3)
	for _, size := range []int{0, 1, 64<<10 - 1, 64 << 10, 64<<10 + 1, 128 << 10, 300_000} {
		disk := putInForce(t, m, varied(size))
		d := mustOpen(t, disk, 4096)
		require.Equal(t, m, d.Log().Restored().Snapshot)
		var state []byte
		require.NoError(t, d.Snapshots().Load(m, into(&state)))
		require.True(t, bytes.Equal(varied(size), state), "%d bytes", size)
	}
}

func TestTheSameStateGivesTheSameFileHoweverItIsWritten(t *testing.T) {
	m := snapshotOf(7, 3)
	require.True(t, bytes.Equal(fileOf(t, m, varied(200_000)), fileOf(t, m, piecemeal(varied(200_000)))))
}

func TestTheLargestConfigurationFits(t *testing.T) {
	m := snapshotOf(7, 3)
	m.Configuration.Members = nil
	for k := range raft.MaxMembers {
		id := fmt.Sprintf("%03d%0*d", k, raft.MaxNodeIDBytes-3, 0)
		addr := fmt.Sprintf("%0*d", raft.MaxAddrBytes, k)
		m.Configuration.Members = append(m.Configuration.Members, raft.Member{ID: raft.NodeID(id), Role: raft.Voter, RaftAddr: addr, HTTPAddr: addr})
	}
	require.Equal(t, m, mustOpen(t, putInForce(t, m, stateOf(m)), 4096).Log().Restored().Snapshot)
}

func TestASnapshotThatCouldNotBeReadIsNotWritten(t *testing.T) {
	good := snapshotOf(7, 3)
	for name, change := range map[string]func(*raft.Snapshot){
		"no index":                          func(m *raft.Snapshot) { m.Index = 0 },
		"no term":                           func(m *raft.Snapshot) { m.Term = 0 },
		"index beyond any":                  func(m *raft.Snapshot) { m.Index = 1 << 63 },
		"term beyond any":                   func(m *raft.Snapshot) { m.Term = 1 << 63 },
		"configuration from after its time": func(m *raft.Snapshot) { m.ConfigurationIndex = 8 },
		"no members":                        func(m *raft.Snapshot) { m.Configuration = raft.Configuration{} },
	} {
		t.Run(name, func(t *testing.T) {
			disk := sim.NewDisk(scripted())
			d := mustOpen(t, disk, 4096)
			m := good
			change(&m)
			require.Error(t, makeOwn(d, m))
			require.Empty(t, filesIn(disk, "snapshots", ""))
		})
	}
}

// One huge sync at the end would keep the disk from the log's next frame.
func TestALargeSnapshotIsSyncedAsItIsWritten(t *testing.T) {
	disk := sim.NewDisk(scripted())
	d := mustOpen(t, disk, 4096)
	m, broken := snapshotOf(7, 3), errorString("EIO")
	disk.FailLater(sim.OpSync, 2, broken)
	require.ErrorIs(t, d.Snapshots().Write(m, varied(9*mebibyte)), broken)
	disk.FailLater(sim.OpSync, 3, broken)
	require.NoError(t, d.Snapshots().Write(m, varied(9*mebibyte)))

	file := make([]byte, mebibyte)
	disk.FailLater(sim.OpSync, 1, broken)
	var failed error
	for off := 0; failed == nil; off += len(file) {
		require.Less(t, off, 9*mebibyte)
		failed = d.Snapshots().Receive(uint64(off), file)
	}
	require.ErrorIs(t, failed, broken)
}

func TestASnapshotThatCannotBeWrittenCostsNothingElse(t *testing.T) {
	disaster := errors.New("disaster")
	m := snapshotOf(4, 1)
	for name, fail := range map[string]func(*sim.Disk){
		"create":  func(d *sim.Disk) { d.FailNext(sim.OpCreate, disaster) },
		"write":   func(d *sim.Disk) { d.FailLater(sim.OpWrite, 2, disaster) },
		"header":  func(d *sim.Disk) { d.FailWrite(disaster) },
		"sync":    func(d *sim.Disk) { d.FailSync(disaster) },
		"rename":  func(d *sim.Disk) { d.FailNext(sim.OpRename, disaster) },
		"syncdir": func(d *sim.Disk) { d.FailNext(sim.OpSyncDir, disaster) },
		"short":   func(d *sim.Disk) { d.ShortWrite(9, disaster) },
		"remove":  func(d *sim.Disk) { d.FailNext(sim.OpRemove, disaster) },
	} {
		for who, try := range map[string]func(d *wal.Dir) error{
			"own": func(d *wal.Dir) error { return makeOwn(d, m) },
			"received": func(d *wal.Dir) error {
				_, _, err := receive(d, fileOf(t, m, stateOf(m)), 300)
				return err
			},
		} {
			t.Run(name+", "+who, func(t *testing.T) {
				disk, d := grown(t, 5)
				fail(disk)
				require.ErrorIs(t, try(d), disaster)
				require.NoError(t, d.Log().Save(raft.Save{Seq: 1, Term: 1, Entries: []raft.Entry{entry(6, 1, 5)}}))
				require.NoError(t, try(d))
				require.NoError(t, d.Log().Save(raft.Save{Seq: 2, Term: 1, Snapshot: m}))
				d, r := restart(t, disk)
				require.Equal(t, m, r.Snapshot)
				require.Equal(t, raft.Index(6), lastIndex(r))
				requireLoads(t, d, m)
			})
		}
	}
}

func TestAFullDiskGetsItsSpaceBack(t *testing.T) {
	disk := sim.NewDisk(scripted())
	d := mustOpen(t, disk, 4096)
	disk.FailLater(sim.OpWrite, 3, syscall.ENOSPC)
	require.ErrorIs(t, d.Snapshots().Write(snapshotOf(4, 1), varied(mebibyte)), syscall.ENOSPC)
	require.Empty(t, filesIn(disk, "snapshots", ""))
}

func TestAStateThatFailsIsNoSnapshot(t *testing.T) {
	disk := sim.NewDisk(scripted())
	d := mustOpen(t, disk, 4096)
	disaster := errors.New("disaster")
	require.ErrorIs(t, d.Snapshots().Write(snapshotOf(4, 1), failing{disaster}), disaster)
	require.Empty(t, filesIn(disk, "snapshots", ""))
}

type failing struct{ err error }

func (f failing) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write([]byte("half of it"))
	return int64(n), errors.Join(err, f.err)
}

// deaf is a state that does not look at the errors of what it writes to.
type deaf contents

func (s deaf) WriteTo(w io.Writer) (int64, error) {
	for len(s) > 0 {
		n := min(len(s), 1000)
		_, _ = w.Write(s[:n])
		s = s[n:]
	}
	return 0, nil
}

func TestAWriteErrorThatTheStateIgnoresIsStillOne(t *testing.T) {
	disk := sim.NewDisk(scripted())
	d := mustOpen(t, disk, 4096)
	disaster := errors.New("disaster")
	disk.FailLater(sim.OpWrite, 2, disaster)
	require.ErrorIs(t, d.Snapshots().Write(snapshotOf(4, 1), deaf(varied(200_000))), disaster)
}

func TestASnapshotTravelsInChunks(t *testing.T) {
	m, state := snapshotOf(7, 3), varied(2*mebibyte+500)
	from, to := mustOpen(t, putInForce(t, m, state), 4096), mustOpen(t, sim.NewDisk(scripted()), 4096)
	for offset, chunks := uint64(0), 1; ; chunks++ {
		chunk, size, err := from.Snapshots().ReadAt(m.Index, m.Term, offset)
		require.NoError(t, err)
		require.LessOrEqual(t, len(chunk), raft.MaxChunkBytes)
		require.NoError(t, to.Snapshots().Receive(offset, chunk))
		if offset += uint64(len(chunk)); offset == size {
			require.Equal(t, 3, chunks)
			break
		}
	}
	var got []byte
	received, err := to.Snapshots().Received(into(&got))
	require.NoError(t, err)
	require.Equal(t, m, received)
	require.True(t, bytes.Equal(state, got))
	_, _, err = from.Snapshots().ReadAt(m.Index, m.Term, 99*mebibyte)
	require.ErrorContains(t, err, "offset")
}

func TestChunksComeInOrderAndAnewFromZero(t *testing.T) {
	m := snapshotOf(7, 3)
	file := fileOf(t, m, stateOf(m))
	d := mustOpen(t, sim.NewDisk(scripted()), 4096)
	require.Error(t, d.Snapshots().Receive(5, file[5:9]), "nothing was begun")
	require.NoError(t, d.Snapshots().Receive(0, []byte("another snapshot")))
	require.NoError(t, d.Snapshots().Receive(0, file[:100]))
	require.Error(t, d.Snapshots().Receive(99, file[99:200]), "again")
	require.Error(t, d.Snapshots().Receive(101, file[101:200]), "a hole")
	require.NoError(t, d.Snapshots().Receive(100, file[100:]))
	var state []byte
	got, err := d.Snapshots().Received(into(&state))
	require.NoError(t, err)
	require.Equal(t, m, got)
	require.Equal(t, stateOf(m), contents(state))
	_, err = d.Snapshots().Received(into(&state))
	require.ErrorContains(t, err, "no snapshot was being received")
}

func TestAFileThatWasBeingReceivedIsGoneAfterARestart(t *testing.T) {
	disk := sim.NewDisk(scripted())
	d := mustOpen(t, disk, 4096)
	require.NoError(t, d.Snapshots().Receive(0, []byte("half")))
	require.NoError(t, d.Close())
	d = mustOpen(t, disk, 4096)
	require.Empty(t, filesIn(disk, "snapshots", ""))
	require.Error(t, d.Snapshots().Receive(4, []byte("the rest")))
}

// Whatever a leader sends, it must not be taken for damage of what is stored here.
func TestAReceivedFileThatIsDamagedCostsOnlyItself(t *testing.T) {
	m := snapshotOf(7, 3)
	good := fileOf(t, m, stateOf(m))
	for name, bad := range map[string][]byte{
		"flipped bit":       append(append([]byte{}, good[:len(good)-20]...), append([]byte{good[len(good)-20] ^ 1}, good[len(good)-19:]...)...),
		"cut":               good[:len(good)-1],
		"longer":            append(append([]byte{}, good...), 0),
		"unknown format":    wal.SnapshotOfFormat(7),
		"nothing":           {},
		"no snapshot":       []byte("no snapshot at all"),
		"no configuration":  wal.SnapshotOf(m, nil),
		"wrong total":       wal.SnapshotWithTotal(4, m, m.Configuration.Encode(), []byte("state")),
		"bad configuration": wal.SnapshotOf(m, []byte{1, 2}),
		"no index":          wal.SnapshotOf(raft.Snapshot{Term: 1}, m.Configuration.Encode()),
	} {
		t.Run(name, func(t *testing.T) {
			disk := sim.NewDisk(scripted())
			d := mustOpen(t, disk, 4096)
			require.NoError(t, d.Snapshots().Receive(0, bad))
			_, err := d.Snapshots().Received(func(r io.Reader) error {
				_, err := io.Copy(io.Discard, r)
				return err
			})
			require.ErrorContains(t, err, "cannot be used")
			var corrupt *wal.CorruptError
			require.False(t, errors.As(err, &corrupt))
			require.Empty(t, filesIn(disk, "snapshots", ""))
			got, state, err := receive(d, good, 100)
			require.NoError(t, err)
			require.Equal(t, m, got)
			require.Equal(t, stateOf(m), contents(state))
		})
	}
}

func TestALoadThatFailsOrStopsEarly(t *testing.T) {
	m, state := snapshotOf(7, 3), varied(200_000)
	disk := putInForce(t, m, state)
	d := mustOpen(t, disk, 4096)
	refuse := errors.New("not my state")
	require.ErrorIs(t, d.Snapshots().Load(m, func(io.Reader) error { return refuse }), refuse)
	nothing := func(io.Reader) error { return nil }
	require.NoError(t, d.Snapshots().Load(m, nothing))

	// What load did not read is verified all the same.
	var corrupt *wal.CorruptError
	disk.Corrupt(snapshotPath(m), int64(len(state)), 1)
	require.ErrorAs(t, d.Snapshots().Load(m, nothing), &corrupt)
	require.ErrorAs(t, d.Snapshots().Load(m, func(io.Reader) error { return refuse }), &corrupt, "load may have stumbled over the damage")
	require.ErrorAs(t, d.Snapshots().Load(snapshotOf(8, 3), nothing), &corrupt, "missing")
}

func TestADirectoryThatIsClosedHasNoSnapshots(t *testing.T) {
	m := snapshotOf(7, 3)
	d := mustOpen(t, putInForce(t, m, stateOf(m)), 4096)
	require.NoError(t, d.Snapshots().Receive(0, []byte("half")))
	require.NoError(t, d.Close())
	require.NoError(t, d.Close())
	require.Error(t, makeOwn(d, m))
	require.Error(t, d.Snapshots().Receive(0, []byte("x")))
	_, _, err := d.Snapshots().ReadAt(m.Index, m.Term, 0)
	require.Error(t, err)
	_, err = d.Snapshots().Received(func(io.Reader) error { return nil })
	require.Error(t, err)
	require.Error(t, d.Snapshots().Load(m, func(io.Reader) error { return nil }))
}

func TestAReadErrorIsNotTakenForADamagedSnapshot(t *testing.T) {
	m := snapshotOf(7, 3)
	disk := putInForce(t, m, stateOf(m))
	broken := errorString("EIO")
	d := mustOpen(t, disk, 4096)
	for n := 0; ; n++ {
		disk.FailLater(sim.OpRead, n, broken)
		var state []byte
		err := d.Snapshots().Load(m, into(&state))
		if err == nil {
			require.Greater(t, n, 5)
			break
		}
		require.ErrorIs(t, err, broken)
		var corrupt *wal.CorruptError
		require.False(t, errors.As(err, &corrupt))
	}
}

func TestFilesThatAreNoSnapshotsAreLeftAlone(t *testing.T) {
	m := snapshotOf(7, 3)
	disk := putInForce(t, m, stateOf(m))
	for _, name := range []string{"notes", "7-3.snapshot", "0000000000000009-0000000000000003.snapshot.bak"} {
		disk.WriteFile(path.Join(dataDir, "snapshots", name), []byte("x"))
	}
	require.Equal(t, m, mustOpen(t, disk, 4096).Log().Restored().Snapshot)
	require.Len(t, filesIn(disk, "snapshots", ""), 4)
}

// A Save may name a snapshot from the moment on in which Write or Received return.
func TestACompleteSnapshotIsDurableBeforeItsSave(t *testing.T) {
	own, received := snapshotOf(4, 1), snapshotOf(9, 2)
	state := varied(200_000)
	disk := sim.NewDisk(scripted())
	d := mustOpen(t, disk, 4096)
	require.NoError(t, d.Snapshots().Write(own, state))
	_, _, err := receive(d, fileOf(t, received, state), 1000)
	require.NoError(t, err)
	disk.Crash(sim.LoseUnsynced)
	names := filesIn(disk, "snapshots", ".complete")
	require.Len(t, names, 2)
	require.True(t, bytes.Equal(fileOf(t, own, state), read(t, disk, names[0])))
	require.True(t, bytes.Equal(fileOf(t, received, state), read(t, disk, names[1])))
}
