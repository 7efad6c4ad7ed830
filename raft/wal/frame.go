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

// maxTerm bounds the terms that are read; the same as in the core.
const maxTerm raft.Term = 1 << 62

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

// appendSaves writes the payload of a frame of the n Saves that save something.
// In each, term and vote come first, then the truncation, then the entries.
func appendSaves(b []byte, n int, saves []raft.Save) []byte {
	b = append(b, kindSaves)
	b = binary.AppendUvarint(b, uint64(n))
	for _, s := range saves {
		if s.Seq == 0 {
			continue
		}
		b = binary.AppendUvarint(b, uint64(s.Term))
		b = binary.AppendUvarint(b, uint64(len(s.VotedFor)))
		b = append(b, s.VotedFor...)
		b = binary.AppendUvarint(b, uint64(s.TruncateFrom))
		b = binary.AppendUvarint(b, uint64(len(s.Entries)))
		for _, e := range s.Entries {
			b = raft.AppendEntry(b, e)
		}
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

// eachSave reads Saves and hands their parts to advance and add, in order.
func eachSave(payload []byte, advance func(term raft.Term, vote []byte, truncateFrom raft.Index) error, add func(raft.Entry) error) error {
	r := &savesReader{data: payload}
	for saves := r.number(); saves > 0 && r.err == nil; saves-- {
		term := raft.Term(r.number())
		vote := r.bytes(r.number())
		truncate := raft.Index(r.number())
		entries := r.number()
		if r.err != nil {
			return r.err
		}
		if err := advance(term, vote, truncate); err != nil {
			return err
		}
		for ; entries > 0 && r.err == nil; entries-- {
			e := r.entry()
			if r.err != nil {
				return r.err
			}
			if err := add(e); err != nil {
				return err
			}
		}
	}
	if r.err == nil && len(r.data) > 0 {
		return fmt.Errorf("%d bytes follow the last Save of the frame", len(r.data))
	}
	return r.err
}
