package explore

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// search is a breadth-first search of one level: all worlds after one step, then after two,
// so that the first broken promise has the shortest script.
type search struct {
	*space
	seen    set
	workers []*worker
	depth   atomic.Int64
	width   atomic.Int64 // of the present frontier
	began   time.Time
	broken  *found
	report  func()      // how far it is
	stop    func() bool // a budget is used up
	// wanted, if not nil, names a world to find instead.
	wanted func(w *world) bool

	taken  atomic.Int64 // of the present frontier
	mu     sync.Mutex
	states atomic.Int64
	moves  atomic.Int64
}

// found is a broken promise: the state before the step, and which of its steps.
type found struct {
	first
	what *broken
}

// worker has a part of the frontier, and of the list of all states.
type worker struct {
	*search
	number   int
	parents  chunks[uint32]
	steps    chunks[uint16]
	frontier frontier // of this depth
	next     frontier
	mover    mover
	parent   uint32 // of the world whose steps are taken now
	step     uint16 // the next one
	firsts   []first
}

// first is a step in which a server does something for the first time.
type first struct {
	state uint32
	step  uint16
}

// chunks is a list that grows without being copied.
type chunks[T any] struct {
	all [][]T
	n   int
}

const listChunk = 1 << 18

func (c *chunks[T]) add(t T) {
	if c.n%listChunk == 0 {
		c.all = append(c.all, make([]T, listChunk))
	}
	c.all[c.n/listChunk][c.n%listChunk] = t
	c.n++
}

func (c *chunks[T]) at(n int) T { return c.all[n/listChunk][n%listChunk] }

// frontier holds worlds as numbers: those of the servers, the ghost, what is used, the
// world's own number, then the bag up to the first 0.
type frontier struct {
	blocks [][]uint32
	n      int
}

const blockWorlds = 1 << 12

func (s *search) stride() int { return s.level.nodes() + 3 + s.level.InFlight }

func (s *search) put(f *frontier, w *world, number uint32) {
	if f.n%blockWorlds == 0 {
		f.blocks = append(f.blocks, make([]uint32, 0, blockWorlds*s.stride()))
	}
	b := &f.blocks[len(f.blocks)-1]
	*b = append(*b, w.servers[:s.level.nodes()]...)
	*b = append(*b, w.ghost, w.used.packed(), number)
	*b = append(*b, w.bag.of[:s.level.InFlight]...)
	f.n++
}

func (s *search) get(f *frontier, k int, w *world) (number uint32) {
	at := f.blocks[k/blockWorlds][k%blockWorlds*s.stride():][:s.stride()]
	nodes := s.level.nodes()
	copy(w.servers[:], at[:nodes])
	w.ghost, w.used = at[nodes], unpacked(at[nodes+1])
	w.bag = bag{}
	for k, n := range at[nodes+3:] {
		if n == 0 {
			break
		}
		w.bag.of[k], w.bag.n = n, k+1
	}
	return at[nodes+2]
}

// hash is the same for all worlds that differ only in who is who: the sum over all ways to
// rename the servers. What the world consists of is known by its hashes under each.
func (x *space) hash(w *world) uint64 {
	budget := mix(uint64(w.used.packed()))
	var parts [maxNodes + 1 + maxInFlight][]uint64
	n := 0
	for place := range x.level.nodes() {
		parts[n] = x.server(w.servers[place]).hash
		n++
	}
	parts[n] = x.ghosts.at(w.ghost).hash
	n++
	for _, m := range w.bag.all() {
		parts[n] = x.message(m).hash
		n++
	}
	sum := uint64(0)
	for k := range x.renames {
		h := budget
		for _, p := range parts[:n] {
			h += p[k]
		}
		sum += mix(h)
	}
	return mix(sum)
}

func newSearch(l Level, workers int) *search {
	s := &search{space: newSpace(l), report: func() {}, stop: func() bool { return false }}
	for k := range workers {
		w := &worker{search: s, number: k}
		w.mover = mover{space: s.space, emit: w.emit}
		s.workers = append(s.workers, w)
	}
	return s
}

// begin is the world in which nothing has happened.
func (x *space) begin() *world {
	w := &world{ghost: x.ghostNumber(&ghost{})}
	copy(w.servers[:], x.first())
	return w
}

// run explores the level. It says whether all of it was.
func (s *search) run() (complete bool) {
	s.began = time.Now()
	w := s.begin()
	s.seen.add(s.hash(w))
	s.states.Store(1)
	first := s.workers[0]
	first.parents.add(0)
	first.steps.add(0)
	s.put(&first.next, w, 0)
	done := make(chan struct{})
	defer close(done)
	go s.tellNowAndThen(done)
	for {
		n := 0
		for _, w := range s.workers {
			w.frontier, w.next = w.next, frontier{}
			n += w.frontier.n
		}
		if n == 0 || s.broken != nil || s.stop() {
			return n == 0
		}
		s.taken.Store(0)
		s.width.Store(int64(n))
		var running sync.WaitGroup
		for _, w := range s.workers {
			running.Go(w.work)
		}
		running.Wait()
		s.depth.Add(1)
	}
}

func (s *search) tellNowAndThen(done chan struct{}) {
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case <-tick.C:
			s.report()
		}
	}
}

// batch is how many worlds a worker takes at a time.
const batch = 256

// work takes worlds of the frontier, whoever found them, and finds those after the next step.
func (w *worker) work() {
	parts := make([]*frontier, len(w.workers))
	all := 0
	for k, o := range w.workers {
		parts[k] = &o.frontier
		all += o.frontier.n
	}
	var from world
	for {
		at := int(w.taken.Add(batch)) - batch
		if at >= all || w.stop() {
			return
		}
		before := w.mover.moves
		for k := at; k < min(at+batch, all); k++ {
			part, i := 0, k
			for i >= parts[part].n {
				i -= parts[part].n
				part++
			}
			w.parent, w.step = w.get(parts[part], i, &from), 0
			w.mover.all(&from)
		}
		w.moves.Add(int64(w.mover.moves - before))
	}
}

// emit takes a world that was found.
func (w *worker) emit(next *world, _ *move, err *broken) {
	step := w.step
	w.step++
	if w.mover.fresh {
		w.firsts = append(w.firsts, first{w.parent, step})
		w.mover.fresh = false
	}
	if err != nil {
		w.found(&found{first{w.parent, step}, err})
		return
	}
	if w.wanted != nil && w.wanted(next) {
		w.found(&found{first{w.parent, step}, &broken{"found", "what was wanted"}})
		return
	}
	if !w.seen.add(w.hash(next)) {
		return
	}
	number := uint32(w.parents.n*len(w.workers) + w.number)
	w.parents.add(w.parent)
	w.steps.add(step)
	w.states.Add(1)
	w.put(&w.next, next, number)
}

func (s *search) found(f *found) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken == nil {
		s.broken = f
	}
}

// path is how a step was reached: which of the steps of each state before it, and itself.
func (s *search) path(f first) []uint16 {
	steps := []uint16{f.step}
	for state := f.state; state != 0; {
		w := s.workers[int(state)%len(s.workers)]
		k := int(state) / len(s.workers)
		steps = append(steps, w.steps.at(k))
		state = w.parents.at(k)
	}
	slices.Reverse(steps)
	return steps
}

// memory is what the search holds, by what the runtime says.
func memory() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse
}
