package main

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// liar is a store that all fake clients share. It can forget what it acknowledged.
type liar struct {
	mu      sync.Mutex
	values  map[string]string
	writes  int
	forgets int // each so many-th write is acknowledged and not done; 0: none
}

func (l *liar) peer() peer {
	return peer{dial: func(_ string, n int, _ time.Duration) (clients []client, err error) {
		for range n {
			clients = append(clients, l)
		}
		return clients, nil
	}}
}

func (l *liar) set(key, value string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.writes++
	if l.forgets == 0 || l.writes%l.forgets != 0 {
		l.values[key] = value
	}
	return nil
}

func (l *liar) get(key string, _ bool) (string, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	value, found := l.values[key]
	return value, found, nil
}

func (l *liar) close() {}

// filled writes each of a thousand keys twice, and reads all back.
func filled(t *testing.T, l *liar) failures {
	l.values = map[string]string{}
	b, ks := &bench{progress: &progress{}}, newKeys(1000, 32)
	for range 2 {
		_, failed, err := b.fill(t.Context(), ks, l.peer(), "")
		require.NoError(t, err)
		require.Nil(t, failed.first)
	}
	failed, err := b.readBack(t.Context(), ks, l.peer(), "")
	require.NoError(t, err)
	return failed
}

func TestWhatIsAcknowledgedAndForgottenIsFound(t *testing.T) {
	assert.Nil(t, filled(t, &liar{}).first)
	// A thousand writes and again a thousand: of those that are forgotten some are the first
	// to their key and some the second.
	failed := filled(t, &liar{forgets: 7})
	assert.NotZero(t, failed.wrong["stale"])
	assert.Zero(t, failed.errors)
	assert.NotZero(t, filled(t, &liar{forgets: 1}).wrong["lost"])
}

// A reader beside a writer sees only what was written before it asked, or newer.
func TestReadersBesideAWriterNoticeWhenAWriteIsForgotten(t *testing.T) {
	for forgets, wrong := range map[int]bool{0: false, 3: true} {
		l := &liar{values: map[string]string{}}
		b, ks := &bench{progress: &progress{}}, newKeys(hotKeys, 32)
		_, _, err := b.fill(t.Context(), ks, l.peer(), "")
		require.NoError(t, err)
		l.forgets = forgets
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		readers := startLoad(ctx, get.work(ks, []client{l, l}))
		writer := startLoad(ctx, []func() error{slowWriter(ctx, ks, l)})
		for readers.done.Load() < 1000 || writer.done.Load() < 20 {
			require.True(t, pause(ctx, time.Millisecond))
		}
		_, failed := writer.stop()
		require.Nil(t, failed.first)
		_, failed = readers.stop()
		assert.Equal(t, wrong, failed.wrong["stale"] > 0, "%v", failed)
	}
}

// Each client keeps to keys of its own: only so has a key an order of writes.
func TestAKeyHasOneWriter(t *testing.T) {
	ks := newKeys(100, 32)
	owner := map[string]int{}
	var clients []client
	for range 7 {
		clients = append(clients, &liar{values: map[string]string{}})
	}
	for w, do := range set.work(ks, clients) {
		for range 200 {
			require.NoError(t, do())
		}
		for key := range clients[w].(*liar).values {
			_, taken := owner[key]
			assert.False(t, taken, "%s", key)
			owner[key] = w
		}
	}
	assert.Greater(t, len(owner), 90)
}
