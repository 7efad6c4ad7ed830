package explore

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// What the search does with cores is what servers do: any of its paths, played on a stage
// with real replicas, logs and disks, leads to the same servers, and all of its steps are actions
// of the specification.
func TestAPathOnAStageLeadsToTheSameServers(t *testing.T) {
	for _, l := range []Level{
		{Voters: 3, Terms: 3, Log: 1, InFlight: 2},
		{Voters: 3, Terms: 3, Log: 1, InFlight: 2, Restarts: 1, SlowDisks: true},
		{Voters: 3, Terms: 3, Log: 1, InFlight: 2, Late: true},
		{Voters: 3, Terms: 3, Log: 1, InFlight: 3, Atomic: true, Restarts: 1},
		{Voters: 3, Spares: 1, Terms: 3, Log: 3, Changes: 2, Wishes: 1, InFlight: 3, Atomic: true},
		{Voters: 3, Terms: 2, Log: 1, InFlight: 2, PreVote: true},
	} {
		x := newSpace(l)
		x.spec = true
		rnd := rand.New(rand.NewPCG(1, 2))
		for range 40 {
			steps := x.wander(rnd, 30)
			s := x.play(steps)
			if s.Failure != nil || s.Different != "" {
				require.Failf(t, "the stage differs", "%v\n%v\n%s\n%s", l, s.Failure, s.Different, s)
			}
		}
	}
}

// wander takes steps by chance.
func (x *space) wander(rnd *rand.Rand, n int) (steps []uint16) {
	w := *x.begin()
	for range n {
		var worlds []world
		v := &mover{space: x, emit: func(w *world, _ *move, err *broken) {
			if err != nil {
				panic(err)
			}
			worlds = append(worlds, *w)
		}}
		v.all(&w)
		if len(worlds) == 0 {
			return steps
		}
		k := rnd.IntN(len(worlds))
		steps = append(steps, uint16(k))
		w = worlds[k]
	}
	return steps
}
