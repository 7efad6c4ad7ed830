package sim

import (
	"io"
	"io/fs"
)

const (
	pageBytes   = 4096
	sectorBytes = 512
)

type page [pageBytes]byte

// inode is a file's contents: the volatile image in pages, of which a missing one
// is all zero, and the unsynced changes with which a crash can take it back.
type inode struct {
	size    int64
	pages   []*page
	pending []byteChange
	// history holds the old and then the new bytes of each pending write. It is
	// one buffer, reused after each Sync, because a simulation writes
	// millions of records.
	history []byte
	// failed says that a Sync failed since the last crash: pending then also
	// holds changes that no later Sync makes durable.
	failed bool
}

// byteChange is one unsynced write, or one change of size if growth is not 0.
type byteChange struct {
	growth int64 // bytes by which the size grew
	size   int64 // the size it grew to
	off    int64
	n      int // bytes written
	at     int // where history has them
	fate   fate
}

type fate uint8

const (
	fateUnsynced fate = iota // the next Sync makes it durable
	fateDurable              // kept only because something before it was lost
	fateLost                 // a failed Sync covered it: it never becomes durable
)

func (f *inode) readAt(p []byte, off int64) {
	for len(p) > 0 {
		k, in := off/pageBytes, off%pageBytes
		n := min(len(p), int(pageBytes-in))
		if k < int64(len(f.pages)) && f.pages[k] != nil {
			copy(p[:n], f.pages[k][in:])
		} else {
			clear(p[:n])
		}
		p, off = p[n:], off+int64(n)
	}
}

func (f *inode) poke(p []byte, off int64) {
	for len(p) > 0 {
		k, in := off/pageBytes, off%pageBytes
		n := min(len(p), int(pageBytes-in))
		for k >= int64(len(f.pages)) {
			f.pages = append(f.pages, nil)
		}
		if f.pages[k] == nil {
			f.pages[k] = new(page)
		}
		copy(f.pages[k][in:], p[:n])
		p, off = p[n:], off+int64(n)
	}
}

// clearBeyond makes what lies after the end of the file zero, for the day on which
// the file grows over it.
func (f *inode) clearBeyond() {
	k, in := f.size/pageBytes, f.size%pageBytes
	if k >= int64(len(f.pages)) {
		return
	}
	if in == 0 {
		f.pages = f.pages[:k]
		return
	}
	f.pages = f.pages[:k+1]
	if f.pages[k] != nil {
		clear(f.pages[k][in:])
	}
}

func (f *inode) grow(size int64) {
	if size > f.size {
		f.pending = append(f.pending, byteChange{growth: size - f.size, size: size})
		f.size = size
	}
}

func (f *inode) writeAt(p []byte, off int64) {
	if len(p) == 0 {
		return
	}
	f.grow(off + int64(len(p)))
	at := len(f.history)
	f.history = append(append(f.history, p...), p...)
	f.readAt(f.history[at:at+len(p)], off)
	f.pending = append(f.pending, byteChange{off: off, n: len(p), at: at})
	f.poke(p, off)
}

// sync makes the unsynced changes durable, by forgetting how to undo them.
func (f *inode) sync() {
	if f.failed {
		// What a failed Sync lost lies under what this one saves, so all of
		// it is kept until the crash.
		for k := range f.pending {
			if f.pending[k].fate == fateUnsynced {
				f.pending[k].fate = fateDurable
			}
		}
		return
	}
	f.pending, f.history = f.pending[:0], f.history[:0]
}

// failSync is what Linux does after a failed fsync: the pages count as clean, so
// readers see them, the next fsync succeeds, and nothing ever writes them.
func (f *inode) failSync() {
	f.failed = true
	for k := range f.pending {
		if f.pending[k].fate == fateUnsynced {
			f.pending[k].fate = fateLost
		}
	}
}

// openFile is an open file.
type openFile struct {
	disk   *Disk
	file   *inode
	name   string
	life   int
	closed bool
}

func (h *openFile) usable(op Op) error {
	switch {
	case h.life != h.disk.life:
		return ErrDead
	case h.closed:
		return &fs.PathError{Op: op.String(), Path: h.name, Err: fs.ErrClosed}
	}
	return nil
}

func (h *openFile) begin(op Op) error {
	if err := h.usable(op); err != nil {
		return err
	}
	return h.disk.begin(op)
}

func (h *openFile) ReadAt(p []byte, off int64) (int, error) {
	if err := h.begin(OpRead); err != nil {
		return 0, err
	}
	if off < 0 {
		return 0, &fs.PathError{Op: "read", Path: h.name, Err: fs.ErrInvalid}
	}
	n := int(max(0, min(int64(len(p)), h.file.size-off)))
	h.file.readAt(p[:n], off)
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (h *openFile) WriteAt(p []byte, off int64) (int, error) {
	if err := h.begin(OpWrite); err != nil {
		return 0, err
	}
	if off < 0 {
		return 0, &fs.PathError{Op: "write", Path: h.name, Err: fs.ErrInvalid}
	}
	if err := h.disk.room(OpWrite, off+int64(len(p)) > h.file.size); err != nil {
		return 0, &fs.PathError{Op: "write", Path: h.name, Err: err}
	}
	if err := h.disk.shortErr; err != nil {
		n := min(h.disk.shortSize, len(p))
		h.disk.shortErr = nil
		h.file.writeAt(p[:n], off)
		return n, err
	}
	h.file.writeAt(p, off)
	if err := h.disk.dim(); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (h *openFile) Size() (int64, error) {
	if err := h.begin(OpRead); err != nil {
		return 0, err
	}
	return h.file.size, nil
}

func (h *openFile) Allocate(size int64) error {
	if err := h.begin(OpAllocate); err != nil {
		return err
	}
	if err := h.disk.room(OpAllocate, size > h.file.size); err != nil {
		return &fs.PathError{Op: "allocate", Path: h.name, Err: err}
	}
	if size < h.file.size {
		return &fs.PathError{Op: "allocate", Path: h.name, Err: fs.ErrInvalid}
	}
	h.file.grow(size)
	return h.disk.dim()
}

func (h *openFile) Sync() error {
	if err := h.usable(OpSync); err != nil {
		return err
	}
	err := h.disk.begin(OpSync)
	switch {
	case h.disk.dark:
		return ErrPowerCut // before anything was written
	case err != nil:
		h.file.failSync()
		return err
	}
	h.file.sync()
	return nil
}

func (h *openFile) Close() error {
	if h.life != h.disk.life {
		return ErrDead
	}
	h.closed = true
	return nil
}
