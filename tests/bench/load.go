package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// requestTimeout ends a request that nobody answers; much longer than any that succeeds.
const requestTimeout = 10 * time.Second

// sample is one request that succeeded.
type sample struct {
	end  time.Duration // since the start of the load
	took time.Duration
}

// load is clients in a closed loop: each sends its next request when it has its answer.
type load struct {
	start   time.Time
	workers []*worker
	running sync.WaitGroup
	cancel  context.CancelFunc
	done    atomic.Int64 // requests that succeeded
}

// worker is one client and what became of its requests.
type worker struct {
	do      func() error
	samples []sample
	failed  failures
}

// failures are requests without an answer, and answers that were wrong.
type failures struct {
	errors int
	wrong  map[string]int // lost, corrupt, stale
	first  error
}

func (f *failures) add(err error) {
	if f.first == nil {
		f.first = err
	}
	var w *wrongAnswer
	if !errors.As(err, &w) {
		f.errors++
		return
	}
	if f.wrong == nil {
		f.wrong = map[string]int{}
	}
	f.wrong[w.what]++
	f.first = err // it says more than any time-out
}

func (f *failures) merge(g failures) {
	f.errors += g.errors
	if f.first == nil || g.wrong != nil && f.wrong == nil {
		f.first = g.first
	}
	for what, n := range g.wrong {
		if f.wrong == nil {
			f.wrong = map[string]int{}
		}
		f.wrong[what] += n
	}
}

func (f failures) String() string {
	return fmt.Sprintf("%d errors, wrong answers: %v; %v", f.errors, f.wrong, f.first)
}

// errNothingToDo ends a worker.
var errNothingToDo = errors.New("nothing is left to do")

// afterFailure is how long a client waits before it tries again.
const afterFailure = 10 * time.Millisecond

// startLoad starts the clients; each calls its function until the load is stopped.
func startLoad(ctx context.Context, work []func() error) *load {
	ctx, cancel := context.WithCancel(ctx)
	l := &load{start: time.Now(), cancel: cancel}
	for _, do := range work {
		w := &worker{do: do}
		l.workers = append(l.workers, w)
		l.running.Go(func() { w.run(ctx, l) })
	}
	return l
}

func (w *worker) run(ctx context.Context, l *load) {
	for ctx.Err() == nil {
		begin := time.Now()
		err := w.do()
		end := time.Now()
		switch {
		case err == nil:
			w.samples = append(w.samples, sample{end.Sub(l.start), end.Sub(begin)})
			l.done.Add(1)
		case errors.Is(err, errNothingToDo):
			return
		default:
			w.failed.add(err)
			pause(ctx, afterFailure)
		}
	}
}

// stop waits for the last answers and returns all samples.
func (l *load) stop() ([]sample, failures) {
	l.cancel()
	return l.wait()
}

// wait waits until nothing is left to do.
func (l *load) wait() (all []sample, failed failures) {
	l.running.Wait()
	l.cancel()
	for _, w := range l.workers {
		all = append(all, w.samples...)
		failed.merge(w.failed)
	}
	return all, failed
}
