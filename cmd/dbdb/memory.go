package main

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// heapLook is how often the heap is looked at.
const heapLook = time.Second

// heapShare is by how many percent of what lives on it the heap may grow until the next
// collection. Go's own answer is 100. A small heap fills up many times a second under
// load, and to let it grow costs little memory; a large one is memory that the machine
// may want for something else, and its collections are rare.
func heapShare(live uint64) int {
	const mib = 1 << 20
	switch {
	case live <= 32*mib:
		return 200
	case live <= 96*mib:
		return 100
	}
	return 50
}

// keepHeapSmall adapts the share to the heap until ctx ends, unless GOGC says what it is.
func keepHeapSmall(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	ticker := time.NewTicker(heapLook)
	defer ticker.Stop()
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	share := 100 // Go's own
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			metrics.Read(live)
			if now := heapShare(live[0].Value.Uint64()); now != share {
				share = now
				debug.SetGCPercent(share)
			}
		}
	}
}
