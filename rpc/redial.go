package rpc

import (
	"context"
	"math/rand/v2"
	"time"
)

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
	if err == errIdle {
		return // nothing failed
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
		p.opts.Logger.Info("peer answers", "peer", p.id.Name(), "addr", p.addr, "lane", p.lane)
	}
}

func (p *peer) sayDown(err error) {
	if suppressed, ok := p.logged.allow("", err.Error(), time.Now()); ok {
		p.saidUp = false
		p.opts.Logger.Warn("peer does not answer", "peer", p.id.Name(), "addr", p.addr, "err", err, "suppressed", suppressed, "lane", p.lane)
	}
}
