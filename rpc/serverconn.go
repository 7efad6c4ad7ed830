package rpc

import (
	"bufio"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"dbdb/raft"
)

// serverConn is one accepted connection.
type serverConn struct {
	server *Server
	conn   net.Conn
	peer   raft.NodeID // who it is; empty before the hello. Written under server.mu
	lane   lane        // what it is for; written with peer

	once sync.Once
	gone chan struct{} // closed when nothing more will be read or written

	unanswered atomic.Int64 // requests read whose reply is not written
	held       atomic.Int64 // the bytes of those whose reply is not known
	replies    replies
}

// close ends the connection; the first error is why. A stranger's error is logged.
func (c *serverConn) close(err error) {
	c.once.Do(func() {
		close(c.gone)
		c.conn.Close()
		if offends(err) {
			c.server.complain(hostOf(c.conn), "connection closed", err)
		}
	})
}

func (c *serverConn) isGone() bool { return isClosed(c.gone) }

// write sends replies. The deadline keeps a peer that does not read them from
// holding goroutines for ever.
func (c *serverConn) write(frames []byte) error {
	if err := c.conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	_, err := c.conn.Write(frames)
	return err
}

// serve runs the connection to its end.
func (c *serverConn) serve() {
	in := bufio.NewReaderSize(c.conn, readBufferBytes)
	h, err := c.hello(in)
	if err != nil {
		c.close(err)
		return
	}
	if !c.server.introduce(c, h) {
		return
	}
	c.server.wg.Go(c.writeReplies)
	codec := &serverCodec{conn: c, frames: frameReader{conn: c.conn, in: in, limit: MaxFrameBytes}}
	// One after the other, not by ServeCodec, which starts a goroutine for each request: the
	// scheduler runs these in any order, and an AppendEntries that overtakes the one before
	// it fails the consistency check and costs a rewind.
	for codec.failed == nil && !c.isGone() {
		_ = c.server.rpc.ServeRequest(codec) // what ends the connection is in failed
	}
}

func (c *serverConn) hello(in *bufio.Reader) (hello, error) {
	if err := c.conn.SetDeadline(time.Now().Add(helloTimeout)); err != nil {
		return hello{}, err
	}
	h, err := receiveHello(c.conn, in, c.server.me)
	if err != nil {
		return hello{}, err
	}
	return h, c.conn.SetDeadline(time.Time{})
}

// offends says whether the end of a connection is worth a line in the log. That a
// peer went away is not: its own log, or our client's, says so.
func offends(err error) bool {
	if err == nil || err == io.EOF {
		return false
	}
	for _, ordinary := range []error{errServerClosed, net.ErrClosed, io.ErrClosedPipe, syscall.ECONNRESET, syscall.EPIPE} {
		if errors.Is(err, ordinary) {
			return false
		}
	}
	return true
}

// hostOf is the remote address without its port, which changes with each connection.
func hostOf(conn net.Conn) string {
	addr := conn.RemoteAddr().String()
	if host, _, err := net.SplitHostPort(addr); err == nil {
		return host
	}
	return addr
}
