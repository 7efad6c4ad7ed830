package main

import (
	"net"
	"strconv"

	"dbdb/httpapi"
)

// listeners are both ports of a node. They are bound before anything else is
// touched: a second node that was started by mistake must not get as far as the
// data directory.
type listeners struct{ raft, http net.Listener }

func listen(o options) (listeners, error) {
	http, err := listenOn(o.bind, o.httpPort, "HTTP")
	if err != nil {
		return listeners{}, err
	}
	raft, err := listenOn(o.bind, o.raftPort, "Raft")
	if err != nil {
		http.Close()
		return listeners{}, err
	}
	return listeners{raft, http}, nil
}

func listenOn(host string, port int, what string) (net.Listener, error) {
	addr := hostPort(host, port)
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, exit(exitListen, "cannot listen on %s (%s): %w", addr, what, rootCause(err))
	}
	return l, nil
}

func hostPort(host string, port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }

// advertised is the host under which others reach this node. local is the address
// of its own end of a connection to the cluster, or "" if there is none.
func advertised(o options, local string) (string, error) {
	ip := net.ParseIP(o.bind)
	switch {
	case o.advertiseHost != "":
		return o.advertiseHost, nil
	case ip != nil && ip.IsUnspecified():
		if local == "" || httpapi.IsLoopback(local) {
			return "localhost", nil
		}
		return local, nil
	case httpapi.IsLoopback(o.bind) && local != "" && !httpapi.IsLoopback(local):
		// It would become a member that nobody can talk to.
		return "", misuse("%s listens on %s only, where the cluster cannot reach it: start it with --bind 0.0.0.0, or say with --advertise-host who forwards to it", o.nodeID, o.bind)
	}
	return o.bind, nil
}
