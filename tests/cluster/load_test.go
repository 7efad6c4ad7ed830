package cluster

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var (
	clients = flag.Int("clients", 64, "load: clients, each with one request under way")
	nodes   = flag.Int("nodes", 3, "load and partition tests: servers")
)

// conn is an HTTP client that costs as little as it can, since it shares the
// machine with the servers: one connection, requests written by hand.
type conn struct {
	net.Conn
	r   *bufio.Reader
	buf []byte
}

func dial(b testing.TB, s *server) *conn {
	c, err := net.Dial("tcp", net.JoinHostPort("localhost", strconv.Itoa(s.http)))
	require.NoError(b, err)
	return &conn{Conn: c, r: bufio.NewReader(c)}
}

// do sends one request and returns the status and the body of the answer.
func (c *conn) do(method, path, body string) (status int, answer []byte, err error) {
	c.buf = append(c.buf[:0], method...)
	c.buf = fmt.Appendf(append(c.buf, ' '), "%s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body)
	if _, err := c.Write(c.buf); err != nil {
		return 0, nil, err
	}
	length := 0
	for first := true; ; first = false {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			return 0, nil, err
		}
		if len(line) == 2 {
			break
		}
		if first {
			status, _ = strconv.Atoi(string(line[9:12]))
		} else if value, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			length, _ = strconv.Atoi(string(bytes.TrimSpace(value)))
		}
	}
	answer = make([]byte, length)
	_, err = io.ReadFull(c.r, answer)
	return status, answer, err
}

// closedLoop runs b.N requests over all clients, each waiting for its answer, and
// reports the rate and the latency.
func closedLoop(b *testing.B, servers []*server, request func(client, n int) (method, path, body, want string)) {
	conns := make([]*conn, *clients)
	for k := range conns {
		conns[k] = dial(b, servers[k%len(servers)])
		defer func() { _ = conns[k].Close() }()
	}
	latencies := make([][]time.Duration, len(conns))
	share := max(1, b.N/len(conns))
	var running sync.WaitGroup
	b.ResetTimer()
	for k, c := range conns {
		running.Go(func() {
			for n := range share {
				method, path, body, want := request(k, n)
				begin := time.Now()
				status, answer, err := c.do(method, path, body)
				latencies[k] = append(latencies[k], time.Since(begin))
				if err != nil || status != 200 || string(answer) != want {
					b.Errorf("%s %s: status %d, %v: %s", method, path, status, err, answer)
					return
				}
			}
		})
	}
	running.Wait()
	b.StopTimer()
	all := slices.Concat(latencies...)
	slices.Sort(all)
	b.ReportMetric(float64(len(all))/b.Elapsed().Seconds(), "ops/s")
	b.ReportMetric(float64(all[len(all)/2].Microseconds())/1000, "ms-p50")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds())/1000, "ms-p99")
}

// BenchmarkSet measures durable sets, all clients on the leader: run it as
// go test ./tests/cluster -run - -bench Set -benchtime 100000x -clients 64
func BenchmarkSet(b *testing.B) {
	value := strings.Repeat("v", 100)
	servers := benchCluster(b)
	closedLoop(b, servers[:1], func(client, n int) (method, path, body, want string) {
		return "POST", "/apply", fmt.Sprintf(`{"op":"set","key":"key%d","value":"%s"}`, (client*7919+n)%10000, value), ""
	})
}

// BenchmarkGet measures reads: of the leader or of all servers, linearizable or stale.
func BenchmarkGet(b *testing.B) {
	for _, c := range []struct{ name, more string }{{"linearizable", ""}, {"stale", "&consistency=stale"}} {
		b.Run(c.name, func(b *testing.B) {
			servers := benchCluster(b)
			setup := dial(b, servers[0])
			_, _, err := setup.do("POST", "/apply", `{"op":"set","key":"x","value":"23"}`)
			require.NoError(b, err)
			closedLoop(b, servers[:1], func(int, int) (method, path, body, want string) {
				return "GET", "/get?key=x" + c.more, "", "{\"data\":\"23\"}\n"
			})
		})
	}
}

// benchCluster starts servers whose first leads, and says what is measured.
func benchCluster(b *testing.B) []*server {
	b.Helper()
	servers := newCluster(b, *nodes)
	startAll(servers)
	b.Logf("%d servers, %d clients on the leader, %s, %d CPUs", *nodes, *clients, runtime.Version(), runtime.NumCPU())
	return servers
}
