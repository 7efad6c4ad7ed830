package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"path"
	"strconv"
	"strings"

	"dbdb/raft"
)

// A segment is a file of frames. Its header fills the first sector, so that no
// later write touches it.
const (
	headerBytes  = 512
	headerMagic  = "dbdb.wal"
	walFormat    = 2
	instanceSize = 32
	// tmpName is the name of a segment that is being made.
	tmpName = "next.tmp"
	// segmentSuffix ends the names of complete segments.
	segmentSuffix = ".wal"
)

// Offsets in the header. Magic, format and checksum stay where they are in every
// later format, so that a newer header can be told from a damaged one.
const (
	atFormat        = 8
	atSequence      = 16
	atSize          = 24
	atSalt          = 32
	atLastSeq       = 40
	atLastCRC       = 48
	atLastIndex     = 56
	atInstance      = 64
	atLastTerm      = 96
	atTerm          = 104
	atSnapshotIndex = 112
	atSnapshotTerm  = 120
	atVoteBytes     = 128
	atVote          = 132
	atHeaderCRC     = headerBytes - 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// header is what a segment says about itself.
type header struct {
	sequence uint64 // 1 for the first segment
	size     int64  // of the file, in bytes
	// salt goes into every checksum of the segment's frames. Without it a client
	// could store a value that looks like a frame.
	salt [8]byte
	// last is the newest frame before this segment, but for the one that says that this
	// segment exists. It was synced before the segment was made, so a segment before
	// that ends earlier has lost its tail.
	last link
	// before is all that the segments before this one say, but for the entries: they can go
	// when a snapshot covers those.
	before summary
	// instance is the owner of the data directory: a segment that was copied from
	// another one is not ours.
	instance string
}

// link identifies a frame, as the one that follows it does.
type link struct {
	seq uint64 // counts the frames of the whole log from 1; 0 is before the first
	crc uint32 // of the frame's header, which covers the payload's checksum
}

func (h header) encode() []byte {
	b := make([]byte, headerBytes)
	copy(b, headerMagic)
	binary.LittleEndian.PutUint32(b[atFormat:], walFormat)
	binary.LittleEndian.PutUint64(b[atSequence:], h.sequence)
	binary.LittleEndian.PutUint64(b[atSize:], uint64(h.size))
	copy(b[atSalt:], h.salt[:])
	binary.LittleEndian.PutUint64(b[atLastSeq:], h.last.seq)
	binary.LittleEndian.PutUint32(b[atLastCRC:], h.last.crc)
	binary.LittleEndian.PutUint64(b[atLastIndex:], uint64(h.before.last.index))
	copy(b[atInstance:atInstance+instanceSize], h.instance)
	binary.LittleEndian.PutUint64(b[atLastTerm:], uint64(h.before.last.term))
	binary.LittleEndian.PutUint64(b[atTerm:], uint64(h.before.term))
	binary.LittleEndian.PutUint64(b[atSnapshotIndex:], uint64(h.before.snapshot.index))
	binary.LittleEndian.PutUint64(b[atSnapshotTerm:], uint64(h.before.snapshot.term))
	binary.LittleEndian.PutUint32(b[atVoteBytes:], uint32(len(h.before.vote)))
	copy(b[atVote:atVote+raft.MaxNodeIDBytes], h.before.vote)
	sealHeader(b)
	return b
}

func sealHeader(b []byte) {
	binary.LittleEndian.PutUint32(b[atHeaderCRC:], crc32.Checksum(b[:atHeaderCRC], castagnoli))
}

// decodeHeader reads what encode wrote. The file's name is for its errors.
func decodeHeader(name string, b []byte) (header, error) {
	switch {
	case len(b) < headerBytes:
		return header{}, &CorruptError{name, 0, fmt.Sprintf("the file has %d bytes, less than a segment's header", len(b))}
	case string(b[:len(headerMagic)]) != headerMagic:
		return header{}, &CorruptError{name, 0, "this is not a segment of a write-ahead log"}
	case crc32.Checksum(b[:atHeaderCRC], castagnoli) != binary.LittleEndian.Uint32(b[atHeaderCRC:]):
		return header{}, &CorruptError{name, 0, "the checksum of the segment's header is wrong"}
	}
	if v := binary.LittleEndian.Uint32(b[atFormat:]); v != walFormat {
		return header{}, &FormatError{name, uint64(v)}
	}
	before, err := decodeSummary(b)
	if err != nil {
		return header{}, &CorruptError{name, atLastIndex, "what the header says of the segments before this one is impossible: " + err.Error()}
	}
	return header{
		sequence: binary.LittleEndian.Uint64(b[atSequence:]),
		size:     int64(binary.LittleEndian.Uint64(b[atSize:])),
		salt:     [8]byte(b[atSalt:]),
		last:     link{binary.LittleEndian.Uint64(b[atLastSeq:]), binary.LittleEndian.Uint32(b[atLastCRC:])},
		before:   before,
		instance: strings.TrimRight(string(b[atInstance:atInstance+instanceSize]), "\x00"),
	}, nil
}

func decodeSummary(b []byte) (summary, error) {
	pair := func(atIndex, atTerm int) position {
		return position{raft.Index(binary.LittleEndian.Uint64(b[atIndex:])), raft.Term(binary.LittleEndian.Uint64(b[atTerm:]))}
	}
	voteBytes := binary.LittleEndian.Uint32(b[atVoteBytes:])
	if voteBytes > raft.MaxNodeIDBytes {
		return summary{}, fmt.Errorf("votedFor has %d bytes", voteBytes)
	}
	s := summary{
		term:     raft.Term(binary.LittleEndian.Uint64(b[atTerm:])),
		vote:     raft.NodeID(b[atVote:][:voteBytes]),
		last:     pair(atLastIndex, atLastTerm),
		snapshot: pair(atSnapshotIndex, atSnapshotTerm),
	}
	return s, s.validate()
}

func segmentName(sequence uint64) string { return fmt.Sprintf("%016x%s", sequence, segmentSuffix) }

// segmentSequence reads a segment's name. Other names are not segments.
func segmentSequence(name string) (uint64, bool) {
	digits, found := strings.CutSuffix(name, segmentSuffix)
	sequence, err := strconv.ParseUint(digits, 16, 64)
	return sequence, found && err == nil && segmentName(sequence) == name
}

// segment is an open one.
type segment struct {
	header
	name string
	file File
	seed uint32 // the checksum of the salt, with which all others begin
}

func newSegment(dir string, h header, f File) *segment {
	return &segment{
		header: h,
		name:   path.Join(dir, segmentName(h.sequence)),
		file:   f,
		seed:   crc32.Checksum(h.salt[:], castagnoli),
	}
}

// createSegment makes a segment without frames, durable under its name. It has its
// name only when it is complete: whatever has the name and is not complete was
// damaged later.
func createSegment(fsys FS, dir string, random io.Reader, h header) (_ *segment, err error) {
	if _, err := io.ReadFull(random, h.salt[:]); err != nil {
		return nil, fmt.Errorf("random salt for a segment: %w", err)
	}
	tmp := path.Join(dir, tmpName)
	f, err := fsys.Create(tmp)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close())
		}
	}()
	if err := f.Allocate(h.size); err != nil {
		return nil, err
	}
	if err := writeAt(f, h.encode(), 0); err != nil {
		return nil, err
	}
	if err := f.Sync(); err != nil {
		return nil, err
	}
	s := newSegment(dir, h, f)
	if err := fsys.Rename(tmp, s.name); err != nil {
		return nil, err
	}
	return s, fsys.SyncDir(dir)
}

// writeAt writes all of b or returns an error.
func writeAt(f File, b []byte, off int64) error {
	n, err := f.WriteAt(b, off)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	return err
}
