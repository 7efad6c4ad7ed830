package wal

import (
	"encoding/binary"
	"fmt"
	"io"

	"dbdb/raft"
)

// snapshotReader reads the state out of a snapshot's file. It hands out no byte that was
// not verified, and io.EOF only after the end, with the whole file verified. Its first
// error stays.
type snapshotReader struct {
	file  File
	name  string
	size  int64
	off   int64  // of the next block
	crc   uint32 // of the block before
	buf   []byte
	data  []byte // what is left of the block in buf
	total uint64 // bytes of the state so far
	err   error
}

// newSnapshotReader reads everything up to the state.
func newSnapshotReader(f File, name string) (*snapshotReader, raft.Snapshot, error) {
	size, err := f.Size()
	if err != nil {
		return nil, raft.Snapshot{}, err
	}
	b := make([]byte, min(size, headerBytes))
	if err := readAt(f, b, 0); err != nil {
		return nil, raft.Snapshot{}, err
	}
	m, err := decodeSnapshotHeader(name, b)
	if err != nil {
		return nil, raft.Snapshot{}, err
	}
	r := &snapshotReader{file: f, name: name, size: size, off: headerBytes, crc: binary.LittleEndian.Uint32(b[atHeaderCRC:])}
	if err := r.next(); err == io.EOF {
		return nil, raft.Snapshot{}, r.corrupt("the snapshot has no configuration")
	} else if err != nil {
		return nil, raft.Snapshot{}, err
	}
	if m.Configuration, err = raft.DecodeConfiguration(r.data); err != nil {
		return nil, raft.Snapshot{}, &CorruptError{name, headerBytes, err.Error()}
	}
	r.data, r.total = nil, 0
	return r, m, nil
}

// misnamed is the error of a file that holds another snapshot than its name says; nil if
// it is the right one.
func misnamed(name string, holds raft.Snapshot, want position) error {
	if positionOf(holds) == want {
		return nil
	}
	return &CorruptError{name, atSnapIndex, fmt.Sprintf("this is snapshot %v under the name of snapshot %v", positionOf(holds), want)}
}

// Read implements io.Reader.
func (r *snapshotReader) Read(b []byte) (int, error) {
	for len(r.data) == 0 && r.err == nil {
		r.err = r.next()
	}
	if len(r.data) == 0 {
		return 0, r.err
	}
	n := copy(b, r.data)
	r.data = r.data[n:]
	return n, nil
}

// next reads and verifies a block. It is io.EOF after the end.
func (r *snapshotReader) next() error {
	if r.off+blockHeaderBytes > r.size {
		return r.corrupt("the file ends before the snapshot does")
	}
	var head [blockHeaderBytes]byte
	if err := readAt(r.file, head[:], r.off); err != nil {
		return err
	}
	length := binary.LittleEndian.Uint32(head[:])
	if length > maxBlockBytes {
		return r.corrupt("a block of %d bytes", length)
	}
	whole := blockHeaderBytes + int64(length)
	if length == 0 {
		whole = snapshotEndBytes
	}
	if r.off+whole > r.size {
		return r.corrupt("the file ends before the snapshot does")
	}
	if int64(cap(r.buf)) < whole {
		r.buf = make([]byte, whole)
	}
	b := r.buf[:whole]
	copy(b, head[:])
	if err := readAt(r.file, b[blockHeaderBytes:], r.off+blockHeaderBytes); err != nil {
		return err
	}
	crc := blockCRC(b, r.crc)
	if crc != binary.LittleEndian.Uint32(b[4:]) {
		return r.corrupt("the checksum of the block is wrong")
	}
	if length == 0 {
		return r.ended(binary.LittleEndian.Uint64(b[blockHeaderBytes:]))
	}
	r.off, r.crc, r.data, r.total = r.off+whole, crc, b[blockHeaderBytes:], r.total+uint64(length)
	return nil
}

func (r *snapshotReader) ended(total uint64) error {
	switch rest := r.size - r.off - snapshotEndBytes; {
	case total != r.total:
		return r.corrupt("the snapshot ends after %d bytes of state, and says that it has %d", r.total, total)
	case rest > 0:
		return r.corrupt("%d bytes follow the end of the snapshot", rest)
	}
	return io.EOF
}

func (r *snapshotReader) corrupt(format string, args ...any) error {
	return &CorruptError{r.name, r.off, fmt.Sprintf(format, args...)}
}

// failure is the reader's error, nil after the end.
func (r *snapshotReader) failure() error {
	if r.err == io.EOF {
		return nil
	}
	return r.err
}

// loadAll has load read the state and verifies what load left unread. An error of the
// file comes before one of load, as load may have stumbled over it.
func (r *snapshotReader) loadAll(load func(state io.Reader) error) error {
	loadErr := load(r)
	for r.err == nil {
		r.data = nil
		r.err = r.next()
	}
	if err := r.failure(); err != nil {
		return err
	}
	if loadErr != nil {
		return fmt.Errorf("the state in %s: %w", r.name, loadErr)
	}
	return nil
}
