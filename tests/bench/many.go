package main

import (
	"context"
	"fmt"
	"sync"
	"time"
)

const (
	manyBytes = 32
	// settle is for collectors of garbage, after a fill.
	settle = 5 * time.Second
	// firstWriteTimeout is how long the first write after a start may take on one server
	// before the next one is tried.
	firstWriteTimeout = 200 * time.Millisecond
	firstWritePause   = 2 * time.Millisecond
)

// restartMany fills servers with many keys, looks at their memory, kills all of them and
// measures how long they take to acknowledge a write again.
func restartMany(ctx context.Context, b *bench, c *cluster) (metrics, failures, error) {
	leader, err := c.leader(ctx)
	if err != nil {
		return nil, failures{}, err
	}
	ks := newKeys(b.keys, manyBytes)
	took, failed, err := b.fill(ctx, ks, c.peer, leader.http)
	if err != nil {
		return nil, failed, err
	}
	m := metrics{fillRate: float64(b.keys) / took.Seconds()}
	pause(ctx, settle)
	if m[rss], m[peakRSS], err = c.memory(); err != nil {
		return nil, failed, err
	}
	if m[restart], err = b.killAll(ctx, c); err != nil {
		return nil, failed, err
	}
	if leader, err = c.leader(ctx); err != nil {
		return nil, failed, err
	}
	more, err := b.readBack(ctx, ks, c.peer, leader.http)
	failed.merge(more)
	m[checked] = float64(b.keys)
	return m, failed, err
}

// killAll kills all servers, starts them again, and measures how long they take to
// acknowledge a write.
func (b *bench) killAll(ctx context.Context, c *cluster) (seconds float64, err error) {
	b.progress.say("kill and start", nil, 0)
	c.kill()
	begin := time.Now()
	for _, n := range c.nodes {
		if err := n.start(c); err != nil {
			return 0, err
		}
	}
	return firstWrite(ctx, c, begin)
}

// firstWrite measures from begin until some server acknowledges a write.
func firstWrite(ctx context.Context, c *cluster, begin time.Time) (seconds float64, err error) {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	first := make(chan time.Time, len(c.nodes))
	var asking sync.WaitGroup
	for _, n := range c.nodes {
		asking.Go(func() {
			clients, err := c.dial(n.http, 1, firstWriteTimeout)
			if err != nil {
				return
			}
			defer closeAll(clients)
			if poll(ctx, firstWritePause, func() (bool, error) { return clients[0].set("first", "write") == nil, nil }) == nil {
				first <- time.Now()
				cancel()
			}
		})
	}
	asking.Wait()
	if len(first) == 0 {
		return 0, fmt.Errorf("%s acknowledges nothing after a restart: %w", c.name, ctx.Err())
	}
	return (<-first).Sub(begin).Seconds(), nil
}
