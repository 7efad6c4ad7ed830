package main

import (
	"context"
	"fmt"
)

// scaleRows are of dbdb alone: how its costs grow with one thing at a time. They are no
// part of "all", which compares.
var scaleRows = []row{{
	name: "scale-keys", about: "sets and gets by the keys in the store: 100 bytes, 3 nodes, 64 clients",
	metric: of(set, rate), peers: []string{"dbdb"}, sizes: byKeys,
}, {
	name: "scale-values", about: "sets and gets by the size of the values: 1,000 keys, 3 nodes, 64 clients",
	metric: of(set, throughput), peers: []string{"dbdb"}, sizes: byValues,
}, {
	name: "scale-nodes", about: "sets and gets by the number of nodes: 100 bytes, 10,000 keys, 64 clients",
	metric: of(set, rate), peers: []string{"dbdb"}, sizes: byNodes,
}, {
	name: "scale-log", about: "kill -9 of all servers until they serve again, and a fresh one that catches up, by the keys that were written",
	metric: restart, peers: []string{"dbdb"}, sizes: byHistory,
}}

const (
	scaleClients = 64
	// scaleValueKeys are few: 1,000 values of 64 KiB are 64 MB on each node, and a key and
	// the number of a write must fit into 10 bytes.
	scaleValueKeys = 1000
)

// shares of the keys are what a store has that grows.
func shares(keys int) []int { return []int{keys / 100, keys / 10, keys} }

func byKeys(keys int) (sizes []size) {
	for _, n := range shares(keys) {
		sizes = append(sizes, size{name: number(float64(n)) + " keys", run: setsAndGets(n, steadyBytes)})
	}
	return sizes
}

func byValues(int) (sizes []size) {
	for _, bytes := range []int{10, 100, 1 << 10, 10 << 10, 64 << 10} {
		sizes = append(sizes, size{name: bytesName(bytes), run: setsAndGets(scaleValueKeys, bytes)})
	}
	return sizes
}

func byNodes(int) (sizes []size) {
	for _, n := range []int{1, 3, 5, 7} {
		sizes = append(sizes, size{name: fmt.Sprintf("nodes: %d", n), nodes: n, run: setsAndGets(steadyKeys, steadyBytes)})
	}
	return sizes
}

func bytesName(n int) string {
	if n < 1<<10 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%d KiB", n>>10)
}

// setsAndGets fills a store, then measures sets and after them gets of what is there.
func setsAndGets(keys, valueBytes int) measurement {
	return func(ctx context.Context, b *bench, c *cluster) (metrics, failures, error) {
		leader, err := c.leader(ctx)
		if err != nil {
			return nil, failures{}, err
		}
		ks := newKeys(keys, valueBytes)
		_, failed, err := b.fill(ctx, ks, c.peer, leader.http)
		if err != nil {
			return nil, failed, err
		}
		both := metrics{}
		for _, o := range []operation{set, get} {
			m, more, err := b.steady(ctx, c, leader, ks, o, scaleClients)
			failed.merge(more)
			if err != nil {
				return nil, failed, err
			}
			m[throughput] = m[rate] * float64(valueBytes) / 1e6
			both.take(o, m)
		}
		more, err := b.readBack(ctx, ks, c.peer, leader.http)
		failed.merge(more)
		return both, failed, err
	}
}

// take adds what was measured of one operation, under its name. Memory is nobody's: the
// latest figure stays.
func (m metrics) take(o operation, one metrics) {
	for name, v := range one {
		if name == rss || name == peakRSS {
			m[name] = v
		} else {
			m[of(o, name)] = v
		}
	}
}
