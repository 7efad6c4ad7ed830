package rpc

import (
	"bufio"
	"context"
	"net"
	netrpc "net/rpc"
	"sync"
	"time"
)

// clientConn is one connection to a peer and the net/rpc client on it. When it
// breaks it is thrown away with its net/rpc client, which would answer ErrShutdown
// for ever.
type clientConn struct {
	peer  *peer
	conn  net.Conn
	rpc   *netrpc.Client
	codec *clientCodec

	once   sync.Once
	err    error         // why it ended; read it after gone
	gone   chan struct{} // closed when it ended
	reader sync.Once     // ends the reader's share of the client's WaitGroup

	// The rest is guarded by peer.mu.
	answered bool // something was received after the hello
	holds    int  // calls that net/rpc holds; also those past their deadline
	ended    bool // net/rpc reads no more: it takes no calls any more
}

// dial connects to the peer and introduces us.
func (p *peer) dial(ctx context.Context) (*clientConn, error) {
	ctx, cancel := context.WithTimeout(ctx, p.opts.DialTimeout)
	defer cancel()
	conn, err := p.opts.Dial(ctx, p.addr)
	if err != nil {
		return nil, err
	}
	// The hello reads and writes: the deadline and the end of the peer must be able
	// to interrupt it.
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	in := bufio.NewReaderSize(conn, readBufferBytes)
	err = sendHello(conn, in, p.me, p.id, p.lane)
	if !stop() {
		err = errNoHello
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	c := &clientConn{peer: p, conn: conn, gone: make(chan struct{})}
	c.codec = &clientCodec{conn: c, frames: frameReader{conn: conn, in: in, limit: maxReplyBytes}}
	p.wg.Add(1)
	c.rpc = netrpc.NewClientWithCodec(c.codec)
	return c, nil
}

// close ends the connection; the first error is the one that its calls end with.
func (c *clientConn) close(err error) {
	if !offends(err) {
		err = errHangUp // the system's words for it name a port that changes each time
	}
	c.once.Do(func() {
		c.err = err
		close(c.gone)
		c.conn.Close()
		c.peer.lost(c, err)
	})
}

func (c *clientConn) isGone() bool { return isClosed(c.gone) }

// isClosed says whether a channel that carries nothing was closed.
func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// readerEnds notes that net/rpc will read no more: its goroutine ends the calls that were
// not answered, and then itself.
func (c *clientConn) readerEnds(err error) error {
	c.close(err)
	c.reader.Do(func() {
		c.peer.connectionEnded(c)
		c.peer.wg.Done()
	})
	return err
}

// unread is the Done channel of all net/rpc calls. Our codec ends them; what net/rpc tells
// a channel that is full is dropped.
var unread = full()

func full() chan *netrpc.Call {
	c := make(chan *netrpc.Call, 1)
	c <- nil
	return c
}

// send writes calls with as few system calls as possible. It may block as long as
// the peer does not read; deadlines pass meanwhile, as they are kept elsewhere, and
// close ends it.
func (c *clientConn) send(calls []call) {
	const flushAt = 256 << 10
	for _, call := range calls {
		c.rpc.Go(call.state().kind.method(), call, call, unread)
		if len(c.codec.out) >= flushAt {
			c.flush()
		}
	}
	c.flush()
}

func (c *clientConn) flush() {
	if err := c.codec.flush(); err != nil {
		c.close(err)
	}
}

// backoff is the time to wait after so many failures in a row: 50 ms, doubled each
// time up to 1 s, give or take a quarter so that servers that lost the same peer
// do not come back to it at the same moment.
func backoff(failures int, random func(time.Duration) time.Duration) time.Duration {
	const shortest, longest = 50 * time.Millisecond, time.Second
	d := longest
	if failures < 6 {
		d = min(shortest<<(failures-1), longest)
	}
	return d - d/4 + random(d/2)
}
