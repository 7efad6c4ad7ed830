package sim

import "io"

// Op is a kind of operation of a Disk, for injecting faults.
type Op uint8

const (
	// OpMkdir is MkdirAll.
	OpMkdir Op = iota
	// OpCreate is Create.
	OpCreate
	// OpRename is Rename.
	OpRename
	// OpRemove is Remove.
	OpRemove
	// OpSyncDir is SyncDir.
	OpSyncDir
	// OpLock is Lock.
	OpLock
	// OpWrite is WriteAt.
	OpWrite
	// OpAllocate is Allocate.
	OpAllocate
	// OpSync is Sync.
	OpSync
	// OpRead is whatever changes nothing: Open, ReadDir, ReadAt, Size.
	OpRead
	opKinds
)

func (op Op) String() string {
	return [...]string{"mkdir", "create", "rename", "remove", "syncdir", "lock", "write", "allocate", "sync", "read"}[op]
}

// begin opens every operation: it counts it and answers with a fault that is due.
func (d *Disk) begin(op Op) error {
	if d.between != nil {
		d.between()
	}
	if d.dark {
		return ErrPowerCut
	}
	if op != OpRead {
		d.ops++
		d.dark = d.ops == d.cutAt
	}
	fault := &d.faults[op]
	if fault.after > 0 {
		fault.after--
		return nil
	}
	err := fault.err
	fault.err = nil
	return err
}

// diskFault is an error that waits for its operation.
type diskFault struct {
	after int // operations of the kind to let pass first
	err   error
}

// disarm takes a fault back that no operation has met.
func (d *Disk) disarm(op Op) { d.faults[op] = diskFault{} }

// disarmAll takes all faults back that no operation has met.
func (d *Disk) disarmAll() { d.faults, d.shortErr = [opKinds]diskFault{}, nil }

// dim closes an operation that changed the volatile image. If the power went
// while it ran, its effect is there for Crash to judge, but the caller never
// learns of it.
func (d *Disk) dim() error {
	if d.dark {
		return ErrPowerCut
	}
	return nil
}

// FailNext makes the next operation of a kind fail with err, without effect. After
// a failed Sync the unsynced bytes stay readable and never become durable, also
// not by a later Sync that succeeds.
func (d *Disk) FailNext(op Op, err error) { d.FailLater(op, 0, err) }

// FailLater is FailNext for the operation of its kind that comes after so many
// others.
func (d *Disk) FailLater(op Op, after int, err error) { d.faults[op] = diskFault{after, err} }

// FailSync makes the next Sync of a file fail with err, see FailNext.
func (d *Disk) FailSync(err error) { d.FailNext(OpSync, err) }

// FailWrite makes the next WriteAt fail with err and write nothing.
func (d *Disk) FailWrite(err error) { d.FailNext(OpWrite, err) }

// FailAllocate makes the next Allocate fail with err.
func (d *Disk) FailAllocate(err error) { d.FailNext(OpAllocate, err) }

// ShortWrite makes the next WriteAt write only its first n bytes and fail with
// err, io.ErrShortWrite if nil.
func (d *Disk) ShortWrite(n int, err error) {
	if err == nil {
		err = io.ErrShortWrite
	}
	d.shortSize, d.shortErr = n, err
}

// CutPower takes the power away in the middle of the n-th changing operation from
// now, n ≥ 1: it and everything after it fail with ErrPowerCut, until Crash.
func (d *Disk) CutPower(n int) { d.cutAt = d.ops + n }

// Ops counts the changing operations so far, for tests that crash at each.
func (d *Disk) Ops() int { return d.ops }
