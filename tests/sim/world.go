// Package sim is a deterministic simulated world: real replicas, their real
// write-ahead logs and the real key-value store, on a simulated disk, network and
// clock. One goroutine takes one event after the other from one queue; whatever is
// random comes from one seed. So a seed is a run, byte for byte, and a failure is a
// line that can be pasted.
//
// After every event the checker compares the whole cluster with what Raft
// promises; see checker.go for the promises.
package sim

import (
	"fmt"
	"io"
	"math/rand/v2"
	"runtime/debug"

	"dbdb/raft"
)

// Virtual time is counted in microseconds.
const (
	millisecond int64 = 1000
	second            = 1000 * millisecond
	tickPeriod        = 10 * millisecond
)

// Options chooses a run.
type Options struct {
	Seed  uint64
	Nodes int       // 0: drawn from the seed
	Trace io.Writer // nil: no trace is printed
	All   bool      // print each message and disk write too
	Spec  bool      // hold every step to the specification

	Record bool // write the run down as a script
}

// Result is what a run came to.
type Result struct {
	Seed    uint64
	Hash    string // SHA-256 of all events: the identity of the run
	Virtual int64  // µs of virtual time
	Events  int
	Writes  int // acknowledged
	Reads   int // answered
	Marks   Marks
	Profile string
	Failure *Failure // nil if all promises were kept
	Script  Script   // if the run was recorded
}

// Failure is a broken promise, with what a person needs to look at it.
type Failure struct {
	Oracle  string
	Detail  string
	Virtual int64
	Tail    []string // the last events
}

func (f *Failure) Error() string {
	return fmt.Sprintf("at %d.%06d s: %s: %s", f.Virtual/second, f.Virtual%second, f.Oracle, f.Detail)
}

// violation is what an oracle panics with; Run catches it.
type violation struct{ oracle, detail string }

func violate(oracle, format string, args ...any) {
	panic(violation{oracle, fmt.Sprintf(format, args...)})
}

// Streams of randomness: each part of the world has its own, so that a change in
// one part leaves the choices of the others as they were.
const (
	streamProfile uint64 = iota + 1
	streamNetwork
	streamDisk
	streamFaults
	streamWork
	streamNodes // and above: the generator of each node's core
)

// Streams that were added later. Their numbers lie above those of all nodes.
const (
	streamExtremes uint64 = 1<<62 + iota // what was added to the profile
	streamRare                           // and what happens because of it
)

// streamLatest draws what was added to the profile after that. Its number is one with which
// none of it is on in the seeds of seeds.txt, so that they are the runs that they were.
const streamLatest uint64 = 1<<62 + 1649

// streamStrangers draws when servers of another cluster call. Those that are refused leave no
// trace, so that a run with them is the run that it was.
const streamStrangers uint64 = 1<<62 + 1650

// chance is a source of randomness with the draws that the world needs.
type chance struct{ *rand.Rand }

func stream(seed, number uint64) chance {
	return chance{rand.New(rand.NewPCG(seed, number*0x9e3779b97f4a7c15))}
}

// Read implements io.Reader.
func (c chance) Read(p []byte) (int, error) {
	for k := range p {
		p[k] = byte(c.Uint32())
	}
	return len(p), nil
}

// perMille is true n times out of 1000.
func (c chance) perMille(n int) bool { return n > 0 && c.IntN(1000) < n }

// between returns a number in [low, high].
func (c chance) between(low, high int64) int64 { return low + c.Int64N(high-low+1) }

// exponential returns a number with this mean, without a float: the sum of
// fair coin flips per halving, spread evenly within the step. Ten means are the most.
func (c chance) exponential(mean int64) int64 {
	if mean <= 0 {
		return 0
	}
	half := mean*7/10 + 1 // ln 2 of the mean: after it, half of all are over
	total := int64(0)
	for steps := 0; steps < 14 && c.IntN(2) == 0; steps++ {
		total += half
	}
	return total + c.Int64N(half)
}

// world is one run.
type world struct {
	options Options
	profile profile
	now     int64
	queue   queue
	events  int

	disks, faults, work chance
	rare                chance // for the profile's extremes

	nodes     []*node
	network   *network
	clients   *clients
	check     *checker
	trace     *trace
	marks     *Marks
	recorder  *recorder  // nil if nobody wants it written down
	stage     *Stage     // who plays this world by hand, if somebody does
	tends     bool       // the operator has begun
	decays    int        // disks that were damaged
	promotion *promotion // the story of one that is being told
	calm      bool       // phase 2: no fault may begin any more
	core      []*node    // who comes back in phase 2; nil for everybody
}

// Run plays one seed to its end.
func Run(o Options) Result {
	p := drawProfile(stream(o.Seed, streamProfile), stream(o.Seed, streamExtremes), o.Nodes)
	p.drawLatest(stream(o.Seed, streamLatest))
	return newWorld(o, p).run()
}

func (w *world) run() (res Result) {
	defer func() {
		res.Seed, res.Hash, res.Virtual, res.Events = w.options.Seed, w.trace.hash(), w.now, w.events
		res.Writes, res.Reads = w.clients.writes, w.clients.reads
		res.Marks, res.Profile = *w.marks, w.profile.String()
		if caught := recover(); caught != nil {
			res.Failure = w.failure(caught)
		}
		if w.recorder != nil {
			res.Script = w.recorder.script
		}
		for _, n := range w.nodes {
			if n.files != nil {
				n.endFiles() // coroutines too must end
			}
		}
	}()
	if w.options.Record {
		w.recorder = newRecorder(w)
	}
	w.begin()
	w.runUntil(w.profile.faultTime)
	w.recuperate()
	w.check.final()
	w.clients.checkHistory()
	return res
}

func (w *world) failure(caught any) *Failure {
	f := &Failure{Virtual: w.now}
	if v, ok := caught.(violation); ok {
		f.Oracle, f.Detail = v.oracle, v.detail
	} else {
		f.Oracle, f.Detail = "panic", fmt.Sprintf("%v\n%s", caught, debug.Stack())
	}
	for _, r := range w.trace.tail() {
		f.Tail = append(f.Tail, r.String())
	}
	return f
}

func newWorld(o Options, p profile) *world {
	w := &world{
		options: o,
		profile: p,
		disks:   stream(o.Seed, streamDisk),
		faults:  stream(o.Seed, streamFaults),
		work:    stream(o.Seed, streamWork),
		rare:    stream(o.Seed, streamRare),
		trace:   newTrace(o.Trace, o.All),
		marks:   &Marks{},
	}
	w.network = newNetwork(w)
	w.check = newChecker(w)
	w.clients = newClients(w)
	for place := range w.profile.nodes {
		w.nodes = append(w.nodes, newNode(w, place, ""))
		w.nodes[place].wanted = true
	}
	return w
}

// begin starts the servers, the clients and the faults.
func (w *world) begin() {
	w.format()
	for _, n := range w.nodes {
		n.start()
	}
	w.clients.begin()
	w.beginFaults()
	w.beginStrangers()
}

// format writes the first entry of the log: a configuration of node 1 alone, as
// --bootstrap does, or one of several servers, which saves the run the time to grow.
// Such an entry is the same on every founder's disk.
func (w *world) format() {
	first := raft.Bootstrap(w.nodes[0].member())
	first.Entries[0].Data = w.founding().Encode()
	for _, n := range w.nodes[:w.profile.founders] {
		n.format(first)
	}
}

// founding is the configuration that a run begins with.
func (w *world) founding() (c raft.Configuration) {
	for _, n := range w.nodes[:w.profile.founders] {
		m := n.member()
		m.Role = raft.Voter
		c.Members = append(c.Members, m)
	}
	return c
}

// played says that somebody else decides what happens, and when.
func (w *world) played() bool { return w.stage != nil && !w.calm }

// at plans something for later, for the world at large.
func (w *world) at(delay int64, run func()) {
	w.queue.push(event{at: w.now + delay, run: run})
}

// atNode plans something that happens on a node, whatever its life will be then.
// A paused node comes to it when it wakes up.
func (w *world) atNode(delay int64, n *node, run func()) {
	w.queue.push(event{at: w.now + delay, node: n, run: run})
}

// inLife plans something that dies with the life that a node is in now.
func (w *world) inLife(delay int64, n *node, run func()) {
	w.queue.push(event{at: w.now + delay, node: n, life: n.life, run: run})
}

// step takes one event from the queue.
func (w *world) step() {
	e := w.queue.pop()
	w.now = e.at
	switch {
	case e.node != nil && e.life != 0 && e.life != e.node.life:
		return // planned in a life that is over
	case e.node != nil && e.node.pausedUntil > w.now:
		e.at = e.node.pausedUntil
		w.queue.push(e)
		return
	}
	w.events++
	e.run()
}

func (w *world) runUntil(t int64) {
	for len(w.queue.events) > 0 && w.queue.events[0].at <= t {
		w.step()
	}
	w.now = t
}

// find returns the server with an ID. The clusters of a run know no others.
func (w *world) find(id raft.NodeID) *node {
	for _, n := range w.nodes {
		if n.id == id {
			return n
		}
	}
	violate("Addressing", "a call to %q, which is no server of this world", id)
	return nil
}

func (w *world) note(kind what, n *node, a, b, c, d uint64) {
	w.trace.add(record{at: w.now, what: kind, node: place(n), peer: nowhere, a: a, b: b, c: c, d: d})
}

func place(n *node) int8 {
	if n == nil {
		return nowhere
	}
	return int8(n.place)
}

// beginTending lets the operator begin.
func (w *world) beginTending() {
	if !w.tends {
		w.tends = true
		w.at(0, w.tend)
	}
}
