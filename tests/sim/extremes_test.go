package sim

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// All sizes from the smallest to seven servers are run, three and five most.
func TestSizes(t *testing.T) {
	const seeds = 4000
	share := map[int]int{}
	for seed := range uint64(seeds) {
		p := profile{nodes: [...]int{1, 2, 3, 3, 3, 3, 4, 5, 5, 5}[seed%10]}
		p.sevenServers(stream(seed, streamExtremes))
		share[p.nodes]++
	}
	for nodes, percent := range map[int]float64{1: 7.5, 2: 7.5, 3: 40, 4: 7.5, 5: 30, 7: 7.5} {
		assert.InDelta(t, percent, float64(share[nodes])/seeds*100, 1.5, "%d servers", nodes)
	}
}
