package replica

import (
	"slices"

	"dbdb/raft"
)

// waiters are the clients whose commands are in the log but not yet applied, in
// the order of the log.
type waiters struct {
	queue []waiter
}

type waiter struct {
	index raft.Index
	term  raft.Term
	done  func(Result, error)
}

// add puts a waiter in its place: at the end, but for one that waits for a change of
// the configuration which somebody else asked for.
func (w *waiters) add(index raft.Index, term raft.Term, done func(Result, error)) {
	at := len(w.queue)
	for at > 0 && w.queue[at-1].index > index {
		at--
	}
	w.queue = slices.Insert(w.queue, at, waiter{index, term, done})
}

// applied answers whoever waits for e. Index and term must both be right: an index
// whose command was overwritten holds somebody else's (redpanda PR #3003).
func (w *waiters) applied(e raft.Entry, value []byte) {
	for len(w.queue) > 0 && w.queue[0].index <= e.Index {
		first := w.queue[0]
		w.queue[0] = waiter{}
		w.queue = w.queue[1:]
		if first.index == e.Index && first.term == e.Term {
			first.done(Result{Index: e.Index, Term: e.Term, Value: value}, nil)
		} else {
			first.done(Result{}, ErrOutcomeUnknown)
		}
	}
}

// passed answers those whose entries a snapshot jumped over: they may be part of it, or
// another leader's may.
func (w *waiters) passed(through raft.Index) {
	w.applied(raft.Entry{Index: through}, nil)
}

func (w *waiters) fail(err error) {
	queue := w.queue
	w.queue = nil
	for _, waiting := range queue {
		waiting.done(Result{}, err)
	}
}
