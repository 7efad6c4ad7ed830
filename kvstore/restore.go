package kvstore

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"

	"dbdb/raft"

	"github.com/tidwall/btree"
)

// Restore reads a snapshot to its end. The Store stays as it is until install is
// called, at most once; that only exchanges the trees, so readers do not wait for it.
//
// Whatever WriteTo would not have written is an ErrMalformedSnapshot. An error of r is
// returned as it is, for errors.Is and errors.As.
func (s *Store) Restore(r io.Reader) (install func(), err error) {
	d := snapshotReader{in: bufio.NewReaderSize(r, maxEntryBytes)}
	entries, applied, err := d.state()
	if err != nil {
		return nil, fmt.Errorf("kvstore: restore: %w", err)
	}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.entries, s.applied = *entries, applied
	}, nil
}

// snapshotReader reads a snapshot front to back. Its buffer holds the largest entry, so
// that a length is only a claim until the bytes are there.
type snapshotReader struct {
	in   *bufio.Reader
	keys int // read so far: where something is wrong
}

func (d *snapshotReader) state() (*btree.Map[string, entry], raft.Index, error) {
	// The format comes alone: what follows it is another format's business.
	format, err := d.take(1, "its format")
	if err != nil {
		return nil, 0, err
	}
	if format[0] != snapshotFormat {
		return nil, 0, malformed("format %d, and this version of dbdb reads format %d: was it written by a newer one?", format[0], snapshotFormat)
	}
	number, err := d.take(8, "its index")
	if err != nil {
		return nil, 0, err
	}
	applied := raft.Index(binary.BigEndian.Uint64(number))
	entries, err := d.entries(applied)
	if err != nil {
		return nil, 0, err
	}
	switch _, err := d.in.Peek(1); err {
	case io.EOF:
		return compact(entries), applied, nil
	case nil:
		return nil, 0, malformed("bytes after its end")
	default:
		return nil, 0, err
	}
}

// entries reads entries up to the end mark. A key and its value share one allocation:
// a million small ones of their own are what restoring would spend its time on. They can
// share it because they come and go together, as btree's Set replaces both. Larger pieces
// would be faster still, and one key that is never written again would keep a whole
// piece alive.
func (d *snapshotReader) entries(applied raft.Index) (*btree.Map[string, entry], error) {
	entries := new(btree.Map[string, entry])
	last := ""
	for ; ; d.keys++ {
		header, err := d.take(entryHeaderBytes, "a header")
		if err != nil {
			return nil, err
		}
		keyLen := int(binary.BigEndian.Uint16(header))
		valueLen := binary.BigEndian.Uint32(header[2:])
		number := binary.BigEndian.Uint64(header[6:])
		switch {
		case keyLen == 0 && valueLen == 0 && number == uint64(d.keys):
			return entries, nil
		case keyLen == 0:
			return nil, malformed("it ends with %d keys and %d bytes, after %d keys", number, valueLen, d.keys)
		case keyLen > MaxKeyBytes || valueLen > MaxValueBytes:
			return nil, malformed("a key of %d bytes with a value of %d, after %d keys", keyLen, valueLen, d.keys)
		case number == 0 || number > uint64(applied):
			return nil, malformed("a key that was set at index %d in a state of index %d, after %d keys", number, applied, d.keys)
		}
		data, err := d.take(keyLen+int(valueLen), "an entry")
		if err != nil {
			return nil, err
		}
		text := string(data)
		key := text[:keyLen]
		if key <= last {
			return nil, malformed("key %q after %q", key, last)
		}
		entries.Load(key, entry{value: text[keyLen:], modIndex: raft.Index(number)})
		last = key
	}
}

// compact returns a tree whose nodes have arrays of their own. Where a node of btree is
// split, both halves go on sharing one array: after Load each node would hold twice the
// memory it needs, and keep values alive that were overwritten long ago in its
// neighbour. To walk a copy as if to write it replaces every node by one of the right size.
func compact(entries *btree.Map[string, entry]) *btree.Map[string, entry] {
	entries = entries.Copy()
	entries.ScanMut(func(string, entry) bool { return true })
	return entries
}

// take returns the next n bytes, which are valid until the next call. what is the
// name of what they should be.
func (d *snapshotReader) take(n int, what string) ([]byte, error) {
	data, err := d.in.Peek(n)
	if err == io.EOF {
		return nil, malformed("it is cut off in %s, after %d keys", what, d.keys)
	}
	if err != nil {
		return nil, err
	}
	_, err = d.in.Discard(n)
	return data, err
}
