package httpapi

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"sync/atomic"
	"time"
)

// Most requests are one of two, in a few lines that arrive together with their body. For
// these a connection has a fast path, which costs a good third less than net/http: that starts
// a goroutine per request to notice that the client has gone, sets four deadlines, and makes
// a Request, a header map and a context. Whatever else arrives, and all that follows it on
// its connection, is net/http's, from its first byte on: see parseFast. The handlers are
// the same and so is every byte of the answers, which a fuzz test compares.

// What a connection is doing.
const (
	idle     = iota // waiting for a request
	occupied        // with one
	ended           // closed while it was idle
)

const (
	// fastBufferBytes is the most that a request on the fast path may have, with its body.
	fastBufferBytes = 8 << 10
	// fastPatience is how long a request may take before somebody watches whether its
	// client is still there. Almost all are answered sooner.
	fastPatience = 50 * time.Millisecond
	// deadlineSlack is how late a deadline of many seconds may be: it is set again only
	// when it is that old, not for each request.
	deadlineSlack = time.Second
)

// fastConn is a connection on the fast path.
type fastConn struct {
	front *front
	conn  net.Conn
	busy  atomic.Int32

	buf  []byte // what was read
	r    *http.Request
	url  url.URL
	body fastBody
	w    fastWriter

	gone    context.CancelFunc // tells the handler that the client has gone
	watcher *time.Timer
	watched chan struct{} // has a token when the watcher has ended

	readArmed, writeArmed time.Time // when the deadlines were set
}

func newFastConn(f *front, conn net.Conn) *fastConn {
	c := &fastConn{front: f, conn: conn, buf: make([]byte, 0, fastBufferBytes), watched: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	c.gone = cancel
	c.r = (&http.Request{
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, URL: &c.url, Body: &c.body, Header: http.Header{},
		RemoteAddr: conn.RemoteAddr().String(),
	}).WithContext(ctx)
	c.w.header = http.Header{}
	c.watcher = time.AfterFunc(time.Hour, c.watch)
	c.watcher.Stop()
	return c
}

// serve answers requests until one comes that is not for the fast path.
func (c *fastConn) serve() {
	stays := false
	defer func() {
		c.gone()
		c.front.mu.Lock()
		delete(c.front.conns, c)
		c.front.mu.Unlock()
		if !stays {
			c.conn.Close()
		}
	}()
	for {
		if !c.await() {
			return
		}
		if !c.busy.CompareAndSwap(idle, occupied) {
			return
		}
		if c.r.Method == http.MethodPost {
			c.skipEmptyLines()
		}
		q, ok := parseFast(c.buf)
		if !ok {
			stays = c.leave()
			return
		}
		if !c.answer(q) {
			return
		}
		c.buf = c.buf[:copy(c.buf, c.buf[q.size:])]
		c.busy.Store(idle)
		if c.front.stopping() {
			return
		}
	}
}

// await reads the beginning of the next request, which is most often all of it. Four bytes
// are needed to tell an empty line from a request; a connection that ends with fewer after
// an answer has just ended.
func (c *fastConn) await() bool {
	for len(c.buf) == 0 || len(c.buf) < 4 && c.r.Method != "" {
		if !c.read() {
			return false
		}
	}
	return true
}

func (c *fastConn) read() bool {
	if now := time.Now(); now.Sub(c.readArmed) > deadlineSlack {
		patience := ReadHeaderTimeout // of a connection that has not asked anything yet
		if c.r.Method != "" {
			c.readArmed, patience = now, IdleTimeout+deadlineSlack
		}
		if err := c.conn.SetReadDeadline(now.Add(patience)); err != nil {
			return false
		}
	}
	n, err := c.conn.Read(c.buf[len(c.buf):cap(c.buf)])
	c.buf = c.buf[:len(c.buf)+n]
	return n > 0 && err == nil
}

// skipEmptyLines forgives old clients that send a line end after a body, as net/http does.
func (c *fastConn) skipEmptyLines() {
	n := 0
	for n < min(4, len(c.buf)) && (c.buf[n] == '\r' || c.buf[n] == '\n') {
		n++
	}
	c.buf = c.buf[:copy(c.buf, c.buf[n:])]
}

// leave gives the connection to net/http, with what was read and not answered.
func (c *fastConn) leave() bool {
	if c.conn.SetDeadline(time.Time{}) != nil {
		return false
	}
	select {
	case c.front.left <- &leftConn{c.conn, c.buf}:
		return true
	case <-c.front.done:
		return false
	}
}

// leftConn is a connection some bytes of which were read already.
type leftConn struct {
	net.Conn
	unread []byte
}

// Read gives these bytes first.
func (c *leftConn) Read(p []byte) (int, error) {
	if len(c.unread) == 0 {
		return c.Conn.Read(p)
	}
	n := copy(p, c.unread)
	if c.unread = c.unread[n:]; len(c.unread) == 0 {
		c.unread = nil
	}
	return n, nil
}

// answer carries a request out. It returns false if the connection is to be closed.
func (c *fastConn) answer(q fastRequest) (stays bool) {
	defer func() {
		if p := recover(); p != nil {
			if p != http.ErrAbortHandler {
				panic(p)
			}
			stays = false
		}
	}()
	c.r.Method, c.r.ContentLength = q.method, int64(len(q.body))
	c.url = url.URL{Path: q.path, RawQuery: q.query}
	if string(q.host) != c.r.Host {
		c.r.Host = string(q.host)
	}
	c.body.rest = q.body
	c.w.reset()
	c.watcher.Reset(fastPatience)
	c.front.server.ServeHTTP(&c.w, c.r)
	c.endWatch()
	frames, closes := c.w.finish(c.front.stopping())
	if now := time.Now(); now.Sub(c.writeArmed) > deadlineSlack {
		c.writeArmed = now
		if c.conn.SetWriteDeadline(now.Add(TransferTimeout+deadlineSlack)) != nil {
			return false
		}
	}
	_, err := c.conn.Write(frames)
	return err == nil && !closes
}

// watch waits until the client hangs up, for a handler that waits longer than expected: a
// write that nobody waits for any more must not hold one of MaxConnections for seconds.
func (c *fastConn) watch() {
	defer func() { c.watched <- struct{}{} }()
	if len(c.buf) == cap(c.buf) {
		return
	}
	n, err := c.conn.Read(c.buf[len(c.buf) : len(c.buf)+1])
	c.buf = c.buf[:len(c.buf)+n] // of the next request
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		c.gone()
	}
}

// endWatch stops the watcher, if it is there.
func (c *fastConn) endWatch() {
	if c.watcher.Stop() {
		return
	}
	c.readArmed = time.Time{}
	_ = c.conn.SetReadDeadline(time.Unix(1, 0)) // ends the Read
	<-c.watched
}

// fastBody is the body of a request on the fast path. All of it is here.
type fastBody struct{ rest []byte }

func (b *fastBody) Read(p []byte) (int, error) {
	if len(b.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

func (*fastBody) Close() error { return nil }
