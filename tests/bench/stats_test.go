package main

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// The rank of a percentile is rounded up: of ten values the 99th percentile is the largest.
func TestPercentile(t *testing.T) {
	var ten []time.Duration
	for i := range 10 {
		ten = append(ten, time.Duration(i+1))
	}
	for share, want := range map[float64]time.Duration{0: 1, 0.1: 1, 0.11: 2, 0.5: 5, 0.99: 10, 1: 10} {
		assert.Equal(t, want, percentile(ten, share), "%v", share)
	}
	assert.Zero(t, percentile(nil, 0.5))
}

func TestMedian(t *testing.T) {
	assert.Equal(t, 2.0, median([]float64{3, 1, 2}))
	assert.Equal(t, 2.5, median([]float64{4, 1, 3, 2}))
	assert.True(t, math.IsNaN(median(nil)))
}

// A machine that is slower in one repeat slows both down: the ratio stays.
func TestRatiosAreTakenRepeatByRepeat(t *testing.T) {
	ours, theirs := map[int]float64{1: 20, 2: 10, 3: 30}, map[int]float64{1: 10, 2: 5, 4: 1}
	assert.Equal(t, []float64{2, 2}, ratios(ours, theirs), "a repeat that only one has counts for nothing")
}

func TestVerdicts(t *testing.T) {
	least, most := target{ratio: 1.5}, target{ratio: 0.5, atMost: true}
	for ratio, want := range map[float64]string{1.34: "missed", 1.35: "tie", 1.5: "tie", 1.65: "tie", 1.66: "reached"} {
		assert.Equal(t, want, least.verdict(ratio), "%v", ratio)
	}
	for ratio, want := range map[float64]string{0.44: "reached", 0.45: "tie", 0.55: "tie", 0.56: "missed"} {
		assert.Equal(t, want, most.verdict(ratio), "%v", ratio)
	}
}

// Each target names a row, a peer that takes part in it, and a metric of the table.
func TestTargetsAreMeasured(t *testing.T) {
	for _, target := range targets {
		r, err := pickRows(target.row)
		if assert.NoError(t, err) && target.peer != "" {
			assert.Contains(t, r[0].peers, target.peer, target.work)
		}
		assert.Contains(t, columns, target.metric)
	}
}

func TestATargetIsJudgedByTheMedianOfTheRatios(t *testing.T) {
	var cells []cell
	for repeat, rates := range [][2]float64{{100, 10}, {90, 30}, {80, 40}} {
		for k, name := range []string{"dbdb", "etcd"} {
			cells = append(cells, cell{Row: "set64", Peer: name, Repeat: repeat + 1, Metrics: metrics{rate: rates[k]}})
		}
	}
	got := judge(cells)
	assert.Equal(t, []judgement{{
		Work: "set/s, 64 clients", Peer: "etcd", Metric: rate, Target: "≥ 3", Ratio: spread{3, 2, 10, 3}, Verdict: "tie",
	}}, got)
}

func TestOnlyGapsThatEndAfterTheKillCount(t *testing.T) {
	at := func(ends ...int) (samples []sample) {
		for _, ms := range ends {
			samples = append(samples, sample{end: time.Duration(ms) * time.Millisecond})
		}
		return samples
	}
	assert.Equal(t, 290*time.Millisecond, longestGap(at(910, 0, 900, 1200, 1210), time.Second), "in any order")
	assert.Zero(t, longestGap(at(0, 900), time.Second))
}

func TestASampleThatOverlapsASnapshotIsInside(t *testing.T) {
	snapshots := []interval{{10, 20}}
	inside, outside := split([]sample{{end: 9, took: 5}, {end: 12, took: 5}, {end: 30, took: 25}, {end: 30, took: 5}}, snapshots)
	assert.Equal(t, []sample{{12, 5}, {30, 25}}, inside)
	assert.Equal(t, []sample{{9, 5}, {30, 5}}, outside)
}

func TestOnlySamplesOfTheWindowCount(t *testing.T) {
	assert.Equal(t, []sample{{end: 10}, {end: 19}}, within([]sample{{end: 9}, {end: 10}, {end: 19}, {end: 20}}, 10, 20))
}

func TestASnapshotLastsAsLongAsTheMeanOfItsIntervals(t *testing.T) {
	assert.EqualValues(t, 15, lasted([]interval{{10, 20}, {100, 120}}))
	assert.Zero(t, lasted(nil), "none was seen")
}
