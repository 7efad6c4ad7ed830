package wal_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"dbdb/raft"
	"dbdb/raft/wal"
)

// rooted is wal.OS below a directory, so that tests can use one relative path for
// all file systems.
type rooted struct {
	wal.OS
	root string
}

func inTempDir(t testing.TB) wal.FS { return rooted{root: t.TempDir()} }

func (r rooted) at(name string) string                { return filepath.Join(r.root, name) }
func (r rooted) MkdirAll(dir string) error            { return r.OS.MkdirAll(r.at(dir)) }
func (r rooted) ReadDir(dir string) ([]string, error) { return r.OS.ReadDir(r.at(dir)) }
func (r rooted) Create(name string) (wal.File, error) { return r.OS.Create(r.at(name)) }
func (r rooted) Open(name string) (wal.File, error)   { return r.OS.Open(r.at(name)) }
func (r rooted) Rename(oldname, newname string) error {
	return r.OS.Rename(r.at(oldname), r.at(newname))
}
func (r rooted) Remove(name string) error            { return r.OS.Remove(r.at(name)) }
func (r rooted) SyncDir(dir string) error            { return r.OS.SyncDir(r.at(dir)) }
func (r rooted) Lock(name string) (io.Closer, error) { return r.OS.Lock(r.at(name)) }

func TestASecondProcessIsRefusedAndToldThePID(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "node1")
	d, err := wal.Open(wal.OS{}, dir, options(tiny))
	require.NoError(t, err)
	_, err = wal.Open(wal.OS{}, dir, options(tiny))
	var locked *wal.LockedError
	require.ErrorAs(t, err, &locked)
	require.Equal(t, &wal.LockedError{Path: dir, PID: os.Getpid()}, locked)
	require.NoError(t, d.Close())
	d, err = wal.Open(wal.OS{}, dir, options(tiny))
	require.NoError(t, err)
	require.NoError(t, d.Close())
}

func TestADataDirectoryThatIsAFileIsRefused(t *testing.T) {
	for _, below := range []string{"", "node1"} {
		file := filepath.Join(t.TempDir(), "file")
		require.NoError(t, os.WriteFile(file, nil, 0o600))
		_, err := wal.Open(wal.OS{}, filepath.Join(file, below), options(tiny))
		var access *wal.AccessError
		require.ErrorAs(t, err, &access)
		require.ErrorContains(t, err, file)
	}
}

func TestADataDirectoryWithoutPermissionIsRefused(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "node1")
	require.NoError(t, os.Mkdir(dir, 0o500))
	asNobody(t)
	_, err := wal.Open(wal.OS{}, dir, options(tiny))
	var access *wal.AccessError
	require.ErrorAs(t, err, &access)
	require.ErrorIs(t, err, fs.ErrPermission)
}

func TestARealSegmentHasItsSizeFromTheStart(t *testing.T) {
	dir := t.TempDir()
	d, err := wal.Open(wal.OS{}, dir, options(3<<20+5))
	require.NoError(t, err)
	require.NoError(t, d.Log().Save(raft.Save{Seq: 1, Term: 1}))
	info, err := os.Stat(wal.SegmentName(dir, 1))
	require.NoError(t, err)
	require.Equal(t, int64(3<<20+5), info.Size())
	require.Equal(t, fs.FileMode(0o600), info.Mode())
	require.NoError(t, d.Close())
}

func TestARealFileGrowsAndNeverShrinks(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a")
	f, err := wal.OS{}.Create(name)
	require.NoError(t, err)
	_, err = f.WriteAt([]byte("abc"), 0)
	require.NoError(t, err)
	require.NoError(t, f.Allocate(6))
	require.ErrorIs(t, f.Allocate(2), fs.ErrInvalid)
	require.NoError(t, f.Sync())
	require.NoError(t, f.Close())
	got, err := os.ReadFile(name)
	require.NoError(t, err)
	require.True(t, bytes.Equal([]byte("abc\x00\x00\x00"), got))
	_, err = wal.OS{}.Create(name)
	require.ErrorIs(t, err, fs.ErrExist)
	_, err = wal.OS{}.Open(name + "x")
	require.ErrorIs(t, err, fs.ErrNotExist)
}

// What has the name of one of our files and is none must be told from a failing disk.
func TestSomethingElseUnderTheNameOfAFileIsRefused(t *testing.T) {
	for name, put := range map[string]func(at string) error{
		"LOCK as a FIFO":                 func(at string) error { return unix.Mkfifo(at, 0o600) },
		"LOCK as a directory":            func(at string) error { return os.Mkdir(at, 0o700) },
		"wal/next.tmp as a directory":    directoryWithAFile,
		"snapshots/own.tmp as directory": directoryWithAFile,
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			d, err := wal.Open(wal.OS{}, dir, options(tiny))
			require.NoError(t, err)
			require.NoError(t, d.Close())
			file, _, _ := strings.Cut(name, " ")
			at := filepath.Join(dir, file)
			require.NoError(t, os.RemoveAll(at))
			require.NoError(t, put(at))
			_, err = wal.Open(wal.OS{}, dir, options(tiny))
			var access *wal.AccessError
			require.ErrorAs(t, err, &access)
			require.ErrorContains(t, err, at)
			require.NoError(t, os.RemoveAll(at))
			d, err = wal.Open(wal.OS{}, dir, options(tiny))
			require.NoError(t, err)
			require.NoError(t, d.Close())
		})
	}
}

func directoryWithAFile(at string) error {
	if err := os.Mkdir(at, 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(at, "file"), nil, 0o600)
}

func TestSnapshotsOnTheRealFileSystem(t *testing.T) {
	fsys := inTempDir(t)
	d := mustOpen(t, fsys, tiny)
	h := newHistory()
	h.next(1, 0, 5, 100)
	h.snapshot(2, snapshotOf(4, 1), 0, 2, 50)
	require.NoError(t, d.Log().Save(h.saves[0]))
	require.NoError(t, makeOwn(d, h.saves[1].Snapshot))
	require.NoError(t, d.Log().Save(h.saves[1]))
	require.NoError(t, d.Close())
	d = mustOpen(t, fsys, tiny)
	requireSame(t, h.now(), d.Log().Restored())
	requireLoads(t, d, h.saves[1].Snapshot)
	require.NoError(t, d.Close())
}

// One goroutine writes the log, another one the next snapshot.
func TestSnapshotsAreMadeWhileTheLogIsWritten(t *testing.T) {
	d := mustOpen(t, inTempDir(t), tiny)
	const rounds = 20
	ready := make(chan raft.Snapshot, rounds)
	var work errgroup.Group
	work.Go(func() error {
		defer close(ready)
		for index := raft.Index(1); index <= rounds; index++ {
			if err := makeOwn(d, snapshotOf(index, 1)); err != nil {
				return err
			}
			ready <- snapshotOf(index, 1)
			// It comes into force at any time, or has been replaced again.
			if _, _, err := d.Snapshots().ReadAt(index, 1, 0); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		return nil
	})
	last := raft.Index(0)
	for m := range ready {
		for last < m.Index+2 {
			last++
			require.NoError(t, d.Log().Save(raft.Save{Seq: 1, Term: 1, Entries: []raft.Entry{entry(last, 1, 50)}}))
		}
		require.NoError(t, d.Log().Save(raft.Save{Seq: 1, Term: 1, Snapshot: m}))
	}
	require.NoError(t, work.Wait())
	requireLoads(t, d, snapshotOf(rounds, 1))
	require.NoError(t, d.Close())
}
