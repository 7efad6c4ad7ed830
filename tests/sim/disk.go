package sim

import (
	"errors"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"syscall"

	"dbdb/raft/wal"
)

// Rand is the randomness of the simulated world; *math/rand/v2.Rand is one.
type Rand interface {
	// IntN returns a number from 0 to n-1.
	IntN(n int) int
}

// ErrDead is what a file says after the crash that ended its process.
var ErrDead = errors.New("the process that opened this file has crashed")

// ErrPowerCut is what every operation says between CutPower and Crash.
var ErrPowerCut = errors.New("power cut")

// Disk is a wal.FS in memory that keeps two images: the volatile one, which
// running processes see, and the durable one, to which Sync and SyncDir
// move what was written. Crash throws away what lies between, whole or in part,
// as its policy says. The same calls with the same Rand give the same disk.
//
// It models what POSIX promises and nothing more: a name that was created,
// renamed or removed is durable after SyncDir of its directory, bytes and size
// after Sync of the file, and neither implies the other. Directories are the exception,
// as wal.FS makes them durable at once. A sector of 512 bytes is written whole or
// not at all.
type Disk struct {
	rand  Rand
	dirs  []*directory // sorted by path
	locks []*diskLock
	life  int // counts crashes: what an earlier life opened is dead

	between func() // runs before each operation, if set

	ops       int // changing operations so far
	cutAt     int // the operation at which the power goes, 0 for never
	dark      bool
	full      fullness // until somebody makes room; a crash does not
	faults    [opKinds]diskFault
	shortSize int // how much of the next write succeeds, if shortErr is set
	shortErr  error
}

var _ wal.FS = (*Disk)(nil)

// NewDisk makes an empty disk. Crash draws from rand what survives.
func NewDisk(rand Rand) *Disk { return &Disk{rand: rand} }

// directory holds names. Those in now are what processes see, those in durable
// what a crash leaves; pending leads from durable to now.
type directory struct {
	path         string
	now, durable []dirEntry // sorted by name
	pending      []nameOp
}

type dirEntry struct {
	name string
	file *inode
}

// nameOp is one unsynced change of a directory: remove, if not empty, goes and
// add, if not empty, comes, both or neither. A rename has both.
type nameOp struct {
	remove, add string
	file        *inode
}

func (d *Disk) directory(name string) *directory {
	k, found := slices.BinarySearchFunc(d.dirs, name, func(x *directory, s string) int {
		return strings.Compare(x.path, s)
	})
	if !found {
		return nil
	}
	return d.dirs[k]
}

func search(entries []dirEntry, name string) (int, bool) {
	return slices.BinarySearchFunc(entries, name, func(e dirEntry, s string) int {
		return strings.Compare(e.name, s)
	})
}

func (op nameOp) apply(entries []dirEntry) []dirEntry {
	if k, found := search(entries, op.remove); found {
		entries = slices.Delete(entries, k, k+1)
	}
	if op.add == "" {
		return entries
	}
	k, found := search(entries, op.add)
	if found {
		entries[k].file = op.file
		return entries
	}
	return slices.Insert(entries, k, dirEntry{op.add, op.file})
}

func (dir *directory) change(op nameOp) {
	dir.now = op.apply(dir.now)
	dir.pending = append(dir.pending, op)
}

// find returns the directory of a name, its last element, and the file, if any.
func (d *Disk) find(op, name string) (dir *directory, base string, file *inode, err error) {
	name = path.Clean(name)
	if dir = d.directory(path.Dir(name)); dir == nil {
		return nil, "", nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
	}
	base = path.Base(name)
	if k, found := search(dir.now, base); found {
		file = dir.now[k].file
	}
	return dir, base, file, nil
}

// MkdirAll makes a directory and its parents, durably.
func (d *Disk) MkdirAll(name string) error {
	if err := d.begin(OpMkdir); err != nil {
		return err
	}
	if err := d.mkdirAll(name); err != nil {
		return err
	}
	return d.dim()
}

func (d *Disk) mkdirAll(name string) error {
	for name = path.Clean(name); d.directory(name) == nil; name = path.Dir(name) {
		if _, _, file, err := d.find("mkdir", name); err == nil && file != nil {
			return &fs.PathError{Op: "mkdir", Path: name, Err: syscall.ENOTDIR}
		}
		d.dirs = append(d.dirs, &directory{path: name})
		slices.SortFunc(d.dirs, func(a, b *directory) int { return strings.Compare(a.path, b.path) })
	}
	return nil
}

// ReadDir lists the files of a directory, sorted. Directories are not listed.
func (d *Disk) ReadDir(name string) ([]string, error) {
	if err := d.begin(OpRead); err != nil {
		return nil, err
	}
	dir := d.directory(path.Clean(name))
	if dir == nil {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrNotExist}
	}
	names := make([]string, 0, len(dir.now))
	for _, e := range dir.now {
		names = append(names, e.name)
	}
	return names, nil
}

// Create makes an empty file. It must not exist.
func (d *Disk) Create(name string) (wal.File, error) {
	if err := d.begin(OpCreate); err != nil {
		return nil, err
	}
	if err := d.room(OpCreate, true); err != nil {
		return nil, &fs.PathError{Op: "create", Path: name, Err: err}
	}
	dir, base, file, err := d.find("create", name)
	if err == nil && file != nil {
		err = &fs.PathError{Op: "create", Path: name, Err: fs.ErrExist}
	}
	if err != nil {
		return nil, err
	}
	file = &inode{}
	dir.change(nameOp{add: base, file: file})
	return &openFile{disk: d, file: file, name: name, life: d.life}, d.dim()
}

// Open opens an existing file.
func (d *Disk) Open(name string) (wal.File, error) {
	if err := d.begin(OpRead); err != nil {
		return nil, err
	}
	_, _, file, err := d.find("open", name)
	if err == nil && file == nil {
		err = &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	if err != nil {
		return nil, err
	}
	return &openFile{disk: d, file: file, name: name, life: d.life}, nil
}

// Rename replaces newname by oldname. Both must be in one directory.
func (d *Disk) Rename(oldname, newname string) error {
	if err := d.begin(OpRename); err != nil {
		return err
	}
	dir, base, file, err := d.find("rename", oldname)
	switch {
	case err != nil:
		return err
	case file == nil:
		return &fs.PathError{Op: "rename", Path: oldname, Err: fs.ErrNotExist}
	case path.Dir(path.Clean(newname)) != dir.path:
		return &fs.PathError{Op: "rename", Path: newname, Err: errors.ErrUnsupported}
	}
	dir.change(nameOp{remove: base, add: path.Base(newname), file: file})
	return d.dim()
}

// Remove removes a file's name.
func (d *Disk) Remove(name string) error {
	if err := d.begin(OpRemove); err != nil {
		return err
	}
	dir, base, file, err := d.find("remove", name)
	if err == nil && file == nil {
		err = &fs.PathError{Op: "remove", Path: name, Err: fs.ErrNotExist}
	}
	if err != nil {
		return err
	}
	dir.change(nameOp{remove: base})
	return d.dim()
}

// SyncDir makes the names of a directory durable.
func (d *Disk) SyncDir(name string) error {
	if err := d.begin(OpSyncDir); err != nil {
		return err
	}
	if err := d.dim(); err != nil {
		return err // the power went before the names were written
	}
	dir := d.directory(path.Clean(name))
	if dir == nil {
		return &fs.PathError{Op: "syncdir", Path: name, Err: fs.ErrNotExist}
	}
	if len(dir.pending) > 0 {
		dir.durable = append(dir.durable[:0], dir.now...)
		dir.pending = dir.pending[:0]
	}
	return nil
}

// diskLock is a held lock; its Close gives it back.
type diskLock struct {
	disk *Disk
	name string
}

// lockPID is the process id that a *wal.LockedError of a Disk names.
const lockPID = 1

// Lock takes the lock until Close or Crash.
func (d *Disk) Lock(name string) (io.Closer, error) {
	if err := d.begin(OpLock); err != nil {
		return nil, err
	}
	dir, base, file, err := d.find("lock", name)
	if err != nil {
		return nil, err
	}
	name = path.Clean(name)
	if slices.ContainsFunc(d.locks, func(l *diskLock) bool { return l.name == name }) {
		return nil, &wal.LockedError{Path: name, PID: lockPID}
	}
	if file == nil {
		dir.change(nameOp{add: base, file: &inode{}})
	}
	l := &diskLock{d, name}
	d.locks = append(d.locks, l)
	return l, d.dim()
}

func (l *diskLock) Close() error {
	l.disk.locks = slices.DeleteFunc(l.disk.locks, func(o *diskLock) bool { return o == l })
	return nil
}
