package sim

import (
	"slices"
	"syscall"
)

// overwrite puts other bytes into a file, on the disk and in every cache, as a write that
// nobody asked for. The file keeps its size.
func (d *Disk) overwrite(e extent, data []byte) {
	was, err := d.ReadFile(e.file)
	if err != nil {
		panic(err)
	}
	for k := e.from; k < e.to; k++ {
		if mask := was[k] ^ data[k-e.from]; mask != 0 {
			d.Corrupt(e.file, k, mask)
		}
	}
}

// fingerprint is a sum over all files.
func (d *Disk) fingerprint() uint64 {
	var all []byte
	for _, name := range d.Files() {
		data, err := d.ReadFile(name)
		if err != nil {
			panic(err)
		}
		all = append(append(all, name...), data...)
	}
	return checksum(all)
}

// fullness is what a disk without room refuses.
type fullness uint8

const (
	hasRoom       fullness = iota
	nothingGrows           // new files and longer ones
	nothingGoesIn          // every write: where a file system copies on write, or counts writes as use
)

// room says whether an operation of this kind finds some.
func (d *Disk) room(op Op, grows bool) error {
	full := d.full == nothingGoesIn && slices.Contains([]Op{OpWrite, OpCreate, OpAllocate}, op) || d.full == nothingGrows && grows
	if !full {
		return nil
	}
	return syscall.ENOSPC
}
