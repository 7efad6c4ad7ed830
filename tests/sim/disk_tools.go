package sim

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
)

// Corrupt flips the bits of mask in one byte of a file, on the disk and in every
// cache: the medium has decayed.
func (d *Disk) Corrupt(name string, offset int64, mask byte) {
	f := d.mustFind(name)
	if offset < 0 || offset >= f.size {
		panic(fmt.Sprintf("sim: %s has %d bytes, none at %d", name, f.size, offset))
	}
	var b [1]byte
	f.readAt(b[:], offset)
	b[0] ^= mask
	f.poke(b[:], offset)
	for _, c := range f.pending {
		if k := offset - c.off; k >= 0 && k < int64(c.n) {
			f.history[c.at+int(k)] ^= mask
			f.history[c.at+c.n+int(k)] ^= mask
		}
	}
}

// Files lists the names of all files that processes see, sorted by directory.
func (d *Disk) Files() []string {
	var names []string
	for _, dir := range d.dirs {
		for _, e := range dir.now {
			names = append(names, path.Join(dir.path, e.name))
		}
	}
	return names
}

// ReadFile returns what processes see in a file. It counts as no operation.
func (d *Disk) ReadFile(name string) ([]byte, error) {
	_, _, f, err := d.find("read", name)
	if err == nil && f == nil {
		err = &fs.PathError{Op: "read", Path: name, Err: fs.ErrNotExist}
	}
	if err != nil {
		return nil, err
	}
	data := make([]byte, f.size)
	f.readAt(data, 0)
	return data, nil
}

// WriteFile puts a file on the disk, durably and behind the back of any process:
// its directory is made if missing, a file of that name is replaced. It counts as
// no operation.
func (d *Disk) WriteFile(name string, data []byte) {
	name = path.Clean(name)
	if err := d.mkdirAll(path.Dir(name)); err != nil {
		panic(err)
	}
	f := &inode{size: int64(len(data))}
	f.poke(data, 0)
	d.directory(path.Dir(name)).settle(nameOp{add: path.Base(name), file: f})
}

// RemoveFile takes a file off the disk, durably and behind the back of any
// process. It counts as no operation.
func (d *Disk) RemoveFile(name string) {
	d.mustFind(name)
	name = path.Clean(name)
	d.directory(path.Dir(name)).settle(nameOp{remove: path.Base(name)})
}

// settle changes both images, and forgets unsynced changes of the same name.
func (dir *directory) settle(op nameOp) {
	name := op.add + op.remove
	dir.pending = slices.DeleteFunc(dir.pending, func(p nameOp) bool { return p.add == name || p.remove == name })
	dir.now, dir.durable = op.apply(dir.now), op.apply(dir.durable)
}

// Clone returns a disk with the same two images, no open files, no locks and no
// armed faults, which draws from rand. Tests damage a clone and keep the original.
func (d *Disk) Clone(rand Rand) *Disk {
	copies := map[*inode]*inode{} // looked up, never walked
	clone := func(f *inode) *inode {
		if f == nil {
			return nil
		}
		if copies[f] == nil {
			copies[f] = f.clone()
		}
		return copies[f]
	}
	entries := func(from []dirEntry) (to []dirEntry) {
		for _, e := range from {
			to = append(to, dirEntry{e.name, clone(e.file)})
		}
		return to
	}
	c := NewDisk(rand)
	for _, dir := range d.dirs {
		copied := &directory{path: dir.path, now: entries(dir.now), durable: entries(dir.durable)}
		for _, op := range dir.pending {
			copied.pending = append(copied.pending, nameOp{op.remove, op.add, clone(op.file)})
		}
		c.dirs = append(c.dirs, copied)
	}
	return c
}

func (f *inode) clone() *inode {
	c := &inode{size: f.size, failed: f.failed, pending: slices.Clone(f.pending), history: slices.Clone(f.history)}
	for _, p := range f.pages {
		if p != nil {
			copied := *p
			p = &copied
		}
		c.pages = append(c.pages, p)
	}
	return c
}

func (d *Disk) mustFind(name string) *inode {
	_, _, f, err := d.find("find", name)
	if err != nil || f == nil {
		panic(fmt.Sprintf("sim: no file %s on the disk", name))
	}
	return f
}
