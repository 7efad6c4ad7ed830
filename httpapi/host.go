package httpapi

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// A web page can let its own name point to 127.0.0.1 once it is loaded (DNS rebinding).
// What it then asks of a node on this machine is of the same origin to the browser, so
// the check of origins does not see it; but the name is in the Host header, and it is
// none of ours.

// refuseForeignHost refuses such requests: those that a browser marks with an Origin, and
// on a node that only this machine can reach all of them, as reads carry no mark.
// Names without a dot, such as those of Compose, cannot be had on the internet.
func (s *Server) refuseForeignHost(r *http.Request) *failure {
	if r.Header.Get("Origin") == "" && !s.onLoopback.Load() {
		return nil
	}
	host := bareHost(r.Host)
	if !strings.Contains(host, ".") || strings.HasSuffix(host, ".localhost") || s.isOurs(host) {
		return nil
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return nil
	}
	return foreignHost.because("%q is no name of this cluster: use localhost, an IP address, or start the node with --advertise-host %s", shorten(host), shorten(host))
}

// isOurs says whether a member, or this node itself, goes by the name.
func (s *Server) isOurs(host string) bool {
	if slices.Contains(s.hosts, host) {
		return true
	}
	for _, m := range s.backend.Info().Configuration.Members {
		if bareHost(m.HTTPAddr) == host || bareHost(m.RaftAddr) == host {
			return true
		}
	}
	return false
}

// bareHost is a host as it is compared: without a port, brackets and the dot of the root.
func bareHost(hostport string) string {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = strings.Trim(hostport, "[]")
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// onLoopback says whether only this machine can reach a listener.
func onLoopback(ln net.Listener) bool {
	addr, ok := ln.Addr().(*net.TCPAddr)
	return ok && addr.IP.IsLoopback()
}
