package sim

import (
	"fmt"
	"strings"
	"testing"

	"dbdb/raft"
)

// A schedule is a run that is written down as bytes: the first ones say what kind of
// cluster it is, and each of the others picks one of the things that can happen next. So
// the fuzzer of `go test -fuzz` can play, and what it finds stays in the corpus.
//
// A schedule that breaks a promise is printed as a script, in the language of
// tests/scripts, ready to become one.

// action is something that can happen next, and the script's words for it.
type action struct {
	words string
	do    func()
}

// maxSchedule bounds a schedule: a longer one finds nothing that two shorter ones do not.
const maxSchedule = 1500

// picked is how many of the messages under way a schedule chooses from. Those behind
// them wait until these have arrived or were lost.
const picked = 5

// schedule is one run.
type schedule struct {
	stage  *Stage
	script strings.Builder
	values int
}

const headerBytes = 3

// streamSchedule is apart from the streams of a run: a schedule has no others.
const streamSchedule uint64 = 1 << 60

// newSchedule reads what kind of cluster the first bytes want.
func newSchedule(header []byte) *schedule {
	o := StageOptions{
		Voters: 1 + int(header[0]%5), Spares: int(header[0]>>4) % 3,
		PreVote: header[1]&1 != 0, CheckQuorum: header[1]&2 != 0,
		MaxInflight: []int{1, 2, 4, 16}[header[1]>>2&3], BatchBytes: []int{1, 1 << 20}[header[1]>>4&1],
	}
	words := fmt.Sprintf("cluster %d spares=%d inflight=%d batch=%d", o.Voters, o.Spares, o.MaxInflight, o.BatchBytes)
	if o.PreVote {
		words += " pre-vote"
	}
	if o.CheckQuorum {
		words += " check-quorum"
	}
	if o.Compacting = compacting(header[2], o.Voters+o.Spares); len(o.Compacting) > 0 {
		o.ChunkBytes = 64
		words += " chunk=64 compacting=(" + strings.Trim(strings.ReplaceAll(fmt.Sprint(o.Compacting), " ", ", n"), "[]") + ")"
		words = strings.Replace(words, "compacting=(", "compacting=(n", 1)
	}
	c := &schedule{}
	c.write(words)
	o.Spec = *specFlag
	c.stage = NewStage(o)
	return c
}

func compacting(bits byte, servers int) []int {
	var chosen []int
	for n := 1; n <= servers; n++ {
		if bits>>(n-1)&1 != 0 {
			chosen = append(chosen, n)
		}
	}
	return chosen
}

func (c *schedule) write(words string) { fmt.Fprintf(&c.script, "%s\n----\n\n", words) }

// play carries out the schedule, and then lets all faults end.
func (c *schedule) play(picks []byte) *Failure {
	for _, pick := range picks[:min(len(picks), maxSchedule)] {
		chosen := c.choose(pick)
		c.write(chosen.words)
		chosen.do()
		c.reached()
		if c.stage.Failure() != nil {
			break
		}
	}
	return c.stage.Finish()
}

// choose takes the byte's last three bits for what kind of thing happens, and the others for
// which one. Half of the time it is the arrival of a message: were everything equally likely,
// servers would crash before any of them had won an election, and no two would ever lead at
// once.
func (c *schedule) choose(pick byte) action {
	kinds := [8]func() []action{c.deliveries, c.deliveries, c.deliveries, c.deliveries, c.timers, c.requests, c.network, c.faults}
	list := kinds[pick&7]()
	if len(list) == 0 {
		list = c.timers() // nothing is under way
	}
	return list[int(pick>>3)%len(list)]
}

func (c *schedule) deliveries() []action {
	var list []action
	for k := range min(picked, len(c.stage.bag)) {
		which := c.selects(k)
		list = append(list, action{"deliver " + c.words(k), func() { c.stage.Deliver(which) }})
	}
	return list
}

// selects is the selection of the k-th message under way, by what it is and not by where
// it lies: a script that is shortened still means the same one.
func (c *schedule) selects(k int) Select {
	p := c.stage.bag[k]
	which := Select{Label: p.label, From: p.from.place + 1, To: p.to.place + 1}
	for _, o := range c.stage.bag[:k+1] {
		if which.matches(o) {
			which.Nth++
		}
	}
	return which
}

func (c *schedule) words(k int) string {
	which := c.selects(k)
	return fmt.Sprintf("nth=%d %s n%d->n%d", which.Nth, which.Label, which.From, which.To)
}

// each lists what can happen to the servers, or be asked of them, that run.
func (c *schedule) each(list func(number int, n *node, id string) []action) []action {
	var all []action
	for number := 1; number <= c.stage.Servers(); number++ {
		if n := c.stage.node(number); n.up {
			all = append(all, list(number, n, fmt.Sprintf("n%d", number))...)
		}
	}
	return all
}

// timers lists those that can run out, and servers that can come back: there is always one.
func (c *schedule) timers() []action {
	s := c.stage
	list := c.each(func(number int, n *node, id string) []action {
		list := []action{{"timeout " + id, func() { s.Timeout(number) }}, {"tick " + id + " 5", func() { s.Tick(number, 5) }}}
		if n.view.State == raft.Leader {
			list[0] = action{"heartbeat " + id, func() { s.Heartbeat(number) }}
		}
		return list
	})
	for number := 1; number <= s.Servers(); number++ {
		if n := s.node(number); !n.up && !n.gone {
			list = append(list, action{fmt.Sprintf("start n%d", number), func() { s.Start(number) }})
		}
	}
	return list
}

// requests lists what clients and the operator can ask for.
func (c *schedule) requests() []action {
	return c.each(func(number int, n *node, id string) []action {
		list := []action{c.set(number), {"get " + id + " x", func() { c.stage.Get(number, "x") }}}
		if n.view.State == raft.Leader {
			list = append(list, c.ofLeader(number)...)
		}
		return list
	})
}

// network lists what else can become of messages.
func (c *schedule) network() []action {
	s := c.stage
	list := []action{{"settle", s.Settle}, {"heal", s.Heal}}
	if len(s.bag) > 0 {
		oldest, which := c.words(0), c.selects(0)
		list = append(list,
			action{"repeat " + oldest, func() { s.Repeat(which) }},
			action{"lose " + oldest, func() { s.Lose(which) }})
	}
	if len(s.calls) > 0 {
		p := s.calls[0]
		which := Select{Label: p.label, From: p.from.place + 1, To: p.to.place + 1, Nth: 1}
		list = append(list, action{fmt.Sprintf("expire one %s n%d->n%d", which.Label, which.From, which.To), func() { s.Expire(which) }})
	}
	return append(list, c.each(func(number int, _ *node, id string) []action {
		next := number%s.Servers() + 1
		if next == number {
			return nil
		}
		return []action{
			{fmt.Sprintf("cut %s->n%d", id, next), func() { s.Cut(number, next) }},
			{fmt.Sprintf("cut %s n%d", id, next), func() { s.Cut(number, next); s.Cut(next, number) }},
		}
	})...)
}

// faults lists what can happen to servers that run, and to their disks.
func (c *schedule) faults() []action {
	s := c.stage
	return c.each(func(number int, n *node, id string) []action {
		list := []action{
			{"crash " + id, func() { s.Crash(number, LoseUnsynced) }},
			{"crash " + id + " keeping", func() { s.Crash(number, KeepAll) }},
			{"slow " + id, func() { s.Slow(number, true, true) }},
		}
		if n.slowLog || n.slowFiles {
			list = append(list[:2], action{"sync " + id, func() { s.Sync(number) }}, action{"fast " + id, func() { s.Fast(number) }})
		}
		return list
	})
}

func (c *schedule) set(n int) action {
	value := fmt.Sprint(c.values + 1) // a value of its own tells which write a read has seen
	return action{fmt.Sprintf("set n%d x=%s", n, value), func() {
		c.values++
		c.stage.Set(n, "x", value)
	}}
}

// ofLeader lists what only a leader can be asked for. The last voter stays.
func (c *schedule) ofLeader(number int) []action {
	s := c.stage
	var list []action
	for m := 1; m <= s.Servers(); m++ {
		switch o := s.node(m); {
		case o.gone:
			continue
		case !o.wanted:
			list = append(list, action{fmt.Sprintf("add n%d at n%d", m, number), func() { s.Add(number, m) }})
		case len(s.w.wanted()) > 1:
			list = append(list, action{fmt.Sprintf("remove n%d at n%d", m, number), func() { s.Remove(number, m) }})
		}
		if m != number {
			list = append(list, action{fmt.Sprintf("transfer to n%d at n%d", m, number), func() { s.Transfer(number, m) }})
		}
	}
	return list
}

// FuzzSchedule lets the fuzzer look for a schedule that breaks a promise.
func FuzzSchedule(f *testing.F) {
	f.Add([]byte("\x02\x00\x00" + strings.Repeat("\x00", 40)))
	f.Add([]byte("\x14\x07\x03elect, write, cut and come back"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) >= headerBytes {
			playSchedule(t, data, "")
		}
	})
}

func playSchedule(t *testing.T, data []byte, reproduce string) {
	c := newSchedule(data[:headerBytes])
	if failure := c.play(data[headerBytes:]); failure != nil {
		t.Fatalf("%v\n\nthe schedule as a script for tests/scripts:\n\n%s\nthe last events:\n  %s\n%s", failure, c.script.String(), strings.Join(failure.Tail, "\n  "), reproduce)
	}
}

// TestAScheduleIsPrintedAsAScript: what is printed names messages by what they are.
func TestAScheduleIsPrintedAsAScript(t *testing.T) {
	c := newSchedule([]byte{2, 0, 5})
	if failure := c.play([]byte{4, 8, 0 + 8, 0, 7 + 5*8}); failure != nil {
		t.Fatal(failure)
	}
	want := "cluster 3 spares=0 inflight=1 batch=1 chunk=64 compacting=(n1, n3)\n----\n\n" +
		"timeout n1\n----\n\n" +
		"deliver nth=1 RequestVote n1->n3\n----\n\n" +
		"deliver nth=1 RequestVoteReply n3->n1\n----\n\n" +
		"deliver nth=1 RequestVote n1->n2\n----\n\n" +
		"slow n2\n----\n\n"
	if got := c.script.String(); got != want {
		t.Fatalf("%s", got)
	}
}

// TestSchedulesDrawnAtRandom plays schedules that a generator has drawn: a better finder
// than the fuzzer, which is the better keeper. -seeds asks for more than the default.
func TestSchedulesDrawnAtRandom(t *testing.T) {
	schedules := uint64(300)
	switch {
	case *seedsFlag > 0:
		schedules = uint64(*seedsFlag)
	case testing.Short():
		schedules = 30
	}
	for seed := *fromFlag; seed < *fromFlag+schedules; seed++ {
		r := stream(seed, streamSchedule)
		picks := make([]byte, headerBytes+r.IntN(600))
		_, _ = r.Read(picks)
		playSchedule(t, picks, fmt.Sprintf("\nreproduce: go test ./tests/sim -run TestSchedulesDrawnAtRandom -from=%d -seeds=1%s", seed, heldToo()))
	}
}
