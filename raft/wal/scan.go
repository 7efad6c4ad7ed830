package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"path"
)

// openSegment opens a segment and reads what should be its header.
func (r *recovery) openSegment(sequence uint64) (f File, name string, size int64, b []byte, err error) {
	name = path.Join(r.dir, segmentName(sequence))
	if f, err = r.fsys.Open(name); err != nil {
		return nil, name, 0, nil, err
	}
	if size, err = f.Size(); err == nil {
		b = make([]byte, min(size, headerBytes))
		err = readAt(f, b, 0)
	}
	if err != nil {
		return nil, name, 0, nil, errors.Join(err, f.Close())
	}
	return f, name, size, b, nil
}

// load opens a segment and reads it into buf. The header is judged first, so that the
// size of the buffer is not some damaged number.
func (r *recovery) load(sequence uint64) error {
	f, name, size, b, err := r.openSegment(sequence)
	if err != nil {
		return err
	}
	r.active = &segment{file: f}
	h, err := decodeHeader(name, b)
	switch {
	case err != nil:
		return err
	case h.instance != r.instance:
		return &CorruptError{name, atInstance, fmt.Sprintf("this segment belongs to instance %q, the data directory to %q", h.instance, r.instance)}
	case h.sequence != sequence:
		return &CorruptError{name, atSequence, fmt.Sprintf("this is segment %d under the name of segment %d", h.sequence, sequence)}
	case size < headerBytes+markBytes:
		return &CorruptError{name, size, fmt.Sprintf("a segment of %d bytes has no room for a frame", size)}
	case h.size != size:
		return &CorruptError{name, min(h.size, size), fmt.Sprintf("the segment was made with %d bytes and now has %d", h.size, size)}
	}
	r.active = newSegment(r.dir, h, f)
	if int64(cap(r.buf)) < size {
		r.buf = make([]byte, size)
	}
	r.buf = r.buf[:size]
	return readAt(f, r.buf, 0)
}

// readAt fills b or returns an error.
func readAt(f File, b []byte, off int64) error {
	n, err := f.ReadAt(b, off)
	if n == len(b) {
		return nil
	}
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// follows judges whether the active segment continues the previous one. Its header
// was made when the frame that it names was durable, so whatever is missing before
// it was lost.
func (r *recovery) follows(newest bool) error {
	h := r.active.header
	if r.state.last.term == 0 {
		r.state.learnLastTerm(h.before.last)
	}
	switch {
	case h.last != r.proved:
		if r.previous == nil {
			return &CorruptError{r.active.name, atLastSeq, fmt.Sprintf("the first segment says that frame %d was before it", h.last.seq)}
		}
		return &CorruptError{r.previous.name, r.offset, fmt.Sprintf("the log ends after frame %d, but the next segment was made after frame %d", r.proved.seq, h.last.seq)}
	case h.before != r.state.summary:
		return &CorruptError{r.active.name, atLastIndex, fmt.Sprintf("the segment begins after index %d, but the log before it ends at %d, or they differ in term, vote or snapshot",
			h.before.last.index, r.state.last.index)}
	case r.end.missing && (!newest || lastNonZero(r.buf) > headerBytes):
		return &CorruptError{r.previous.name, r.end.at, "the last frame of the segment is damaged: the next segment has frames"}
	}
	return nil
}

// frames replays the frames of the segment in buf.
func (r *recovery) frames(newest bool) error {
	for {
		b := r.buf[r.offset:]
		h, ok := openFrameHeader(b, r.active.seed)
		if !ok {
			return r.stop(newest)
		}
		if r.unlinked {
			r.last.crc, r.unlinked = h.prev, false
			r.proved = r.last
		}
		switch {
		case h.seq != r.last.seq+1 || h.prev != r.last.crc:
			return r.corrupt("frame %d stands where frame %d should", h.seq, r.last.seq+1)
		case int64(h.length) > int64(len(b)-frameHeaderBytes):
			return r.corrupt("frame %d is longer than its segment", h.seq)
		}
		payload := b[frameHeaderBytes:][:h.length]
		if crc32.Update(r.active.seed, castagnoli, payload) != h.payloadCRC {
			return r.stop(newest)
		}
		if err := r.replay(payload); err != nil {
			return r.corrupt("frame %d: %v", h.seq, err)
		}
		if room := len(b) - frameHeaderBytes - len(payload); payload[0] != kindContinued && room < markBytes {
			return r.corrupt("frame %d leaves no room for the one that ends the segment", h.seq)
		}
		r.last, r.kind, r.start = h.link, payload[0], r.offset
		r.offset += frameHeaderBytes + int64(h.length)
		if r.kind == kindContinued {
			return r.ended(newest)
		}
		r.proved = h.link
	}
}

func (r *recovery) corrupt(format string, args ...any) error {
	return &CorruptError{r.active.name, r.offset, fmt.Sprintf(format, args...)}
}

// ended judges the rest of a segment after its last frame.
func (r *recovery) ended(newest bool) error {
	if newest {
		return r.missing(r.active.sequence + 1)
	}
	if lastNonZero(r.buf[r.offset:]) > 0 {
		return r.corrupt("there are bytes after the last frame of the segment")
	}
	r.end = ending{at: r.start, after: r.proved}
	return nil
}

// stop judges what begins where there is no valid frame: the end of the log, a
// torn frame, or a damaged one.
func (r *recovery) stop(newest bool) error {
	rest := r.buf[r.offset:]
	if at, h, found := findFrame(rest, r.active.seed); found {
		return r.corrupt("frame %d is damaged: frame %d, at offset %d, was written after it was synced",
			r.last.seq+1, h.seq, r.offset+int64(at))
	}
	tornTo := int64(0)
	if n := lastNonZero(rest); n > 0 {
		tornTo = r.offset + int64(n)
	}
	if !newest {
		r.end = ending{at: r.offset, after: r.last, missing: true, tornTo: tornTo}
		return nil
	}
	r.tornTo = tornTo
	return nil
}

// findFrame looks for a frame's header after the first byte of b. Payloads cannot
// contain one, as they do not know the salt.
func findFrame(b []byte, seed uint32) (at int, h frameHeader, found bool) {
	end := min(lastNonZero(b), len(b)-frameHeaderBytes+1)
	for at = 1; at < end; at++ {
		// The length is judged first because checksums cost more.
		room := uint64(len(b) - at - frameHeaderBytes)
		if length := binary.LittleEndian.Uint32(b[at:]); length == 0 || uint64(length) > room {
			continue
		}
		if h, found = openFrameHeader(b[at:], seed); found {
			return at, h, true
		}
	}
	return 0, frameHeader{}, false
}

// lastNonZero returns the length of b without its trailing zeros.
func lastNonZero(b []byte) int {
	n := len(b)
	for n >= len(zeroBlock) && [len(zeroBlock)]byte(b[n-len(zeroBlock):n]) == zeroBlock {
		n -= len(zeroBlock)
	}
	for n > 0 && b[n-1] == 0 {
		n--
	}
	return n
}

var zeroBlock [1024]byte
