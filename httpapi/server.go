package httpapi

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"dbdb/kvstore"

	"golang.org/x/net/netutil"
	"golang.org/x/sync/semaphore"
)

// Bounds of the API. Each protects the node from its clients.
const (
	// MaxBodyBytes is the largest request body: a value of 1 MiB with every byte
	// written as a six-byte escape, and its key, fit.
	MaxBodyBytes = 8 << 20
	// MaxHeaderBytes is the largest request line and headers.
	MaxHeaderBytes = 16 << 10
	// MaxConnections is how many clients are served at a time; more wait in the
	// kernel's queue. Peers come in on another port, so clients cannot starve Raft.
	MaxConnections = 1024
	// ReadHeaderTimeout ends a connection that sends its headers too slowly.
	ReadHeaderTimeout = 5 * time.Second
	// TransferTimeout ends a connection that sends a body or takes an answer too slowly.
	TransferTimeout = 30 * time.Second
	// IdleTimeout closes a connection that nothing was asked on. It is longer than
	// the one of the forwarding client: a connection that the client uses in the
	// instant in which the server closes it would be an unknown outcome.
	IdleTimeout = 60 * time.Second
)

// Options is what a Server is made of. The durations have defaults.
type Options struct {
	Backend Backend
	Store   *kvstore.Store
	Logger  *slog.Logger
	// Hosts are names of this node, beside those of the configuration, that a Host
	// header may have.
	Hosts []string

	// LeaderWait is how long a request waits for a leader to be known; 2 s.
	LeaderWait time.Duration
	// WriteDeadline is how long a write may take before its outcome is unknown; 5 s.
	WriteDeadline time.Duration
	// LeaderSilence is how long a node is ready without a word from its leader; 400 ms,
	// the longest election timeout.
	LeaderSilence time.Duration
}

// Server answers the HTTP API of one node.
type Server struct {
	backend Backend
	store   *kvstore.Store
	log     *slog.Logger

	leaderWait, writeDeadline, leaderSilence time.Duration

	routes  map[string]map[string]handler // path, method
	member  map[string]handler            // the methods on one member; see memberName
	listing string                        // of the routes, for a 404
	origins *http.CrossOriginProtection
	hosts   []string     // see isOurs
	peers   *http.Client // to the leader
	bodies  sync.Pool

	largeBodies *semaphore.Weighted // bytes; see maxLargeBodies
	removals    *semaphore.Weighted // one; see removeHere

	draining   atomic.Bool
	onLoopback atomic.Bool // only this machine can reach us
	http       *http.Server
	front      atomic.Pointer[front]
}

type handler func(http.ResponseWriter, *http.Request) *failure

// New makes a Server; it is an http.Handler, and Serve runs it.
func New(o Options) *Server {
	s := &Server{
		backend: o.Backend, store: o.Store, log: o.Logger,
		leaderWait:    cmp.Or(o.LeaderWait, 2*time.Second),
		writeDeadline: cmp.Or(o.WriteDeadline, 5*time.Second),
		leaderSilence: cmp.Or(o.LeaderSilence, 400*time.Millisecond),
		origins:       http.NewCrossOriginProtection(),
		peers:         newPeerClient(),
		largeBodies:   semaphore.NewWeighted(maxLargeBodies),
		removals:      semaphore.NewWeighted(1),
	}
	for _, host := range o.Hosts {
		s.hosts = append(s.hosts, bareHost(host))
	}
	s.bodies.New = func() any { return new(bodyBuffer) }
	s.routes = map[string]map[string]handler{
		"/apply":              {"POST": s.apply},
		"/get":                {"GET": s.get},
		"/join":               {"POST": s.join},
		"/v1/status":          {"GET": s.status},
		"/v1/members":         {"GET": s.members},
		"/v1/leader/transfer": {"POST": s.transfer},
		"/healthz":            {"GET": s.healthz},
		"/readyz":             {"GET": s.readyz},
	}
	s.member = map[string]handler{"DELETE": s.removeMember}
	all := maps.Clone(s.routes)
	all[memberPath+"{name}"] = s.member
	s.listing = list(all)
	s.http = &http.Server{
		Handler:           s,
		ReadHeaderTimeout: ReadHeaderTimeout,
		ReadTimeout:       TransferTimeout,
		WriteTimeout:      2 * TransferTimeout, // it begins before the body has arrived
		IdleTimeout:       IdleTimeout,
		MaxHeaderBytes:    MaxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(o.Logger.Handler(), slog.LevelDebug),
	}
	return s
}

// Serve answers the connections of ln until Shutdown; then it returns
// http.ErrServerClosed.
func (s *Server) Serve(ln net.Listener) error {
	s.onLoopback.Store(onLoopback(ln))
	f := newFront(s, netutil.LimitListener(ln, MaxConnections))
	s.front.Store(f)
	return s.http.Serve(f)
}

// Drain makes /readyz answer 503, so that load balancers look elsewhere while the
// requests that are here still finish.
func (s *Server) Drain() { s.draining.Store(true) }

// Shutdown stops listening and waits for the requests in flight until ctx ends;
// then it cuts them off.
func (s *Server) Shutdown(ctx context.Context) error {
	s.Drain()
	err := s.http.Shutdown(ctx)
	if f := s.front.Load(); f != nil {
		err = cmp.Or(err, f.wait(ctx))
	}
	if err != nil {
		err = s.http.Close()
	}
	s.peers.CloseIdleConnections()
	return err
}

// ServeHTTP finds the handler by the exact path, or by that of a member. It does not
// use ServeMux, which answers unclean paths with a redirect and its own errors with
// plain text.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer s.recover(w, r)
	if f := s.route(w, r); f != nil {
		f.write(w)
	}
}

func (s *Server) route(w http.ResponseWriter, r *http.Request) *failure {
	methods, ok := s.routes[r.URL.Path]
	if _, isMember := memberName(r.URL); isMember {
		methods, ok = s.member, true
	}
	if !ok {
		return notFound.because("no such endpoint; there are %s", s.listing)
	}
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	handle, ok := methods[method]
	if !ok {
		w.Header().Set("Allow", allowed(methods))
		return badMethod.because("%s allows %s", r.URL.Path, allowed(methods))
	}
	// Without this any web page that the operator opens could write to a
	// database on localhost. Programs that are no browsers do not notice it.
	if err := s.origins.Check(r); err != nil {
		return crossOrigin.because("a browser sent this from another site")
	}
	if f := s.refuseForeignHost(r); f != nil {
		return f
	}
	return handle(w, r)
}

// recover turns a panic of a handler into a 500 that says nothing about the inside.
func (s *Server) recover(w http.ResponseWriter, r *http.Request) {
	p := recover()
	if p == nil {
		return
	}
	if p == http.ErrAbortHandler {
		panic(p)
	}
	s.log.Error("panic in a request", "path", r.URL.Path, "panic", p, "stack", string(debug.Stack()))
	internalError.because("this node logged what happened").write(w)
}

func allowed(methods map[string]handler) string {
	var names []string
	for m := range methods {
		names = append(names, m)
		if m == http.MethodGet {
			names = append(names, http.MethodHead)
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

func list(routes map[string]map[string]handler) string {
	var names []string
	for path, methods := range routes {
		for m := range methods {
			names = append(names, m+" "+path)
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}
