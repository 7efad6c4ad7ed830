package wal_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbdb/raft/wal"
)

// One line: what, where. cmd/dbdb prints them as they are.
func TestErrorsSayWhatAndWhere(t *testing.T) {
	for want, err := range map[string]error{
		"data directory ./data/node1 is in use by another dbdb (pid 4242)":                     &wal.LockedError{Path: "./data/node1", PID: 4242},
		"data directory ./data/node1 is in use by another dbdb":                                &wal.LockedError{Path: "./data/node1"},
		`data directory ./data/node1 holds the data of "node1"; you asked for "node2"`:         &wal.MismatchError{Path: "./data/node1", Have: "node1", Want: "node2"},
		"data/identity.json has format 7, which this version of dbdb does not know":            &wal.FormatError{File: "data/identity.json", Version: 7},
		"data/wal/0000000000000001.wal is damaged at offset 512: the frame's checksum differs": &wal.CorruptError{File: "data/wal/0000000000000001.wal", Offset: 512, What: "the frame's checksum differs"},
		"cannot use data directory data: permission denied":                                    &wal.AccessError{Path: "data", Err: fs.ErrPermission},
	} {
		assert.EqualError(t, err, want)
	}
	require.ErrorIs(t, &wal.AccessError{Err: fs.ErrPermission}, fs.ErrPermission)
}

// Every operation on a file that is not there, or not open any more, is an error.
func TestTheRealFileSystemReportsWhatItCannotDo(t *testing.T) {
	dir := t.TempDir()
	missing := filepath.Join(dir, "missing", "file")
	fsys := wal.OS{}
	_, err := fsys.Open(missing)
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = fsys.Create(missing)
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = fsys.ReadDir(missing)
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = fsys.Lock(missing)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorIs(t, fsys.SyncDir(missing), fs.ErrNotExist)
	require.ErrorIs(t, fsys.Rename(missing, missing+"2"), fs.ErrNotExist)
	require.ErrorIs(t, fsys.Remove(missing), fs.ErrNotExist)

	f, err := fsys.Create(filepath.Join(dir, "file"))
	require.NoError(t, err)
	require.NoError(t, f.Allocate(100))
	require.ErrorIs(t, f.Allocate(50), fs.ErrInvalid, "files never shrink")
	require.NoError(t, f.Close())
	_, err = f.Size()
	require.ErrorIs(t, err, fs.ErrClosed)
	require.Error(t, f.Allocate(200))
	require.Error(t, f.Sync())
}

// The lock file may hold anything; what matters is who holds the lock.
func TestALockFileWithoutAPIDIsStillALock(t *testing.T) {
	name := filepath.Join(t.TempDir(), "LOCK")
	lock, err := wal.OS{}.Lock(name)
	require.NoError(t, err)
	defer func() { require.NoError(t, lock.Close()) }()
	require.NoError(t, os.WriteFile(name, []byte("somebody"), 0o600))
	_, err = wal.OS{}.Lock(name)
	var locked *wal.LockedError
	require.ErrorAs(t, err, &locked)
	require.Zero(t, locked.PID)
}
