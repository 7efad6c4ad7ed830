package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// write sends the next write to a key and notes what became of it.
func (ks *keys) write(c client, k int) error {
	value, number := ks.issue(k)
	err := c.set(keyName(k), value)
	switch {
	case err == nil:
		ks.acknowledged(k, number)
	case isNotDone(err):
		ks.undone(k, number)
	}
	return err
}

// read asks for a key and judges the answer.
func (ks *keys) read(c client, k int, stale bool) error {
	atLeast := ks.atLeast(k)
	if stale {
		atLeast = 0
	}
	answer, found, err := c.get(keyName(k), stale)
	if err != nil {
		return err
	}
	return ks.judge(k, answer, found, atLeast, ks.atMost(k))
}

// operation is what clients of a load do again and again.
type operation int

const (
	set operation = iota
	get
	getStale
)

func (o operation) String() string { return [...]string{"set", "get", "stale get"}[o] }

// of names a metric of one operation, where a line has those of several.
func of(o operation, metric string) string { return o.String() + " " + metric }

// work returns what each client does. A set goes to any key of the client's own.
func (o operation) work(ks *keys, clients []client) (work []func() error) {
	for w, c := range clients {
		rng := rand.New(rand.NewPCG(uint64(w), uint64(len(clients))))
		if o == set {
			own := len(ks.state) / len(clients)
			work = append(work, func() error {
				for range own {
					if k := w + len(clients)*rng.IntN(own); ks.settled(k) {
						return ks.write(c, k)
					}
				}
				return errNothingToDo
			})
			continue
		}
		work = append(work, func() error { return ks.read(c, readKey(rng, len(ks.state)), o == getStale) })
	}
	return work
}

// Beside readers one client writes, slowly and always to the same few keys, and readers ask
// for those more often than for others. Without it no answer could ever be stale.
const (
	hotKeys     = 16
	hotOneIn    = 8
	writerPause = 20 * time.Millisecond
)

func readKey(rng *rand.Rand, keys int) int {
	if rng.IntN(hotOneIn) == 0 {
		return rng.IntN(hotKeys)
	}
	return rng.IntN(keys)
}

// slowWriter is the client beside readers.
func slowWriter(ctx context.Context, ks *keys, c client) func() error {
	k := 0
	return func() error {
		if !pause(ctx, writerPause) {
			return errNothingToDo
		}
		for range hotKeys {
			if k = (k + 1) % hotKeys; ks.settled(k) {
				return ks.write(c, k)
			}
		}
		return errNothingToDo
	}
}

// clientsOf a bulk are the clients that write or read many keys once.
const bulkClients = 64

// bulk calls do for each of n keys, from many clients on one server. A key that fails is
// tried again only if that is harmless, and a few times at most.
func (b *bench) bulk(ctx context.Context, what string, p peer, addr string, n int, do func(c client, k int) error, harmless bool) (time.Duration, failures, error) {
	const attempts = 5
	clients, err := p.dial(addr, bulkClients, requestTimeout)
	if err != nil {
		return 0, failures{}, err
	}
	defer closeAll(clients)
	var work []func() error
	for k, c := range clients {
		tries := 0
		work = append(work, func() error {
			if k >= n {
				return errNothingToDo
			}
			err := do(c, k)
			var wrong *wrongAnswer
			if tries++; err == nil || !harmless || errors.As(err, &wrong) || tries == attempts {
				k, tries = k+bulkClients, 0
			}
			return err
		})
	}
	l := startLoad(ctx, work)
	b.progress.say(what, &l.done, n)
	_, failed := l.wait()
	return time.Since(l.start), failed, ctx.Err()
}

func closeAll(clients []client) {
	for _, c := range clients {
		c.close()
	}
}

// fill writes every key once.
func (b *bench) fill(ctx context.Context, ks *keys, p peer, addr string) (time.Duration, failures, error) {
	return b.bulk(ctx, "fill", p, addr, len(ks.state), ks.write, false)
}

// readBack reads every key of which a write was acknowledged.
func (b *bench) readBack(ctx context.Context, ks *keys, p peer, addr string) (failures, error) {
	_, failed, err := b.bulk(ctx, "read all back", p, addr, len(ks.state), func(c client, k int) error {
		if ks.atLeast(k) == 0 {
			return nil
		}
		return ks.read(c, k, false)
	}, true)
	return failed, err
}
