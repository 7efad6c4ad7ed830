package wal

import (
	"encoding/binary"
	"hash/crc32"
	"path"

	"dbdb/raft"
)

// What tests need in order to make files that no Log would write.

const (
	HeaderBytes      = headerBytes
	FrameHeaderBytes = frameHeaderBytes
	MarkBytes        = markBytes
	KindSaves        = kindSaves
)

// SegmentName returns the path of a segment in a data directory.
func SegmentName(dir string, sequence uint64) string {
	return path.Join(dir, walDir, segmentName(sequence))
}

// SegmentWith returns the first segment of instance with correctly sealed frames
// of the given payloads, then raw bytes.
func SegmentWith(instance string, size int, raw []byte, payloads ...[]byte) []byte {
	h := header{sequence: 1, size: int64(size), salt: [8]byte{1, 2, 3}, instance: instance}
	b, before := h.encode(), link{}
	seed := newSegment("", h, nil).seed
	for _, p := range payloads {
		frame := append(make([]byte, frameHeaderBytes), p...)
		before = sealFrame(frame, seed, before)
		b = append(b, frame...)
	}
	b = append(b, raw...)
	return append(b, make([]byte, max(0, size-len(b)))...)[:size]
}

// SegmentOfFormat returns an empty first segment with another format version.
func SegmentOfFormat(version byte, instance string, size int) []byte {
	h := header{sequence: 1, size: int64(size), instance: instance}
	b := h.encode()
	b[atFormat] = version
	sealHeader(b)
	return append(b, make([]byte, size-len(b))...)
}

// SegmentAfter returns an empty first segment that says that an index and a frame
// were before it.
func SegmentAfter(index raft.Index, frame uint64, instance string, size int) []byte {
	h := header{sequence: 1, size: int64(size), instance: instance, last: link{seq: frame}}
	if index > 0 {
		h.before = summary{term: 1, last: position{index, 1}}
	}
	return append(h.encode(), make([]byte, size-headerBytes)...)
}

// PayloadOf encodes Saves as the payload of a frame. Their snapshots do not empty the log.
func PayloadOf(saves ...raft.Save) []byte {
	b := []byte{kindSaves, byte(len(saves))}
	for _, s := range saves {
		b = appendSave(b, s, false)
	}
	return b
}

// NoSync returns a Write that pretends that its frame was synced, for making
// large logs quickly.
func NoSync(l *Log) func(...raft.Save) error {
	return func(saves ...raft.Save) error {
		err := l.Write(saves...)
		l.dirty = false
		return err
	}
}

// Runs counts the stretches of entries whose terms a log remembers.
func Runs(l *Log) int { return len(l.state.runs) }

// SnapshotOfFormat returns the header of a snapshot with another format version.
func SnapshotOfFormat(version byte) []byte {
	b := encodeSnapshotHeader(raft.Snapshot{Index: 7, Term: 3})
	b[atFormat] = version
	sealHeader(b)
	return b
}

// SnapshotOf returns a correctly sealed snapshot file of any meta and blocks; the first
// block should be a configuration.
func SnapshotOf(m raft.Snapshot, blocks ...[]byte) []byte {
	total := 0
	for _, block := range blocks[min(1, len(blocks)):] {
		total += len(block)
	}
	return SnapshotWithTotal(uint64(total), m, blocks...)
}

// SnapshotWithTotal is SnapshotOf with an end that says how long the state is.
func SnapshotWithTotal(total uint64, m raft.Snapshot, blocks ...[]byte) []byte {
	b := encodeSnapshotHeader(m)
	crc := binary.LittleEndian.Uint32(b[atHeaderCRC:])
	for _, block := range blocks {
		if len(block) == 0 {
			continue
		}
		block = append(make([]byte, blockHeaderBytes), block...)
		crc = sealBlock(block, uint32(len(block)-blockHeaderBytes), crc)
		b = append(b, block...)
	}
	end := binary.LittleEndian.AppendUint64(make([]byte, blockHeaderBytes), total)
	sealBlock(end, 0, crc)
	return append(b, end...)
}

// Before is what the header of a segment says of the segments before it.
type Before struct {
	Term           raft.Term
	VoteBytes      int
	Last, Snapshot [2]uint64 // index and term
}

// SegmentBeginning returns an empty second segment that says so.
func SegmentBeginning(before Before, instance string, size int) []byte {
	h := header{sequence: 2, size: int64(size), instance: instance, last: link{seq: 1}, before: summary{
		term:     before.Term,
		vote:     raft.NodeID(make([]byte, before.VoteBytes)),
		last:     position{raft.Index(before.Last[0]), raft.Term(before.Last[1])},
		snapshot: position{raft.Index(before.Snapshot[0]), raft.Term(before.Snapshot[1])},
	}}
	return append(h.encode(), make([]byte, size-headerBytes)...)
}

// Places in a segment's header.
const (
	AtTerm          = atTerm
	AtLastTerm      = atLastTerm
	AtSnapshotIndex = atSnapshotIndex
	AtSnapshotTerm  = atSnapshotTerm
	AtVote          = atVote
)

// ChangeHeader changes one byte of a segment's header, correctly sealed.
func ChangeHeader(segment []byte, at int, b byte) []byte {
	segment = append([]byte{}, segment...)
	segment[at] = b
	sealHeader(segment[:headerBytes])
	return segment
}

// Reseal repairs segments that follow each other, the first of which has the given number:
// numbers, sizes, links and checksums fit their bytes then. What is judged of bytes that
// were changed is what they say, and not that they were changed.
func Reseal(first uint64, segments ...[]byte) {
	var proved, newest link
	for k, b := range segments {
		if len(b) < headerBytes {
			return
		}
		if k == 0 && first > 1 {
			proved.seq = binary.LittleEndian.Uint64(b[atLastSeq:])
			newest.seq = proved.seq + 1 // the frame that ended the segment before
		}
		binary.LittleEndian.PutUint64(b[atSequence:], first+uint64(k))
		binary.LittleEndian.PutUint64(b[atSize:], uint64(len(b)))
		binary.LittleEndian.PutUint64(b[atLastSeq:], proved.seq)
		binary.LittleEndian.PutUint32(b[atLastCRC:], proved.crc)
		sealHeader(b[:headerBytes])
		proved, newest = resealFrames(b, newest)
	}
}

// resealFrames repairs the frames of a segment. It returns the last one that a header
// after it names, and the last one of all.
func resealFrames(b []byte, newest link) (proved, last link) {
	seed := crc32.Checksum(b[atSalt:atSalt+8], castagnoli)
	proved = newest
	for b = b[headerBytes:]; len(b) > frameHeaderBytes; {
		length := uint64(binary.LittleEndian.Uint32(b))
		if length == 0 || length > uint64(len(b)-frameHeaderBytes) {
			break
		}
		frame := b[:frameHeaderBytes+length]
		newest = sealFrame(frame, seed, newest)
		if frame[frameHeaderBytes] != kindContinued {
			proved = newest
		}
		b = b[len(frame):]
	}
	return proved, newest
}

// ResealSnapshot does the same for a snapshot's file, and returns the index and the term
// that it claims to end with.
func ResealSnapshot(b []byte) (raft.Index, raft.Term) {
	if len(b) < headerBytes {
		return 0, 0
	}
	sealHeader(b[:headerBytes])
	crc, total, blocks := binary.LittleEndian.Uint32(b[atHeaderCRC:]), uint64(0), 0
	for rest := b[headerBytes:]; len(rest) >= blockHeaderBytes; blocks++ {
		length := binary.LittleEndian.Uint32(rest)
		if length == 0 {
			if len(rest) >= snapshotEndBytes {
				binary.LittleEndian.PutUint64(rest[blockHeaderBytes:], total)
				sealBlock(rest[:snapshotEndBytes], 0, crc)
			}
			break
		}
		if uint64(length) > uint64(len(rest)-blockHeaderBytes) {
			break
		}
		block := rest[:blockHeaderBytes+length]
		crc = sealBlock(block, length, crc)
		if rest = rest[len(block):]; blocks > 0 { // the first is the configuration
			total += uint64(length)
		}
	}
	return raft.Index(binary.LittleEndian.Uint64(b[atSnapIndex:])), raft.Term(binary.LittleEndian.Uint64(b[atSnapTerm:]))
}
