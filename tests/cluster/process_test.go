// Package cluster tests the dbdb binary as its users run it: real processes, real
// files, real sockets, killed for real.
package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var binary string

// binaryVariable names the binary to a test that runs itself again.
const binaryVariable = "CLUSTER_TEST_BINARY"

func TestMain(m *testing.M) {
	flag.Parse()
	if binary = os.Getenv(binaryVariable); binary != "" {
		os.Exit(m.Run()) // see inNamespaces
	}
	dir, err := os.MkdirTemp("", "dbdb")
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(dir, "dbdb")
	build := exec.Command("go", "build", "-trimpath", "-o", binary, "dbdb/cmd/dbdb")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		panic(err)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// server is one dbdb process and the command line that starts it.
type server struct {
	t    testing.TB
	name string
	host string // localhost if empty
	http int    // port
	raft int    // port
	dir  string
	args []string
	via  []string // what runs the binary, if it does not run by itself

	cmd *exec.Cmd
	log lockedBuffer // stderr of all its lives
}

// lockedBuffer is written by a process and read by a test.
type lockedBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.String()
}

// freePorts finds ports that nobody listens on. The system would choose one that it may give
// to an outgoing connection as well, while the server that it belongs to is dead: that one
// could not start again. So they are below those, of Linux and of macOS.
func freePorts(t testing.TB, n int) []int {
	t.Helper()
	const lowest, ephemeral = 16384, 32768
	var ports []int
	for tries := 0; len(ports) < n; tries++ {
		require.Less(t, tries, 1000, "no ports are free")
		port := lowest + rand.IntN(ephemeral-lowest)
		l, err := net.Listen("tcp", fmt.Sprintf("localhost:%d", port))
		if err != nil {
			continue
		}
		defer func() { _ = l.Close() }() // only now, so that no two are the same
		ports = append(ports, port)
	}
	return ports
}

// newServer prepares nodeK. The first bootstraps, the others join it.
func newServer(t testing.TB, k int, dir string, ports []int, more ...string) *server {
	s := &server{t: t, name: fmt.Sprintf("node%d", k+1), http: ports[2*k], raft: ports[2*k+1], dir: dir}
	s.args = []string{"--node-id", s.name, "--raft-port", strconv.Itoa(s.raft), "--http-port", strconv.Itoa(s.http)}
	if k == 0 {
		s.args = append(s.args, "--bootstrap")
	} else {
		s.args = append(s.args, "--join", fmt.Sprintf("localhost:%d", ports[0]))
	}
	s.args = append(s.args, more...)
	t.Cleanup(func() {
		s.kill()
		if t.Failed() {
			t.Logf("%s:\n%s", s.name, &s.log)
		}
	})
	return s
}

// lookAtSources lets the go command see that these tests are about the binary's code.
// It keeps a result as long as the files that the tests read are the same, and does
// not know what the compiler read.
var lookAtSources = sync.OnceFunc(func() {
	for _, dir := range []string{"cmd/dbdb", "httpapi", "kvstore", "raft", "raft/node", "raft/replica", "raft/wal", "rpc"} {
		if _, err := os.ReadDir(filepath.Join("../..", dir)); err != nil {
			panic(err)
		}
	}
})

// start runs the command line, the same each time, and returns when the server
// listens.
func (s *server) start() {
	s.t.Helper()
	lookAtSources()
	line := slices.Concat(s.via, []string{binary}, s.args)
	s.cmd = exec.Command(line[0], line[1:]...)
	s.cmd.Dir, s.cmd.Stderr = s.dir, &s.log
	require.NoError(s.t, s.cmd.Start())
	s.listening()
}

func (s *server) listening() {
	s.t.Helper()
	require.Eventually(s.t, func() bool {
		c, err := net.Dial("tcp", s.address())
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	}, 20*time.Second, 2*time.Millisecond, "%s does not listen:\n%s", s.name, &s.log)
}

// kill is kill -9.
func (s *server) kill() {
	if s.cmd != nil && s.cmd.ProcessState == nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
	}
}

// stop asks the process to end, and returns its exit code.
func (s *server) stop() int {
	require.NoError(s.t, s.cmd.Process.Signal(syscall.SIGTERM))
	_ = s.cmd.Wait()
	return s.cmd.ProcessState.ExitCode()
}

func (s *server) url(path string) string { return "http://" + s.address() + path }

// ready waits until /readyz says so.
func (s *server) ready() {
	s.t.Helper()
	require.Eventually(s.t, func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		req, _ := http.NewRequestWithContext(ctx, http.MethodGet, s.url("/readyz"), nil)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	}, 30*time.Second, 2*time.Millisecond, "%s is not ready:\n%s", s.name, &s.log)
}

// newCluster prepares n servers with data in a directory of the test.
func newCluster(t testing.TB, n int, more ...string) []*server {
	dir, ports := t.TempDir(), freePorts(t, 2*n)
	var servers []*server
	for k := range n {
		servers = append(servers, newServer(t, k, dir, ports, more...))
	}
	return servers
}

// startAll starts servers and waits until all are ready, and voters: before that, to
// kill one may leave no majority.
func startAll(servers []*server) {
	for _, s := range servers {
		s.start()
	}
	for _, s := range servers {
		s.ready()
		require.Eventually(s.t, func() bool { return s.status().voters() == len(servers) }, 30*time.Second, 5*time.Millisecond)
	}
}

// status is what /v1/status says.
type status struct {
	State  string `json:"state"`
	Leader string `json:"leader"`
	Term   uint64 `json:"term"`

	AppliedIndex  uint64 `json:"appliedIndex"`
	LastIndex     uint64 `json:"lastIndex"`
	SnapshotIndex uint64 `json:"snapshotIndex"`
	RemovedAt     uint64 `json:"removedAt"`
	CatchingUp    struct {
		Detail string `json:"detail"`
	} `json:"catchingUp"`

	Members []struct {
		Role string `json:"role"`
	} `json:"members"`
}

func (st status) voters() (n int) {
	for _, m := range st.Members {
		if m.Role == "voter" {
			n++
		}
	}
	return n
}

// status asks the server; a server that is down has none.
func (s *server) status() (st status) {
	resp, err := http.Get(s.url("/v1/status"))
	if err != nil {
		return status{}
	}
	defer func() { _ = resp.Body.Close() }()
	_ = json.NewDecoder(resp.Body).Decode(&st)
	return st
}
