package sim

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestACallReachesWhomItIsForAndNobodyElse(t *testing.T) {
	w := quietWorld()
	wiped := w.nodes[2]
	assert.Same(t, wiped, w.network.dial(w.nodes[0], wiped.id))
	require.Zero(t, w.marks[markTakenAddress])
	wiped.crash(edgeAny)
	w.rebirth(wiped)
	reborn := w.nodes[3]
	require.Same(t, reborn, w.network.atAddress(wiped))
	assert.Same(t, wiped, w.network.dial(w.nodes[0], wiped.id), "whoever has its address now refuses")
	assert.Positive(t, w.marks[markTakenAddress])
	assert.Same(t, reborn, w.network.dial(w.nodes[0], reborn.id))
}

func TestAStrangerIsNotHeard(t *testing.T) {
	w := quietWorld()
	n := w.nodes[0]
	w.strangerCalls(n)
	assert.Empty(t, n.view.Leader)
	assert.EqualValues(t, 1, n.view.Term)
}
