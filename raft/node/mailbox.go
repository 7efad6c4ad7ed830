package node

import "sync"

// mailbox holds what a goroutine has not taken yet: the loop its inputs, the others
// their work on snapshots. It has no bound of its own, so that the loop, which also
// puts into it, never waits; what comes from outside is bounded before it gets here.
type mailbox struct {
	mu     sync.Mutex
	inputs []func()
	closed bool
	wake   chan struct{} // holds a token while there is something to take
}

func newMailbox() *mailbox { return &mailbox{wake: make(chan struct{}, 1)} }

// put adds an input. It returns false, and drops it, after close.
func (m *mailbox) put(input func()) bool {
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return false
	}
	m.inputs = append(m.inputs, input)
	first := len(m.inputs) == 1
	m.mu.Unlock()
	if first {
		select {
		case m.wake <- struct{}{}:
		default:
		}
	}
	return true
}

// take removes all inputs; the slice it is given is used for the next ones.
func (m *mailbox) take(reuse []func()) []func() {
	clear(reuse)
	m.mu.Lock()
	defer m.mu.Unlock()
	inputs := m.inputs
	m.inputs = reuse[:0]
	return inputs
}

// close refuses further inputs and returns those that nobody took.
func (m *mailbox) close() []func() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	inputs := m.inputs
	m.inputs = nil
	return inputs
}
