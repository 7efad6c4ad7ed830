package wal

import (
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
	h := header{sequence: 1, size: int64(size), instance: instance, lastIndex: index, last: link{seq: frame}}
	return append(h.encode(), make([]byte, size-headerBytes)...)
}

// PayloadOf encodes Saves as the payload of a frame.
func PayloadOf(saves ...raft.Save) []byte {
	for k := range saves {
		saves[k].Seq = 1
	}
	return appendSaves(nil, len(saves), saves)
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
