package cluster

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var kills = flag.Int("kills", 6, "crash test: how often something is killed")

// writer writes keys of its own, one after the other, to one server, and remembers
// which writes were acknowledged.
type writer struct {
	name   string
	server *server

	mu    sync.Mutex
	acked []string
	// last and gap measure the longest time without an acknowledged write.
	last time.Time
	gap  time.Duration
}

func (w *writer) run(ctx context.Context) {
	for n := 0; ctx.Err() == nil; n++ {
		if _, err := w.write(n); err != nil {
			time.Sleep(2 * time.Millisecond) // the server is down
		}
	}
}

var writerClient = &http.Client{Timeout: 10 * time.Second}

// write sets the writer's n-th key, and notes whether that was acknowledged.
func (w *writer) write(n int) (status int, err error) {
	key := fmt.Sprintf("%s-%d", w.name, n)
	body := fmt.Sprintf(`{"op":"set","key":%q,"value":%q}`, key, "v"+key)
	resp, err := writerClient.Post(w.server.url("/apply"), "application/json", bytes.NewBufferString(body))
	if err != nil {
		return 0, err
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		w.acknowledged(key)
	}
	return resp.StatusCode, nil
}

// writeSome sets the writer's first keys; each must be acknowledged.
func (w *writer) writeSome(t *testing.T, count int) {
	t.Helper()
	for n := range count {
		status, err := w.write(n)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, status, "write %d to %s", n, w.server.name)
	}
}

func (w *writer) acknowledged(key string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	w.acked = append(w.acked, key)
	w.gap, w.last = max(w.gap, now.Sub(w.last)), now
}

// watch starts to measure anew.
func (w *writer) watch() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gap, w.last = 0, time.Now()
}

func (w *writer) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.acked)
}

// longestGap is the longest time since watch without an acknowledged write.
func (w *writer) longestGap() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return max(w.gap, time.Since(w.last))
}

// kill -9 of one server, of the leader, of all, over and over, under writers on all
// of them; each time the same command lines again. What was acknowledged is there.
func TestAcknowledgedWritesSurviveKill9(t *testing.T) {
	servers := newCluster(t, 3)
	startAll(servers)
	var writers []*writer
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for k, s := range servers {
		w := &writer{name: fmt.Sprintf("w%d", k+1), server: s}
		writers = append(writers, w)
		running.Go(func() { w.run(ctx) })
	}
	var gaps []time.Duration
	for k := range *kills {
		switch k % 3 {
		case 0:
			killed := servers[k/3%3]
			killed.kill()
			progress(t, writersOf(writers, servers, killed))
			killed.start()
		case 1:
			gaps = append(gaps, killLeader(t, servers, writers))
		case 2:
			for _, s := range servers {
				s.kill()
			}
			for _, s := range servers {
				s.start()
			}
		}
		progress(t, writers)
	}
	cancel()
	running.Wait()
	checked, lost := readBack(t, servers, writers)
	require.NotEmpty(t, gaps, "-kills must be at least 2")
	slices.Sort(gaps)
	t.Logf("%d kills, %d acknowledged writes, %d lost; longest gap without an acknowledged write at a leader's kill: median %v, max %v",
		*kills, checked, lost, gaps[len(gaps)/2].Round(time.Millisecond), gaps[len(gaps)-1].Round(time.Millisecond))
	require.Zero(t, lost)
}

// killLeader kills the leader, waits for writes through the others, and returns the
// longest gap that they saw.
func killLeader(t *testing.T, servers []*server, writers []*writer) time.Duration {
	leader := leaderOf(t, servers)
	others := writersOf(writers, servers, leader)
	for _, w := range others {
		w.watch()
	}
	leader.kill()
	progress(t, others)
	gap := others[0].longestGap()
	for _, w := range others {
		gap = min(gap, w.longestGap()) // a write through any of them counts
	}
	leader.start()
	return gap
}

// writersOf returns the writers whose server is not the one that was killed.
func writersOf(writers []*writer, servers []*server, killed *server) []*writer {
	var others []*writer
	for k, s := range servers {
		if s != killed {
			others = append(others, writers[k])
		}
	}
	return others
}

// progress waits until each writer had some more writes acknowledged.
func progress(t *testing.T, writers []*writer) {
	t.Helper()
	var before []int
	for _, w := range writers {
		before = append(before, w.count())
	}
	require.Eventually(t, func() bool {
		for k, w := range writers {
			if w.count() < before[k]+5 {
				return false
			}
		}
		return true
	}, 30*time.Second, 5*time.Millisecond, "no progress")
}

func leaderOf(t *testing.T, servers []*server) *server {
	t.Helper()
	var found *server
	require.Eventually(t, func() bool {
		for _, s := range servers {
			if s.status().State == "leader" {
				found = s
				return true
			}
		}
		return false
	}, 10*time.Second, 5*time.Millisecond)
	return found
}

// readBack reads every acknowledged key, from all servers in turn.
func readBack(t *testing.T, servers []*server, writers []*writer) (checked, lost int) {
	for _, w := range writers {
		for _, key := range w.acked {
			s := servers[checked%len(servers)]
			checked++
			resp, err := http.Get(s.url("/get?key=" + key))
			require.NoError(t, err)
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			_ = resp.Body.Close()
			if !assert.Equal(t, fmt.Sprintf("{\"data\":\"v%s\"}\n", key), string(body), "%s of %s", key, s.name) {
				lost++
			}
		}
	}
	return checked, lost
}
