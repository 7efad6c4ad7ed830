package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"dbdb/raft"
)

// A frame is a header of 24 bytes and a payload. The header has a checksum of
// its own: its length can be trusted before the payload is read, and it is
// evidence for the frame before it even if its own payload was torn.
//
//	length u32 · CRC of payload u32 · number u64 · CRC of the header before u32 · CRC of these 20 bytes u32
//
// A frame that begins with zeros is none: no frame is empty.
const (
	frameHeaderBytes = 24
	// markBytes is the size of a frame whose payload is only its kind.
	markBytes = frameHeaderBytes + 1
	// maxPayload bounds one Write. No batch of entries comes near it.
	maxPayload = 1 << 30
)

// The first byte of a payload says what the frame is.
const (
	kindSaves     = 1 // Saves follow
	kindIdle      = 2 // nothing; evidence that the frame before it was synced
	kindContinued = 3 // nothing; the last frame of a segment once the next one exists
)

type frameHeader struct {
	length     uint32
	payloadCRC uint32
	link              // of this frame
	prev       uint32 // checksum of the header of the frame before
}

// sealFrame fills in the header of a frame whose payload starts at
// b[frameHeaderBytes], and returns its link.
func sealFrame(b []byte, seed uint32, before link) link {
	payload := b[frameHeaderBytes:]
	binary.LittleEndian.PutUint32(b, uint32(len(payload)))
	binary.LittleEndian.PutUint32(b[4:], crc32.Update(seed, castagnoli, payload))
	binary.LittleEndian.PutUint64(b[8:], before.seq+1)
	binary.LittleEndian.PutUint32(b[16:], before.crc)
	crc := crc32.Update(seed, castagnoli, b[:20])
	binary.LittleEndian.PutUint32(b[20:], crc)
	return link{before.seq + 1, crc}
}

// openFrameHeader reads a frame's header. It is false if b does not begin with
// one that was written into this segment.
func openFrameHeader(b []byte, seed uint32) (frameHeader, bool) {
	if len(b) < frameHeaderBytes {
		return frameHeader{}, false
	}
	h := frameHeader{
		length:     binary.LittleEndian.Uint32(b),
		payloadCRC: binary.LittleEndian.Uint32(b[4:]),
		link:       link{binary.LittleEndian.Uint64(b[8:]), binary.LittleEndian.Uint32(b[20:])},
		prev:       binary.LittleEndian.Uint32(b[16:]),
	}
	return h, h.length != 0 && crc32.Update(seed, castagnoli, b[:20]) == h.crc
}

// appendSave writes one Save of a frame: term and vote first, then the truncation, then
// the snapshot and whether it empties the log, then the entries.
func appendSave(b []byte, s raft.Save, empties bool) []byte {
	b = binary.AppendUvarint(b, uint64(s.Term))
	b = binary.AppendUvarint(b, uint64(len(s.VotedFor)))
	b = append(b, s.VotedFor...)
	b = binary.AppendUvarint(b, uint64(s.TruncateFrom))
	b = binary.AppendUvarint(b, uint64(s.Snapshot.Index))
	if s.Snapshot.Index != 0 {
		b = binary.AppendUvarint(b, uint64(s.Snapshot.Term))
		flag := byte(0)
		if empties {
			flag = 1
		}
		b = append(b, flag)
	}
	b = binary.AppendUvarint(b, uint64(len(s.Entries)))
	for _, e := range s.Entries {
		b = raft.AppendEntry(b, e)
	}
	return b
}

var errShort = errors.New("the frame ends in the middle of a Save")

// savesReader reads the payload of a frame of Saves, one part at a time, so that a
// large frame needs no second copy in memory. Its first error stays.
type savesReader struct {
	data []byte
	err  error
}

func (r *savesReader) number() uint64 {
	v, n := binary.Uvarint(r.data)
	if n <= 0 {
		r.fail(errShort)
		return 0
	}
	r.data = r.data[n:]
	return v
}

func (r *savesReader) bytes(n uint64) []byte {
	if n > uint64(len(r.data)) {
		r.fail(errShort)
		return nil
	}
	b := r.data[:n]
	r.data = r.data[n:]
	return b
}

func (r *savesReader) entry() raft.Entry {
	e, rest, err := raft.DecodeEntry(r.data)
	if err != nil {
		r.fail(err)
		return raft.Entry{}
	}
	r.data = rest
	return e
}

func (r *savesReader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.data = nil
}

// saveVisitor is given the parts of Saves, in order.
type saveVisitor interface {
	advance(term raft.Term, vote []byte, truncateFrom raft.Index) error
	install(p position, empties bool) error
	add(e raft.Entry) error
}

// eachSave reads the Saves of a frame.
func eachSave(payload []byte, v saveVisitor) error {
	r := &savesReader{data: payload}
	for saves := r.number(); saves > 0 && r.err == nil; saves-- {
		if err := r.save(v); err != nil {
			return err
		}
	}
	if r.err == nil && len(r.data) > 0 {
		return fmt.Errorf("%d bytes follow the last Save of the frame", len(r.data))
	}
	return r.err
}

func (r *savesReader) save(v saveVisitor) error {
	term := raft.Term(r.number())
	vote := r.bytes(r.number())
	truncate := raft.Index(r.number())
	snapshot, empties := r.snapshot()
	entries := r.number()
	if r.err != nil {
		return r.err
	}
	if err := v.advance(term, vote, truncate); err != nil {
		return err
	}
	if snapshot.index != 0 {
		if err := v.install(snapshot, empties); err != nil {
			return err
		}
	}
	for ; entries > 0; entries-- {
		e := r.entry()
		if r.err != nil {
			return r.err
		}
		if err := v.add(e); err != nil {
			return err
		}
	}
	return nil
}

func (r *savesReader) snapshot() (p position, empties bool) {
	if p.index = raft.Index(r.number()); p.index == 0 {
		return position{}, false
	}
	p.term = raft.Term(r.number())
	flag := r.bytes(1)
	if r.err == nil && flag[0] > 1 {
		r.fail(fmt.Errorf("snapshot %v with flag %d", p, flag[0]))
	}
	return p, r.err == nil && flag[0] == 1
}
