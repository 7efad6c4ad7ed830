package main

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"dbdb/httpapi"
	"dbdb/raft"

	"github.com/stretchr/testify/assert"
)

// quietBackend knows an Info and nothing else.
type quietBackend struct {
	httpapi.Backend
	mu    sync.Mutex
	info  httpapi.Info
	looks int
}

func (b *quietBackend) Info() httpapi.Info {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.looks++
	return b.info
}

func (b *quietBackend) leader(id raft.NodeID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.info.Leader = id
}

func (b *quietBackend) Reachable(id raft.NodeID) bool { return id == "node3.c" }

func threeVoters() httpapi.Info {
	return httpapi.Info{Name: "node1", ID: "node1.a", Configuration: raft.Configuration{Members: []raft.Member{
		{ID: "node1.a", Role: raft.Voter, RaftAddr: "localhost:2221"},
		{ID: "node2.b", Role: raft.Voter, RaftAddr: "localhost:2222"},
		{ID: "node3.c", Role: raft.Voter, RaftAddr: "localhost:2223"},
		{ID: "node4.d", Role: raft.Learner, RaftAddr: "localhost:2224"},
	}}}
}

func TestTheMonitorSpeaksAfterTwoSecondsAndThenEveryFive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, log := &quietBackend{info: threeVoters()}, &syncBuffer{}
		ctx, cancel := context.WithCancel(t.Context())
		go monitorQuorum(ctx, b, slog.New(slog.NewTextHandler(log, nil)))
		lines := func() int {
			return strings.Count(log.String(), "have 2 of 3 voters, not reachable: node2 (localhost:2222)")
		}
		for _, step := range []struct {
			after time.Duration
			want  int
		}{{1900 * time.Millisecond, 0}, {500 * time.Millisecond, 1}, {4 * time.Second, 1}, {time.Second, 2}, {5 * time.Second, 3}} {
			time.Sleep(step.after)
			synctest.Wait()
			assert.Equal(t, step.want, lines())
		}
		b.leader("node3.c")
		time.Sleep(time.Minute)
		assert.Equal(t, 3, lines(), "it speaks although there is a leader")
		b.leader("")
		time.Sleep(1500 * time.Millisecond)
		synctest.Wait()
		assert.Equal(t, 3, lines(), "it has no patience with an election")
		time.Sleep(time.Second)
		synctest.Wait()
		assert.Equal(t, 4, lines())
		cancel()
		synctest.Wait()
	})
}

func TestTheMonitorDoesNotBlameReachableVoters(t *testing.T) {
	info := threeVoters()
	info.Configuration.Members = append(info.Configuration.Members[:1:1], info.Configuration.Members[2:]...)
	assert.Equal(t, "waiting for a leader: have 2 of 2 voters", waitingFor(info, &quietBackend{}))
	assert.Contains(t, waitingFor(httpapi.Info{}, &quietBackend{}), "has nothing yet")
}
