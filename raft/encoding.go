package raft

import "encoding/binary"

// AppendEntry writes an entry in the form that the write-ahead log and the wire
// share: index, term, kind, length, data. Numbers are uvarints.
func AppendEntry(buf []byte, e Entry) []byte {
	buf = binary.AppendUvarint(buf, uint64(e.Index))
	buf = binary.AppendUvarint(buf, uint64(e.Term))
	buf = append(buf, byte(e.Kind))
	buf = binary.AppendUvarint(buf, uint64(len(e.Data)))
	return append(buf, e.Data...)
}

// DecodeEntry reads what AppendEntry wrote and returns the bytes after it. The
// entry's Data aliases data. Bytes that are no entry are an error.
func DecodeEntry(data []byte) (e Entry, rest []byte, err error) {
	var fields [2]uint64
	for k := range fields {
		v, n := binary.Uvarint(data)
		if n <= 0 {
			return Entry{}, nil, malformed("entry's numbers")
		}
		fields[k], data = v, data[n:]
	}
	if len(data) == 0 {
		return Entry{}, nil, malformed("entry without a kind")
	}
	e = Entry{Index: Index(fields[0]), Term: Term(fields[1]), Kind: EntryKind(data[0])}
	length, n := binary.Uvarint(data[1:])
	data = data[1:]
	if n <= 0 || length > uint64(len(data)-n) {
		return Entry{}, nil, malformed("entry longer than its message")
	}
	if e.Index > MaxIndex || e.Term > MaxTerm {
		return Entry{}, nil, malformed("entry %v", e)
	}
	data = data[n:]
	if length > 0 {
		e.Data = data[:length:length]
	}
	return e, data[length:], e.validate()
}
