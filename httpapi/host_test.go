package httpapi

import (
	"fmt"
	"net"
	"net/http"
	"testing"

	"dbdb/raft"

	"github.com/stretchr/testify/assert"
)

// rebound is a request of a page whose name leads to this node now.
func rebound(host string) func(*http.Request) {
	return func(r *http.Request) {
		r.Host = host
		r.Header.Set("Origin", "http://"+host)
	}
}

func TestAPageThatReboundItsNameToThisNodeIsRefused(t *testing.T) {
	s, f := leaderServer(t)
	for _, host := range []string{"evil.example:8221", "evil.example", "EVIL.example.:8221", "127.0.0.1.evil.example:8221", "localhost.evil.example"} {
		w := send(s, "POST", "/apply", setX, rebound(host))
		detail := requireProblem(t, w.Result(), 403, "foreign_host")
		assert.Contains(t, detail, "is no name of this cluster: use localhost, an IP address, or start the node with --advertise-host ")
	}
	assert.Zero(t, f.seen())
}

func TestNamesOfTheClusterAndOfThisMachineNeedNoConfiguration(t *testing.T) {
	s, f := leaderServer(t, func(o *Options) { o.Hosts = []string{"DB1.example.com", "0.0.0.0"} })
	f.change(func(i *Info) {
		i.Configuration.Members = []raft.Member{node1, {ID: node2.ID, Role: raft.Voter, RaftAddr: "db2.example.com:2222", HTTPAddr: "web2.example.com:8222"}}
	})
	hosts := []string{"localhost:8221", "node1.localhost:8221", "127.0.0.1:8221", "[::1]:8221", "[::1]", "10.0.0.7:8221", "node1:8221", "node2", "",
		"db1.example.com:8221", "db2.example.com", "web2.example.com:8222", "WEB2.example.com."}
	for _, host := range hosts {
		assert.Equal(t, 200, send(s, "POST", "/apply", setX, rebound(host)).Code, host)
	}
	assert.Equal(t, len(hosts), f.seen())
}

// Behind a name of its own, as a load balancer's, a node serves programs: they send no
// Origin.
func TestAProgramMayUseAnyNameOfANodeThatOthersCanReach(t *testing.T) {
	s, f := leaderServer(t)
	assert.Equal(t, 200, send(s, "POST", "/apply", setX, func(r *http.Request) { r.Host = "db.example.com" }).Code)
	assert.Equal(t, 1, f.seen())
}

// A browser marks reads with nothing at all.
func TestANodeOnLoopbackIsNotReadUnderAForeignName(t *testing.T) {
	s, f := leaderServer(t)
	addr := listening(t, s)
	put(t, f, "x", "23")
	for host, status := range map[string]int{"evil.example:8221": 403, "localhost:8221": 200, addr: 200, "node1:8221": 200} {
		conn := dial(t, addr)
		fmt.Fprintf(conn, "GET /get?key=x HTTP/1.1\r\nHost: %s\r\n\r\n", host)
		assert.Equal(t, status, answer(t, conn).StatusCode, host)
	}
}

func TestWhetherOnlyThisMachineCanReachAListener(t *testing.T) {
	for addr, want := range map[string]bool{"127.0.0.1:0": true, "localhost:0": true, "0.0.0.0:0": false} {
		l, err := net.Listen("tcp", addr)
		if assert.NoError(t, err) {
			assert.Equal(t, want, onLoopback(l), addr)
			assert.NoError(t, l.Close())
		}
	}
}
