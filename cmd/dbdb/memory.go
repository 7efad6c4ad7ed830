package main

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// Between two collections Go lets the heap grow by a share of what lives on it: by all of
// it, if nobody says otherwise. With a small heap that is cheap; with a large one it is
// memory that the machine may want for something else, and a smaller share costs little,
// as collections are rare.
const (
	largeHeap      = 96 << 20 // bytes that live on it
	smallHeapShare = 100      // percent
	largeHeapShare = 50
	heapLook       = time.Second
)

func heapShare(live uint64) int {
	if live > largeHeap {
		return largeHeapShare
	}
	return smallHeapShare
}

// keepHeapSmall adapts the share to the heap until ctx ends, unless GOGC says what it is.
func keepHeapSmall(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	ticker := time.NewTicker(heapLook)
	defer ticker.Stop()
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	share := smallHeapShare
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
