package sim

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"dbdb/raft"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	seedFlag   = flag.Int64("seed", -1, "run this one seed and print what happens")
	seedsFlag  = flag.Int("seeds", 0, "run a campaign of so many seeds")
	fromFlag   = flag.Uint64("from", 1, "first seed of the campaign")
	nodesFlag  = flag.Int("nodes", 0, "number of servers; 0 lets each seed draw it")
	traceFlag  = flag.Bool("all", false, "with -seed: print each message and disk write too")
	specFlag   = flag.Bool("spec", false, "hold every step to the specification, too")
	hashesFlag = flag.String("hashes", "", "file of seeds and event hashes: made if missing, else what the determinism test must come to again")
)

// What `go test` runs when nobody asks for more: seconds, not minutes.
const (
	defaultSeeds     = 100
	shortSeeds       = 15
	determinismSeeds = 50 // of which each is run twice
	workers          = 2
)

// TestMain lets garbage lie for longer: worlds make much of it and keep little, and the
// collector would take a third of the time.
func TestMain(m *testing.M) {
	debug.SetGCPercent(800)
	os.Exit(m.Run())
}

// TestSim runs simulated clusters under faults. With -seed it runs one seed, with
// -seeds a campaign.
func TestSim(t *testing.T) {
	if *seedFlag >= 0 {
		runOne(t, uint64(*seedFlag))
		return
	}
	seeds := *seedsFlag
	switch {
	case seeds > 0:
	case testing.Short():
		seeds = shortSeeds
	default:
		seeds = defaultSeeds
	}
	c := &campaign{t: t, next: *fromFlag, end: *fromFlag + uint64(seeds), began: time.Now(), cpu: CPUTime()}
	if *seedsFlag > 0 {
		c.progress = os.Stderr
	}
	c.run()
	t.Log(c.summary())
}

func runOne(t *testing.T, seed uint64) {
	var out io.Writer
	if testing.Verbose() {
		out = os.Stdout
	}
	res := Run(Options{Seed: seed, Nodes: *nodesFlag, Trace: out, All: *traceFlag, Spec: *specFlag})
	t.Logf("seed %d: %s", seed, res.Profile)
	t.Logf("%d events in %d.%03d s, %d writes, %d reads\n%v", res.Events, res.Virtual/second, res.Virtual%second/millisecond, res.Writes, res.Reads, &res.Marks)
	t.Logf("event hash %s", res.Hash)
	if res.Failure != nil {
		t.Fatal(report(res))
	}
}

// report is what a failure prints: what was promised, what happened last, and the
// one line that shows it again.
func report(res Result) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v\n\nseed %d: %s\nthe last events:\n", res.Failure, res.Seed, res.Profile)
	for _, line := range res.Failure.Tail {
		fmt.Fprintf(&b, "  %s\n", line)
	}
	nodes := ""
	if *nodesFlag > 0 {
		nodes = fmt.Sprintf(" -nodes=%d", *nodesFlag)
	}
	if *shrinkFlag {
		b.WriteString(playedByHand(res))
	}
	fmt.Fprintf(&b, "\nreproduce: go test ./tests/sim -run TestSim -seed=%d%s%s -v\n", res.Seed, nodes, heldToo())
	return b.String()
}

// playedByHand makes a script of a world that failed, if it fails as one too, and shrinks it.
func playedByHand(res Result) string {
	again := Run(Options{Seed: res.Seed, Nodes: *nodesFlag, Spec: *specFlag, Record: true})
	script := again.Played()
	if script == nil {
		return "\nPlayed by hand, step by step, it breaks no promise: chance had more than steps in it.\n"
	}
	short, failure := script.Shrink()
	if err := keep(short, failure); err != nil {
		return err.Error()
	}
	return fmt.Sprintf("\nPlayed by hand, it is shrunk from %d commands:\n\n%s", len(script), short.Counterexample(foundBy(res.Seed)))
}

func foundBy(seed uint64) string { return fmt.Sprintf("Found in world %d.", seed) }

// heldToo is what a line that repeats a run needs, if it was held to the specification.
func heldToo() string {
	if *specFlag {
		return " -spec"
	}
	return ""
}

// campaign runs many seeds, each in a world of its own.
type campaign struct {
	t        *testing.T
	progress io.Writer
	began    time.Time
	cpu      time.Duration // that the process had used by then
	next     uint64
	end      uint64

	mu                    sync.Mutex
	seeds, failed         int
	virtual               int64
	events, writes, reads int
	marks                 Marks
	told                  time.Time
}

// enoughSeeds is the size of a campaign in which everything interesting must happen.
const enoughSeeds = 2000

// failuresFlag ends a campaign: the first few failures tell what there is to tell.
var failuresFlag = flag.Int("failures", 3, "failures that end a campaign")

func (c *campaign) run() {
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for {
				seed := atomic.AddUint64(&c.next, 1) - 1
				if seed >= c.end || !c.add(Run(Options{Seed: seed, Nodes: *nodesFlag, Spec: *specFlag})) {
					return
				}
			}
		})
	}
	group.Wait()
}

// add takes the result of a run; it says whether the campaign goes on.
func (c *campaign) add(res Result) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seeds++
	c.virtual += res.Virtual
	c.events, c.writes, c.reads = c.events+res.Events, c.writes+res.Writes, c.reads+res.Reads
	c.marks.Add(res.Marks)
	if res.Failure != nil {
		c.failed++
		c.t.Error(report(res))
	}
	if c.progress != nil && time.Since(c.told) > 5*time.Second {
		c.told = time.Now()
		fmt.Fprintln(c.progress, c.rate())
	}
	return c.failed < *failuresFlag
}

func (c *campaign) rate() string {
	virtual := float64(c.virtual) / float64(second)
	return fmt.Sprintf("%d seeds, %d of %d marks, %.2f virtual hours, %.0f virtual seconds per second and %.0f per CPU-second, %d events, %d writes, %d reads, %d failed",
		c.seeds, len(c.marks)-len(c.marks.Missing()), len(c.marks), virtual/3600, virtual/time.Since(c.began).Seconds(),
		virtual/max(CPUTime()-c.cpu, time.Millisecond).Seconds(), c.events, c.writes, c.reads, c.failed)
}

func (c *campaign) summary() string {
	s := c.rate() + "\n" + c.marks.String()
	if missing := c.marks.Missing(); len(missing) > 0 && c.seeds >= enoughSeeds && *nodesFlag == 0 {
		c.t.Errorf("never seen in %d seeds: %s", c.seeds, strings.Join(missing, ", "))
	}
	return s
}

func TestTwoSeedsAreTwoRuns(t *testing.T) {
	assert.NotEqual(t, Run(Options{Seed: 1}).Hash, Run(Options{Seed: 2}).Hash)
}

// TestSeedsThatOnceFailedStayFixed runs seeds.txt: a seed at the start of each line,
// and a story after it.
func TestSeedsThatOnceFailedStayFixed(t *testing.T) {
	f, err := os.Open("seeds.txt")
	require.NoError(t, err)
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		number, story, _ := strings.Cut(line, " ")
		seed, err := strconv.ParseUint(number, 10, 64)
		require.NoError(t, err, "a line of seeds.txt begins with a seed: %q", line)
		require.NotEmpty(t, story, "seed %d has no story", seed)
		if res := Run(Options{Seed: seed, Spec: *specFlag}); res.Failure != nil {
			t.Errorf("%s\n%s", story, report(res))
		}
	}
	require.NoError(t, lines.Err())
}

// BenchmarkVirtualSecond measures what a second of virtual time costs with five
// servers and 50 operations in it, all oracles on.
func BenchmarkVirtualSecond(b *testing.B) {
	p := profile{
		nodes: 5, founders: 5, slowDisk: nowhere, faultTime: int64(b.N) * second, segmentBytes: 64 << 10,
		raft: raft.Config{ElectionTicks: electionTicks, HeartbeatTicks: 5}, readTimeoutTicks: 200,
		delayMin: 500, delayMean: 1500, diskMin: 500, diskMean: 1500, loss: 10, duplicate: 10, oldest: second,
		callDeadline: 200 * millisecond, refuses: true, downMean: 300 * millisecond,
		crashEvery: 5 * second, partitionEvery: 5 * second, partitionMean: 500 * millisecond,
		clients: 10, keys: 5, think: 165 * millisecond, clientTimeout: second, readShare: 400, removeShare: 50,
	}
	w := newWorld(Options{Seed: 1}, p)
	cpu := CPUTime()
	res := w.run()
	if res.Failure != nil {
		b.Fatal(res.Failure)
	}
	if used := CPUTime() - cpu; used > 0 {
		b.ReportMetric(float64(res.Virtual)/float64(second)/used.Seconds(), "virtual-s/CPU-s")
	}
	b.ReportMetric(float64(len(w.clients.history))/float64(b.N), "operations/op")
	b.ReportMetric(float64(res.Events)/float64(b.N), "events/op")
	b.ReportMetric(float64(res.Writes+res.Reads)/float64(b.N), "answers/op")
}
