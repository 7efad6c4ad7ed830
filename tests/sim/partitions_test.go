package sim

import (
	"fmt"
	"testing"

	"dbdb/raft"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// stillWorld is a world of so many servers of which none has been started.
func stillWorld(nodes int, e extremes) *world {
	return newWorld(Options{Seed: 1}, profile{
		nodes: nodes, founders: nodes, slowDisk: nowhere, clients: 1, keys: 1, extremes: e,
		raft: raft.Config{ElectionTicks: electionTicks, HeartbeatTicks: 5},
	})
}

func TestInARingEveryServerHearsAnotherMajority(t *testing.T) {
	for nodes := 3; nodes <= 7; nodes++ {
		for _, oneWay := range []bool{false, true} {
			w := stillWorld(nodes, extremes{asymmetric: oneWay})
			require.True(t, w.ring())
			seen := map[string]bool{}
			for to := range nodes {
				heard := ""
				for from := range nodes {
					if !w.network.cut[from][to] {
						heard += fmt.Sprint(from)
					}
				}
				assert.GreaterOrEqual(t, len(heard), nodes/2+1, "of %d, one way: %v", nodes, oneWay)
				assert.False(t, seen[heard], "two of %d hear %s", nodes, heard)
				seen[heard] = true
			}
		}
	}
	assert.False(t, stillWorld(2, extremes{}).ring(), "two servers have one majority")
}

func TestAFullLinkLosesItsOldestPacket(t *testing.T) {
	w := stillWorld(2, extremes{linkCapacity: 2})
	a, b, nw := w.nodes[0], w.nodes[1], w.network
	first, second := nw.enter(a, b), nw.enter(a, b)
	require.True(t, nw.leave(a, b, second), "a link may be left in any order")
	third := nw.enter(a, b)
	other := nw.enter(b, a)
	fourth := nw.enter(a, b)
	assert.False(t, nw.leave(a, b, first))
	for _, p := range []*packet{third, fourth} {
		assert.True(t, nw.leave(a, b, p))
	}
	assert.True(t, nw.leave(b, a, other), "the other direction is another link")
}

func TestSwizzledLinksAllComeBack(t *testing.T) {
	w := stillWorld(5, extremes{})
	w.swizzle()
	for len(w.queue.events) > 0 {
		w.step()
	}
	stopped := 0
	for a := range w.nodes {
		for b := range w.nodes {
			require.Equal(t, w.network.clogs[a][b], w.network.clogs[b][a], "symmetric")
			if back := w.network.clogs[a][b]; back > 0 {
				stopped++
				assert.Greater(t, back, w.now, "it was stopped for a while")
				assert.LessOrEqual(t, back, 4*second)
			}
		}
	}
	assert.Positive(t, stopped)
}
