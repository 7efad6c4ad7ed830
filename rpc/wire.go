package rpc

import (
	"encoding/binary"
	"errors"
	"fmt"

	"dbdb/raft"
)

// How messages look as bytes. Numbers are uvarints, strings are a length and their
// bytes, a bool is 0 or 1, fields follow each other in the order of this file. There
// are no field names and no optional fields: another layout is another
// helloVersion. The golden files in testdata hold every byte of it.
//
// Each Encode function appends to buf and returns it. Each Decode function reads a
// whole message: bytes that are left over are an error, and so is a message that the
// Validate method of its type rejects, so nobody can forget to call it. The
// simulator passes all its messages through these functions.

// MaxEntries is the largest number of entries in one AppendEntries. An entry of no
// data takes 4 bytes on the wire and 48 in memory; without this bound a frame of the
// largest size would grow twelvefold when it is decoded.
const MaxEntries = 1 << 16

var errMalformed = errors.New("malformed message")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errMalformed, fmt.Sprintf(format, args...))
}

// EncodeRequestVoteArgs appends a to buf.
func EncodeRequestVoteArgs(buf []byte, a raft.RequestVoteArgs) []byte {
	buf = binary.AppendUvarint(buf, uint64(a.Term))
	buf = appendString(buf, string(a.CandidateID))
	buf = binary.AppendUvarint(buf, uint64(a.LastLogIndex))
	buf = binary.AppendUvarint(buf, uint64(a.LastLogTerm))
	buf = appendBool(buf, a.PreVote)
	return appendBool(buf, a.LeadershipTransfer)
}

// DecodeRequestVoteArgs reads what EncodeRequestVoteArgs wrote.
func DecodeRequestVoteArgs(data []byte) (raft.RequestVoteArgs, error) {
	d := decoder{data: data}
	a := raft.RequestVoteArgs{
		Term:               raft.Term(d.uvarint()),
		CandidateID:        raft.NodeID(d.string(raft.MaxNodeIDBytes)),
		LastLogIndex:       raft.Index(d.uvarint()),
		LastLogTerm:        raft.Term(d.uvarint()),
		PreVote:            d.bool(),
		LeadershipTransfer: d.bool(),
	}
	return checked(&d, a)
}

// EncodeRequestVoteReply appends r to buf.
func EncodeRequestVoteReply(buf []byte, r raft.RequestVoteReply) []byte {
	buf = binary.AppendUvarint(buf, uint64(r.Term))
	buf = appendBool(buf, r.VoteGranted)
	buf = binary.AppendUvarint(buf, uint64(r.RemovedAt))
	return binary.AppendUvarint(buf, uint64(r.CommitTerm))
}

// DecodeRequestVoteReply reads what EncodeRequestVoteReply wrote.
func DecodeRequestVoteReply(data []byte) (raft.RequestVoteReply, error) {
	d := decoder{data: data}
	r := raft.RequestVoteReply{
		Term:        raft.Term(d.uvarint()),
		VoteGranted: d.bool(),
		RemovedAt:   raft.Index(d.uvarint()),
		CommitTerm:  raft.Term(d.uvarint()),
	}
	return checked(&d, r)
}

// EncodeAppendEntriesArgs appends a to buf.
func EncodeAppendEntriesArgs(buf []byte, a raft.AppendEntriesArgs) []byte {
	buf = binary.AppendUvarint(buf, uint64(a.Term))
	buf = appendString(buf, string(a.LeaderID))
	buf = binary.AppendUvarint(buf, uint64(a.PrevLogIndex))
	buf = binary.AppendUvarint(buf, uint64(a.PrevLogTerm))
	buf = binary.AppendUvarint(buf, uint64(a.LeaderCommit))
	buf = binary.AppendUvarint(buf, a.ReadRound)
	buf = binary.AppendUvarint(buf, a.Session)
	buf = binary.AppendUvarint(buf, uint64(len(a.Entries)))
	for _, e := range a.Entries {
		buf = raft.AppendEntry(buf, e)
	}
	return buf
}

// DecodeAppendEntriesArgs reads what EncodeAppendEntriesArgs wrote. The entries'
// Data aliases data, which must not change afterwards.
func DecodeAppendEntriesArgs(data []byte) (raft.AppendEntriesArgs, error) {
	d := decoder{data: data}
	a := raft.AppendEntriesArgs{
		Term:         raft.Term(d.uvarint()),
		LeaderID:     raft.NodeID(d.string(raft.MaxNodeIDBytes)),
		PrevLogIndex: raft.Index(d.uvarint()),
		PrevLogTerm:  raft.Term(d.uvarint()),
		LeaderCommit: raft.Index(d.uvarint()),
		ReadRound:    d.uvarint(),
		Session:      d.uvarint(),
		Entries:      d.entries(),
	}
	return checked(&d, a)
}

// EncodeAppendEntriesReply appends r to buf.
func EncodeAppendEntriesReply(buf []byte, r raft.AppendEntriesReply) []byte {
	buf = binary.AppendUvarint(buf, uint64(r.Term))
	buf = appendBool(buf, r.Success)
	buf = binary.AppendUvarint(buf, uint64(r.ConflictIndex))
	return binary.AppendUvarint(buf, uint64(r.ConflictTerm))
}

// DecodeAppendEntriesReply reads what EncodeAppendEntriesReply wrote.
func DecodeAppendEntriesReply(data []byte) (raft.AppendEntriesReply, error) {
	d := decoder{data: data}
	r := raft.AppendEntriesReply{
		Term:          raft.Term(d.uvarint()),
		Success:       d.bool(),
		ConflictIndex: raft.Index(d.uvarint()),
		ConflictTerm:  raft.Term(d.uvarint()),
	}
	return checked(&d, r)
}

// EncodeInstallSnapshotArgs appends a to buf.
func EncodeInstallSnapshotArgs(buf []byte, a raft.InstallSnapshotArgs) []byte {
	buf = binary.AppendUvarint(buf, uint64(a.Term))
	buf = appendString(buf, string(a.LeaderID))
	buf = binary.AppendUvarint(buf, uint64(a.LastIncludedIndex))
	buf = binary.AppendUvarint(buf, uint64(a.LastIncludedTerm))
	buf = binary.AppendUvarint(buf, a.Offset)
	buf = appendBool(buf, a.Done)
	buf = binary.AppendUvarint(buf, a.Size)
	buf = binary.AppendUvarint(buf, a.Session)
	buf = binary.AppendUvarint(buf, uint64(len(a.Data)))
	return append(buf, a.Data...)
}

// DecodeInstallSnapshotArgs reads what EncodeInstallSnapshotArgs wrote. Data aliases
// data, which must not change afterwards.
func DecodeInstallSnapshotArgs(data []byte) (raft.InstallSnapshotArgs, error) {
	d := decoder{data: data}
	a := raft.InstallSnapshotArgs{
		Term:              raft.Term(d.uvarint()),
		LeaderID:          raft.NodeID(d.string(raft.MaxNodeIDBytes)),
		LastIncludedIndex: raft.Index(d.uvarint()),
		LastIncludedTerm:  raft.Term(d.uvarint()),
		Offset:            d.uvarint(),
		Done:              d.bool(),
		Size:              d.uvarint(),
		Session:           d.uvarint(),
		Data:              d.bytes(raft.MaxChunkBytes),
	}
	return checked(&d, a)
}

// EncodeInstallSnapshotReply appends r to buf.
func EncodeInstallSnapshotReply(buf []byte, r raft.InstallSnapshotReply) []byte {
	buf = binary.AppendUvarint(buf, uint64(r.Term))
	buf = binary.AppendUvarint(buf, r.Offset)
	return appendBool(buf, r.Installed)
}

// DecodeInstallSnapshotReply reads what EncodeInstallSnapshotReply wrote.
func DecodeInstallSnapshotReply(data []byte) (raft.InstallSnapshotReply, error) {
	d := decoder{data: data}
	r := raft.InstallSnapshotReply{
		Term:      raft.Term(d.uvarint()),
		Offset:    d.uvarint(),
		Installed: d.bool(),
	}
	return checked(&d, r)
}

// EncodeTimeoutNowArgs appends a to buf.
func EncodeTimeoutNowArgs(buf []byte, a raft.TimeoutNowArgs) []byte {
	buf = binary.AppendUvarint(buf, uint64(a.Term))
	return appendString(buf, string(a.LeaderID))
}

// DecodeTimeoutNowArgs reads what EncodeTimeoutNowArgs wrote.
func DecodeTimeoutNowArgs(data []byte) (raft.TimeoutNowArgs, error) {
	d := decoder{data: data}
	a := raft.TimeoutNowArgs{
		Term:     raft.Term(d.uvarint()),
		LeaderID: raft.NodeID(d.string(raft.MaxNodeIDBytes)),
	}
	return checked(&d, a)
}

// EncodeTimeoutNowReply appends r to buf.
func EncodeTimeoutNowReply(buf []byte, r raft.TimeoutNowReply) []byte {
	return binary.AppendUvarint(buf, uint64(r.Term))
}

// DecodeTimeoutNowReply reads what EncodeTimeoutNowReply wrote.
func DecodeTimeoutNowReply(data []byte) (raft.TimeoutNowReply, error) {
	d := decoder{data: data}
	r := raft.TimeoutNowReply{Term: raft.Term(d.uvarint())}
	return checked(&d, r)
}

// EncodeReadIndexArgs appends a to buf.
func EncodeReadIndexArgs(buf []byte, a raft.ReadIndexArgs) []byte {
	return appendString(buf, string(a.From))
}

// DecodeReadIndexArgs reads what EncodeReadIndexArgs wrote.
func DecodeReadIndexArgs(data []byte) (raft.ReadIndexArgs, error) {
	d := decoder{data: data}
	a := raft.ReadIndexArgs{From: raft.NodeID(d.string(raft.MaxNodeIDBytes))}
	return checked(&d, a)
}

// EncodeReadIndexReply appends r to buf.
func EncodeReadIndexReply(buf []byte, r raft.ReadIndexReply) []byte {
	buf = appendBool(buf, r.Success)
	return binary.AppendUvarint(buf, uint64(r.Index))
}

// DecodeReadIndexReply reads what EncodeReadIndexReply wrote.
func DecodeReadIndexReply(data []byte) (raft.ReadIndexReply, error) {
	d := decoder{data: data}
	r := raft.ReadIndexReply{Success: d.bool(), Index: raft.Index(d.uvarint())}
	return checked(&d, r)
}

func appendString(buf []byte, s string) []byte {
	buf = binary.AppendUvarint(buf, uint64(len(s)))
	return append(buf, s...)
}

func appendBool(buf []byte, b bool) []byte {
	if b {
		return append(buf, 1)
	}
	return append(buf, 0)
}

// decoder reads fields from the front of data. After its first error it reads only
// zero values, so a caller looks at the error once, at the end.
type decoder struct {
	data []byte
	err  error
}

// checked ends the decoding of a message: nothing may be left over, and the message
// must be one that the core may be given. A zero message goes with every error.
func checked[M interface{ Validate() error }](d *decoder, m M) (M, error) {
	var zero M
	if d.err == nil && len(d.data) > 0 {
		d.fail("%d bytes after the message", len(d.data))
	}
	if d.err != nil {
		return zero, d.err
	}
	if err := m.Validate(); err != nil {
		return zero, err
	}
	return m, nil
}

func (d *decoder) fail(format string, args ...any) {
	if d.err == nil {
		d.err = malformed(format, args...)
	}
	d.data = nil
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.data)
	if n <= 0 {
		d.fail("number")
		return 0
	}
	d.data = d.data[n:]
	return v
}

func (d *decoder) bool() bool {
	if len(d.data) == 0 || d.data[0] > 1 {
		d.fail("bool")
		return false
	}
	b := d.data[0] == 1
	d.data = d.data[1:]
	return b
}

func (d *decoder) string(limit int) string { return string(d.bytes(limit)) }

// bytes reads a length and so many bytes, which it does not copy; none are nil.
func (d *decoder) bytes(limit int) []byte {
	length := d.uvarint()
	if length > uint64(limit) || length > uint64(len(d.data)) {
		d.fail("string of %d bytes", length)
		return nil
	}
	if length == 0 {
		return nil
	}
	b := d.data[:length:length]
	d.data = d.data[length:]
	return b
}

// entries reads a count and that many entries. The slice is made by the count only
// where the bytes that follow can hold so many: a count is only a claim.
func (d *decoder) entries() []raft.Entry {
	const smallest = 4 // bytes of an entry: index, term, kind, length 0
	count := d.uvarint()
	if count > MaxEntries || count > uint64(len(d.data)/smallest) {
		d.fail("%d entries in %d bytes", count, len(d.data))
	}
	if d.err != nil || count == 0 {
		return nil
	}
	entries := make([]raft.Entry, 0, count)
	for range count {
		e, rest, err := raft.DecodeEntry(d.data)
		if err != nil {
			d.data, d.err = nil, err
			return nil
		}
		entries, d.data = append(entries, e), rest
	}
	return entries
}
