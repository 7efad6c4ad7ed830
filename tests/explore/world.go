package explore

// world is a state of the whole: the servers in theirs, by number; what is under way; and
// what only a ghost knows.
type world struct {
	servers [maxNodes]uint32
	ghost   uint32
	used    used
	bag     bag
}

// used is how much of what is bounded has happened.
type used struct{ restarts, changes, wishes uint8 }

func (u used) packed() uint32 {
	return uint32(u.restarts) | uint32(u.changes)<<8 | uint32(u.wishes)<<16
}

func unpacked(u uint32) used { return used{uint8(u), uint8(u >> 8), uint8(u >> 16)} }

// bag holds the numbers of the messages under way, sorted.
type bag struct {
	of [maxInFlight]uint32
	n  int
}

const maxInFlight = 6

func (b *bag) all() []uint32 { return b.of[:b.n] }

func (b *bag) insert(n uint32) {
	k := b.n
	for ; k > 0 && b.of[k-1] > n; k-- {
		b.of[k] = b.of[k-1]
	}
	b.of[k] = n
	b.n++
}

func (b *bag) remove(k int) {
	copy(b.of[k:], b.of[k+1:b.n])
	b.n--
	b.of[b.n] = 0
}
