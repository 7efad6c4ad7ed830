package sim

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestTheStormOfPromotionsMakesALearnerTheOnlyOneThatCanWin: were it not told to its end, that a
// learner may campaign would be held by nothing but a script.
func TestTheStormOfPromotionsMakesALearnerTheOnlyOneThatCanWin(t *testing.T) {
	told, won := 0, 0
	for seed := uint64(1); told < 10; seed++ {
		o := Options{Seed: seed}
		p := drawProfile(stream(seed, streamProfile), stream(seed, streamExtremes), 0)
		if p.storm != promotions {
			continue
		}
		res := newWorld(o, p).run()
		require.Nil(t, res.Failure, "seed %d", seed)
		told++
		won += min(1, res.Marks[markLearnerElected])
	}
	assert.Greater(t, won, 2, "of %d runs", told)
}

func TestNoMachineBurnsThatTheOthersNeed(t *testing.T) {
	w, n := committedWorld()
	w.profile.decays = 2
	w.burn(n)
	assert.True(t, n.broken)
	w.burn(w.nodes[1])
	assert.False(t, w.nodes[1].broken, "two of three are left")
}
