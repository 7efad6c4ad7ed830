package wal

import (
	"errors"
	"io/fs"
	"path"

	"dbdb/raft"
)

// recovery reads a log and decides what it is, without changing anything. Only
// when all of it was judged sound does it repair.
type recovery struct {
	fsys     FS
	dir      string
	instance string

	state   state
	entries []raft.Entry // without a hole, to the end of the log
	remain  []beginning  // of the segments
	arena   arena
	buf     []byte // the segment being read

	last link // the newest frame
	// unlinked says that last's checksum is not known: its segment is gone.
	unlinked bool
	proved   link  // the newest frame that the next segment's header must name
	kind     byte  // of the newest frame
	start    int64 // in active, where the newest frame begins
	offset   int64 // in active, where it ends
	// tornTo is where the bytes of a torn frame at offset end, 0 if none is torn.
	tornTo int64

	previous, active *segment
	end              ending // of previous

	snapshots snapshotFiles
	first     header        // of the first segment
	inForce   raft.Snapshot // Index 0 if there is none
	lost      lostRecord
}

// ending is where a segment's last frame is or, if a crash interrupted the roll to the
// next segment, should be.
type ending struct {
	at      int64
	after   link  // the frame before it
	missing bool  // or torn
	tornTo  int64 // where the bytes of a torn one end
}

// recoverLog opens the log in dir, and finds the snapshot in force.
func recoverLog(fsys FS, dir, instance string, snapshots snapshotFiles, opt Options) (_ *Log, err error) {
	r := &recovery{fsys: fsys, dir: dir, instance: instance, snapshots: snapshots}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.close())
		}
	}()
	sequences, err := r.list()
	if err != nil {
		return nil, err
	}
	if err := r.reserve(sequences); err != nil {
		return nil, err
	}
	for k, sequence := range sequences {
		if err := r.read(sequence, k == len(sequences)-1); err != nil {
			return nil, err
		}
	}
	written := r.state.summary
	if err := r.findSnapshot(); err != nil {
		return nil, err
	}
	l := &Log{
		fsys: fsys, dir: dir, instance: instance, random: opt.Random, segmentBytes: opt.SegmentBytes, snapshots: snapshots,
		state: r.state, written: written, active: r.active, remain: r.remain, offset: r.offset, last: r.last, bare: r.kind == kindSaves,
		restored: &raft.Restored{Term: r.state.term, VotedFor: r.state.vote, Snapshot: r.inForce, Entries: r.entries},
	}
	if r.tornTo > 0 {
		l.repair = &Repair{File: r.active.name, Offset: r.offset, Bytes: r.tornTo - r.offset}
	}
	if err := r.finish(l); err != nil {
		return nil, err
	}
	return l, nil
}

func (r *recovery) close() error {
	var errs []error
	for _, s := range []*segment{r.previous, r.active} {
		if s != nil {
			errs = append(errs, s.file.Close())
		}
	}
	return errors.Join(errs...)
}

// list finds the segments. Their numbers leave no hole. Whether those before the first may
// be gone is judged when it is known what the snapshot covers.
func (r *recovery) list() ([]uint64, error) {
	names, err := r.fsys.ReadDir(r.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var sequences []uint64
	for _, name := range names {
		if sequence, ok := segmentSequence(name); ok {
			sequences = append(sequences, sequence)
		}
	}
	if len(sequences) == 0 {
		return nil, r.missing(1)
	}
	for k, sequence := range sequences {
		if want := sequences[0] + uint64(k); sequence != want {
			return nil, r.missing(want)
		}
	}
	return sequences, nil
}

func (r *recovery) missing(sequence uint64) error {
	return &CorruptError{path.Join(r.dir, segmentName(sequence)), 0, "this segment is missing"}
}

// read takes over one segment after another.
func (r *recovery) read(sequence uint64, newest bool) error {
	if r.previous != nil {
		if err := r.previous.file.Close(); err != nil {
			return err
		}
	}
	r.previous, r.active = r.active, nil
	if err := r.load(sequence); err != nil {
		return err
	}
	if r.previous == nil {
		r.begin()
	}
	if err := r.follows(newest); err != nil {
		return err
	}
	r.remain = append(r.remain, r.active.beginning())
	r.proved, r.kind, r.start, r.offset = r.last, 0, headerBytes, headerBytes
	return r.frames(newest)
}

// begin takes the word of the first segment's header for what was before it. Nothing was
// before segment 1, which is left to follows.
func (r *recovery) begin() {
	r.first = r.active.header
	if r.first.sequence == 1 {
		return
	}
	r.state = beginAt(r.first.before)
	r.proved = r.first.last
	r.last, r.unlinked = link{seq: r.first.last.seq + 1}, true
}

// mostReserved bounds what is reserved on the word of one header.
const mostReserved = 4 << 20

// reserve makes room for as many entries as there will be, by what the headers of the
// first and the newest segment say of the segments before them. Growing step by step would
// take twice the memory. It is a guess: a header that is wrong is refused when its turn
// comes to be read.
func (r *recovery) reserve(sequences []uint64) error {
	n := uint64(len(sequences))
	if n == 1 {
		return nil
	}
	var last [2]uint64 // before the first and before the newest segment
	for k, sequence := range []uint64{sequences[0], sequences[n-1]} {
		f, name, _, b, err := r.openSegment(sequence)
		if err != nil {
			return err
		}
		if h, err := decodeHeader(name, b); err == nil {
			last[k] = uint64(h.before.last.index)
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	if last[0] < last[1] {
		perSegment := (last[1]-last[0])/(n-1) + 1
		r.entries = make([]raft.Entry, 0, min(perSegment, mostReserved/n)*n)
	}
	return nil
}
