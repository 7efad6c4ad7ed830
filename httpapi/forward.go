package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// forwardedBy is the header that lists the nodes which a request, and its answer,
// came through. Counting them ends a chase after a leadership that moves.
const forwardedBy = "Dbdb-Forwarded-By"

// Bounds of forwarding.
const (
	// MaxHops is how often a request is passed on.
	MaxHops = 2
	// leaderPoll is how often a request that waits for a leader looks again.
	leaderPoll = 10 * time.Millisecond
	// maxPeerConnections is how many idle connections to a leader are kept: as many as
	// there are writers, or each write would pay for a connection.
	maxPeerConnections = 256
	// maxPeerAnswer is the longest answer that is taken from a leader.
	maxPeerAnswer = 1 << 20
	// dialTimeout is how long a leader may take to accept a connection.
	dialTimeout = time.Second
)

func newPeerClient() *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			DialContext:         (&net.Dialer{Timeout: dialTimeout}).DialContext,
			MaxIdleConns:        maxPeerConnections,
			MaxIdleConnsPerHost: maxPeerConnections,
			IdleConnTimeout:     IdleTimeout / 2, // see IdleTimeout
			DisableCompression:  true,
		},
		// A leader that redirected us would send us in circles.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// leaderCall is a request that only the leader can carry out.
type leaderCall struct {
	body     []byte
	redirect bool // answer with 307 instead of forwarding
	// here carries the request out if this node leads, and writes the answer.
	here func(context.Context) error
}

// errTryNext means that the request was definitely not carried out, and that who
// leads has to be looked up again.
var errTryNext = errors.New("not the leader any more")

// atLeader carries c out on the leader, wherever that is. It tries again, until one
// is found, only what was definitely not done: a write that may have reached a
// leader is never sent a second time.
func (s *Server) atLeader(w http.ResponseWriter, r *http.Request, c leaderCall) *failure {
	ctx, cancel := context.WithTimeout(r.Context(), s.writeDeadline)
	defer cancel()
	giveUp := time.Now().Add(s.leaderWait)
	for {
		f, err := s.tryLeader(ctx, w, r, c)
		switch {
		case f != nil || err == nil:
			return f
		case !errors.Is(err, ErrNotLeader) && !errors.Is(err, errTryNext) && !errors.Is(err, ErrNotMember):
			return s.failureOf(err)
		case hops(r) > 0:
			// The node that the client asked is waiting; we would only make it late.
			return notLeader.because("%s is not the leader; nothing was done", s.backend.Info().Name)
		case time.Now().Before(giveUp) && Pause(ctx, leaderPoll):
		case errors.Is(err, ErrNotMember):
			return s.failureOf(err)
		default:
			return noLeader.because("%s", s.noLeaderDetail())
		}
	}
}

// readable waits until the local state may be read linearizably. A node that was
// started a moment ago and is still entering its cluster gets the time that a
// cluster without a leader gets.
func (s *Server) readable(ctx context.Context) error {
	giveUp := time.Now().Add(s.leaderWait)
	for {
		if s.backend.Info().removed() {
			return errRemoved // nobody speaks to it any more: it would wait in vain
		}
		err := s.backend.Read(ctx)
		if !errors.Is(err, ErrNotMember) || !time.Now().Before(giveUp) || !Pause(ctx, leaderPoll) {
			return err
		}
	}
}

// tryLeader asks whoever leads now: this node, another one, or nobody.
func (s *Server) tryLeader(ctx context.Context, w http.ResponseWriter, r *http.Request, c leaderCall) (*failure, error) {
	info := s.backend.Info()
	switch {
	case info.Cluster == "":
		return nil, ErrNotMember
	case info.leads():
		return nil, c.here(ctx)
	case info.removed():
		return nil, errRemoved
	}
	leader, known := info.leader()
	switch {
	case !known || hops(r) >= MaxHops:
		return nil, ErrNotLeader
	case c.redirect:
		w.Header().Set("Location", "http://"+leader.HTTPAddr+r.URL.Path)
		w.WriteHeader(http.StatusTemporaryRedirect)
		return nil, nil
	}
	return s.forward(ctx, w, r, c, info.Name, leader.HTTPAddr)
}

// forward sends the request to addr and passes the answer on.
func (s *Server) forward(ctx context.Context, w http.ResponseWriter, r *http.Request, c leaderCall, self, addr string) (*failure, error) {
	var connected atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	})
	// The transport may still read the body after it returned an error, and c.body
	// is used again for another request: it gets a copy.
	req, err := http.NewRequestWithContext(ctx, r.Method, "http://"+addr+r.URL.Path, bytes.NewReader(bytes.Clone(c.body)))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(forwardedBy, strings.Join(append(r.Header.Values(forwardedBy), self), ", "))
	resp, err := s.peers.Do(req)
	if err != nil {
		if !connected.Load() || isDialError(err) {
			return nil, errTryNext
		}
		return outcomeUnknown.because(unknownDetail), nil
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxPeerAnswer))
	if err != nil {
		return outcomeUnknown.because(unknownDetail), nil
	}
	if resp.StatusCode == http.StatusServiceUnavailable && leadsNotDone(body) {
		return nil, errTryNext
	}
	passOn(w, resp, self, body)
	return nil, nil
}

// isDialError tells a connection that was never made from one that broke.
func isDialError(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// leadsNotDone says whether a 503 comes from a node that did nothing because it
// does not lead.
func leadsNotDone(body []byte) bool {
	var p struct{ Code string }
	_ = json.Unmarshal(body, &p) // an answer that is no problem has no code
	return slices.Contains([]string{notLeader.Code, noLeader.Code, notMember.Code, removed.Code, stopping.Code}, p.Code)
}

// passOn gives the leader's answer to the client, with what the client needs of its
// headers.
func passOn(w http.ResponseWriter, resp *http.Response, self string, body []byte) {
	h := w.Header()
	for _, name := range []string{"Content-Type", "Cache-Control", "Retry-After", "Dbdb-Index", "Dbdb-Term", "Dbdb-Leader"} {
		if v := resp.Header.Values(name); len(v) > 0 {
			h[name] = v
		}
	}
	h.Set(forwardedBy, strings.Join(append([]string{self}, resp.Header.Values(forwardedBy)...), ", "))
	w.WriteHeader(resp.StatusCode)
	_, _ = w.Write(body)
}

// hops counts the nodes that passed the request on.
func hops(r *http.Request) int {
	n := 0
	for _, v := range r.Header.Values(forwardedBy) {
		n += strings.Count(v, ",") + 1
	}
	return n
}

// Pause waits; it returns false when ctx ended first.
func Pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
