package wal

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"

	"dbdb/raft"
)

// A snapshot's file is a header, a block with the encoded configuration, blocks with the
// state, and an end. The same bytes travel to other servers, so they name no server.
//
//	header  512 bytes, see the offsets
//	block   length u32 · checksum u32 · data, at most 64 KiB; all but the last are full
//	end     0 u32 · checksum u32 · length of the state u64
//
// Each checksum begins with the one before it, that of the header being the first: so a
// block that was exchanged, left out or taken from another file is seen.
const (
	snapshotMagic     = "dbdb.snp"
	snapshotFormat    = 1
	blockHeaderBytes  = 8
	maxBlockBytes     = 64 << 10
	snapshotEndBytes  = blockHeaderBytes + 8
	atSnapIndex       = 16
	atSnapTerm        = 24
	atSnapConfigIndex = 32
	// syncSnapshotBytes is how much of a snapshot is written between two syncs. Synced
	// in one go, a large file would keep the disk from the log's next frame.
	syncSnapshotBytes = 4 << 20
)

func encodeSnapshotHeader(m raft.Snapshot) []byte {
	b := make([]byte, headerBytes)
	copy(b, snapshotMagic)
	binary.LittleEndian.PutUint32(b[atFormat:], snapshotFormat)
	binary.LittleEndian.PutUint64(b[atSnapIndex:], uint64(m.Index))
	binary.LittleEndian.PutUint64(b[atSnapTerm:], uint64(m.Term))
	binary.LittleEndian.PutUint64(b[atSnapConfigIndex:], uint64(m.ConfigurationIndex))
	sealHeader(b)
	return b
}

// decodeSnapshotHeader reads what encodeSnapshotHeader wrote. The file's name is for its
// errors. The configuration comes later.
func decodeSnapshotHeader(name string, b []byte) (raft.Snapshot, error) {
	switch {
	case len(b) < headerBytes:
		return raft.Snapshot{}, &CorruptError{name, 0, fmt.Sprintf("the file has %d bytes, less than a snapshot's header", len(b))}
	case string(b[:len(snapshotMagic)]) != snapshotMagic:
		return raft.Snapshot{}, &CorruptError{name, 0, "this is not a snapshot"}
	case crc32.Checksum(b[:atHeaderCRC], castagnoli) != binary.LittleEndian.Uint32(b[atHeaderCRC:]):
		return raft.Snapshot{}, &CorruptError{name, 0, "the checksum of the snapshot's header is wrong"}
	}
	if v := binary.LittleEndian.Uint32(b[atFormat:]); v != snapshotFormat {
		return raft.Snapshot{}, &FormatError{name, uint64(v)}
	}
	m := raft.Snapshot{
		Index:              raft.Index(binary.LittleEndian.Uint64(b[atSnapIndex:])),
		Term:               raft.Term(binary.LittleEndian.Uint64(b[atSnapTerm:])),
		ConfigurationIndex: raft.Index(binary.LittleEndian.Uint64(b[atSnapConfigIndex:])),
	}
	if err := validateSnapshot(m); err != nil {
		return raft.Snapshot{}, &CorruptError{name, atSnapIndex, err.Error()}
	}
	return m, nil
}

// validateSnapshot judges the numbers of a snapshot.
func validateSnapshot(m raft.Snapshot) error {
	if m.Index == 0 || m.Index > raft.MaxIndex || m.Term == 0 || m.Term > raft.MaxTerm || m.ConfigurationIndex > m.Index {
		return fmt.Errorf("no snapshot can end with %v and have its configuration from index %d", positionOf(m), m.ConfigurationIndex)
	}
	return nil
}

// writeSnapshot fills an empty file, durably.
func writeSnapshot(f File, m raft.Snapshot, state io.WriterTo) error {
	configuration := m.Configuration.Encode()
	if err := validateSnapshot(m); err != nil {
		return err
	}
	if _, err := raft.DecodeConfiguration(configuration); err != nil {
		return fmt.Errorf("snapshot %v: %w", positionOf(m), err)
	}
	header := encodeSnapshotHeader(m)
	if err := writeAt(f, header, 0); err != nil {
		return err
	}
	w := &blockWriter{
		file:  f,
		off:   headerBytes,
		crc:   binary.LittleEndian.Uint32(header[atHeaderCRC:]),
		block: make([]byte, blockHeaderBytes, blockHeaderBytes+maxBlockBytes),
	}
	if err := w.append(configuration); err != nil {
		return err
	}
	w.total = 0
	if _, err := state.WriteTo(w); err != nil {
		return err
	}
	return w.end()
}

// blockWriter puts what is written to it into blocks. Its first error stays.
type blockWriter struct {
	file     File
	off      int64 // where the next block goes
	unsynced int64
	crc      uint32 // of the block before
	block    []byte // with its header, not filled in
	total    uint64 // bytes of the state
	err      error
}

// Write implements io.Writer.
func (w *blockWriter) Write(b []byte) (int, error) {
	n := len(b)
	for len(b) > 0 && w.err == nil {
		room := cap(w.block) - len(w.block)
		k := min(room, len(b))
		w.block, b = append(w.block, b[:k]...), b[k:]
		if k == room {
			w.err = w.flush()
		}
	}
	if w.err != nil {
		return n - len(b), w.err
	}
	return n, nil
}

// append writes data as a block of its own.
func (w *blockWriter) append(data []byte) error {
	if _, err := w.Write(data); err != nil {
		return err
	}
	return w.flush()
}

// flush writes the block that has been gathered, if any.
func (w *blockWriter) flush() error {
	n := len(w.block) - blockHeaderBytes
	if n == 0 {
		return nil
	}
	w.total += uint64(n)
	return w.put(uint32(n))
}

// put fills in the header of the block and writes it.
func (w *blockWriter) put(length uint32) error {
	w.crc = sealBlock(w.block, length, w.crc)
	if err := writeAt(w.file, w.block, w.off); err != nil {
		return err
	}
	w.off, w.unsynced = w.off+int64(len(w.block)), w.unsynced+int64(len(w.block))
	w.block = w.block[:blockHeaderBytes]
	if w.unsynced < syncSnapshotBytes {
		return nil
	}
	w.unsynced = 0
	return w.file.Sync()
}

// end writes the last block and the end, and syncs the file.
func (w *blockWriter) end() error {
	if w.err != nil {
		return w.err
	}
	if err := w.flush(); err != nil {
		return err
	}
	w.block = binary.LittleEndian.AppendUint64(w.block, w.total)
	if err := w.put(0); err != nil {
		return err
	}
	return w.file.Sync()
}

// sealBlock fills in the header of a block and returns its checksum.
func sealBlock(b []byte, length, before uint32) uint32 {
	binary.LittleEndian.PutUint32(b, length)
	crc := blockCRC(b, before)
	binary.LittleEndian.PutUint32(b[4:], crc)
	return crc
}

// blockCRC covers a block's length and data.
func blockCRC(b []byte, before uint32) uint32 {
	return crc32.Update(crc32.Update(before, castagnoli, b[:4]), castagnoli, b[blockHeaderBytes:])
}
