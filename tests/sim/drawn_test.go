package sim

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"dbdb/raft"
)

// streamSchedule is apart from the streams of a run: a schedule has no others.
const streamSchedule uint64 = 1 << 60

// TestSchedulesDrawnAtRandom plays schedules that chance draws: a better finder than the
// fuzzer, which is the better keeper. -seeds asks for more than the default.
func TestSchedulesDrawnAtRandom(t *testing.T) {
	schedules := uint64(300)
	switch {
	case *seedsFlag > 0:
		schedules = uint64(*seedsFlag)
	case testing.Short():
		schedules = 30
	}
	for seed := *fromFlag; seed < *fromFlag+schedules; seed++ {
		d := newDrawer(stream(seed, streamSchedule))
		if failure := d.play(); failure != nil {
			d.report(t, failure, fmt.Sprintf("\nreproduce: go test ./tests/sim -run TestSchedulesDrawnAtRandom -from=%d -seeds=1%s", seed, heldToo()))
		}
	}
}

// drawer leaves a schedule to chance, swarm style (Groce et al., ISSTA '12): each schedule
// has only some kinds of commands, and weights of its own. A schedule in which everything is
// equally likely has a little of everything, and goes nowhere.
//
// It goes on in phases. In each, only some of the servers hear each other and have timers
// that run out, as if the network were cut around them; what others have sent stays under
// way meanwhile. In some only votes pass, so that leaders follow each other with entries that
// nobody else has; then one of them brings its own to a few. That is how logs come to be like
// those of the figures 7 and 8 of the paper.
type drawer struct {
	*schedule
	chance
	weights []weight
	total   int
	ahead   int    // how many of the messages under way may arrive next
	newest  bool   // of these, and not the oldest
	calm    int    // commands until the next phase
	phases  bool   // are there any
	longest int    // commands of a phase
	group   []bool // [server-1]: it takes part in this phase
	votes   bool   // only they pass in this phase
}

// weight is how likely a kind of command is.
type weight struct {
	name string
	of   int
}

// kinds of commands, each with how often a schedule has it, of 8.
var kinds = []weight{
	{"set", 6}, {"heartbeat", 5}, {"crash", 4}, {"lose", 3}, {"repeat", 4}, {"expire", 3},
	{"settle", 3}, {"cut", 2}, {"heal", 2}, {"tick", 3}, {"get", 4},
	{"add", 5}, {"remove", 5}, {"transfer", 3}, {"slow", 4},
}

func newDrawer(r chance) *drawer {
	d := &drawer{chance: r}
	voters, spares := []int{1, 2, 3, 3, 3, 4, 5, 5}[r.IntN(8)], []int{0, 1, 1, 2}[r.IntN(4)]
	bits, compacting := byte(r.IntN(256)), byte(0)
	if r.IntN(2) == 0 {
		bits &^= 3 // no pre-vote and no check of the quorum: the paper alone
	}
	if r.IntN(2) == 0 {
		compacting = byte(r.IntN(256))
	}
	d.schedule = beginSchedule(voters, spares, bits, compacting)
	d.weigh("deliver", []int{8, 15, 30}[r.IntN(3)])
	d.weigh("timeout", []int{1, 2, 4}[r.IntN(3)])
	d.weigh("start", 2)
	for _, k := range kinds {
		if r.IntN(8) < k.of {
			d.weigh(k.name, 1+r.IntN(4))
		}
	}
	if slices.ContainsFunc(d.weights, func(w weight) bool { return w.name == "slow" }) {
		d.weigh("sync", 2)
		d.weigh("fast", 1)
	}
	d.newest = r.IntN(2) == 0
	d.ahead = []int{1, 3, picked, 20, 1000}[r.IntN(5)]
	d.phases, d.longest = r.IntN(4) > 0, []int{10, 20, 40, 80}[r.IntN(4)]
	return d
}

func (d *drawer) weigh(name string, of int) {
	d.weights = append(d.weights, weight{name, of})
	d.total += of
}

// play carries out what it draws, and then lets all faults end.
func (d *drawer) play() *Failure {
	for range d.IntN(600) {
		if d.calm--; d.calm < 0 {
			d.phase()
		}
		d.happen(d.draw())
		if d.failed() {
			break
		}
	}
	return d.end(true)
}

// phase chooses who takes part: in one of four all do.
func (d *drawer) phase() {
	d.calm, d.votes = 2+d.IntN(d.longest), d.phases && d.IntN(3) == 0
	d.group = make([]bool, d.Stage.Servers())
	all := !d.phases || d.IntN(4) == 0
	for k := range d.group {
		d.group[k] = all || d.IntN(2) == 0
	}
	if d.IntN(2) == 0 {
		if line := d.one("timeout"); line != "" {
			d.happen(line)
		}
	}
}

// draw draws the name of a command, and one of those with that name that can be carried out.
func (d *drawer) draw() string {
	for range 10 {
		if line := d.one(d.name()); line != "" {
			return line
		}
	}
	list := d.timers()
	return list[d.IntN(len(list))]
}

func (d *drawer) name() string {
	k := d.IntN(d.total)
	for _, w := range d.weights {
		if k -= w.of; k < 0 {
			return w.name
		}
	}
	return ""
}

// one is a command of a name; "" if there is none that can be carried out. What happens most
// is not drawn from a list of everything that could: lists are slow.
func (d *drawer) one(name string) string {
	leads := func(n *node) bool { return n.up && n.view.State == raft.Leader }
	switch name {
	case "deliver":
		return d.arrival()
	case "timeout":
		return d.with("timeout n%d", func(n *node) bool { return n.up && !leads(n) && d.group[n.place] })
	case "heartbeat":
		return d.with("heartbeat n%d", leads)
	case "start":
		return d.with("start n%d", func(n *node) bool { return !n.up && !n.gone })
	case "tick":
		return d.with("tick n%d 5", func(n *node) bool { return n.up })
	case "set":
		return d.with(fmt.Sprintf("set n%%d x=%d", d.values+1), func(n *node) bool { return n.up && (leads(n) || d.IntN(4) == 0) })
	case "get":
		return d.with("get n%d x", func(n *node) bool { return n.up })
	case "crash", "slow", "sync", "fast":
		return d.from(d.faults(), name)
	case "add", "remove", "transfer":
		return d.from(d.requests(), name)
	}
	return d.from(d.network(), name)
}

// with is a command for one of the servers of which something is so.
func (d *drawer) with(command string, so func(n *node) bool) string {
	nodes := d.Stage.w.nodes
	for k, from := 0, d.IntN(len(nodes)); k < len(nodes); k++ {
		if n := nodes[(from+k)%len(nodes)]; so(n) {
			return fmt.Sprintf(command, n.place+1)
		}
	}
	return ""
}

// from draws one of the commands of a name.
func (d *drawer) from(list []string, name string) string {
	list = slices.DeleteFunc(list, func(line string) bool { return commandName(line) != name })
	if len(list) == 0 {
		return ""
	}
	return list[d.IntN(len(list))]
}

// arrival draws one of the messages between servers that take part.
func (d *drawer) arrival() string {
	var near []*parcel
	bag := d.Stage.bag
	for k := range bag {
		p := bag[k]
		if d.newest {
			p = bag[len(bag)-1-k]
		}
		if len(near) < d.ahead && d.group[p.from.place] && d.group[p.to.place] && (!d.votes || isOfVotes(p.label)) {
			near = append(near, p)
		}
	}
	if len(near) == 0 {
		return ""
	}
	return d.deliveries([]*parcel{near[d.IntN(len(near))]})[0]
}

func isOfVotes(label string) bool {
	return strings.HasPrefix(label, "RequestVote") || strings.HasPrefix(label, "PreVote")
}
