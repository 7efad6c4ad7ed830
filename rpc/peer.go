package rpc

import (
	"cmp"
	"context"
	"math/rand/v2"
	netrpc "net/rpc"
	"slices"
	"sync"
	"time"

	"dbdb/raft"
)

// maxSilences is how many deadlines may pass in a row, with nothing received, before
// a connection is given up. One is not enough: a server that waits for a slow disk
// is not helped by losing the connection.
const maxSilences = 4

// peer is another server and the calls that are open to it. It has two goroutines:
// write dials and sends, and may block in both; watch takes replies and keeps
// the deadlines, and blocks only in callbacks. A third, net/rpc's, reads.
type peer struct {
	id   raft.NodeID
	addr string
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
	inRPC    int       // calls that net/rpc holds; also those past their deadline
	conn     *clientConn
	silences int // deadlines passed since something was received
	failures int // to get anything from the peer, in a row
	nextDial time.Time
	lastErr  error
	saidUp   bool // the last line in the log said that the peer is connected
}

func (c *Client) startPeer(m raft.Member) *peer {
	p := &peer{
		id: m.ID, addr: m.RaftAddr, me: c.me, opts: c.opts,
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
	s.number, s.deadline, s.slot = p.numbers, time.Now().Add(timeout), len(p.open)
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

// arm sets the one timer of the peer. Almost all calls are answered long before
// their deadline, so a timer per call would be made only to be stopped.
func (p *peer) arm(at time.Time) {
	p.armed = at
	p.timer.Reset(time.Until(at))
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

// connection gives the connection, after dialling if there is none. While the
// back-off lasts it gives the error of the last attempt: a call that waited for the
// next one would only be late.
func (p *peer) connection() (*clientConn, error) {
	p.mu.Lock()
	conn, lastErr, wait := p.conn, p.lastErr, time.Until(p.nextDial)
	p.mu.Unlock()
	if conn != nil {
		return conn, nil
	}
	if wait > 0 {
		return nil, lastErr
	}
	conn, err := p.dial(p.ctx)
	if err != nil {
		p.failed(err)
		return nil, err
	}
	return conn, p.connected(conn)
}

func (p *peer) connected(conn *clientConn) error {
	p.mu.Lock()
	closed := p.closed
	if !closed && !conn.isGone() {
		p.conn, p.silences, p.lastErr = conn, 0, nil
	}
	p.mu.Unlock()
	if closed {
		conn.close(context.Cause(p.ctx))
		return context.Cause(p.ctx)
	}
	return nil
}

// failed notes that a dial did not lead to a connection.
func (p *peer) failed(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.backOff(err)
}

// lost notes that a connection has ended. One that never brought a reply counts as a
// failed dial: a server that welcomes everybody and then hangs up must not be
// dialled once per call.
func (p *peer) lost(conn *clientConn, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conn == conn {
		p.conn = nil
	}
	if conn.answered && !p.closed {
		p.lastErr, p.failures, p.nextDial = err, 0, time.Time{}
		p.sayDown(err)
		return
	}
	p.backOff(err)
}

// backOff delays the next dial. The caller holds mu.
func (p *peer) backOff(err error) {
	if p.closed {
		return
	}
	p.failures++
	p.lastErr = err
	p.nextDial = time.Now().Add(backoff(p.failures, rand.N[time.Duration]))
	p.sayDown(err)
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

// sweep ends the calls whose deadline has passed, oldest first, and sets the timer
// for the next one.
func (p *peer) sweep(now time.Time) {
	p.mu.Lock()
	var late []call
	p.armed = time.Time{}
	next := time.Time{}
	for _, c := range p.open {
		if at := c.state().deadline; !at.After(now) {
			late = append(late, c)
		} else if next.IsZero() || at.Before(next) {
			next = at
		}
	}
	slices.SortFunc(late, byArrival)
	hung := p.expire(late)
	if !next.IsZero() {
		p.arm(next)
	}
	p.mu.Unlock()
	if hung != nil {
		hung.close(errSilent)
	}
	for _, c := range late {
		c.finish(ErrTimeout)
	}
}

func byArrival(a, b call) int { return cmp.Compare(a.state().number, b.state().number) }

// expire removes calls past their deadline. Those that expire together count as one
// silence: a window of calls that waits for one slow fsync is no sign of a dead
// connection. It returns the connection if it is to be given up.
func (p *peer) expire(late []call) (hung *clientConn) {
	if len(late) == 0 {
		return nil
	}
	silent := false
	for _, c := range late {
		p.remove(c)
		// A call that was not sent waited behind a write that the peer does not read.
		on := c.state().sentOn
		silent = silent || p.conn != nil && (on == nil || on == p.conn)
	}
	p.queue = slices.DeleteFunc(p.queue, func(c call) bool { return c.state().slot < 0 })
	if !silent {
		return nil
	}
	p.lastErr = ErrTimeout
	if p.silences++; p.silences < maxSilences {
		return nil
	}
	return p.conn
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

func (p *peer) reachable() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.conn != nil && p.silences == 0
}

// sayUp and sayDown log the change from one to the other, not every call; the
// caller holds mu. A line about a failure may be suppressed, and then so is the one
// about its end.
func (p *peer) sayUp() {
	if !p.saidUp {
		p.saidUp = true
		p.opts.Logger.Info("peer answers", "peer", p.id.Name(), "addr", p.addr)
	}
}

func (p *peer) sayDown(err error) {
	if suppressed, ok := p.logged.allow("", err.Error(), time.Now()); ok {
		p.saidUp = false
		p.opts.Logger.Warn("peer does not answer", "peer", p.id.Name(), "addr", p.addr, "err", err, "suppressed", suppressed)
	}
}
