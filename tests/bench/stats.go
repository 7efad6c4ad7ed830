package main

import (
	"math"
	"slices"
	"time"
)

// percentile returns the smallest of the sorted values that is at least as large as that
// share of them.
func percentile(sorted []time.Duration, share float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	rank := int(math.Ceil(share * float64(len(sorted))))
	return sorted[max(rank, 1)-1]
}

// median of no values is not a number.
func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(values))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// spread is the median of repeats, and how far they are apart.
type spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
	N      int     `json:"repeats"`
}

func spreadOf(values []float64) spread {
	if len(values) == 0 {
		return spread{}
	}
	return spread{median(values), slices.Min(values), slices.Max(values), len(values)}
}

// ratios divides repeat by repeat: what slows the machine down for a while slows both.
func ratios(ours, theirs map[int]float64) (r []float64) {
	for repeat, our := range ours {
		if their, ok := theirs[repeat]; ok && their != 0 {
			r = append(r, our/their)
		}
	}
	slices.Sort(r)
	return r
}

func tookOf(samples []sample) []time.Duration {
	took := make([]time.Duration, 0, len(samples))
	for _, s := range samples {
		took = append(took, s.took)
	}
	slices.Sort(took)
	return took
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
