package explore

import (
	"dbdb/raft"
)

// space is what is known of a level's servers, messages and outcomes. All workers share it.
type space struct {
	level    Level
	spec     bool    // paths that are played are held to the specification
	renames  [][]int // the symmetries
	servers  *table[server]
	messages *table[message]
	ghosts   *table[ghost]
}

func newSpace(l Level) *space {
	return &space{level: l, renames: l.symmetries(), servers: newTable[server](), messages: newTable[message](), ghosts: newTable[ghost]()}
}

func (x *space) server(n uint32) *server   { return x.servers.at(n) }
func (x *space) message(n uint32) *message { return x.messages.at(n) }

// identity gives everybody the name that it has.
var identity = []int{0, 1, 2, 3, 4}

// hashes are those of an encoding under each symmetry.
func (x *space) hashes(encode func(e *encoder)) []uint64 {
	all := make([]uint64, len(x.renames))
	var e encoder
	for k, names := range x.renames {
		e.buf, e.names = e.buf[:0], names
		encode(&e)
		all[k] = hashOf(e.buf)
	}
	return all
}

func (x *space) serverNumber(s *server) uint32 {
	return number(x, x.servers, 'S', s, &s.hash, func(e *encoder) { e.server(s) })
}

func (x *space) numberOf(m *message) uint32 {
	return number(x, x.messages, 'M', m, &m.hash, func(e *encoder) { e.message(m) })
}

func (x *space) ghostNumber(g *ghost) uint32 {
	return number(x, x.ghosts, 'G', g, &g.hash, func(e *encoder) { e.ghost(g) })
}

// number finds what has the same encoding. What is new gets its hashes, with its kind in them:
// two things of different kinds may have the same bytes.
func number[T any](x *space, all *table[T], kind byte, it *T, hash *[]uint64, encode func(e *encoder)) uint32 {
	e := &encoder{names: identity}
	encode(e)
	return all.find(e.buf, func() *T {
		*hash = x.hashes(func(e *encoder) { e.buf = append(e.buf, kind); encode(e) })
		return it
	})
}

// outcome is what becomes of a server, looked up if it is known.
func (x *space) outcome(place int, n uint32, in input) *outcome {
	s := x.server(n)
	if o := s.outcomes.get(in); o != nil {
		return o
	}
	o := x.happen(place, s, in)
	s.outcomes.put(in, o)
	return o
}

// first are the servers as the world begins: the voters have one entry, the configuration.
func (x *space) first() []uint32 {
	var c raft.Configuration
	for place := range x.level.Voters {
		c.Members = append(c.Members, raft.Member{ID: idOf(place), Role: raft.Voter})
	}
	var all []uint32
	for place := range x.level.nodes() {
		var disk raft.Restored
		if place < x.level.Voters {
			disk.Term = 1
			disk.Entries = []raft.Entry{{Index: 1, Term: 1, Kind: raft.EntryConfiguration, Data: c.Encode()}}
		}
		s := &server{core: raft.New(x.level.config(place), disk), disk: disk}
		s.core.Effects()
		s.look()
		all = append(all, x.serverNumber(s))
	}
	return all
}

// variant is the same message in a session that is over, or of a caller that waits no more.
func (x *space) variant(n uint32, current, orphan bool) uint32 {
	m := x.message(n)
	if m.current == current && m.orphan == orphan {
		return n
	}
	k := 0
	if current {
		k |= 1
	}
	if orphan {
		k |= 2
	}
	if known := m.variants[k].Load(); known != 0 {
		return known
	}
	v := x.numberOf(m.with(current, orphan))
	m.variants[k].Store(v)
	return v
}
