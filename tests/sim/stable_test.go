package sim

import (
	"testing"

	"dbdb/raft"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A network that is broken and stays as it is must not keep those busy who are well off: a
// leader stays, and writes go on. Without pre-votes and the check of the quorum, some of these
// elect a new leader for ever.

// busyWorld is a world without faults in which clients are at work and one server leads.
func busyWorld(t *testing.T, seed uint64, nodes int) (w *world, leader *node) {
	w = newWorld(Options{Seed: seed}, profile{
		nodes: nodes, founders: nodes, slowDisk: nowhere, faultTime: second, segmentBytes: 64 << 10,
		raft: raft.Config{ElectionTicks: electionTicks, HeartbeatTicks: 5}, readTimeoutTicks: 200,
		delayMin: 500, delayMean: 1500, diskMin: 100, diskMean: 300, callDeadline: 200 * millisecond, refuses: true,
		clients: 6, keys: 3, think: 120 * millisecond, clientTimeout: second, readShare: 400, removeShare: 50,
	})
	w.begin()
	w.runUntil(2 * second)
	leader = w.leader()
	require.NotNil(t, leader, "seed %d", seed)
	return w, leader
}

// staysServed: after the time for an election and for calls to be given up there is a leader
// that stays for ten seconds, in each of which writes are acknowledged.
func staysServed(t *testing.T, w *world) {
	t.Helper()
	w.runUntil(w.now + 10*longest)
	leader := w.leader()
	require.NotNil(t, leader)
	term, writes := leader.view.Term, w.clients.writes
	for range 10 {
		require.Empty(t, broken(func() { w.mustSucceed(w.now+longest, opSet, leader) }), "writes go on")
		w.runUntil(w.now + second)
		require.Same(t, leader, w.leader(), "the leader stays")
		require.Equal(t, term, leader.view.Term)
	}
	require.Greater(t, w.clients.writes, writes+20, "clients find the leader")
	w.clients.checkHistory()
}

const stableSeeds = 10

func TestAroundABridgeALeaderStays(t *testing.T) {
	led := map[bool]int{}
	for seed := range uint64(stableSeeds) {
		w, leader := busyWorld(t, seed, 5)
		bridge := w.nodes[seed%5]
		led[bridge == leader]++
		side := []int{1, 1, 2, 2}
		for _, a := range w.nodes {
			for _, b := range w.nodes {
				if a != bridge && b != bridge && side[(a.place-bridge.place+4)%5] != side[(b.place-bridge.place+4)%5] {
					w.network.cut[a.place][b.place] = true
				}
			}
		}
		staysServed(t, w)
	}
	assert.Len(t, led, 2, "the bridge led, and another server did")
}

// oneWay cuts one direction between a follower and all others.
func oneWay(t *testing.T, hears bool) {
	for seed := range uint64(stableSeeds) {
		for _, nodes := range []int{3, 5} {
			w, leader := busyWorld(t, seed, nodes)
			n := w.nodes[(leader.place+1+int(seed)%(nodes-1))%nodes]
			for k := range w.nodes {
				if hears {
					w.network.cut[n.place][k] = k != n.place
				} else {
					w.network.cut[k][n.place] = k != n.place
				}
			}
			staysServed(t, w)
			require.Same(t, leader, w.leader(), "an isolated follower costs no election")
		}
	}
}

func TestAFollowerThatHearsNobodyAndIsHeardDeposesNobody(t *testing.T) { oneWay(t, false) }

func TestAFollowerThatHearsAndIsNotHeardDeposesNobody(t *testing.T) { oneWay(t, true) }
