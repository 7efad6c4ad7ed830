package explore

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
	"sync"
)

// hashOf is 64 bits of SHA-256: no two encodings are likely to have the same, however they
// are made. It is asked once for each server and message that is new, not for each state.
func hashOf(b []byte) uint64 {
	sum := sha256.Sum256(b)
	return binary.LittleEndian.Uint64(sum[:])
}

// mix makes of a sum of hashes another number that shows nothing of it.
func mix(h uint64) uint64 {
	hi, lo := bits.Mul64(h^0x9e3779b97f4a7c15, 0xd6e8feb86659fd93)
	h = hi ^ lo
	h ^= h >> 32
	h *= 0xd6e8feb86659fd93
	return h ^ h>>29
}

// set holds the hashes of all states that were seen, in shards, so that workers seldom wait
// for each other. In n states, n²/2⁶⁵ pairs are expected to be taken for the same although they
// are not: 10⁸ states, 0.0003.
type set struct{ shards [256]shard }

type shard struct {
	sync.Mutex
	slots []uint64 // open addressing; 0 is free
	used  int
	_     [24]byte // no two shards' locks in one line of the cache
}

// add says whether the hash is new.
func (s *set) add(h uint64) bool {
	if h == 0 {
		h = 1
	}
	d := &s.shards[h>>56]
	d.Lock()
	defer d.Unlock()
	if 4*d.used >= 3*len(d.slots) {
		d.grow()
	}
	mask := uint64(len(d.slots) - 1)
	for k := h & mask; ; k = (k + 1) & mask {
		switch d.slots[k] {
		case 0:
			d.slots[k] = h
			d.used++
			return true
		case h:
			return false
		}
	}
}

func (d *shard) grow() {
	old := d.slots
	d.slots = make([]uint64, max(64, 2*len(old)))
	mask := uint64(len(d.slots) - 1)
	for _, h := range old {
		if h == 0 {
			continue
		}
		k := h & mask
		for d.slots[k] != 0 {
			k = (k + 1) & mask
		}
		d.slots[k] = h
	}
}
