package explore

import (
	"sync"
	"sync/atomic"
)

// memo holds the known outcomes of a server. It is read far more often than written, and
// without a lock: whoever misses an outcome that somebody else puts in meanwhile finds it
// again.
type memo struct {
	mu    sync.Mutex
	slots atomic.Pointer[[]slot] // open addressing, a power of two
	used  int
}

type slot struct {
	key     atomic.Uint64
	outcome atomic.Pointer[outcome]
}

func (in input) key() uint64 { return uint64(in.what)<<32 | uint64(in.of) }

func (m *memo) get(in input) *outcome {
	slots := m.slots.Load()
	if slots == nil {
		return nil
	}
	s := find(*slots, in.key())
	return s.outcome.Load()
}

// find is the slot of a key, or the free one where it goes.
func find(slots []slot, key uint64) *slot {
	mask := uint64(len(slots) - 1)
	for k := mix(key) & mask; ; k = (k + 1) & mask {
		if at := slots[k].key.Load(); at == key || at == 0 {
			return &slots[k]
		}
	}
}

func (m *memo) put(in input, o *outcome) {
	m.mu.Lock()
	defer m.mu.Unlock()
	slots := m.slots.Load()
	if slots == nil || 4*m.used >= 3*len(*slots) {
		slots = m.grown(slots)
		m.slots.Store(slots)
	}
	s := find(*slots, in.key())
	if s.key.Load() != 0 {
		return // somebody else was quicker
	}
	s.outcome.Store(o)
	s.key.Store(in.key())
	m.used++
}

func (m *memo) grown(old *[]slot) *[]slot {
	if old == nil {
		slots := make([]slot, 8)
		return &slots
	}
	slots := make([]slot, 2*len(*old))
	for k := range *old {
		if o := &(*old)[k]; o.key.Load() != 0 {
			s := find(slots, o.key.Load())
			s.outcome.Store(o.outcome.Load())
			s.key.Store(o.key.Load())
		}
	}
	return &slots
}
