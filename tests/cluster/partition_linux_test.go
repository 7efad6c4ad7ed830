package cluster

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	faultsFor = flag.Duration("for", 10*time.Second, "partition test: how long faults are made; above 8m with -timeout 0")
	faultSeed = flag.Uint64("seed", 0, "partition test: decides which faults; 0 draws one")
)

const (
	// historians is how many clients record histories.
	historians = 8
	// settleBound is how long a healed cluster may take until every node serves.
	settleBound = 20 * time.Second
	// gapBound is how long no write may be acknowledged while a majority is connected
	// and alive, and the machine does not stand still. An election takes about a second.
	gapBound = 10 * time.Second
)

// Real processes on a network that is cut for real, one-way too, killed, stopped and
// restarted, under clients whose histories must be linearizable to the end. Try
// -for=10m -nodes=5 -timeout 0 -v.
func TestPartitionsLoseNothing(t *testing.T) {
	dir := inNamespaces(t)
	if dir == "" {
		return // the second process has done it
	}
	require.GreaterOrEqual(t, *nodes, 3, "-nodes")
	net, err := newNetwork(*nodes)
	if err != nil {
		isMissing(t, dir, err)
	}
	seed := *faultSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano()) % 1_000_000
	}
	t.Logf("-seed=%d -nodes=%d -for=%v; cuts by %s, loss by %s, slow links by %s", seed, *nodes, *faultsFor,
		filterTool(), orNothing(net.loses), orNothing(net.slows))
	servers := newNetworkedCluster(t, dir)
	startAll(servers)

	traffic := newTraffic(servers, seed)
	nemesis := newNemesis(t, seed, net, servers, traffic)
	machine, stopWatching := watchMachine(t, dir)
	history := underFaults(t, traffic, nemesis)
	stopWatching()
	checkTraffic(t, history, traffic, nemesis)
	t.Logf("the machine meanwhile: %v", machine)
	assert.Less(t, traffic.gaps.majority.longest, gapBound+2*machine.latest+2*machine.slowestSync)
}

func orNothing(how string) string {
	if how == "" {
		return "nothing (the kernel cannot)"
	}
	return how
}

// newNetworkedCluster prepares a server in each namespace.
func newNetworkedCluster(t *testing.T, dir string) (servers []*server) {
	var ports []int
	for range *nodes {
		ports = append(ports, httpPort, raftPort)
	}
	for k := range *nodes {
		s := newServer(t, k, dir, ports)
		s.host, s.via = nodeAddress(k), []string{"ip", "netns", "exec", namespace(k)}
		if k > 0 {
			s.args = append(s.args[:6:6], "--join", fmt.Sprintf("%s:%d", nodeAddress(0), httpPort))
		}
		s.args = append(s.args, "--bind", s.host)
		servers = append(servers, s)
	}
	return servers
}

// underFaults runs clients and faults at the same time, until all is well again, and
// returns what the clients saw, the last value of every key on every node included.
func underFaults(t *testing.T, traffic *traffic, nemesis *nemesis) (history []operation) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	traffic.gaps.measure()
	traffic.run(ctx, historians)
	stopTelling := tell(t, traffic)
	nemesis.rage(*faultsFor)
	settle(t, nemesis.servers)
	stopTelling()
	traffic.gaps.end()
	cancel()
	history = traffic.wait()
	return append(history, readAll(t, traffic, history)...)
}

// tell says every few seconds how it goes, until stop is called or the test ends.
func tell(t *testing.T, traffic *traffic) (stop func()) {
	quit, ticker := make(chan struct{}), time.NewTicker(5*time.Second)
	var telling sync.WaitGroup
	telling.Go(func() {
		for {
			select {
			case <-quit:
				return
			case <-ticker.C:
				t.Logf("%6v  %-34s %v", time.Since(traffic.begun).Round(time.Second), traffic.gaps.faultNow(), traffic)
			}
		}
	})
	stop = sync.OnceFunc(func() {
		ticker.Stop()
		close(quit)
		telling.Wait()
	})
	t.Cleanup(stop)
	return stop
}

// settle waits until one node leads, and all agree on it, are ready, and serve.
func settle(t *testing.T, servers []*server) {
	begun := time.Now()
	require.Eventually(t, func() bool {
		leaders, named := 0, map[string]bool{}
		for _, s := range servers {
			st := s.status()
			named[st.Leader] = true
			if st.State == "leader" {
				leaders++
			}
		}
		return leaders == 1 && len(named) == 1 && !named[""]
	}, settleBound, 5*time.Millisecond, "the nodes do not agree on a leader")
	for _, s := range servers {
		require.Eventually(t, func() bool {
			status, _ := s.get("/readyz")
			return status == http.StatusOK
		}, settleBound-time.Since(begun), 5*time.Millisecond, "%s is not ready", s.name)
		status, answer := request(t, http.MethodPost, s.url("/apply"), `{"op":"set","key":"settled","value":"x"}`)
		require.Equal(t, http.StatusOK, status, "%s: %s", s.name, answer)
	}
	require.Less(t, time.Since(begun), settleBound, "until every node serves")
	t.Logf("healed: one leader, every node serves after %v", time.Since(begun).Round(time.Millisecond))
}

// readAll reads every key from every node, until all nodes answer the same. A write whose client
// gave it up may be carried out between two of the reads, as long as a node holds a request; but
// then no longer. What was read is judged with all the rest, so a stale read is no excuse.
func readAll(t *testing.T, traffic *traffic, history []operation) (reads []operation) {
	names, _ := perKey(history)
	for end := time.Now().Add(requestBound); ; {
		var differs string
		late := time.Now().After(end)
		for _, ops := range readEverywhere(t, traffic, names) {
			for _, op := range ops {
				if op.value != ops[0].value {
					differs = fmt.Sprintf("%s is %q on one node and %q on another", op.key, ops[0].value, op.value)
				}
				reads = append(reads, op)
			}
		}
		if differs == "" || late {
			assert.Empty(t, differs)
			return reads
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// requestBound is how long a node may hold a write, and a little more.
const requestBound = 6 * time.Second

// readEverywhere reads each key from every node, all nodes at once.
func readEverywhere(t *testing.T, traffic *traffic, names []string) [][]operation {
	readers := make([]*client, len(traffic.servers))
	var reading sync.WaitGroup
	for k, s := range traffic.servers {
		c := traffic.newClient(s)
		c.patience, readers[k] = 10*time.Second, c
		reading.Go(func() {
			defer c.hangUp()
			for _, name := range names {
				if op := c.ask(operation{kind: opGet, key: name}); !assert.Equal(t, done, op.outcome, "the last read of %s from %s", name, s.name) {
					return
				}
			}
		})
	}
	reading.Wait()
	require.False(t, t.Failed())
	byKey := make([][]operation, len(names))
	for i := range names {
		for _, c := range readers {
			byKey[i] = append(byKey[i], c.history[i])
		}
	}
	return byKey
}

// checkTraffic judges what the clients saw, and sums it up.
func checkTraffic(t *testing.T, history []operation, traffic *traffic, nemesis *nemesis) {
	for k := range nemesis.servers {
		nemesis.kill(k) // it must still be there
	}
	begun := time.Now()
	names, byKey := perKey(history)
	linearizable, lostWrites := "yes", 0
	for _, name := range names {
		ops := byKey[name]
		if wrong := judge(ops); wrong != "" {
			linearizable = "NO"
			t.Error(wrong)
		}
		lostWrites += lost(ops, ops[len(ops)-1].value)
	}
	t.Logf("%v; %s; %d reads answered by %d old leaders that woke; %d keys checked in %v", traffic, nemesis.counted(),
		nemesis.answers, nemesis.woken, len(names), time.Since(begun).Round(10*time.Millisecond))
	t.Logf("linearizable: %s, lost: %d; longest gap without an acknowledged write: %v, while a majority was connected and alive: %v",
		linearizable, lostWrites, &traffic.gaps.over, &traffic.gaps.majority)
	assert.Zero(t, lostWrites)
	assert.Empty(t, traffic.odd, "answers that a correct request should not get")
	assert.NotZero(t, traffic.acked.Load())
}
