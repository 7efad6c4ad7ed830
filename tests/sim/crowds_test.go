package sim

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestALeadershipThatNoFlushSeesIsLegal(t *testing.T) {
	unseen := 0
	for seed := range uint64(5) {
		w, leader := busyWorld(t, seed, 3)
		w.profile.crowds, w.profile.faultTime = 1000, 5*second
		w.cutOffFor(leader, 3*second)
		w.runUntil(w.profile.faultTime)
		assert.Positive(t, w.marks[markCrowd])
		unseen += w.marks[markLedUnnoticed]
		require.Empty(t, broken(w.recuperate))
		w.check.final()
		w.clients.checkHistory()
	}
	assert.Positive(t, unseen)
}
