package cluster

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// hears counts whom k hears and who hears k, itself included.
func (cut links) hears(k int) (in, out int) {
	for other := range cut {
		if !cut[k][other] {
			in++
		}
		if !cut[other][k] {
			out++
		}
	}
	return in, out
}

// The cuts are what they are called, and it is known whether they leave a majority.
func TestCutsAreWhatTheyAreCalled(t *testing.T) {
	order := []int{2, 0, 4, 1, 3}
	all := []bool{true, true, true, true, true}
	for _, tc := range []struct {
		name     string
		draw     func(links)
		in, out  []int // whom nodes 0 to 4 hear, and who hears them
		majority bool
	}{
		{"nothing", func(links) {}, []int{5, 5, 5, 5, 5}, []int{5, 5, 5, 5, 5}, true},
		{"isolated", func(c links) { c.isolate(0) }, []int{1, 4, 4, 4, 4}, []int{1, 4, 4, 4, 4}, true},
		{"deaf", func(c links) { c.deaf(0) }, []int{1, 5, 5, 5, 5}, []int{5, 4, 4, 4, 4}, true},
		{"mute", func(c links) { c.mute(0) }, []int{5, 4, 4, 4, 4}, []int{1, 5, 5, 5, 5}, true},
		{"halves", func(c links) { c.halves(order, 2) }, []int{2, 3, 2, 3, 3}, []int{2, 3, 2, 3, 3}, true},
		{"bridge", func(c links) { c.bridge(order) }, []int{3, 3, 5, 3, 3}, []int{3, 3, 5, 3, 3}, true},
		{"ring", func(c links) { c.ring(order) }, []int{3, 3, 3, 3, 3}, []int{3, 3, 3, 3, 3}, false},
		{"one way", func(c links) { c.oneWay(1, 2) }, []int{5, 5, 4, 5, 5}, []int{5, 4, 5, 5, 5}, true},
	} {
		cut := newLinks(5)
		tc.draw(cut)
		for k := range cut {
			in, out := cut.hears(k)
			assert.Equal(t, tc.in[k], in, "%s: node %d hears", tc.name, k)
			assert.Equal(t, tc.out[k], out, "%s: node %d is heard by", tc.name, k)
		}
		assert.Equal(t, tc.majority, cut.majority(all), tc.name)
	}
	isolated := newLinks(5)
	isolated.isolate(0)
	assert.True(t, isolated.majority([]bool{true, true, false, true, true}), "three of the four others")
	assert.False(t, isolated.majority([]bool{true, true, false, false, true}), "two of them, and one that is cut off")

	chain := newLinks(3)
	chain.ring([]int{2, 0, 1})
	in, _ := chain.hears(0)
	assert.Equal(t, 3, in, "of a ring of three one link is cut: that of the others")
	assert.Equal(t, []int{2}, chain.from(1))
}
