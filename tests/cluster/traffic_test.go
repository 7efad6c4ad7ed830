package cluster

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Bounds of the workload.
const (
	liveKeys = 10
	// usesOfKey bounds the history of one key, for the sake of the checker.
	usesOfKey = 150
	// meanThink is how long a client waits between two requests, on average.
	meanThink = 4 * time.Millisecond
)

// patience is how long a client waits for an answer: client k has patience[k mod 4].
// The server answers a write within 5 s; some do not wait for that.
var patience = []time.Duration{time.Second, 7 * time.Second, 300 * time.Millisecond, 2 * time.Second}

// traffic is a number of clients that read and write the same few keys through all
// servers, and remember what they were told.
type traffic struct {
	servers []*server
	begun   time.Time
	seed    uint64
	clients []*client
	running sync.WaitGroup
	gaps    gaps

	acked, reads, refused, unknown atomic.Int64

	mu   sync.Mutex
	uses [liveKeys]int
	odd  []string // answers that no client of a correct request should get
}

// client has one request under way at a time. What it sends goes to one server.
type client struct {
	*traffic
	id       int
	server   *server
	patience time.Duration
	rand     *rand.Rand
	conn     *conn
	writes   int
	history  []operation
}

func newTraffic(servers []*server, seed uint64) *traffic {
	return &traffic{servers: servers, begun: time.Now(), seed: seed}
}

// newClient adds a client of a server; it does nothing by itself.
func (tr *traffic) newClient(s *server) *client {
	id := len(tr.clients)
	c := &client{traffic: tr, id: id, server: s, patience: patience[id%len(patience)], rand: rand.New(rand.NewPCG(tr.seed, uint64(id)))}
	tr.clients = append(tr.clients, c)
	return c
}

// run lets n new clients work until ctx ends.
func (tr *traffic) run(ctx context.Context, n int) {
	for k := range n {
		c := tr.newClient(tr.servers[k%len(tr.servers)])
		tr.running.Go(func() {
			for ctx.Err() == nil {
				c.ask(c.draw())
				time.Sleep(time.Duration(c.rand.ExpFloat64() * float64(meanThink)))
			}
		})
	}
}

// wait returns the history when all clients have ended.
func (tr *traffic) wait() (history []operation) {
	tr.running.Wait()
	for _, c := range tr.clients {
		history = append(history, c.history...)
	}
	return history
}

// draw chooses what a client does next.
func (c *client) draw() operation {
	op := operation{kind: opSet, key: c.drawKey(c.rand.IntN(liveKeys))}
	switch k := c.rand.IntN(100); {
	case k < 50:
		op.kind = opGet
	case k < 56:
		op.kind = opDel
	}
	return op
}

func (tr *traffic) drawKey(k int) string {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.uses[k]++
	return fmt.Sprintf("k%d.%d", k, tr.uses[k]/usesOfKey)
}

// ask carries out an operation, and returns it as it went into the history.
func (c *client) ask(op operation) operation {
	op.client, op.node = c.id, c.server.name
	method, path, body := http.MethodPost, "/apply", fmt.Sprintf(`{"op":%q,"key":%q}`, op.kind, op.key)
	switch op.kind {
	case opSet:
		c.writes++
		op.value = fmt.Sprintf("c%d-%d", c.id, c.writes)
		body = fmt.Sprintf(`{"op":"set","key":%q,"value":%q}`, op.key, op.value)
	case opGet:
		method, path, body = http.MethodGet, "/get?key="+op.key, ""
	}
	op.call = int64(time.Since(c.begun))
	status, answer := c.send(method, path, body)
	op.ret = int64(time.Since(c.begun))
	op.outcome = c.outcomeOf(status, answer)
	if op.kind == opGet && op.outcome == done {
		var found struct{ Data string }
		if err := json.Unmarshal(answer, &found); err != nil {
			c.oddAnswer(status, answer)
		}
		op.value = found.Data
	}
	c.count(op)
	c.history = append(c.history, op)
	return op
}

// What send returns in place of a status.
const (
	notSent  = -1
	noAnswer = -2
)

func (c *client) send(method, path, body string) (status int, answer []byte) {
	if c.conn == nil {
		tcp, err := net.DialTimeout("tcp", c.server.address(), c.patience)
		if err != nil {
			return notSent, nil
		}
		c.conn = &conn{Conn: tcp, r: bufio.NewReader(tcp)}
	}
	_ = c.conn.SetDeadline(time.Now().Add(c.patience)) // an error shows in the next write
	status, answer, err := c.conn.do(method, path, body)
	if err != nil {
		c.hangUp() // its answer, if it still came, would be taken for the next one's
		return noAnswer, nil
	}
	return status, answer
}

func (c *client) hangUp() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}

// outcomeOf is what the README promises of a status.
func (c *client) outcomeOf(status int, answer []byte) outcome {
	switch status {
	case http.StatusOK:
		return done
	case notSent, http.StatusServiceUnavailable, http.StatusTooManyRequests:
		return refused
	case noAnswer, http.StatusGatewayTimeout:
		return unknown
	}
	c.oddAnswer(status, answer)
	if status >= 400 && status < 500 {
		return refused
	}
	return unknown
}

func (tr *traffic) oddAnswer(status int, answer []byte) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.odd = append(tr.odd, fmt.Sprintf("%d: %s", status, answer))
}

func (tr *traffic) count(op operation) {
	switch {
	case op.outcome == refused:
		tr.refused.Add(1)
	case op.outcome == done && op.kind == opGet:
		tr.reads.Add(1)
	case op.outcome == done:
		tr.acked.Add(1)
		tr.gaps.acknowledged()
	case op.kind != opGet:
		tr.unknown.Add(1)
	default:
		tr.refused.Add(1) // a read that failed
	}
}

func (tr *traffic) String() string {
	acked, reads, refused, unknown := tr.acked.Load(), tr.reads.Load(), tr.refused.Load(), tr.unknown.Load()
	return fmt.Sprintf("%d operations, %d acknowledged writes, %d reads, %d unknown, %d refused or failed reads",
		acked+reads+refused+unknown, acked, reads, unknown, refused)
}
