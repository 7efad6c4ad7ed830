package rpc

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"slices"
	"time"
)

// After the hello a connection carries frames, in both directions:
//
//	length  4 bytes, big endian: of kind, seq and payload together
//	crc     4 bytes: CRC32C of length, kind, seq and payload
//	kind    1 byte
//	seq     uvarint: net/rpc's number of the call; a reply repeats its request's
//	payload the message
const (
	lengthBytes = 4
	crcBytes    = 4
	headerBytes = lengthBytes + crcBytes + 1 // with the kind

	// MaxFrameBytes bounds the length of a frame. A caller must keep an
	// AppendEntries below it; a longer one is never sent, its call fails.
	MaxFrameBytes = 16 << 20

	// maxReplyBytes bounds the frames that a client accepts: no reply is longer.
	maxReplyBytes = 4096

	// pieceBytes is how much memory the claim of a length is worth. Beyond it a
	// buffer at most doubles with the bytes that really arrive.
	pieceBytes = 64 << 10

	// pieceTimeout bounds the time for each pieceBytes of a frame, from its first byte
	// on, so that a sender who stops half-way does not hold the connection. A bound on
	// the whole frame would be one on the link: a chunk of a snapshot takes 8 s over
	// 1 Mbit/s, and all the time there is progress.
	pieceTimeout = 5 * time.Second

	readBufferBytes = 32 << 10
)

// kind says what a frame's payload is.
type kind uint8

const (
	kindRequestVoteArgs kind = 1 + iota
	kindRequestVoteReply
	kindAppendEntriesArgs
	kindAppendEntriesReply
	kindReadIndexArgs
	kindReadIndexReply
	kindInstallSnapshotArgs
	kindInstallSnapshotReply
	kindTimeoutNowArgs
	kindTimeoutNowReply
	kindError // a reply: the payload is a sentence
)

// method is the name under which net/rpc knows what a request asks for.
func (k kind) method() string {
	switch k {
	case kindRequestVoteArgs:
		return "Raft.RequestVote"
	case kindAppendEntriesArgs:
		return "Raft.AppendEntries"
	case kindReadIndexArgs:
		return "Raft.ReadIndex"
	case kindInstallSnapshotArgs:
		return "Raft.InstallSnapshot"
	case kindTimeoutNowArgs:
		return "Raft.TimeoutNow"
	}
	return fmt.Sprintf("Raft.Kind%d", uint8(k)) // net/rpc answers that it has no such method
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// beginFrame appends the start of a frame to buf; its payload follows.
func beginFrame(buf []byte, k kind, seq uint64) []byte {
	buf = append(buf, make([]byte, lengthBytes+crcBytes)...)
	buf = append(buf, byte(k))
	return binary.AppendUvarint(buf, seq)
}

// endFrame completes the frame that begins at start. A frame that is too long is cut
// off again and the error says so.
func endFrame(buf []byte, start int) ([]byte, error) {
	frame := buf[start:]
	length := len(frame) - lengthBytes - crcBytes
	if length > MaxFrameBytes {
		return buf[:start], fmt.Errorf("message of %d bytes: the limit is %d", length, MaxFrameBytes)
	}
	binary.BigEndian.PutUint32(frame, uint32(length))
	binary.BigEndian.PutUint32(frame[lengthBytes:], frameCRC(frame, frame[lengthBytes+crcBytes:]))
	return buf, nil
}

// frameCRC is the checksum over the length in header and over what follows the checksum.
func frameCRC(header, rest []byte) uint32 {
	return crc32.Update(crc32.Checksum(header[:lengthBytes], castagnoli), castagnoli, rest)
}

// frame is one that was received.
type frame struct {
	kind    kind
	seq     uint64
	payload []byte
	size    int
}

// frameReader reads the frames of one connection.
type frameReader struct {
	conn    net.Conn
	in      *bufio.Reader
	limit   int    // of a frame's length
	scratch []byte // the payload of the frames that nobody keeps
}

// next waits for a frame, as long as it takes, and reads it, piece by piece within
// pieceTimeout. The payload is valid until the next call, except for an AppendEntries or
// an InstallSnapshot: the handler keeps their data, so these get memory of their own.
// io.EOF means that the connection ended between two frames.
func (r *frameReader) next() (frame, error) {
	if _, err := r.in.Peek(1); err != nil {
		return frame{}, err
	}
	// A frame that is here already needs no deadline, and most frames are small
	// and arrive whole.
	timed := !r.buffered(headerBytes)
	if timed {
		if err := r.allowOnePiece(); err != nil {
			return frame{}, err
		}
	}
	return r.read(timed)
}

// allowOnePiece sets the time by which the next piece must be here.
func (r *frameReader) allowOnePiece() error {
	return r.conn.SetReadDeadline(time.Now().Add(pieceTimeout))
}

// buffered says whether n bytes and, if a header is among them, the whole frame
// have been received.
func (r *frameReader) buffered(n int) bool {
	have := r.in.Buffered()
	if have < n {
		return false
	}
	header, _ := r.in.Peek(lengthBytes)
	return have-lengthBytes-crcBytes >= int(binary.BigEndian.Uint32(header))
}

func (r *frameReader) read(timed bool) (frame, error) {
	header, err := r.in.Peek(headerBytes) // valid until the next read
	if err != nil {
		return frame{}, midway(err)
	}
	length := int(binary.BigEndian.Uint32(header))
	if length < 2 || length > r.limit {
		return frame{}, malformed("frame of %d bytes: the limit is %d", length, r.limit)
	}
	k := kind(header[headerBytes-1])
	want := binary.BigEndian.Uint32(header[lengthBytes:])
	crc := frameCRC(header, header[headerBytes-1:])
	if _, err := r.in.Discard(headerBytes); err != nil {
		return frame{}, err
	}
	rest, err := r.rest(k, length-1)
	if err != nil {
		return frame{}, midway(err)
	}
	if crc32.Update(crc, castagnoli, rest) != want {
		return frame{}, malformed("frame with a wrong checksum")
	}
	seq, n := binary.Uvarint(rest)
	if n <= 0 {
		return frame{}, malformed("frame without a number")
	}
	if timed {
		err = r.conn.SetReadDeadline(time.Time{})
	}
	return frame{kind: k, seq: seq, payload: rest[n:], size: length}, err
}

// rest reads the n bytes of a frame after its kind.
func (r *frameReader) rest(k kind, n int) ([]byte, error) {
	if k == kindAppendEntriesArgs || k == kindInstallSnapshotArgs {
		return r.readGrowing(nil, n)
	}
	buf, err := r.readGrowing(r.scratch, n)
	if cap(buf) <= pieceBytes {
		r.scratch = buf
	}
	return buf, err
}

// readGrowing reads n bytes into buf, which grows as they arrive: the length that a
// frame claims is not worth an allocation of 16 MiB. The first piece has the deadline of
// the frame's first byte. A frame without a deadline is here already, and ends with its
// first piece.
func (r *frameReader) readGrowing(buf []byte, n int) ([]byte, error) {
	buf = buf[:0]
	for len(buf) < n {
		have := len(buf)
		if have > 0 {
			if err := r.allowOnePiece(); err != nil {
				return buf, err
			}
		}
		piece := min(n-have, pieceBytes)
		if cap(buf)-have < piece {
			buf = slices.Grow(buf, min(n-have, max(pieceBytes, have)))
		}
		buf = buf[:have+piece]
		if _, err := io.ReadFull(r.in, buf[have:]); err != nil {
			return buf[:have], err
		}
	}
	return buf, nil
}

// midway turns the end of the stream into an error where it must not end.
func midway(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
