package main

import (
	"context"
	"slices"
	"sync/atomic"
	"time"
)

// How clients behave while the leader is gone, and when the run ends.
const (
	killClients  = 16
	killTimeout  = 500 * time.Millisecond
	beforeKill   = time.Second
	steadyAgain  = 2 * time.Second // of acknowledgements without a pause
	steadyLook   = 50 * time.Millisecond
	killPatience = 30 * time.Second
	killKeys     = 1_000_000 // more than can be written: each write has a key of its own
)

// killLeader kills the leader under load and finds the longest time in which nobody's
// write was acknowledged. Then it reads back, from those that are left, all that were.
func killLeader(ctx context.Context, b *bench, c *cluster) (metrics, failures, error) {
	leader, err := c.leader(ctx)
	if err != nil {
		return nil, failures{}, err
	}
	ks := newKeys(killKeys, steadyBytes)
	var next atomic.Int64
	var work []func() error
	for range killClients {
		r, err := newRoaming(c, leader)
		if err != nil {
			return nil, failures{}, err
		}
		defer r.close()
		work = append(work, func() error {
			k := int(next.Add(1))
			if k >= killKeys {
				return errNothingToDo
			}
			return ks.write(r, k)
		})
	}
	l := startLoad(ctx, work)
	b.progress.say("kill", nil, 0)
	pause(ctx, beforeKill)
	killed := time.Since(l.start)
	leader.kill()
	err = awaitSteady(ctx, l)
	samples, failed := l.stop()
	if err != nil {
		return nil, failed, err
	}
	failed.errors = 0 // without a leader they are what is to be expected
	leader, err = c.leader(ctx)
	if err != nil {
		return nil, failed, err
	}
	more, err := b.readBack(ctx, ks, c.peer, leader.http)
	failed.merge(more)
	return metrics{gap: milliseconds(longestGap(samples, killed)), checked: float64(len(samples))}, failed, err
}

// awaitSteady returns when writes are acknowledged again and again.
func awaitSteady(ctx context.Context, l *load) error {
	ctx, cancel := context.WithTimeout(ctx, killPatience)
	defer cancel()
	done, since := l.done.Load(), time.Now()
	return poll(ctx, steadyLook, func() (bool, error) {
		now := l.done.Load()
		if now == done {
			since = time.Now()
		}
		done = now
		return time.Since(since) >= steadyAgain, nil
	})
}

// longestGap is the longest time between two acknowledgements of which the later one came
// after a moment.
func longestGap(samples []sample, after time.Duration) (longest time.Duration) {
	var ends []time.Duration
	for _, s := range samples {
		ends = append(ends, s.end)
	}
	slices.Sort(ends)
	for i := 1; i < len(ends); i++ {
		if ends[i] > after {
			longest = max(longest, ends[i]-ends[i-1])
		}
	}
	return longest
}

// roaming is a client that goes to the next server after each failure.
type roaming struct {
	clients []client
	at      int
}

func newRoaming(c *cluster, first *node) (*roaming, error) {
	r := &roaming{}
	for k, n := range c.nodes {
		one, err := c.dial(n.http, 1, killTimeout)
		if err != nil {
			r.close()
			return nil, err
		}
		if n == first {
			r.at = k
		}
		r.clients = append(r.clients, one...)
	}
	return r, nil
}

func (r *roaming) set(key, value string) error {
	err := r.clients[r.at].set(key, value)
	if err != nil {
		r.at = (r.at + 1) % len(r.clients)
	}
	return err
}

func (r *roaming) get(key string, stale bool) (string, bool, error) {
	return r.clients[r.at].get(key, stale)
}

func (r *roaming) close() { closeAll(r.clients) }
