package spec

import (
	"bytes"
	"fmt"
	"slices"

	"dbdb/raft"
)

// Log is "log[]" of Figure 2, as far as a snapshot has not taken its place (§7): the
// entries after Base. It is never changed in place.
type Log struct {
	Base    raft.Index
	Entries []raft.Entry
}

// Last is the index of the last entry.
func (l Log) Last() raft.Index { return l.Base + raft.Index(len(l.Entries)) }

// At is the entry at an index, if it is still there.
func (l Log) At(i raft.Index) (raft.Entry, bool) {
	if i <= l.Base || i > l.Last() {
		return raft.Entry{}, false
	}
	return l.Entries[i-l.Base-1], true
}

// upTo is the log without what follows i.
func (l Log) upTo(i raft.Index) Log {
	if i >= l.Last() {
		return l
	}
	if i <= l.Base {
		return Log{Base: i}
	}
	return Log{l.Base, l.Entries[:i-l.Base]}
}

// after is the log from i+1 on.
func (l Log) after(i raft.Index) Log {
	switch {
	case i <= l.Base:
		return l
	case i >= l.Last():
		return Log{Base: i}
	}
	return Log{i, l.Entries[i-l.Base:]}
}

// and is the log with entries appended.
func (l Log) and(entries ...raft.Entry) Log {
	return Log{l.Base, append(slices.Clip(l.Entries), entries...)}
}

// sameEntry compares entries to the last byte.
func sameEntry(a, b raft.Entry) bool {
	if a.Index != b.Index || a.Term != b.Term || a.Kind != b.Kind || len(a.Data) != len(b.Data) {
		return false
	}
	return len(a.Data) == 0 || &a.Data[0] == &b.Data[0] || bytes.Equal(a.Data, b.Data)
}

// same says that two logs end at the same index and hold the same entries, where both
// still have them.
func (l Log) same(o Log) bool {
	if l.Last() != o.Last() {
		return false
	}
	base := max(l.Base, o.Base)
	return slices.EqualFunc(l.after(base).Entries, o.after(base).Entries, sameEntry)
}

// String writes the end of a log.
func (l Log) String() string {
	if len(l.Entries) == 0 {
		return fmt.Sprintf("nothing after %d", l.Base)
	}
	return fmt.Sprintf("(%d, %v]", l.Base, l.Entries[len(l.Entries)-1])
}

// configurationIn finds the latest configuration up to an index, and where it is. A
// snapshot has the one that was the latest at its end (§7).
func configurationIn(l Log, snapshot raft.Snapshot, upTo raft.Index) (raft.Configuration, raft.Index) {
	for i := min(upTo, l.Last()); i > max(l.Base, snapshot.ConfigurationIndex); i-- {
		if e, _ := l.At(i); e.Kind == raft.EntryConfiguration {
			if c, err := raft.DecodeConfiguration(e.Data); err == nil {
				return c, i
			}
		}
	}
	return snapshot.Configuration, snapshot.ConfigurationIndex
}
