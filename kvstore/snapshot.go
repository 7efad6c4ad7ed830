package kvstore

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"dbdb/raft"

	"github.com/tidwall/btree"
)

// A snapshot (§7) is the whole state as bytes. Numbers are big endian:
//
//	format   1 byte
//	applied  8 bytes: the index of the last command that was applied
//	entries, in the order of their keys:
//	  key length    2 bytes, never 0
//	  value length  4 bytes
//	  modIndex      8 bytes
//	  key
//	  value
//	end      6 bytes of zeros where the lengths would be, and
//	         8 bytes: how many entries there were
//
// Lengths of fixed width give each state exactly one encoding, so replicas with the
// same state write the same bytes. There is no checksum: the file around it has one.
const (
	snapshotFormat     = 1
	entryHeaderBytes   = 2 + 4 + 8
	maxEntryBytes      = entryHeaderBytes + MaxKeyBytes + MaxValueBytes
	snapshotWriteBytes = 64 << 10
)

// ErrMalformedSnapshot is a snapshot that no Store of this version wrote.
var ErrMalformedSnapshot = errors.New("malformed snapshot")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrMalformedSnapshot, fmt.Sprintf(format, args...))
}

// cut is the state as it was at one index.
//
// The tree is a copy-on-write copy, which shares all nodes with the original when it
// is made. That is safe beside Apply without a lock, because of how tidwall/btree does
// it: each tree and each node has an owner number; Copy gives both trees new ones, so
// that from then on neither owns the shared nodes; and whatever writes to a node first
// replaces it in its own tree by a copy, unless it owns it (isoLoad). So no node that the
// cut can reach is ever written to again, and Scan only reads. Keys and values are
// strings, which nobody can change.
//
// While a cut is alive, each node that Apply changes is there twice, once however often
// it is changed, and so is each value that is overwritten. At worst, when everything is
// overwritten meanwhile, that is the whole state a second time. Nothing has to be
// released: the original does not know its cuts, and the garbage collector takes a cut
// with its nodes when the caller lets go of it. So let go of it once it is written.
type cut struct {
	entries *btree.Map[string, entry]
	applied raft.Index
}

// Snapshot returns the state as it is now, for WriteTo. It takes the same short time
// however many keys there are. The cut may be written on any goroutine while Apply goes
// on, more than once, and costs memory until it is dropped.
func (s *Store) Snapshot() io.WriterTo {
	s.mu.Lock() // not RLock: Copy changes the owner number of the original too
	defer s.mu.Unlock()
	return &cut{entries: s.entries.Copy(), applied: s.applied}
}

// WriteTo streams the encoding and returns how many bytes w took. The errors are w's.
func (c *cut) WriteTo(w io.Writer) (int64, error) {
	counted := &countingWriter{w: w}
	// It keeps the first error of w, and does nothing after it.
	out := bufio.NewWriterSize(counted, snapshotWriteBytes)
	start := append(out.AvailableBuffer(), snapshotFormat)
	_, err := out.Write(binary.BigEndian.AppendUint64(start, uint64(c.applied)))
	c.entries.Scan(func(key string, e entry) bool {
		writeHeader(out, len(key), len(e.value), uint64(e.modIndex))
		_, _ = out.WriteString(key)
		_, err = out.WriteString(e.value)
		return err == nil
	})
	if err == nil {
		writeHeader(out, 0, 0, uint64(c.entries.Len()))
		err = out.Flush()
	}
	return counted.n, err
}

func writeHeader(out *bufio.Writer, keyLen, valueLen int, number uint64) {
	header := binary.BigEndian.AppendUint16(out.AvailableBuffer(), uint16(keyLen))
	header = binary.BigEndian.AppendUint32(header, uint32(valueLen))
	_, _ = out.Write(binary.BigEndian.AppendUint64(header, number))
}

// countingWriter counts what arrived at w, which is not what was put into the buffer
// before it.
type countingWriter struct {
	w io.Writer
	n int64
}

func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
