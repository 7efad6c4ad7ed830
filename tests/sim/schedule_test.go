package sim

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"dbdb/raft"
)

// A schedule is a play that a drawer puts together, from what can happen next: a command of a
// script at a time. One drawer reads bytes: the first ones say what kind of cluster it is, and
// each of the others picks one of the commands. So the fuzzer of `go test -fuzz` can play, and
// what it finds stays in the corpus. The other one, in drawn_test.go, leaves it to chance.
//
// A schedule that breaks a promise is shrunk to the shortest script that breaks the same, and
// printed as a lane diagram and as a file for tests/scripts.

// maxSchedule bounds a schedule: a longer one finds nothing that two shorter ones do not.
const maxSchedule = 1500

// picked is how many of the messages under way bytes choose from. Those behind
// them wait until these have arrived or were lost.
const picked = 5

// schedule is one run.
type schedule struct {
	Player
	script Script
	values int
}

const headerBytes = 3

// newSchedule reads what kind of cluster the first bytes want.
func newSchedule(header []byte) *schedule {
	return beginSchedule(1+int(header[0]%5), int(header[0]>>4)%3, header[1], header[2])
}

// beginSchedule makes a cluster: bits say what is on in it, and who keeps no log that a
// snapshot can take the place of.
func beginSchedule(voters, spares int, bits, compacting byte) *schedule {
	words := fmt.Sprintf("%s inflight=%d batch=%d", clusterSize{voters, spares}.join(nil),
		[]int{1, 2, 4, 16}[bits>>2&3], []int{1, 1 << 20}[bits>>4&1])
	if bits&1 != 0 {
		words += " pre-vote"
	}
	if bits&2 != 0 {
		words += " check-quorum"
	}
	if *specFlag {
		words += " spec"
	}
	var names []string
	for n := 1; n <= voters+spares; n++ {
		if compacting>>(n-1)&1 != 0 {
			names = append(names, fmt.Sprintf("n%d", n))
		}
	}
	if len(names) > 0 {
		words += " chunk=64 compacting=(" + strings.Join(names, ", ") + ")"
	}
	c := &schedule{}
	c.happen(words)
	return c
}

// happen carries out a command. It is one of those that can be.
func (c *schedule) happen(line string) {
	c.script = append(c.script, line)
	if answer := c.Do(line); WasNoUse(answer) {
		panic(line + ": " + answer)
	}
	if commandName(line) == "set" {
		c.values++
	}
}

// play carries out the schedule, and then lets all faults end.
func (c *schedule) play(picks []byte) *Failure {
	for _, pick := range picks[:min(len(picks), maxSchedule)] {
		c.happen(c.choose(pick))
		c.reached()
		if c.failed() {
			break
		}
	}
	return c.end(true)
}

// choose takes the byte's last three bits for what kind of thing happens, and the others for
// which one. Half of the time it is the arrival of a message: were everything equally likely,
// servers would crash before any of them had won an election, and no two would ever lead at
// once.
func (c *schedule) choose(pick byte) string {
	oldest := func() []string { return c.deliveries(c.Stage.bag[:min(picked, len(c.Stage.bag))]) }
	kinds := [8]func() []string{oldest, oldest, oldest, oldest, c.timers, c.requests, c.network, c.faults}
	list := kinds[pick&7]()
	if len(list) == 0 {
		list = c.timers() // nothing is under way
	}
	return list[int(pick>>3)%len(list)]
}

func (c *schedule) deliveries(of []*parcel) []string {
	var list []string
	for _, p := range of {
		list = append(list, "deliver "+selects(p, c.Stage.bag).String())
	}
	return list
}

// each lists what can happen to the servers, or be asked of them, that run.
func (c *schedule) each(list func(number int, n *node, id string) []string) []string {
	var all []string
	for number := 1; number <= c.Stage.Servers(); number++ {
		if n := c.Stage.node(number); n.up {
			all = append(all, list(number, n, fmt.Sprintf("n%d", number))...)
		}
	}
	return all
}

// timers lists those that can run out, and servers that can come back: there is always one.
func (c *schedule) timers() []string {
	s := c.Stage
	list := c.each(func(number int, n *node, id string) []string {
		return []string{choose(n.view.State == raft.Leader, "heartbeat ", "timeout ") + id, "tick " + id + " 5"}
	})
	for number := 1; number <= s.Servers(); number++ {
		if n := s.node(number); !n.up && !n.gone {
			list = append(list, fmt.Sprintf("start n%d", number))
		}
	}
	return list
}

// requests lists what clients and the operator can ask for.
func (c *schedule) requests() []string {
	return c.each(func(number int, n *node, id string) []string {
		// A value of its own tells which write a read has seen.
		list := []string{fmt.Sprintf("set %s x=%d", id, c.values+1), "get " + id + " x"}
		if n.view.State == raft.Leader {
			list = append(list, c.ofLeader(number)...)
		}
		return list
	})
}

// network lists what else can become of messages.
func (c *schedule) network() []string {
	s := c.Stage
	list := []string{"settle", "heal"}
	if len(s.bag) > 0 {
		oldest := selects(s.bag[0], s.bag).String()
		list = append(list, "repeat "+oldest, "lose "+oldest)
	}
	if len(s.calls) > 0 {
		list = append(list, "expire "+selects(s.calls[0], s.calls).String())
	}
	return append(list, c.each(func(number int, _ *node, id string) []string {
		next := number%s.Servers() + 1
		if next == number {
			return nil
		}
		return []string{fmt.Sprintf("cut %s->n%d", id, next), fmt.Sprintf("cut %s n%d", id, next)}
	})...)
}

// faults lists what can happen to servers that run, and to their disks.
func (c *schedule) faults() []string {
	return c.each(func(_ int, n *node, id string) []string {
		if n.slowLog || n.slowFiles {
			return []string{"crash " + id, "crash " + id + " keeping", "sync " + id, "fast " + id}
		}
		return []string{"crash " + id, "crash " + id + " keeping", "slow " + id}
	})
}

// ofLeader lists what only a leader can be asked for. The last voter stays.
func (c *schedule) ofLeader(number int) []string {
	s := c.Stage
	var list []string
	for m := 1; m <= s.Servers(); m++ {
		switch o := s.node(m); {
		case o.gone:
			continue
		case !o.wanted:
			list = append(list, fmt.Sprintf("add n%d at n%d", m, number))
		case len(s.w.wanted()) > 1:
			list = append(list, fmt.Sprintf("remove n%d at n%d", m, number))
		}
		if m != number {
			list = append(list, fmt.Sprintf("transfer to n%d at n%d", m, number))
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
		c.report(t, failure, reproduce)
	}
}

var (
	shrinkFlag = flag.Bool("shrink", true, "make a schedule that fails as short as it gets")
	shrunkFlag = flag.String("shrunk", "", "file to write the script to that it becomes")
)

// report tells of a schedule that fails. While the fuzzer plays, it makes its own inputs
// shorter, byte by byte; what is left of them is shrunk when it is played again.
func (c *schedule) report(t *testing.T, failure *Failure, reproduce string) {
	fuzzing := flag.Lookup("test.fuzz").Value.String() != ""
	if !*shrinkFlag || fuzzing {
		t.Fatalf("%v\n\nthe schedule as a script for tests/scripts:\n\n%s%s", failure, c.script, reproduce)
	}
	script, shrunk := c.script.Shrink()
	if shrunk == nil {
		t.Fatalf("%v\n\nand not when it is played again: a schedule that decides by more than its commands\n\n%s%s", failure, c.script, reproduce)
	}
	if err := keep(script, shrunk); err != nil {
		t.Error(err)
	}
	t.Fatalf("%v\n\nshrunk from %d commands: %v\n\n%s%s", failure, len(c.script), shrunk, script.Counterexample("Found by chance."), reproduce)
}

// keep writes a script to where -shrunk wants it.
func keep(script Script, failure *Failure) error {
	if *shrunkFlag == "" {
		return nil
	}
	return os.WriteFile(*shrunkFlag, []byte(script.File("Found by chance.", failure)), 0o644)
}

// TestAScheduleIsPrintedAsAScript: what is printed names messages by what they are.
func TestAScheduleIsPrintedAsAScript(t *testing.T) {
	c := newSchedule([]byte{2, 0, 5})
	if failure := c.play([]byte{4, 8, 0 + 8, 0, 7 + 5*8}); failure != nil {
		t.Fatal(failure)
	}
	want := "cluster 3 inflight=1 batch=1 chunk=64 compacting=(n1, n3)\n----\n\n" +
		"timeout n1\n----\n\n" +
		"deliver RequestVote n1->n3 term=2 index=1\n----\n\n" +
		"deliver RequestVoteReply n3->n1 term=2\n----\n\n" +
		"deliver RequestVote n1->n2 term=2 index=1\n----\n\n" +
		"slow n2\n----\n\n"
	if got := c.script.String(); got != want {
		t.Fatalf("%s", got)
	}
}
