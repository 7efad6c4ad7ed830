package wal

import (
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"path"
	"syscall"
)

const (
	lockName = "LOCK"
	walDir   = "wal"
	// defaultSegmentBytes is the size of a segment. Making one takes some 5 ms of writing
	// zeros, and servers whose logs are the same do so at the same time: a larger one would
	// make that pause longer, not rarer per byte. A smaller one would sync names and headers
	// more often than large values bear.
	defaultSegmentBytes = 4 << 20
)

// Options say how to open a data directory.
type Options struct {
	// Node is the operator's name for the node, at most 63 bytes. A directory that
	// holds another node's data is refused.
	Node string
	// SegmentBytes is the size of new segments, 4 MiB if 0. A larger
	// frame gets a segment of its own size.
	SegmentBytes int64
	// Random is where instance ids and salts come from, crypto/rand if nil.
	Random io.Reader
}

// maxNodeBytes leaves room for a dot and the instance in a NodeID.
const maxNodeBytes = 63

// Dir is an open data directory. This process alone uses it until Close.
type Dir struct {
	fsys     FS
	path     string
	lock     io.Closer
	identity Identity
	log      *Log
	// snapshots shares nothing with log but the files.
	snapshots *Snapshots
	err       error // once an identity could not be written
}

// Open opens a data directory, makes it if it is missing, and recovers its log.
//
// Errors of these types mean that the directory cannot be used as it is, and that
// nothing in it was changed: *LockedError, *MismatchError, *FormatError and
// *AccessError. A *CorruptError means damage; nothing was changed either. Any
// other error is one of the file system.
func Open(fsys FS, dir string, opt Options) (*Dir, error) {
	if opt.SegmentBytes == 0 {
		opt.SegmentBytes = defaultSegmentBytes
	}
	if opt.Random == nil {
		opt.Random = rand.Reader
	}
	if opt.Node == "" || len(opt.Node) > maxNodeBytes {
		return nil, errors.New("the name of the node must have 1 to 63 bytes")
	}
	d := &Dir{fsys: fsys, path: dir}
	if err := d.open(opt); err != nil {
		return nil, classify(dir, errors.Join(err, d.Close()))
	}
	return d, nil
}

// classify finds the errors that say that the directory itself is at fault.
func classify(dir string, err error) error {
	if locked, ok := errors.AsType[*LockedError](err); ok {
		return &LockedError{Path: dir, PID: locked.PID}
	}
	for _, cause := range []error{fs.ErrPermission, syscall.ENOTDIR, syscall.EISDIR, syscall.ENOTEMPTY, syscall.EROFS, syscall.ESTALE, errNotAFile} {
		if errors.Is(err, cause) {
			return &AccessError{dir, err}
		}
	}
	return err
}

func (d *Dir) open(opt Options) (err error) {
	if err := d.fsys.MkdirAll(d.path); err != nil {
		return &AccessError{d.path, err}
	}
	if d.lock, err = d.fsys.Lock(path.Join(d.path, lockName)); err != nil {
		return err
	}
	d.identity, err = readIdentity(d.fsys, d.path)
	if errors.Is(err, fs.ErrNotExist) {
		err = d.create(opt)
	}
	if err != nil {
		return err
	}
	if d.identity.Node != opt.Node {
		return &MismatchError{d.path, d.identity.Node, opt.Node}
	}
	// The process that renamed the identity may have been killed before it synced
	// the name. From here on this one speaks under it.
	if err := d.fsys.SyncDir(d.path); err != nil {
		return err
	}
	files := snapshotFiles{d.fsys, path.Join(d.path, snapshotDir)}
	d.log, err = recoverLog(d.fsys, path.Join(d.path, walDir), d.identity.Instance, files, opt)
	d.snapshots = &Snapshots{files: files}
	return err
}

// create makes a new log and then the identity, so that a directory with an
// identity has a log, and one without either is new or was damaged.
func (d *Dir) create(opt Options) error {
	if err := d.checkUnused(); err != nil {
		return err
	}
	instance, err := newInstance(opt.Random)
	if err != nil {
		return err
	}
	dir := path.Join(d.path, walDir)
	if err := d.fsys.MkdirAll(dir); err != nil {
		return err
	}
	if err := removeIfThere(d.fsys, path.Join(dir, tmpName)); err != nil {
		return err
	}
	size := max(opt.SegmentBytes, headerBytes+markBytes)
	s, err := createSegment(d.fsys, dir, opt.Random, header{sequence: 1, size: size, instance: instance})
	if err != nil {
		return err
	}
	if err := s.file.Close(); err != nil {
		return err
	}
	d.identity = Identity{Node: opt.Node, Instance: instance}
	return writeIdentity(d.fsys, d.path, d.identity)
}

// checkUnused makes sure that a directory without an identity is what a crash
// during create leaves: at most a first segment without frames, which create then
// replaces. Anything more had an identity and lost it.
func (d *Dir) checkUnused() error {
	lost := func(what string) error {
		return &CorruptError{path.Join(d.path, identityName), 0, "the file is missing, but there is a " + what}
	}
	snapshots, err := snapshotFiles{d.fsys, path.Join(d.path, snapshotDir)}.list()
	if err != nil {
		return err
	}
	for _, name := range snapshots {
		if _, ok := snapshotPosition(name, snapshotSuffix); ok {
			return lost("snapshot: " + name)
		}
	}
	dir := path.Join(d.path, walDir)
	names, err := d.fsys.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, name := range names {
		sequence, ok := segmentSequence(name)
		if !ok {
			continue
		}
		used, err := hasFrames(d.fsys, path.Join(dir, name))
		if err != nil {
			return err
		}
		if used || sequence != 1 {
			return lost("log: " + name)
		}
	}
	return nil
}

func hasFrames(fsys FS, name string) (used bool, err error) {
	f, err := fsys.Open(name)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	size, err := f.Size()
	if err != nil {
		return false, err
	}
	b := make([]byte, 64<<10)
	for off := int64(headerBytes); off < size; {
		b := b[:min(int64(len(b)), size-off)]
		if err := readAt(f, b, off); err != nil {
			return false, err
		}
		if lastNonZero(b) > 0 {
			return true, nil
		}
		off += int64(len(b))
	}
	return false, nil
}

// Identity says whose data the directory holds.
func (d *Dir) Identity() Identity { return d.identity }

// SetCluster records that the node belongs to a cluster, durably, before
// anything is said or written in the cluster's name. The caller decides whether
// a node may change its cluster. After an error the directory is of no use: what
// it holds is unknown, and every later call returns the same error.
func (d *Dir) SetCluster(cluster string, founding bool) error {
	if d.err != nil {
		return d.err
	}
	i := d.identity
	i.Cluster, i.Founding = cluster, founding
	if d.err = writeIdentity(d.fsys, d.path, i); d.err == nil {
		d.identity = i
	}
	return d.err
}

// Log is the write-ahead log.
func (d *Dir) Log() *Log { return d.log }

// Snapshots gives access to the snapshot files.
func (d *Dir) Snapshots() *Snapshots { return d.snapshots }

// Repaired tells of a torn write that Open took out of the log, nil if none.
func (d *Dir) Repaired() *Repair { return d.log.repair }

// Close closes the log, see Log.Close, and gives the lock back.
func (d *Dir) Close() error {
	var errs []error
	if d.snapshots != nil {
		errs = append(errs, d.snapshots.close())
	}
	if d.log != nil {
		errs = append(errs, d.log.Close())
	}
	if d.lock != nil {
		errs = append(errs, d.lock.Close())
		d.lock = nil
	}
	return errors.Join(errs...)
}
