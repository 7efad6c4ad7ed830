package main

import (
	"context"
	"io/fs"
	"path/filepath"
)

// byHistory are stores whose history is all in the log, if it is short, or in a snapshot
// and the log after it.
func byHistory(keys int) (sizes []size) {
	for _, n := range shares(keys) {
		sizes = append(sizes, size{name: number(float64(n)) + " keys", run: withHistory(n)})
	}
	return sizes
}

// withHistory fills a store and measures what its history costs: all servers when they are
// killed and start again, and a fresh one that joins.
func withHistory(keys int) measurement {
	return func(ctx context.Context, b *bench, c *cluster) (metrics, failures, error) {
		leader, err := c.leader(ctx)
		if err != nil {
			return nil, failures{}, err
		}
		ks := newKeys(keys, manyBytes)
		_, failed, err := b.fill(ctx, ks, c.peer, leader.http)
		if err != nil {
			return nil, failed, err
		}
		pause(ctx, settle) // until snapshots that are being written are there
		m, err := history(c)
		if err != nil {
			return nil, failed, err
		}
		if m[restart], err = b.killAll(ctx, c); err != nil {
			return nil, failed, err
		}
		if leader, err = c.leader(ctx); err != nil {
			return nil, failed, err
		}
		took, more, err := b.catchUp(ctx, c, leader, ks)
		failed.merge(more)
		m[join], m[checked] = took.Seconds(), float64(keys)
		return m, failed, err
	}
}

// history is what a server reads when it starts: the mean of a cluster's servers.
func history(c *cluster) (metrics, error) {
	m := metrics{}
	for _, n := range c.nodes {
		st, err := statusOf(n)
		if err != nil {
			return nil, err
		}
		log, err := mebibytes(filepath.Join(n.dir, "wal"))
		if err != nil {
			return nil, err
		}
		snapshots, err := mebibytes(filepath.Join(n.dir, "snapshots"))
		if err != nil {
			return nil, err
		}
		share := 1 / float64(len(c.nodes))
		m[replay] += share * float64(st.LastIndex-st.SnapshotIndex)
		m[logFiles] += share * log
		m[snapFile] += share * snapshots
	}
	return m, nil
}

// mebibytes is the size of all files in a directory.
func mebibytes(dir string) (sum float64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		sum += float64(info.Size()) / (1 << 20)
		return nil
	})
	return sum, err
}
