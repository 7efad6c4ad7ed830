package sim

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The specification watches and changes nothing: a seed is the same run with it.
func TestWorldsAreWhatTheSpecificationAllows(t *testing.T) {
	for seed := uint64(1); seed <= 10; seed++ {
		held := Run(Options{Seed: seed, Spec: true})
		require.Nil(t, held.Failure, "seed %d", seed)
		assert.Equal(t, Run(Options{Seed: seed}).Hash, held.Hash, "seed %d", seed)
	}
}

// What an oracle notices of a forged acknowledgement, too, the specification says in its own
// words, and first.
func TestTheSpecificationWatchesTheStage(t *testing.T) {
	s, told := newPlay(t, StageOptions{Voters: 3, Spec: true})
	s.forgeAcknowledgement()
	require.NotNil(t, s.Failure())
	assert.Equal(t, "Specification", s.Failure().Oracle)
	assert.Contains(t, s.Failure().Detail, "n1: a forged acknowledgement; in term 2, leader: ")
	assert.Contains(t, told.String(), "BROKEN PROMISE: Specification")
}
