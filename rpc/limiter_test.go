package rpc

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestALastingTroubleIsLoggedOnceAMinute(t *testing.T) {
	l := newLimiter()
	start := time.Now()
	lines := 0
	for s := range 180 {
		if _, ok := l.allow("host", "refused", start.Add(time.Duration(s)*time.Second)); ok {
			lines++
		}
	}
	assert.Equal(t, 3, lines)
}

func TestANewTroubleIsLoggedAfterTenSecondsWithACountOfTheSuppressed(t *testing.T) {
	l := newLimiter()
	start := time.Now()
	_, ok := l.allow("host", "a", start)
	assert.True(t, ok)
	for range 7 {
		_, ok = l.allow("host", "b", start.Add(logEvery-1))
		assert.False(t, ok)
	}
	suppressed, ok := l.allow("host", "b", start.Add(logEvery))
	assert.True(t, ok)
	assert.Equal(t, 7, suppressed)
}

func TestTheLimiterRemembersABoundedNumberOfHosts(t *testing.T) {
	l := newLimiter()
	start := time.Now()
	for i := range 10 * maxLogKeys {
		l.allow(fmt.Sprint(i), "garbage", start)
	}
	assert.Len(t, l.keys, maxLogKeys)
	_, ok := l.allow("another", "garbage", start.Add(logSameEvery))
	assert.True(t, ok, "old hosts make room")
}

func TestTheClientLogsThatAPeerWentAndThatItCameBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		up := false
		n := newNetwork()
		serve(t, n, answering{})
		c := newClient(t, "node2:2222", Options{
			Logger: slog.New(slog.NewTextHandler(&log, nil)),
			Dial: func(ctx context.Context, addr string) (net.Conn, error) {
				if up {
					return n.Dial(ctx, addr)
				}
				return nil, fmt.Errorf("dial tcp: lookup %s: no such host", addr)
			},
		})
		calls := func() {
			for range 100 {
				_ = callOnce(c)
				time.Sleep(100 * time.Millisecond)
			}
		}
		calls()
		up = true
		calls()
		assert.Equal(t, 2, strings.Count(log.String(), "\n"), log.String())
		assert.Contains(t, log.String(), `msg="peer does not answer" peer=node2 addr=node2:2222 err="dial tcp: lookup node2:2222: no such host"`)
		assert.Contains(t, log.String(), `msg="peer answers" peer=node2`)
	})
}
