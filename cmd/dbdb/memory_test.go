package main

import (
	"runtime/metrics"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestTheLargerTheHeapTheSmallerTheShareByWhichItGrows(t *testing.T) {
	assert.Equal(t, 200, heapShare(10<<20))
	assert.Equal(t, 100, heapShare(64<<20))
	assert.Equal(t, 50, heapShare(200<<20))
}

func TestTheRuntimeTellsHowMuchLivesOnTheHeap(t *testing.T) {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	assert.Equal(t, metrics.KindUint64, live[0].Value.Kind())
}
