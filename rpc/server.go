package rpc

import (
	"errors"
	"log/slog"
	"net"
	netrpc "net/rpc"
	"slices"
	"sync"
	"time"
)

// Bounds on what strangers can make a server hold.
const (
	// MaxConnections bounds the open connections, with those whose hello is not
	// complete. When a new one would exceed it, the oldest without a hello has to
	// go; if there is none, the new one.
	MaxConnections = 256
	// MaxConnectionsPerPeer bounds those of one NodeID in one lane: the oldest has to
	// go. It is not 1, because a peer may open a new one before we see that the old one
	// broke. The lanes are counted apart: otherwise a transfer of a snapshot that breaks
	// again and again would in the end close the connection of the heartbeats, and the
	// other way round.
	MaxConnectionsPerPeer = 4

	// maxUnanswered and maxHeldBytes bound the requests of one connection that wait
	// for a reply. Our own client stays far below.
	maxUnanswered = 1024
	maxHeldBytes  = 64 << 20

	// writeTimeout bounds one write of replies: who sends requests but does not read
	// replies loses the connection.
	writeTimeout = 5 * time.Second
)

// Server receives the calls of other servers and gives them to a Handler.
type Server struct {
	me  Identity
	log *slog.Logger
	rpc *netrpc.Server
	// complaints keeps a stranger from filling the log.
	complaints *limiter

	closing chan struct{} // closed by Close, under mu

	mu        sync.Mutex
	listeners map[net.Listener]struct{}
	conns     []*serverConn // oldest first
	wg        sync.WaitGroup
}

// NewServer makes a server that speaks for me. log may be nil. Serve starts it.
func NewServer(me Identity, handler Handler, log *slog.Logger) *Server {
	if log == nil {
		log = slog.Default()
	}
	s := &Server{
		me:         me,
		log:        log,
		rpc:        netrpc.NewServer(),
		complaints: newLimiter(),
		closing:    make(chan struct{}),
		listeners:  make(map[net.Listener]struct{}),
	}
	if err := s.rpc.RegisterName("Raft", &service{handler: handler}); err != nil {
		panic("rpc: " + err.Error()) // the methods of service do not have the form that net/rpc asks for
	}
	return s
}

// Serve accepts connections until Close, which makes it return nil, or until the
// listener fails for good. It closes the listener.
func (s *Server) Serve(l net.Listener) error {
	defer l.Close()
	if !s.listen(l) {
		return nil
	}
	pause := time.Duration(0)
	for {
		conn, err := l.Accept()
		switch {
		case err == nil:
			pause = 0
			s.start(conn)
		case isClosed(s.closing):
			return nil
		case isTemporary(err):
			// Out of file descriptors, as a rule. Ending here would make this server
			// deaf for ever after a minute's shortage.
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			s.complain("accept", "cannot accept connections", err)
			if !s.sleep(pause) {
				return nil
			}
		default:
			return err
		}
	}
}

func isTemporary(err error) bool {
	var t interface{ Temporary() bool }
	return errors.As(err, &t) && t.Temporary()
}

// sleep returns false if the server closed meanwhile.
func (s *Server) sleep(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.closing:
		return false
	}
}

func (s *Server) listen(l net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if isClosed(s.closing) {
		return false
	}
	s.listeners[l] = struct{}{}
	return true
}

// Close ends all listeners and connections and waits until all goroutines of the
// server are gone. A Handler must not be blocked in a hand-over for ever, so close the
// server before the node that handles its calls.
func (s *Server) Close() {
	s.mu.Lock()
	if !isClosed(s.closing) {
		close(s.closing)
	}
	for l := range s.listeners {
		l.Close()
	}
	for _, c := range s.conns {
		c.close(errServerClosed)
	}
	s.mu.Unlock()
	s.wg.Wait()
}

var errServerClosed = errors.New("this server is shutting down")

// start serves a new connection, unless there are too many.
func (s *Server) start(conn net.Conn) {
	c := &serverConn{server: s, conn: conn, gone: make(chan struct{}), replies: replies{wake: make(chan struct{}, 1)}}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case isClosed(s.closing):
		c.close(errServerClosed)
	case !s.makeRoom():
		c.close(errTooMany)
	default:
		s.conns = append(s.conns, c)
		s.wg.Go(func() {
			defer s.forget(c)
			c.serve()
		})
	}
}

var errTooMany = errors.New("the limit of connections is reached")

// makeRoom keeps the number of connections below MaxConnections, at the cost of the
// oldest that has not said who it is: a flood of silent connections must not lock
// the members out. The caller holds mu.
func (s *Server) makeRoom() bool {
	if len(s.conns) < MaxConnections {
		return true
	}
	for i, c := range s.conns {
		if c.peer == "" {
			s.conns = slices.Delete(s.conns, i, i+1)
			c.close(errTooMany)
			return true
		}
	}
	return false
}

// introduce notes whose connection c is and what for, and closes the oldest of the same
// peer and lane if there are too many. It returns false if c itself was closed meanwhile.
func (s *Server) introduce(c *serverConn, h hello) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.isGone() {
		return false
	}
	c.peer, c.lane = h.from, h.lane
	var oldest *serverConn
	n := 0
	for _, o := range s.conns {
		if o.peer != c.peer || o.lane != c.lane || o.isGone() {
			continue
		}
		if n++; oldest == nil {
			oldest = o
		}
	}
	if n > MaxConnectionsPerPeer {
		oldest.close(errTooMany)
	}
	return true
}

func (s *Server) forget(c *serverConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns = slices.DeleteFunc(s.conns, func(o *serverConn) bool { return o == c })
}

// complain logs what a stranger did, at most once in a while per key.
func (s *Server) complain(key, what string, err error) {
	if suppressed, ok := s.complaints.allow(key, err.Error(), time.Now()); ok {
		s.log.Warn("raft port: "+what, "from", key, "err", err, "suppressed", suppressed)
	}
}
