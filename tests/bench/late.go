package main

import (
	"context"
	"fmt"
	"time"
)

const (
	latePause = 2 * time.Millisecond
	lateShare = 10 // of the keys: a tenth
)

// joinLate adds a fresh server to a cluster that has many keys, and measures how long it
// takes until it has the first and the last of them, and the last write of all.
func joinLate(ctx context.Context, b *bench, c *cluster) (metrics, failures, error) {
	leader, err := c.leader(ctx)
	if err != nil {
		return nil, failures{}, err
	}
	ks := newKeys(b.keys/lateShare, manyBytes)
	_, failed, err := b.fill(ctx, ks, c.peer, leader.http)
	if err != nil {
		return nil, failed, err
	}
	took, more, err := b.catchUp(ctx, c, leader, ks)
	failed.merge(more)
	return metrics{join: took.Seconds(), checked: float64(len(ks.state))}, failed, err
}

// catchUp is how long it takes from the start of a fresh server until it has the keys. What
// it has is judged like any other answer.
func (b *bench) catchUp(ctx context.Context, c *cluster, leader *node, ks *keys) (took time.Duration, failed failures, err error) {
	if err := lastWrite(c, leader, ks); err != nil {
		return 0, failed, err
	}
	late, err := c.addNode(true)
	if err != nil {
		return 0, failed, err
	}
	b.progress.say("join", nil, 0)
	begin, err := letIn(ctx, c, leader, late)
	if err != nil {
		return 0, failed, err
	}
	if err := awaitKeys(ctx, c, late, ks); err != nil {
		return 0, failed, err
	}
	took = time.Since(begin)
	_, failed, err = b.bulk(ctx, "read the new one", c.peer, late.http, len(ks.state), func(cl client, k int) error {
		answer, found, err := cl.get(keyName(k), true)
		if err != nil {
			return err
		}
		return ks.judge(k, answer, found, ks.atLeast(k), ks.atMost(k))
	}, true)
	return took, failed, err
}

// lastWrite writes to the last key once more: many clients filled the keys, so the last one
// of them need not be the last in the log.
func lastWrite(c *cluster, leader *node, ks *keys) error {
	clients, err := c.dial(leader.http, 1, requestTimeout)
	if err != nil {
		return err
	}
	defer closeAll(clients)
	return ks.write(clients[0], len(ks.state)-1)
}

// letIn starts a server and makes it a member, in the order in which the peer wants it, and
// returns when that began. A cluster that refuses newcomers because it is new itself, as etcd
// does in its first seconds, is asked again, and that does not count.
func letIn(ctx context.Context, c *cluster, leader, late *node) (begin time.Time, err error) {
	ask := func() error {
		last := error(nil)
		ctx, cancel := context.WithTimeout(ctx, startPatience)
		defer cancel()
		err := poll(ctx, latePause, func() (bool, error) {
			if c.joinFirst {
				begin = time.Now()
			}
			last = c.join(leader, late)
			return last == nil, nil
		})
		if err != nil {
			return fmt.Errorf("%s is not let in: %w", late.name, last)
		}
		return nil
	}
	if c.joinFirst {
		if err := ask(); err != nil {
			return begin, err
		}
		return begin, late.start(c)
	}
	begin = time.Now()
	if err := late.start(c); err != nil {
		return begin, err
	}
	return begin, ask()
}

// awaitKeys returns when a server has the first and the last key that were written.
func awaitKeys(ctx context.Context, c *cluster, n *node, ks *keys) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	clients, err := c.dial(n.http, 1, firstWriteTimeout)
	if err != nil {
		return err
	}
	defer closeAll(clients)
	for _, k := range []int{0, len(ks.state) - 1} {
		if err := poll(ctx, latePause, func() (bool, error) {
			answer, found, err := clients[0].get(keyName(k), true)
			return err == nil && ks.judge(k, answer, found, ks.atLeast(k), ks.atMost(k)) == nil, nil
		}); err != nil {
			return fmt.Errorf("%s has no %s: %w: %s", n.name, keyName(k), err, n.lastWords())
		}
	}
	return nil
}
