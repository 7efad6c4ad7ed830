package main

import (
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"dbdb/httpapi"
	"dbdb/raft"
	"dbdb/raft/wal"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// removedNode is a node of three that was started with some flags.
func removedNode(o options) (*process, *quietBackend, *syncBuffer) {
	log := &syncBuffer{}
	plain := slog.New(slog.NewTextHandler(log, nil))
	b := &quietBackend{info: threeVoters()}
	b.info.Cluster = "3f2a0000"
	o.nodeID = "node1"
	return &process{o: o, log: plain, plainLog: plain}, b, log
}

func (b *quietBackend) change(edit func(*httpapi.Info)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	edit(&b.info)
}

// removed takes the node out of its configuration, as if by index 812.
func removed(i *httpapi.Info) {
	i.Leader, i.RemovedAt, i.Configuration.Members = "", 812, i.Configuration.Members[1:]
}

func TestANodeThatWasRemovedSaysSoOnceAndStays(t *testing.T) {
	for name, o := range map[string]options{
		"while it runs":                   {},
		"while it runs, with --bootstrap": {bootstrap: true},
		"while it runs, with --join":      {join: []string{"127.0.0.1:1"}, joinTimeout: time.Second},
		"before it was started":           {},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, b, log := removedNode(o)
				if strings.HasPrefix(name, "while it runs") {
					b.change(func(i *httpapi.Info) { i.TookPart = true })
				}
				ended := make(chan error, 1)
				go func() { ended <- p.watchRemoval(t.Context(), b, joiner{}) }()
				time.Sleep(time.Second)
				b.change(removed)
				time.Sleep(time.Minute)
				select {
				case err := <-ended:
					require.FailNow(t, "it ended", "%v", err)
				default:
				}
				assert.Equal(t, 1, strings.Count(log.String(), "node1 was removed at index 812"))
				assert.Contains(t, log.String(), "level=WARN")
			})
		})
	}
}

func TestANodeThatWasRemovedIsNotBootstrapped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, b, _ := removedNode(options{bootstrap: true})
		b.change(removed)
		err := p.watchRemoval(t.Context(), b, joiner{})
		assert.EqualError(t, err, "cannot bootstrap: this directory holds data of cluster 3f2a…; move it away to start a new cluster")
		assert.Equal(t, 3, exitCode(err))
	})
}

func TestANodeThatWasRemovedAsksOnceToBeAddedAgainAsTheSameServer(t *testing.T) {
	var asked atomic.Int32
	var p *process
	var b *quietBackend
	addr := stub(t, func(w http.ResponseWriter, r *http.Request) {
		body := new(strings.Builder)
		_ = r.Write(body)
		assert.Contains(t, body.String(), `"id":"node1","instance":"a","cluster":"3f2a0000"`)
		asked.Add(1)
		_, _ = w.Write([]byte(`{"cluster":"3f2a0000"}`))
	})
	p, b, log := removedNode(options{join: []string{addr}, joinTimeout: 10 * time.Second, bind: "localhost"})
	j := joiner{p.o, wal.Identity{Node: "node1", Instance: "a", Cluster: "3f2a0000"}, p.log}
	b.change(removed)
	go func() { _ = p.watchRemoval(t.Context(), b, j) }()
	eventually(t, "it asks", func() bool { return asked.Load() == 1 })
	// It is a member again, takes part, and is removed once more: that is meant.
	b.change(func(i *httpapi.Info) { *i = threeVoters(); i.TookPart = true; b.looks = 0 })
	eventually(t, "it looks", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.looks > 0
	})
	b.change(removed)
	eventually(t, "it says so", func() bool { return strings.Contains(log.String(), "node1 was removed at index 812") })
	assert.Equal(t, int32(1), asked.Load())
}

// It was removed before it was told of anybody whom it could ask.
func TestANodeThatIsStartedAgainWithNothingAsksToBeAddedIfNoLeaderSpeaksToIt(t *testing.T) {
	join := options{join: []string{"127.0.0.1:1"}, joinTimeout: time.Second, bind: "localhost"}
	for name, tc := range map[string]struct {
		o         options
		restarted bool
		edit      func(*httpapi.Info)
		asks      bool
	}{
		"with --join":                    {join, true, func(*httpapi.Info) {}, true},
		"without":                        {options{}, true, func(*httpapi.Info) {}, false},
		"when it has joined right now":   {join, false, func(*httpapi.Info) {}, false},
		"when a leader speaks to it":     {join, true, func(i *httpapi.Info) { i.Leader = "node2.b" }, false},
		"when its log names other nodes": {join, true, func(i *httpapi.Info) { i.Configuration = threeVoters().Configuration }, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, b, log := removedNode(tc.o)
				p.restarted = tc.restarted
				b.change(func(i *httpapi.Info) { i.Leader, i.Configuration = "", raft.Configuration{}; tc.edit(i) })
				go func() { _ = p.watchRemoval(t.Context(), b, joiner{o: tc.o, log: p.log}) }()
				time.Sleep(forgottenAfter - removalLook)
				assert.NotContains(t, log.String(), "asking", "a leader is still awaited")
				time.Sleep(time.Minute)
				assert.Equal(t, tc.asks, strings.Contains(log.String(), "asking to be added again"))
			})
		})
	}
}

func TestARefusalToAddARemovedNodeEndsIt(t *testing.T) {
	addr := stub(t, answering(409, `{"code":"name_taken","detail":"node1 is already a member with other data"}`))
	p, b, _ := removedNode(options{join: []string{addr}, joinTimeout: 10 * time.Second, bind: "localhost"})
	b.change(removed)
	err := p.watchRemoval(t.Context(), b, joiner{p.o, wal.Identity{Node: "node1"}, p.log})
	assert.EqualError(t, err, "node1 is already a member with other data")
	assert.Equal(t, 3, exitCode(err))
}

// A removed node waits for nobody: the monitor would call its old cluster lost.
func TestTheMonitorIsSilentOnANodeThatWasRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, b, log := removedNode(options{})
		b.change(removed)
		go monitorQuorum(t.Context(), b, p.log)
		time.Sleep(time.Minute)
		assert.Empty(t, log.String())
	})
}
