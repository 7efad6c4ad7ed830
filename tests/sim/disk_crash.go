package sim

import "slices"

// CrashPolicy says what of the unsynced changes a crash leaves.
type CrashPolicy uint8

const (
	// LoseUnsynced leaves nothing but what was synced.
	LoseUnsynced CrashPolicy = iota
	// KeepPrefix leaves, of each file and each directory, the changes up to a
	// random point in the order in which they were made; the last may be cut at any byte.
	KeepPrefix
	// KeepSectors leaves a random subset: each sector of each write, each change of
	// size and each change of a name on its own, as disks reorder what they cache.
	KeepSectors
	// KeepAll leaves everything, durably: the disk had just caught up.
	KeepAll
	// KillProcess ends the process but not the machine (kill -9): nothing is lost yet
	// and nothing becomes durable. The next process reads what a later
	// crash may still take away.
	KillProcess
)

// Crash ends the process: its open files are dead, its locks free, armed faults
// are disarmed and the power is back. The policy says what the disk then holds.
func (d *Disk) Crash(policy CrashPolicy) {
	d.life++
	d.locks = nil
	d.dark, d.cutAt, d.shortErr = false, 0, nil
	d.faults = [opKinds]diskFault{}
	if policy == KillProcess {
		return
	}
	for _, dir := range d.dirs {
		files := dir.files()
		for _, op := range chooseNames(d.rand, policy, dir.pending) {
			dir.durable = op.apply(dir.durable)
		}
		dir.now, dir.pending = append(dir.now[:0], dir.durable...), dir.pending[:0]
		for _, f := range files {
			f.crash(d.rand, policy)
		}
	}
}

// files are all the files that a crash may leave in the directory, each once.
func (dir *directory) files() []*inode {
	var files []*inode
	add := func(f *inode) {
		if f != nil && len(f.pending) > 0 && !slices.Contains(files, f) {
			files = append(files, f)
		}
	}
	for _, e := range dir.durable {
		add(e.file)
	}
	for _, op := range dir.pending {
		add(op.file)
	}
	return files
}

func chooseNames(rand Rand, policy CrashPolicy, ops []nameOp) []nameOp {
	switch {
	case policy == KeepAll || len(ops) == 0:
		return ops
	case policy == KeepPrefix:
		return ops[:rand.IntN(len(ops)+1)]
	case policy == KeepSectors:
		return slices.DeleteFunc(slices.Clone(ops), func(nameOp) bool { return rand.IntN(2) == 0 })
	}
	return nil
}

// crash takes the file back to what was last synced and then carries out again
// what the policy lets survive.
func (f *inode) crash(rand Rand, policy CrashPolicy) {
	for k := len(f.pending) - 1; k >= 0; k-- {
		c := f.pending[k]
		f.size -= c.growth
		f.poke(f.history[c.at:c.at+c.n], c.off)
	}
	// A prefix is measured in bytes, a change of size counting as one.
	keep := 0
	if policy == KeepPrefix {
		total := 0
		for _, c := range f.pending {
			total += c.weight()
		}
		keep = rand.IntN(total + 1)
	}
	for _, c := range f.pending {
		switch {
		case c.fate == fateDurable || policy == KeepAll:
			f.redo(c, 0, c.n)
		case policy == KeepPrefix:
			if keep > 0 {
				f.redo(c, 0, min(keep, c.n))
			}
			keep -= c.weight()
		case policy == KeepSectors:
			f.redoSectors(rand, c)
		}
	}
	f.pending, f.history, f.failed = f.pending[:0], f.history[:0], false
	f.clearBeyond()
}

func (c byteChange) weight() int {
	if c.growth > 0 {
		return 1
	}
	return c.n
}

// redo carries out bytes from to to of a write, or all of a change of size.
func (f *inode) redo(c byteChange, from, to int) {
	f.size = max(f.size, c.size)
	written := f.history[c.at+c.n : c.at+2*c.n]
	f.poke(written[from:to], c.off+int64(from))
}

func (f *inode) redoSectors(rand Rand, c byteChange) {
	if c.growth > 0 {
		if rand.IntN(2) == 1 {
			f.redo(c, 0, 0)
		}
		return
	}
	for from := 0; from < c.n; {
		to := min(c.n, from+sectorBytes-int((c.off+int64(from))%sectorBytes))
		if rand.IntN(2) == 1 {
			f.redo(c, from, to)
		}
		from = to
	}
}
