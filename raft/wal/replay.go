package wal

import (
	"fmt"

	"dbdb/raft"
)

func (r *recovery) replay(payload []byte) error {
	switch kind := payload[0]; kind {
	case kindSaves:
		return eachSave(payload[1:], r)
	case kindIdle, kindContinued:
		if len(payload) > 1 {
			return fmt.Errorf("a mark of %d bytes", len(payload))
		}
		return nil
	default:
		return fmt.Errorf("unknown kind %d", kind)
	}
}

func (r *recovery) advance(term raft.Term, vote []byte, truncateFrom raft.Index) error {
	id := r.state.vote
	if string(vote) != string(id) { // a string per Save would be a million of them
		id = raft.NodeID(vote)
	}
	if err := r.state.advance(term, id, truncateFrom); err != nil {
		return err
	}
	r.cut()
	return nil
}

// cut drops the entries after the end of the log. It may lie before the first of them.
func (r *recovery) cut() {
	if len(r.entries) == 0 {
		return
	}
	keep := 0
	if first := r.entries[0].Index; first <= r.state.last.index {
		keep = int(min(r.state.last.index-first+1, raft.Index(len(r.entries))))
	}
	clear(r.entries[keep:])
	r.entries = r.entries[:keep]
}

func (r *recovery) install(p position, empties bool) error {
	if err := r.state.install(p, empties); err != nil {
		return err
	}
	if empties {
		clear(r.entries)
		r.entries = r.entries[:0]
	}
	return nil
}

func (r *recovery) add(e raft.Entry) error {
	if err := r.state.add(e); err != nil {
		return err
	}
	e.Data = r.arena.clone(e.Data)
	r.entries = append(r.entries, e)
	return nil
}

// arena copies entries' data out of the read buffer into chunks, which is less
// memory than keeping whole segments and faster than one allocation each.
type arena struct{ chunk []byte }

const (
	arenaChunk = 64 << 10
	// arenaLargest bounds what the end of a chunk wastes.
	arenaLargest = 4 << 10
)

func (a *arena) clone(data []byte) []byte {
	if len(data) == 0 {
		return nil
	}
	if len(data) > arenaLargest {
		return append([]byte(nil), data...)
	}
	if len(data) > cap(a.chunk)-len(a.chunk) {
		a.chunk = make([]byte, 0, arenaChunk)
	}
	from := len(a.chunk)
	a.chunk = append(a.chunk, data...)
	return a.chunk[from:len(a.chunk):len(a.chunk)]
}
