package explore

import "sync"

// table gives each different thing one number, from 1: 0 is nothing. Things are told apart
// by their encoding. A number that was handed out may be looked up without a lock.
type table[T any] struct {
	mu     sync.RWMutex
	number map[string]uint32
	chunks [1 << 12]*[chunk]*T
	next   uint32
}

const chunk = 1 << 13

func newTable[T any]() *table[T] { return &table[T]{number: map[string]uint32{}, next: 1} }

func (t *table[T]) at(n uint32) *T { return t.chunks[n/chunk][n%chunk] }

// find returns the number of what has this encoding, and makes it if it is new.
func (t *table[T]) find(key []byte, make func() *T) uint32 {
	t.mu.RLock()
	n, known := t.number[string(key)]
	t.mu.RUnlock()
	if known {
		return n
	}
	thing := make()
	t.mu.Lock()
	defer t.mu.Unlock()
	if n, known := t.number[string(key)]; known {
		return n
	}
	n = t.next
	if t.chunks[n/chunk] == nil {
		t.chunks[n/chunk] = new([chunk]*T) // before the number is known to anybody
	}
	t.chunks[n/chunk][n%chunk] = thing
	t.number[string(key)] = n
	t.next++
	return n
}

func (t *table[T]) len() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return int(t.next) - 1
}
