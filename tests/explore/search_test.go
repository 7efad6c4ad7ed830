package explore

import (
	"math/rand/v2"
	"slices"
	"testing"

	"dbdb/raft"

	"github.com/stretchr/testify/require"
)

// way is the script that leads to the first world that is wanted.
func way(t *testing.T, l Level, wanted func(s *search, w *world) bool) *Script {
	t.Helper()
	s := newSearch(l, 2)
	s.wanted = func(w *world) bool { return wanted(s, w) }
	s.run()
	require.NotNil(t, s.broken, "no such world was found")
	require.Equal(t, "found", s.broken.what.oracle, s.broken.what.detail)
	script := s.play(s.path(s.broken.first))
	require.Nil(t, script.Failure)
	require.Empty(t, script.Different)
	return script
}

func commands(s *Script) []string {
	return slices.DeleteFunc(slices.Clone(s.Lines), func(line string) bool { return line[:4] == "lose" || line[:6] == "expire" })
}

// The shortest way to a leader: its timer runs out, and one vote is asked for and given.
func TestTheWayToALeaderIsAsShortAsItCanBe(t *testing.T) {
	script := way(t, Level{Voters: 3, Terms: 2, InFlight: 2}, func(s *search, w *world) bool {
		return s.at(w, 0).State == raft.Leader
	})
	require.Equal(t, []string{
		"cluster 3 inflight=2 batch=16384",
		"timeout n1",
		"deliver nth=1 RequestVote n1->n2",
		"deliver nth=1 RequestVoteReply n2->n1",
	}, commands(script))
}

// With a slow disk, the own vote and the other one have to be durable first.
func TestASlowDiskMakesTheWayLonger(t *testing.T) {
	script := way(t, Level{Voters: 3, Terms: 2, InFlight: 2, SlowDisks: true}, func(s *search, w *world) bool {
		return s.at(w, 0).State == raft.Leader
	})
	require.Equal(t, []string{
		"timeout n1", "sync n1",
		"deliver nth=1 RequestVote n1->n2", "sync n2",
		"deliver nth=1 RequestVoteReply n2->n1",
	}, commands(script)[4:])
}

// What is far away is reached, too: a learner becomes a voter, a snapshot is installed, a
// hand-over succeeds.
func TestTheLevelsReachWhatTheyAreFor(t *testing.T) {
	way(t, level(t, "add"), func(s *search, w *world) bool {
		n := s.at(w, 2)
		return n.Configuration.IsVoter(n.ID) && n.CommitIndex >= n.ConfigurationIndex
	})
	way(t, level(t, "transfer"), func(s *search, w *world) bool {
		return w.used.wishes == 1 && s.at(w, 0).State == raft.Follower && s.at(w, 1).State == raft.Leader && w.used.restarts == 0
	})
	s := newSearch(level(t, "snapshots"), 2)
	s.wanted = func(w *world) bool {
		first, last := s.at(w, 0), s.at(w, 2)
		return first.State == raft.Leader && last.Term == first.Term && last.SnapshotIndex > 2 && last.SnapshotIndex == first.SnapshotIndex && len(last.log.all) == 0
	}
	s.run()
	require.NotNil(t, s.broken)
}

func level(t *testing.T, name string) Level {
	l, known := LevelOf(name)
	require.True(t, known)
	return l
}

// Worlds that differ only in who is who have one hash, and others do not.
func TestRenamedWorldsAreOne(t *testing.T) {
	x := newSpace(Level{Voters: 3, Terms: 3, InFlight: 2})
	after := func(places ...int) uint64 {
		w := *x.begin()
		for _, place := range places {
			v := &mover{space: x, emit: func(*world, *move, *broken) {}}
			o := v.outcome(place, w.servers[place], input{what: timeout})
			require.True(t, v.became(&w, place, o))
		}
		return x.hash(&w)
	}
	require.Equal(t, after(0), after(1))
	require.Equal(t, after(0, 1), after(2, 0))
	require.NotEqual(t, after(0), after())
	require.NotEqual(t, after(0), after(0, 0))
	require.Len(t, x.renames, 6)
	require.Len(t, newSpace(Level{Voters: 5, Campaigning: []int{1, 5}}).renames, 2*6)
}

// Whoever looks with one worker or with two, in whatever order, finds the same states.
func TestTheNumberOfStatesDoesNotDependOnTheWorkers(t *testing.T) {
	for _, l := range []Level{
		{Voters: 3, Terms: 2, Log: 1, InFlight: 2},
		{Voters: 3, Terms: 3, InFlight: 1, SlowDisks: true},
	} {
		one, two := newSearch(l, 1), newSearch(l, 2)
		require.True(t, one.run())
		require.True(t, two.run())
		require.Equal(t, one.states.Load(), two.states.Load())
		require.Equal(t, one.moves.Load(), two.moves.Load())
		require.Equal(t, one.depth.Load(), two.depth.Load())
	}
}

func TestASetKnowsWhatWasAdded(t *testing.T) {
	var s set
	known := map[uint64]bool{}
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 100_000 {
		h := rnd.Uint64N(1<<17) << 40
		require.Equal(t, !known[h], s.add(h))
		known[h] = true
	}
}
