package httpapi

import (
	"context"
	"net"
	"sync"
)

// front is the listener that net/http is given. Its connections are those that left the
// fast path.
type front struct {
	net.Listener
	server *Server
	left   chan net.Conn
	errs   chan error
	done   chan struct{} // closed by Close

	mu    sync.Mutex
	conns map[*fastConn]struct{}
	wg    sync.WaitGroup
}

func newFront(s *Server, ln net.Listener) *front {
	f := &front{
		Listener: ln, server: s, left: make(chan net.Conn), errs: make(chan error), done: make(chan struct{}),
		conns: map[*fastConn]struct{}{},
	}
	f.wg.Go(f.accept)
	return f
}

// accept starts each new connection on the fast path. An error goes to net/http, which
// pauses before it asks for more if it is one that passes, such as too many open files.
func (f *front) accept() {
	for {
		conn, err := f.Listener.Accept()
		if err == nil {
			f.start(conn)
			continue
		}
		select {
		case f.errs <- err:
		case <-f.done:
			return
		}
		if t, ok := err.(interface{ Temporary() bool }); !ok || !t.Temporary() {
			return
		}
	}
}

func (f *front) start(conn net.Conn) {
	c := newFastConn(f, conn)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stopping() {
		conn.Close()
		return
	}
	f.conns[c] = struct{}{}
	f.wg.Go(c.serve)
}

// Accept waits for a connection that left the fast path.
func (f *front) Accept() (net.Conn, error) {
	select {
	case conn := <-f.left:
		return conn, nil
	case err := <-f.errs:
		return nil, err
	case <-f.done:
		return nil, net.ErrClosed
	}
}

func (f *front) stopping() bool {
	select {
	case <-f.done:
		return true
	default:
		return false
	}
}

// Close ends the listener and the connections that wait for a request. Those that have one
// end after its answer.
func (f *front) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stopping() {
		return nil
	}
	close(f.done)
	for c := range f.conns {
		if c.busy.CompareAndSwap(idle, ended) {
			c.conn.Close()
		}
	}
	return f.Listener.Close()
}

// wait returns when no connection is on the fast path any more. When ctx ends first, those
// that are there are cut off.
func (f *front) wait(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		for c := range f.conns {
			c.gone()
			c.conn.Close()
		}
	})
	f.wg.Wait()
	if !stop() {
		return ctx.Err()
	}
	return nil
}
