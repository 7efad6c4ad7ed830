package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// peer is a store that is measured: how it is built and started, and how one speaks to it.
type peer struct {
	name  string
	about string
	pkg   string // what is built; of dbdb's own module if it begins with ./cmd
	nodes int
	// args is the command line of a member; the same at each start.
	args func(c *cluster, n *node) []string
	dial func(addr string, n int, timeout time.Duration) ([]client, error)
	view func(n *node) (view, error)
	// join lets a new member in. Before or after it is started: joinFirst says.
	join      func(leader, joiner *node) error
	joinFirst bool
}

// view is what a server says of its cluster.
type view struct {
	leads  bool
	ready  bool // it knows a leader, and serves
	voters int
}

var peers = []peer{
	{
		name: "dbdb", about: "this repository, as it ships",
		pkg: "./cmd/dbdb", nodes: 3, args: dbdbArgs, dial: dialHTTP, view: httpView,
		join: func(_, _ *node) error { return nil }, // it asks to be let in by itself
	}, {
		name: "etcd", about: "etcd with its defaults; gRPC, its own Go client",
		pkg: "./peers/etcd", nodes: 3, args: etcdArgs, dial: dialEtcd, view: etcdView, join: etcdJoin, joinFirst: true,
	}, {
		name: "hashicorp", about: "hashicorp/raft and raft-boltdb with their defaults, behind dbdb's HTTP server and store",
		pkg: "./peers/hashicorp", nodes: 3, args: hashicorpArgs(), dial: dialHTTP, view: httpView, join: httpJoin,
	}, {
		name: "hashicorp-memory", about: "the same, with the log in memory: nothing is durable",
		pkg: "./peers/hashicorp", nodes: 3, args: hashicorpArgs("-memory"), dial: dialHTTP, view: httpView, join: httpJoin,
	}, {
		name: "floor", about: "dbdb's HTTP server and store in one process, without Raft and disk",
		pkg: "./peers/floor", nodes: 1, args: floorArgs, dial: dialHTTP, view: httpView,
	},
}

func peerNamed(name string) (peer, error) {
	k := slices.IndexFunc(peers, func(p peer) bool { return p.name == name })
	if k < 0 {
		return peer{}, fmt.Errorf("no peer %q; there are %s", name, strings.Join(peerNames(), ", "))
	}
	return peers[k], nil
}

func peerNames() (names []string) {
	for _, p := range peers {
		names = append(names, p.name)
	}
	return names
}

func port(addr string) string { return addr[strings.LastIndexByte(addr, ':')+1:] }

func dbdbArgs(c *cluster, n *node) []string {
	args := []string{"--node-id", n.name, "--raft-port", port(n.raft), "--http-port", port(n.http), "--data-dir", n.dir}
	if n == c.nodes[0] {
		return append(args, "--bootstrap")
	}
	return append(args, "--join", c.nodes[0].http)
}

func etcdArgs(c *cluster, n *node) []string {
	args := []string{"-name", n.name, "-client", n.http, "-peer", n.raft, "-dir", n.dir}
	if n.late {
		args = append(args, "-join")
	}
	var members []string
	for _, m := range c.nodes {
		if !m.late || n.late {
			members = append(members, m.name+"=http://"+m.raft)
		}
	}
	return append(args, "-members", strings.Join(members, ","))
}

func hashicorpArgs(more ...string) func(*cluster, *node) []string {
	return func(c *cluster, n *node) []string {
		args := []string{"-name", n.name, "-dir", n.dir}
		if n.late {
			args = append(args, "-join")
		}
		var members []string
		for _, m := range c.nodes {
			if m.late == n.late {
				members = append(members, m.name+"="+m.raft+"="+m.http)
			}
		}
		return slices.Concat(args, more, []string{"-members", strings.Join(members, ",")})
	}
}

func floorArgs(_ *cluster, n *node) []string { return []string{"-http", n.http} }
