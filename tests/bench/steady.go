package main

import (
	"context"
	"time"
)

// What a steady load works on.
const (
	steadyKeys  = 10_000
	steadyBytes = 100
)

// steadyLoad measures clients on the leader, after a warm-up.
func steadyLoad(ctx context.Context, b *bench, c *cluster, o operation, n int) (metrics, failures, error) {
	leader, err := c.leader(ctx)
	if err != nil {
		return nil, failures{}, err
	}
	ks := newKeys(steadyKeys, steadyBytes)
	var failed failures
	if o != set {
		if _, failed, err = b.fill(ctx, ks, c.peer, leader.http); err != nil {
			return nil, failed, err
		}
	}
	m, more, err := b.steady(ctx, c, leader, ks, o, n)
	failed.merge(more)
	if err != nil {
		return nil, failed, err
	}
	more, err = b.readBack(ctx, ks, c.peer, leader.http)
	failed.merge(more)
	return m, failed, err
}

// steady runs the clients, and beside readers the slow writer.
func (b *bench) steady(ctx context.Context, c *cluster, leader *node, ks *keys, o operation, n int) (metrics, failures, error) {
	clients, err := c.dial(leader.http, n+1, requestTimeout) // the last one is the slow writer
	if err != nil {
		return nil, failures{}, err
	}
	defer closeAll(clients)
	l := startLoad(ctx, o.work(ks, clients[:n]))
	b.progress.say("load", nil, 0)
	var writer *load
	if o != set {
		writer = startLoad(ctx, []func() error{slowWriter(ctx, ks, clients[n])})
	}
	m, from, to, err := b.window(ctx, c, l)
	samples, failed := l.stop()
	if writer != nil {
		_, more := writer.stop()
		failed.merge(more)
	}
	if err != nil {
		return nil, failed, err
	}
	m.add(within(samples, from, to), to-from)
	return m, failed, nil
}

// window lets a load run warm and then measures what the servers use. The metrics are
// totals; add makes them costs of one operation.
func (b *bench) window(ctx context.Context, c *cluster, l *load) (m metrics, from, to time.Duration, err error) {
	if !pause(ctx, b.warmUp) {
		return nil, 0, 0, ctx.Err()
	}
	before, err := c.usage()
	from = time.Since(l.start)
	if err != nil {
		return nil, 0, 0, err
	}
	if !pause(ctx, b.seconds) {
		return nil, 0, 0, ctx.Err()
	}
	after, err := c.usage()
	to = time.Since(l.start)
	if err != nil {
		return nil, 0, 0, err
	}
	m = metrics{
		serverCPU:    float64((after.servers - before.servers).Microseconds()),
		loadCPU:      float64((after.load - before.load).Microseconds()),
		flushesPerOp: float64(after.flushes - before.flushes),
		diskPerOp:    float64(after.written-before.written) / 1024,
	}
	m[rss], m[peakRSS], err = c.memory()
	return m, from, to, err
}

// within keeps the requests that were answered in a window.
func within(samples []sample, from, to time.Duration) (inside []sample) {
	for _, s := range samples {
		if s.end >= from && s.end < to {
			inside = append(inside, s)
		}
	}
	return inside
}

func (m metrics) add(samples []sample, took time.Duration) {
	sorted := tookOf(samples)
	m[rate] = float64(len(samples)) / took.Seconds()
	m[p50], m[p99], m[p999] = milliseconds(percentile(sorted, 0.5)), milliseconds(percentile(sorted, 0.99)), milliseconds(percentile(sorted, 0.999))
	for _, name := range []string{serverCPU, loadCPU, flushesPerOp, diskPerOp} {
		m[name] /= float64(max(1, len(samples)))
	}
}
