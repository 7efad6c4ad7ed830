package httpapi

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"dbdb/raft"
)

// maxLag is how many committed entries a ready node may still have to apply.
const maxLag = 1000

// check is one condition of health or readiness; why is empty if it holds.
type check struct{ name, why string }

// healthz answers whether the process is alive. It never depends on other nodes: an
// orchestrator that restarts what is unhealthy would kill a healthy minority.
func (s *Server) healthz(w http.ResponseWriter, r *http.Request) *failure {
	c := check{name: "loop"}
	if _, f := s.progress(r); f != nil {
		c.why = "the node does not answer"
	}
	return s.report(w, r, []check{c})
}

// readyz answers whether the node can serve clients.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) *failure {
	return s.report(w, r, s.checks(s.backend.Info()))
}

func (s *Server) checks(info Info) []check {
	running, member, leader, applied := check{name: "running"}, check{name: "member"}, check{name: "leader"}, check{name: "applied"}
	if s.draining.Load() {
		running.why = "this node is stopping"
	}
	if _, ok := info.Configuration.Member(info.ID); !ok {
		member.why = "this node has not heard of its membership yet"
	}
	switch {
	case info.Cluster == "":
		member.why = info.Waits
	case info.removed():
		member.why = info.removal()
	}
	switch {
	case info.Leader == "":
		leader.why = "no leader is known"
	case !info.leads() && info.LeaderContact > s.leaderSilence:
		leader.why = fmt.Sprintf("%s was last heard %v ago", info.Leader.Name(), info.LeaderContact)
	}
	// Its own commitIndex says nothing: after a restart it begins at the snapshot.
	if lag := info.LeaderCommit - min(info.AppliedIndex, info.LeaderCommit); lag > raft.Index(maxLag) {
		applied.why = fmt.Sprintf("%d committed entries are not applied yet", lag)
	}
	if c := ofSnapshot(info.Receiving); c != nil {
		applied.why = "this node is catching up: " + c.Detail
	}
	return []check{running, member, leader, applied}
}

func ready(checks []check) bool {
	for _, c := range checks {
		if c.why != "" {
			return false
		}
	}
	return true
}

// report writes "ok", or the list of checks when one fails or ?verbose asks for
// it, in the form that Kubernetes made common.
func (s *Server) report(w http.ResponseWriter, r *http.Request, checks []check) *failure {
	params, f := parseQuery(r.URL.RawQuery, "verbose")
	if f != nil {
		return f
	}
	_, verbose := params["verbose"]
	ok := ready(checks)
	text := "ok\n"
	if verbose || !ok {
		text = describe(checks)
	}
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h["Cache-Control"], h["X-Content-Type-Options"] = noStore, noSniff
	h.Set("Content-Length", strconv.Itoa(len(text)))
	if !ok {
		h.Set("Retry-After", "1")
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_, _ = w.Write([]byte(text))
	return nil
}

func describe(checks []check) string {
	var b strings.Builder
	for _, c := range checks {
		if c.why == "" {
			fmt.Fprintf(&b, "[+]%s ok\n", c.name)
		} else {
			fmt.Fprintf(&b, "[-]%s failed: %s\n", c.name, c.why)
		}
	}
	return b.String()
}
