package explore

import (
	"fmt"
	"io"
	"sync"
	"time"

	"dbdb/tests/sim"
)

// Options say how a level is explored.
type Options struct {
	Workers int
	// Budget ends the search when so much time has passed; 0 is no bound.
	Budget time.Duration
	// Progress, if not nil, is told every few seconds how far it is.
	Progress io.Writer
	// Stage plays, when all states of a level were visited, a path to each step in which a
	// server does something for the first time, on a stage: with the real replica and disk
	// and all of the simulator's oracles.
	Stage bool
	// Spec holds every step of those paths to the specification.
	Spec bool
}

// Result is what a search came to.
type Result struct {
	Level    Level
	Complete bool // all states within the bounds were visited
	States   int64
	Moves    int64 // transitions
	Depth    int
	Servers  int // different states of single servers
	Memory   uint64
	Elapsed  time.Duration
	CPU      time.Duration
	// Played is how many paths were played on a stage, of how many.
	Played, Paths int
	Spec          bool // each of their steps was an action of the specification
	// Broken is the promise that was broken first, and Script how.
	Broken string
	Script *Script
}

// String is the claim that is proved, or how far the search came.
func (r *Result) String() string {
	verdict := choose(r.Complete, "complete", "NOT COMPLETE")
	if r.Broken != "" {
		verdict = "BROKEN: " + r.Broken
	}
	if r.Played > 0 {
		verdict += fmt.Sprintf(", and %s of %s paths played on a stage%s", grouped(int64(r.Played)), grouped(int64(r.Paths)), choose(r.Spec, ", each step an action of the specification", ""))
	}
	return fmt.Sprintf("%s: %v: %s; %s states, %s transitions, depth %d, %d MB, %.1f s, %s/s and core",
		r.Level.Name, r.Level, verdict, grouped(r.States), grouped(r.Moves), r.Depth, r.Memory>>20, r.Elapsed.Seconds(), grouped(int64(r.rate())))
}

func (r *Result) rate() float64 { return float64(r.Moves) / max(r.CPU.Seconds(), 0.001) }

// grouped writes a number with commas between its thousands.
func grouped(n int64) string {
	s := fmt.Sprint(n)
	for k := len(s) - 3; k > 0; k -= 3 {
		s = s[:k] + "," + s[k:]
	}
	return s
}

// Explore visits all states of a level, or as many as the budget allows, or until a promise
// is broken.
func Explore(l Level, o Options) *Result {
	s := newSearch(l, max(o.Workers, 1))
	s.spec = o.Spec
	began := sim.CPUTime()
	if o.Budget > 0 {
		end := time.Now().Add(o.Budget)
		s.stop = func() bool { return time.Now().After(end) }
	}
	last := progress{at: time.Now()}
	s.report = func() {
		if o.Progress != nil {
			last = s.tell(o.Progress, last)
		}
	}
	r := &Result{Level: l, Complete: s.run(), Spec: o.Spec}
	r.Elapsed, r.CPU, r.Memory = time.Since(s.began), sim.CPUTime()-began, memory()
	r.States, r.Moves, r.Depth, r.Servers = s.states.Load(), s.moves.Load(), int(s.depth.Load()), s.servers.len()
	if s.broken != nil {
		r.Complete, r.Broken = false, s.broken.what.Error()
		r.Script = s.play(s.path(s.broken.first))
	}
	if r.Complete && (o.Stage || o.Spec) {
		r.playAll(s, o)
	}
	return r
}

// playAll plays a path to each different step of a server, the shortest first.
func (r *Result) playAll(s *search, o Options) {
	var all []first
	for _, w := range s.workers {
		all = append(all, w.firsts...)
	}
	r.Paths = len(all)
	paths := make(chan first)
	var running sync.WaitGroup
	var mu sync.Mutex
	for range s.workers {
		running.Go(func() {
			for f := range paths {
				script := s.play(s.path(f))
				mu.Lock()
				r.played(script)
				mu.Unlock()
			}
		})
	}
	last := time.Now()
	for k, f := range all {
		if o.Budget > 0 && time.Since(s.began) > o.Budget {
			break
		}
		mu.Lock()
		broken := r.Broken != ""
		mu.Unlock()
		if broken {
			break
		}
		paths <- f
		if o.Progress != nil && time.Since(last) > 5*time.Second {
			last = time.Now()
			fmt.Fprintf(o.Progress, "  %s: %s of %s paths played on a stage\n", s.level.Name, grouped(int64(k)), grouped(int64(len(all))))
		}
	}
	close(paths)
	running.Wait()
}

func (r *Result) played(script *Script) {
	r.Played++
	switch {
	case r.Broken != "":
	case script.Failure != nil:
		r.Broken, r.Script = fmt.Sprintf("%s: %s", script.Failure.Oracle, script.Failure.Detail), script
	case script.Different != "":
		r.Broken, r.Script = "The driver is the replica: they differ", script
	}
}

// progress is how far a search was when it was last told.
type progress struct {
	at    time.Time
	moves int64
}

func (s *search) tell(to io.Writer, last progress) progress {
	now := progress{time.Now(), s.moves.Load()}
	rate := float64(now.moves-last.moves) / now.at.Sub(last.at).Seconds()
	frontier := s.width.Load()
	fmt.Fprintf(to, "  %s: depth %d, frontier %s of which %s done, %s states, %s transitions, %s/s, %d MB\n", s.level.Name, s.depth.Load(),
		grouped(frontier), grouped(min(s.taken.Load(), frontier)), grouped(s.states.Load()), grouped(now.moves), grouped(int64(rate)), memory()>>20)
	return now
}
