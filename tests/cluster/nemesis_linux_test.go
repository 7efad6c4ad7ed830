package cluster

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// nemesis does to a cluster what machines and networks do.
type nemesis struct {
	t       *testing.T
	rand    *rand.Rand
	net     *network
	servers []*server
	traffic *traffic
	askers  []*client // one for each server, for requests of its own
	cut     links
	ills    []ill
	count   map[string]int
	woken   int // old leaders
	answers int // of theirs

	duration time.Duration // of the run
	longest  time.Duration // that a fault lasts
}

// ill is what a node suffers from; "" is nothing.
type ill string

const (
	down   ill = "down"
	paused ill = "paused"
	slowed ill = "slowed"
	lossy  ill = "lossy"
)

func newNemesis(t *testing.T, seed uint64, net *network, servers []*server, traffic *traffic) *nemesis {
	n := &nemesis{
		t: t, rand: rand.New(rand.NewPCG(seed, 0)), net: net, servers: servers, traffic: traffic,
		cut: newLinks(len(servers)), ills: make([]ill, len(servers)), count: map[string]int{},
	}
	for _, s := range servers {
		c := traffic.newClient(s)
		c.patience = time.Second
		n.askers = append(n.askers, c)
	}
	return n
}

// rage lets fault follow fault for so long, each kind once before any comes again,
// with calm in between.
func (n *nemesis) rage(duration time.Duration) {
	n.duration, n.longest = duration, longestOf(duration)
	kinds := n.kinds()
	end := time.Now().Add(duration)
	for {
		n.rand.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
		for _, k := range kinds {
			if !time.Now().Before(end) {
				return
			}
			n.count[k.name]++
			n.traffic.gaps.fault(k.name)
			k.do()
			n.heal()
			n.traffic.gaps.fault("calm after " + k.name)
			n.hold(shortest/2, n.longest/2)
		}
	}
}

// hold leaves things as they are for a time that it draws. In the shortest runs there is
// nothing to draw.
func (n *nemesis) hold(least, most time.Duration) {
	time.Sleep(least + time.Duration(n.rand.Int64N(int64(max(most-least, 1)))))
}

// change brings about other cuts and ills. What is halfway there is as bad as both
// together: so the measure of gaps takes a majority for connected only when it is.
func (n *nemesis) change(cut links, ills []ill, do func()) {
	halfway := slices.Clone(ills)
	for k, i := range n.ills {
		if i != "" {
			halfway[k] = i
		}
	}
	n.traffic.gaps.majorityIs(n.cut.and(cut).majority(well(halfway)))
	do()
	n.cut, n.ills = cut, ills
	n.traffic.gaps.majorityIs(cut.majority(well(ills)))
}

func well(ills []ill) (nodes []bool) {
	for _, i := range ills {
		nodes = append(nodes, i == "")
	}
	return nodes
}

// connect makes the network have these cuts and no others.
func (n *nemesis) connect(cut links) {
	n.change(cut, n.ills, func() {
		for k := range cut {
			if !slices.Equal(cut[k], n.cut[k]) {
				require.NoError(n.t, n.net.filter(k, cut.from(k), 0))
			}
		}
	})
}

// becomes changes what a node suffers from.
func (n *nemesis) becomes(k int, i ill, do func()) {
	ills := slices.Clone(n.ills)
	ills[k] = i
	n.change(n.cut, ills, do)
}

// kill is kill -9. A process that was not there to be killed has failed by itself.
func (n *nemesis) kill(k int) {
	s := n.servers[k]
	n.becomes(k, down, func() {
		s.kill()
		ended := s.cmd.ProcessState.Sys().(syscall.WaitStatus)
		require.True(n.t, ended.Signaled() && ended.Signal() == syscall.SIGKILL, "%s ended by itself: %v", s.name, s.cmd.ProcessState)
	})
}

// terminate asks for an orderly end. A node that does not end says where it hangs.
func (n *nemesis) terminate(k int) {
	s := n.servers[k]
	n.becomes(k, down, func() {
		hangs := time.AfterFunc(30*time.Second, func() { _ = s.cmd.Process.Signal(syscall.SIGABRT) })
		defer hangs.Stop()
		require.Zero(n.t, s.stop(), "%s ends with this after SIGTERM", s.name)
	})
}

func (n *nemesis) signal(k int, sig syscall.Signal) {
	require.NoError(n.t, n.servers[k].cmd.Process.Signal(sig))
}

func (n *nemesis) pause(k int) { n.becomes(k, paused, func() { n.signal(k, syscall.SIGSTOP) }) }

// heal ends all that is wrong, in either order: nodes first, or the network.
func (n *nemesis) heal() {
	whole := newLinks(len(n.servers))
	if n.rand.IntN(2) == 0 {
		n.connect(whole)
	}
	for _, k := range n.order() {
		n.cure(k)
	}
	n.connect(whole)
}

func (n *nemesis) cure(k int) {
	n.becomes(k, "", func() {
		switch n.ills[k] {
		case down:
			n.servers[k].start() // the same command line
		case paused:
			n.signal(k, syscall.SIGCONT)
		case slowed:
			require.NoError(n.t, n.net.fast(k))
		case lossy:
			require.NoError(n.t, n.net.filter(k, nil, 0))
		}
	})
}

// order is all nodes, in any order.
func (n *nemesis) order() []int { return n.rand.Perm(len(n.servers)) }

func (n *nemesis) any() int { return n.rand.IntN(len(n.servers)) }

// leader is the node that leads in the latest term; any if none does.
func (n *nemesis) leader() int {
	leader, term := n.any(), uint64(0)
	for k, s := range n.servers {
		if n.ills[k] != "" {
			continue
		}
		if st := s.status(); st.State == "leader" && st.Term > term {
			leader, term = k, st.Term
		}
	}
	return leader
}

// counted lists how often each kind of fault occurred.
func (n *nemesis) counted() string {
	total, parts := 0, []string(nil)
	for _, name := range slices.Sorted(maps.Keys(n.count)) {
		total += n.count[name]
		parts = append(parts, fmt.Sprintf("%s %d", name, n.count[name]))
	}
	return fmt.Sprintf("%d faults (%s)", total, strings.Join(parts, ", "))
}

func TestFaultsOfTheShortestRunCanBeDrawn(t *testing.T) {
	require.GreaterOrEqual(t, longestOf(0)/2, shortest, "a cut before a kill lasts half as long as others at most")
	n := &nemesis{rand: rand.New(rand.NewPCG(1, 0))}
	require.NotPanics(t, func() { n.hold(0, 0) })
}
