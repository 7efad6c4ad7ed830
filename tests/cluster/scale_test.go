package cluster

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	keys       = flag.Int("keys", 60_000, "scale test: keys to write")
	valueBytes = flag.Int("value", 400, "scale test: bytes of each value")
)

func scaleKey(n int) string   { return fmt.Sprintf("key%08d", n) }
func scaleValue(n int) string { return fmt.Sprintf("%-*d", *valueBytes, n) }

// fill sets all keys, and says how it goes on.
func fill(t *testing.T, leader *server) {
	t.Helper()
	var next atomic.Int64
	var running sync.WaitGroup
	begun := time.Now()
	for range *clients {
		running.Go(func() {
			c := dial(t, leader)
			defer func() { _ = c.Close() }()
			for n := int(next.Add(1)) - 1; n < *keys; n = int(next.Add(1)) - 1 {
				status, answer, err := c.do("POST", "/apply", fmt.Sprintf(`{"op":"set","key":%q,"value":%q}`, scaleKey(n), scaleValue(n)))
				if !assert.NoError(t, err) || !assert.Equal(t, http.StatusOK, status, "%s", answer) {
					return
				}
				if n%100_000 == 0 && n > 0 {
					t.Logf("%d keys after %v", n, time.Since(begun).Round(time.Second))
				}
			}
		})
	}
	running.Wait()
	require.False(t, t.Failed())
	t.Logf("%d keys with values of %d bytes in %v", *keys, *valueBytes, time.Since(begun).Round(10*time.Millisecond))
}

// checkKeys reads some keys from a server's own state.
func checkKeys(t *testing.T, s *server) {
	t.Helper()
	c := dial(t, s)
	defer func() { _ = c.Close() }()
	for range 1000 {
		n := rand.IntN(*keys)
		status, answer, err := c.do("GET", "/get?consistency=stale&key="+scaleKey(n), "")
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, fmt.Sprintf("{\"data\":%q}\n", scaleValue(n)), string(answer), "%s of %s", scaleKey(n), s.name)
	}
}

// A node that was away while the log was compacted comes back by a snapshot, says how
// far it is, and disturbs nobody. Try it with -keys 1000000 -value 32.
func TestANodeThatWasAwayCatchesUpBySnapshot(t *testing.T) {
	servers := newCluster(t, 3)
	startAll(servers)
	leader := leaderOf(t, servers)
	away := without(servers, leader)[0]
	require.Zero(t, away.stop())
	missed := leader.status().LastIndex
	fill(t, leader)
	require.Eventually(t, func() bool { return leader.status().SnapshotIndex > missed }, time.Minute, 10*time.Millisecond,
		"the log of %s was not compacted", leader.name)

	before, begun := leader.status(), time.Now()
	away.start()
	var told []string
	require.Eventually(t, func() bool {
		st := away.status()
		if say := st.CatchingUp.Detail; say != "" && !slices.Contains(told, say) {
			told = append(told, say)
		}
		return st.AppliedIndex >= before.LastIndex
	}, 2*time.Minute, 2*time.Millisecond, "%s does not catch up", away.name)
	away.ready()
	require.NotEmpty(t, told, "it said nothing of its progress")
	t.Logf("%s caught up in %v, snapshot through %d of %d; it told its progress %d times, as %q", away.name, time.Since(begun).Round(time.Millisecond),
		away.status().SnapshotIndex, before.LastIndex, len(told), told[len(told)/2])
	require.Greater(t, away.status().SnapshotIndex, missed, "it came by the log")
	after := leader.status()
	require.Equal(t, before.Term, after.Term, "there was an election meanwhile")
	checkKeys(t, away)
	for _, s := range servers {
		t.Logf("%s: %d MiB resident", s.name, s.resident(t)>>20)
	}
	restartAll(t, servers)
	slowestSet(t, servers)
}

// restartAll kills the nodes one by one and measures how long each takes until it
// serves again.
func restartAll(t *testing.T, servers []*server) {
	for _, s := range servers {
		s.kill()
		begun := time.Now()
		s.start()
		s.ready()
		took := time.Since(begun)
		request(t, http.MethodGet, s.url("/get?key=x"), "") // from then on its state is whole
		checkKeys(t, s)
		t.Logf("%s serves %v after a restart, with %d MiB resident", s.name, took.Round(time.Millisecond), s.resident(t)>>20)
	}
}

// slowestSet writes until the leader has taken another snapshot, and tells how slow
// sets were while it was written and otherwise.
func slowestSet(t *testing.T, servers []*server) {
	leader := leaderOf(t, servers)
	const busy = 8
	first := leader.status().SnapshotIndex
	var done atomic.Bool
	times := make([][]timedSet, busy)
	var running sync.WaitGroup
	for k := range busy {
		running.Go(func() {
			c := dial(t, leader)
			defer func() { _ = c.Close() }()
			for !done.Load() {
				n := rand.IntN(*keys)
				begun := time.Now()
				status, answer, err := c.do("POST", "/apply", fmt.Sprintf(`{"op":"set","key":%q,"value":%q}`, scaleKey(n), scaleValue(n)))
				times[k] = append(times[k], timedSet{begun, time.Since(begun)})
				if !assert.NoError(t, err) || !assert.Equal(t, http.StatusOK, status, "%s", answer) {
					return
				}
			}
		})
	}
	require.Eventually(t, func() bool { return leader.status().SnapshotIndex > first }, 10*time.Minute, 20*time.Millisecond, "no further snapshot")
	done.Store(true)
	running.Wait()
	took := lastSnapshotTook(t, leader)
	var during, otherwise []time.Duration
	end := time.Now()
	for _, set := range slices.Concat(times...) {
		if set.begun.Add(set.took).After(end.Add(-took)) {
			during = append(during, set.took)
		} else {
			otherwise = append(otherwise, set.took)
		}
	}
	t.Logf("%d clients; while a snapshot of %d keys was written (%v): %s; otherwise: %s", busy, *keys, took, quantiles(during), quantiles(otherwise))
}

type timedSet struct {
	begun time.Time
	took  time.Duration
}

// lastSnapshotTook reads from the log how long the newest snapshot took to write.
func lastSnapshotTook(t *testing.T, s *server) time.Duration {
	lines := regexp.MustCompile(`msg="snapshot written".* took=(\S+)`).FindAllStringSubmatch(s.log.String(), -1)
	require.NotEmpty(t, lines)
	took, err := time.ParseDuration(lines[len(lines)-1][1])
	require.NoError(t, err)
	return took
}

func quantiles(all []time.Duration) string {
	if len(all) == 0 {
		return "no sets"
	}
	slices.Sort(all)
	at := func(perMille int) time.Duration { return all[(len(all)-1)*perMille/1000].Round(10 * time.Microsecond) }
	return fmt.Sprintf("%d sets, p50 %v, p99 %v, p99.9 %v, slowest %v", len(all), at(500), at(990), at(999), at(1000))
}

// resident is how much memory the process has, in bytes; 0 where /proc does not tell.
func (s *server) resident(t *testing.T) int {
	if runtime.GOOS != "linux" {
		return 0
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	require.NoError(t, err)
	kib, err := strconv.Atoi(regexp.MustCompile(`VmRSS:\s+(\d+) kB`).FindStringSubmatch(string(text))[1])
	require.NoError(t, err)
	return kib << 10
}
