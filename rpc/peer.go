package rpc

import (
	"context"
	"slices"
	"sync"
	"time"

	"dbdb/raft"
)

// peer is one lane to another server and the calls that are open in it. It has two goroutines:
// write dials and sends, and may block in both; watch keeps the deadlines. A third, net/rpc's,
// reads, and ends the calls whose replies it reads. Watch and that one block only in callbacks.
type peer struct {
	id   raft.NodeID
	addr string
	lane lane
	me   Identity
	opts Options

	wg     *sync.WaitGroup // the client's, for net/rpc's readers
	ctx    context.Context
	cancel context.CancelCauseFunc
	wake   chan struct{} // for write: there may be something to do
	timer  *time.Timer   // for watch: a deadline may have passed
	logged *limiter

	mu       sync.Mutex
	closed   bool
	numbers  uint64    // of calls
	open     []call    // unfinished, in no order
	queue    []call    // not sent yet, oldest first; some may be finished
	armed    time.Time // when timer fires; zero if it does not
	used     time.Time // when the newest call came
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
		wake:   make(chan struct{}, 1),
		timer:  time.NewTimer(time.Hour),
		logged: newLimiter(),
		wg:     &c.wg,
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
		if err == nil {
			err = p.dispatch(batch, conn)
		}
		if err != nil {
			for _, c := range batch {
				p.finish(c, err)
			}
		}
		clear(batch) // or the buffer would keep the entries of finished calls
	}
	if conn := p.current(); conn != nil {
		conn.close(context.Cause(p.ctx))
	}
}

// next waits for calls to send, as many as net/rpc may hold: those that a server never
// answers stay there until the connection ends. It returns none when the peer is closed.
func (p *peer) next(batch []call) []call {
	for {
		if p.ctx.Err() != nil {
			return nil
		}
		p.mu.Lock()
		if n := min(len(p.queue), p.room()); n > 0 {
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

// room is how many calls may be sent. The caller holds mu.
func (p *peer) room() int {
	if p.conn == nil {
		return MaxOpenCalls
	}
	return MaxOpenCalls - p.conn.holds
}

// dispatch sends calls but for those whose deadline has passed. From when a call is marked
// as sent, it ends with its reply, with its deadline or with the connection; so a
// connection that has ended gets none, and its error is returned.
func (p *peer) dispatch(batch []call, conn *clientConn) error {
	p.mu.Lock()
	if conn.ended {
		p.mu.Unlock()
		return conn.err
	}
	send := batch[:0]
	for _, c := range batch {
		if s := c.state(); s.slot >= 0 {
			s.sentOn = conn
			send = append(send, c)
		}
	}
	conn.holds += len(send)
	p.mu.Unlock()
	conn.send(send)
	return nil
}

func (p *peer) current() *clientConn {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.conn
}

// watch ends the calls whose deadline has passed, and at last all.
func (p *peer) watch() {
	for {
		select {
		case <-p.timer.C:
			p.sweep(time.Now())
		case <-p.ctx.Done():
			p.finishAll(context.Cause(p.ctx))
			return
		}
	}
}

// replied ends a call with its reply, or with what the server said instead of one. If the
// deadline was faster, there is nobody to tell.
func (p *peer) replied(conn *clientConn, c call, told error) {
	p.mu.Lock()
	conn.answered = true
	p.silences, p.failures, p.lastErr, p.nextDial = 0, 0, nil, time.Time{}
	p.sayUp()
	conn.holds--
	mine := p.remove(c)
	if len(p.queue) > 0 {
		p.signal() // it may have waited for this place
	}
	p.mu.Unlock()
	if mine {
		c.finish(told)
	}
}

// refused ends a call that cannot be sent.
func (p *peer) refused(conn *clientConn, c call, err error) {
	p.mu.Lock()
	conn.holds--
	p.mu.Unlock()
	p.finish(c, err)
}

// connectionEnded ends the calls that were sent on a connection and never answered.
func (p *peer) connectionEnded(conn *clientConn) {
	p.mu.Lock()
	conn.ended = true
	lost := p.removeAll(func(c call) bool { return c.state().sentOn == conn })
	p.signal() // there is room again
	p.mu.Unlock()
	for _, c := range lost {
		c.finish(conn.err)
	}
}

// finishAll ends all calls when the peer is closed; enqueue takes no more.
func (p *peer) finishAll(err error) {
	p.mu.Lock()
	open := p.removeAll(func(call) bool { return true })
	p.queue = nil
	p.mu.Unlock()
	for _, c := range open {
		c.finish(err)
	}
}

// removeAll takes calls out of the open ones, oldest first. The caller holds mu, and then
// finishes them.
func (p *peer) removeAll(which func(call) bool) (removed []call) {
	for _, c := range p.open {
		if which(c) {
			removed = append(removed, c)
		}
	}
	slices.SortFunc(removed, byArrival)
	for _, c := range removed {
		p.remove(c)
	}
	return removed
}
