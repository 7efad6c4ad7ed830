package main

import (
	"context"
	"os"
	"path/filepath"
	"time"
)

const (
	snapshotClients  = 64
	snapshotLook     = 2 * time.Millisecond
	snapshotPatience = 3 * time.Minute
	// enoughSamples make a 99.9th percentile, in a snapshot and without one.
	enoughSamples = 2000
	// ownSnapshot is the name under which dbdb writes a snapshot, until it is complete.
	ownSnapshot = "snapshots/own.tmp"
)

// interval is a time since the start of the load.
type interval struct{ from, to time.Duration }

// duringSnapshot compares sets that overlap the writing of a snapshot, by any of the
// servers, with all others. It looks at the directories: nothing else says when one begins.
func duringSnapshot(ctx context.Context, b *bench, c *cluster) (metrics, failures, error) {
	leader, err := c.leader(ctx)
	if err != nil {
		return nil, failures{}, err
	}
	ks := newKeys(b.keys, manyBytes)
	_, failed, err := b.fill(ctx, ks, c.peer, leader.http)
	if err != nil {
		return nil, failed, err
	}
	clients, err := c.dial(leader.http, snapshotClients, requestTimeout)
	if err != nil {
		return nil, failed, err
	}
	defer closeAll(clients)
	l := startLoad(ctx, set.work(ks, clients))
	b.progress.say("wait for snapshots", nil, 0)
	pause(ctx, b.warmUp)
	from := time.Since(l.start)
	snapshots, err := watchSnapshots(ctx, c, l)
	to := time.Since(l.start)
	samples, more := l.stop()
	failed.merge(more)
	if err != nil {
		return nil, failed, err
	}
	inside, outside := split(within(samples, from, to), snapshots)
	m := metrics{
		during:    milliseconds(percentile(tookOf(inside), 0.999)),
		otherwise: milliseconds(percentile(tookOf(outside), 0.999)),
		rate:      float64(len(inside)+len(outside)) / (to - from).Seconds(),
		writing:   lasted(snapshots).Seconds(),
	}
	if len(inside) >= enoughSamples && len(outside) >= enoughSamples {
		m[slowdown] = m[during] / m[otherwise]
	}
	more, err = b.readBack(ctx, ks, c.peer, leader.http)
	failed.merge(more)
	return m, failed, err
}

// watchSnapshots returns when snapshots were written, once every server has written one and
// enough was measured, or when patience is over.
func watchSnapshots(ctx context.Context, c *cluster, l *load) (found []interval, err error) {
	ctx, cancel := context.WithTimeout(ctx, snapshotPatience)
	defer cancel()
	since := map[*node]time.Duration{}
	wrote := map[*node]bool{}
	inside, before := int64(0), l.done.Load()
	err = poll(ctx, snapshotLook, func() (bool, error) {
		now, done := time.Since(l.start), l.done.Load()
		if len(since) > 0 {
			inside += done - before
		}
		before = done
		for _, n := range c.nodes {
			_, err := os.Stat(filepath.Join(n.dir, ownSnapshot))
			begin, writes := since[n]
			switch {
			case err == nil && !writes:
				since[n] = now
			case err != nil && writes:
				found = append(found, interval{begin, now})
				wrote[n] = true
				delete(since, n)
			}
		}
		return len(since) == 0 && len(wrote) == len(c.nodes) && inside >= enoughSamples, nil
	})
	if ctx.Err() == context.DeadlineExceeded {
		err = nil // with what there is
	}
	return found, err
}

// lasted is how long the intervals are, on average.
func lasted(intervals []interval) (mean time.Duration) {
	for _, i := range intervals {
		mean += i.to - i.from
	}
	return mean / time.Duration(max(1, len(intervals)))
}

// split parts requests that were under way during one of the intervals from all others.
func split(samples []sample, intervals []interval) (inside, outside []sample) {
	for _, s := range samples {
		overlaps := false
		for _, i := range intervals {
			overlaps = overlaps || s.end >= i.from && s.end-s.took <= i.to
		}
		if overlaps {
			inside = append(inside, s)
		} else {
			outside = append(outside, s)
		}
	}
	return inside, outside
}
