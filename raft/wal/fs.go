package wal

import "io"

// FS is the part of a file system that durable state needs, small enough to
// simulate byte by byte: OS is the real one, tests/sim has one that loses what was
// not synced. All names are slash-separated paths. A missing file is an error
// that is fs.ErrNotExist.
type FS interface {
	// MkdirAll makes a directory and its parents, and makes their names durable; it
	// is no error if they exist.
	MkdirAll(dir string) error
	// ReadDir lists the names of the files in a directory, sorted.
	ReadDir(dir string) ([]string, error)
	// Create makes an empty file for reading and writing; it must not exist.
	Create(name string) (File, error)
	// Open opens an existing file for reading and writing.
	Open(name string) (File, error)
	// Rename replaces newname by oldname, atomically. Both are in one directory.
	Rename(oldname, newname string) error
	// Remove removes a file.
	Remove(name string) error
	// SyncDir makes the names in a directory durable: a created, renamed or removed
	// file is on the disk only after it (etcd#6368).
	SyncDir(dir string) error
	// Lock takes an exclusive lock on a file, made if missing, until Close or the end
	// of the process. The holder's pid is written into it. A lock that is
	// held gives a *LockedError.
	Lock(name string) (io.Closer, error)
}

// File is an open file of an FS.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	// Size returns the size in bytes.
	Size() (int64, error)
	// Allocate grows the file to size, reserving space; new bytes read as zero. It
	// never shrinks a file.
	Allocate(size int64) error
	// Sync makes contents and size durable (fdatasync). After it failed once the
	// file's contents are unknown: the caller must end the process.
	Sync() error
}
