package rpc

import (
	"context"
	netrpc "net/rpc"
	"slices"
	"sync"
	"time"

	"dbdb/raft"
)

// peer is one lane to another server and the calls that are open in it. It has two goroutines:
// write dials and sends, and may block in both; watch takes replies and keeps
// the deadlines, and blocks only in callbacks. A third, net/rpc's, reads.
type peer struct {
	id   raft.NodeID
	addr string
	lane lane
	me   Identity
	opts Options

	wg      *sync.WaitGroup // the client's, for net/rpc's readers
	ctx     context.Context
	cancel  context.CancelCauseFunc
	answers chan *netrpc.Call // never full: at most MaxOpenCalls are with net/rpc
	wake    chan struct{}     // for write: there may be something to do
	timer   *time.Timer       // for watch: a deadline may have passed
	logged  *limiter

	mu       sync.Mutex
	closed   bool
	numbers  uint64    // of calls
	open     []call    // unfinished, in no order
	queue    []call    // not sent yet, oldest first; some may be finished
	armed    time.Time // when timer fires; zero if it does not
	used     time.Time // when the newest call came
	inRPC    int       // calls that net/rpc holds; also those past their deadline
	conn     *clientConn
	silences int // deadlines passed since something was received
	failures int // to get anything from the peer, in a row
	nextDial time.Time
	lastErr  error
	saidUp   bool // the last line in the log said that the peer is connected
}

func (c *Client) startPeer(id raft.NodeID, addr string, l lane) *peer {
	p := &peer{
		id: id, addr: addr, lane: l, me: c.me, opts: c.opts,
		answers: make(chan *netrpc.Call, MaxOpenCalls),
		wake:    make(chan struct{}, 1),
		timer:   time.NewTimer(time.Hour),
		logged:  newLimiter(),
		wg:      &c.wg,
	}
	p.timer.Stop()
	p.ctx, p.cancel = context.WithCancelCause(context.Background())
	c.wg.Go(p.write)
	c.wg.Go(p.watch)
	return p
}

// close ends the peer's goroutines and, through them, its calls. It does not wait.
func (p *peer) close(cause error) {
	p.mu.Lock()
	p.closed = true
	conn := p.conn
	p.mu.Unlock()
	p.cancel(cause)
	if conn != nil {
		conn.close(cause)
	}
}

// enqueue takes responsibility for a call, unless it returns an error.
func (p *peer) enqueue(c call, timeout time.Duration) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return ErrClosed
	}
	if len(p.open) >= MaxOpenCalls {
		return ErrBusy
	}
	s := c.state()
	p.numbers++
	p.used = time.Now()
	s.number, s.deadline, s.slot = p.numbers, p.used.Add(timeout), len(p.open)
	p.open = append(p.open, c)
	p.queue = append(p.queue, c)
	if p.armed.IsZero() || s.deadline.Before(p.armed) {
		p.arm(s.deadline)
	}
	p.signal()
	return nil
}

func (p *peer) signal() {
	select {
	case p.wake <- struct{}{}:
	default: // write has not seen the last signal yet
	}
}

// remove takes a call out of the open ones. Only one caller gets true: that one
// finishes the call. The caller holds mu.
func (p *peer) remove(c call) bool {
	s := c.state()
	if s.slot < 0 {
		return false
	}
	last := len(p.open) - 1
	p.open[s.slot] = p.open[last]
	p.open[s.slot].state().slot = s.slot
	p.open[last] = nil
	p.open, s.slot = p.open[:last], -1
	return true
}

// finish ends a call unless it has ended.
func (p *peer) finish(c call, err error) {
	p.mu.Lock()
	mine := p.remove(c)
	p.mu.Unlock()
	if mine {
		c.finish(err)
	}
}

// write sends the calls in the order of the queue. It is the only goroutine that
// dials and sends, which is what keeps that order.
func (p *peer) write() {
	var batch []call
	for {
		batch = p.next(batch[:0])
		if len(batch) == 0 {
			break
		}
		conn, err := p.connection()
		if err != nil {
			for _, c := range batch {
				p.finish(c, err)
			}
		} else {
			conn.send(p.dispatch(batch, conn))
		}
		clear(batch) // or the buffer would keep the entries of finished calls
	}
	if conn := p.current(); conn != nil {
		conn.close(context.Cause(p.ctx))
	}
}

// next waits for calls to send, as many as net/rpc may be given: every call that it
// holds has a place in answers, so none of its replies is discarded. It returns none
// when the peer is closed.
func (p *peer) next(batch []call) []call {
	for {
		if p.ctx.Err() != nil {
			return nil
		}
		p.mu.Lock()
		if n := min(len(p.queue), MaxOpenCalls-p.inRPC); n > 0 {
			batch = append(batch, p.queue[:n]...)
			p.queue = slices.Delete(p.queue, 0, n)
		}
		p.mu.Unlock()
		if len(batch) > 0 {
			return batch
		}
		select {
		case <-p.wake:
		case <-p.ctx.Done():
		}
	}
}

// dispatch marks calls as sent and leaves out those whose deadline has passed.
func (p *peer) dispatch(batch []call, conn *clientConn) []call {
	p.mu.Lock()
	defer p.mu.Unlock()
	send := batch[:0]
	for _, c := range batch {
		if s := c.state(); s.slot >= 0 {
			s.sentOn = conn
			send = append(send, c)
		}
	}
	p.inRPC += len(send)
	return send
}

func (p *peer) current() *clientConn {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.conn
}

// watch takes replies and ends calls whose deadline has passed.
func (p *peer) watch() {
	for {
		select {
		case answer := <-p.answers:
			p.answered(answer)
		case <-p.timer.C:
			p.sweep(time.Now())
		case <-p.ctx.Done():
			p.finishAll(context.Cause(p.ctx))
			return
		}
	}
}

// answered ends a call that net/rpc gave back: with a reply, with what the server
// said instead of one, or because the connection broke.
func (p *peer) answered(answer *netrpc.Call) {
	c := answer.Args.(call)
	conn := c.state().sentOn
	_, told := answer.Error.(netrpc.ServerError)
	heard := answer.Error == nil || told

	p.mu.Lock()
	p.inRPC--
	if heard {
		conn.answered = true
		p.silences, p.failures, p.lastErr, p.nextDial = 0, 0, nil, time.Time{}
		p.sayUp()
	}
	mine := p.remove(c)
	if len(p.queue) > 0 {
		p.signal() // it may have waited for this place
	}
	p.mu.Unlock()
	if !mine {
		return // the deadline was faster: a late reply is dropped
	}
	if !heard && conn.isGone() {
		c.finish(conn.err) // net/rpc knows only that it was shut down
		return
	}
	c.finish(answer.Error)
}

// finishAll ends all calls when the peer is closed; enqueue takes no more.
func (p *peer) finishAll(err error) {
	p.mu.Lock()
	open := slices.Clone(p.open)
	slices.SortFunc(open, byArrival)
	for _, c := range open {
		p.remove(c)
	}
	p.queue = nil
	p.mu.Unlock()
	for _, c := range open {
		c.finish(err)
	}
}
