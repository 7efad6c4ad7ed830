package wal

import (
	"errors"
	"fmt"
)

// LockedError says that another process uses the data directory.
type LockedError struct {
	Path string // of the data directory; of the lock file when it comes from an FS
	PID  int    // of the other process, 0 if unknown
}

func (e *LockedError) Error() string {
	if e.PID == 0 {
		return fmt.Sprintf("data directory %s is in use by another dbdb", e.Path)
	}
	return fmt.Sprintf("data directory %s is in use by another dbdb (pid %d)", e.Path, e.PID)
}

// MismatchError says that the data directory belongs to another node.
type MismatchError struct {
	Path string // of the data directory
	Have string // the node whose data it holds
	Want string // the node that was asked for
}

func (e *MismatchError) Error() string {
	return fmt.Sprintf("data directory %s holds the data of %q; you asked for %q", e.Path, e.Have, e.Want)
}

// FormatError says that a file is intact but was written by a version of dbdb
// whose format this one does not know.
type FormatError struct {
	File    string
	Version uint64
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("%s has format %d, which this version of dbdb does not know", e.File, e.Version)
}

// AccessError says that the data directory cannot be used at all: no permission,
// read-only, not a directory.
type AccessError struct {
	Path string // of the data directory
	Err  error  // names the file
}

func (e *AccessError) Error() string {
	return fmt.Sprintf("cannot use data directory %s: %v", e.Path, e.Err)
}

// Unwrap returns the file system's error.
func (e *AccessError) Unwrap() error { return e.Err }

// CorruptError says that stored bytes are not what was written. Nothing
// was changed. Acknowledged entries may be lost, so the server must not start.
type CorruptError struct {
	File   string
	Offset int64 // in bytes; 0 if the whole file is meant
	What   string
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("%s is damaged at offset %d: %s", e.File, e.Offset, e.What)
}

// errNotAFile says that something else has the name of one of our files.
var errNotAFile = errors.New("not a regular file")
