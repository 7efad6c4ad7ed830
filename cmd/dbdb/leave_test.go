package main

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dbdb/httpapi"
	"dbdb/kvstore"
	"dbdb/raft"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// leavingBackend is a leader that is asked to hand over.
type leavingBackend struct {
	quietBackend
	handOver func(ctx context.Context, to raft.NodeID) error
	asked    int
}

func (b *leavingBackend) TransferLeadership(ctx context.Context, to raft.NodeID) error {
	b.asked++
	return b.handOver(ctx, to)
}

func (b *leavingBackend) Apply(context.Context, []byte) (httpapi.Result, error) {
	return httpapi.Result{Index: 3, Term: 2}, nil
}

func leading() *leavingBackend {
	b := &leavingBackend{quietBackend: quietBackend{info: threeVoters()}}
	b.info.Cluster, b.info.State, b.info.Leader = "3f2a", raft.Leader, b.info.ID
	b.handOver = func(context.Context, raft.NodeID) error { return nil }
	return b
}

// The order of a stop: not ready, handed over while clients are still served, closed.
func TestALeaderHandsOverBeforeItStopsToServe(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	url := "http://" + l.Addr().String()
	b := leading()
	log := slog.New(slog.DiscardHandler)
	p := &process{log: log, api: httpapi.New(httpapi.Options{Backend: b, Store: kvstore.New(), Logger: log})}
	b.handOver = func(_ context.Context, to raft.NodeID) error {
		assert.Empty(t, to, "whoever suits best")
		resp, err := http.Get(url + "/readyz")
		require.NoError(t, err)
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		assert.Equal(t, 503, resp.StatusCode)
		assert.Contains(t, string(body), "[-]running failed: this node is stopping\n")
		resp, err = http.Post(url+"/apply", "", strings.NewReader(`{"op":"set","key":"x","value":"1"}`))
		require.NoError(t, err)
		_ = resp.Body.Close()
		assert.Equal(t, 200, resp.StatusCode)
		return nil
	}
	served := make(chan error, 1)
	go func() { served <- p.api.Serve(l) }()
	p.leave(b)
	assert.Equal(t, 1, b.asked)
	assert.ErrorIs(t, <-served, http.ErrServerClosed)
	_, err = net.Dial("tcp", l.Addr().String())
	assert.ErrorContains(t, err, "refused")
}

func TestOnlyALeaderWithOtherVotersHandsOver(t *testing.T) {
	for name, tc := range map[string]struct {
		edit func(*httpapi.Info)
		want int
	}{
		"a leader":       {func(*httpapi.Info) {}, 1},
		"a follower":     {func(i *httpapi.Info) { i.State = raft.Follower }, 0},
		"a lone leader":  {func(i *httpapi.Info) { i.Configuration.Members = i.Configuration.Members[:1] }, 0},
		"with a learner": {func(i *httpapi.Info) { i.Configuration.Members[1].Role = raft.Learner }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			b := leading()
			tc.edit(&b.info)
			handOver(b, slog.New(slog.DiscardHandler))
			assert.Equal(t, tc.want, b.asked)
		})
	}
}

func TestAHandOverThatNobodyTakesDelaysAStopByASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, log := leading(), &syncBuffer{}
		b.handOver = func(ctx context.Context, _ raft.NodeID) error {
			<-ctx.Done()
			return httpapi.ErrNoTransfer
		}
		start := time.Now()
		handOver(b, slog.New(slog.NewTextHandler(log, nil)))
		assert.Equal(t, time.Second, time.Since(start))
		assert.Contains(t, log.String(), "nobody took over the leadership; the others will elect a leader")
	})
}
