package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"dbdb/httpapi"

	"dbdb/raft/wal"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// testNode is a node that runs inside the test, with a command line of its own.
type testNode struct {
	t                  *testing.T
	name               string
	raftPort, httpPort int
	log                *syncBuffer
	stop               context.CancelFunc
	code               chan int
}

// syncBuffer is what a node writes to while the test reads.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// freePorts finds ports that nobody listens on.
func freePorts(t *testing.T) (raft, http int) {
	var ports [2]int
	for k := range ports {
		l, err := net.Listen("tcp", "localhost:0")
		require.NoError(t, err)
		defer l.Close()
		ports[k] = l.Addr().(*net.TCPAddr).Port
	}
	return ports[0], ports[1]
}

// newNode has ports but does not run.
func newNode(t *testing.T, name string) *testNode {
	raft, http := freePorts(t)
	return &testNode{t: t, name: name, raftPort: raft, httpPort: http}
}

func (n *testNode) addr() string { return hostPort("localhost", n.httpPort) }

// start runs the node; it is stopped at the end of the test.
func (n *testNode) start(args ...string) *testNode {
	args = append([]string{"--node-id", n.name, "--raft-port", strconv.Itoa(n.raftPort), "--http-port", strconv.Itoa(n.httpPort)}, args...)
	ctx, cancel := context.WithCancel(context.Background())
	log, code := &syncBuffer{}, make(chan int, 1)
	n.log, n.stop, n.code = log, cancel, code
	go func() { code <- run(ctx, args, nil, io.Discard, log) }()
	n.t.Cleanup(func() {
		cancel()
		if n.t.Failed() {
			n.t.Logf("log of %s:\n%s", n.name, log)
		}
	})
	return n
}

// ended waits for the exit code.
func (n *testNode) ended() int {
	n.t.Helper()
	select {
	case code := <-n.code:
		return code
	case <-time.After(20 * time.Second):
		n.t.Fatalf("%s does not end", n.name)
		return -1
	}
}

// halt stops the node as SIGTERM does.
func (n *testNode) halt() {
	n.t.Helper()
	n.stop()
	require.Equal(n.t, 0, n.ended())
}

// eventually waits for what another goroutine does.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	require.Eventually(t, done, 20*time.Second, 5*time.Millisecond, what)
}

func (n *testNode) ready() *testNode {
	n.t.Helper()
	eventually(n.t, n.name+" is ready", func() bool {
		status, _ := n.call("GET", "/readyz", "")
		return status == 200
	})
	return n
}

func (n *testNode) says(line string) {
	n.t.Helper()
	eventually(n.t, fmt.Sprintf("%s says %q", n.name, line), func() bool { return strings.Contains(n.log.String(), line) })
}

// call makes a request; status 0 means that there was no answer.
func (n *testNode) call(method, path, body string) (status int, answer string) {
	req, err := http.NewRequest(method, "http://"+n.addr()+path, strings.NewReader(body))
	require.NoError(n.t, err)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, ""
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, ""
	}
	return resp.StatusCode, string(b)
}

func (n *testNode) status() (s httpapi.Status) {
	_, body := n.call("GET", "/v1/status", "")
	require.NoError(n.t, json.Unmarshal([]byte(body), &s), body)
	return s
}

// readme runs the commands of the README on a writer and the readers.
func readme(t *testing.T, writer *testNode, readers ...*testNode) {
	t.Helper()
	status, body := writer.call("POST", "/apply", `{"op": "set", "key": "x", "value": "23"}`)
	require.Equal(t, 200, status, body)
	assert.Empty(t, body)
	for _, n := range readers {
		_, body := n.call("GET", "/get?key=x", "")
		assert.Equal(t, "{\"data\":\"23\"}\n", body)
	}
	status, body = writer.call("POST", "/apply", `{"op": "del", "key": "x"}`)
	require.Equal(t, 200, status, body)
	assert.Empty(t, body)
	for _, n := range readers {
		_, body := n.call("GET", "/get?key=x", "")
		assert.Equal(t, "{\"data\":\"\"}\n", body)
	}
}

// inEmptyDirectory lets nodes use the default data directory.
func inEmptyDirectory(t *testing.T) { t.Chdir(t.TempDir()) }

func TestTheExampleOfTheREADMEWorksOnEitherNode(t *testing.T) {
	inEmptyDirectory(t)
	node1 := newNode(t, "node1").start("--bootstrap").ready()
	node2 := newNode(t, "node2").start("--join", node1.addr()).ready()
	readme(t, node1, node1, node2)
	readme(t, node2, node1, node2)
}

func TestTheSameCommandLinesStartTheClusterAgain(t *testing.T) {
	inEmptyDirectory(t)
	node1 := newNode(t, "node1").start("--bootstrap").ready()
	node2 := newNode(t, "node2").start("--join", node1.addr()).ready()
	eventually(t, "node2 votes", func() bool { return node1.status().Members[1].Role == "voter" })
	status, _ := node2.call("POST", "/apply", `{"op":"set","key":"kept","value":"yes"}`)
	require.Equal(t, 200, status)
	cluster := node1.status().Cluster
	node2.halt()
	node1.halt()

	node1.start("--bootstrap")
	node1.says(fmt.Sprintf("already a member of cluster %s (term 2, 2 voters); --bootstrap ignored", httpapi.ShortCluster(cluster)))
	node1.says(fmt.Sprintf("waiting for a quorum: have 1 of 2 voters, not reachable: node2 (localhost:%d)", node2.raftPort))
	status, body := node1.call("GET", "/get?key=kept", "")
	assert.Equal(t, 503, status)
	assert.Contains(t, body, fmt.Sprintf("node1 can reach 1 of 2 voters; not reachable: node2 (localhost:%d)", node2.raftPort))

	node2.start("--join", node1.addr()).ready()
	node1.ready()
	node2.says("; --join ignored")
	for _, n := range []*testNode{node1, node2} {
		_, body := n.call("GET", "/get?key=kept", "")
		assert.Equal(t, "{\"data\":\"yes\"}\n", body)
	}
	readme(t, node2, node1, node2)
}

func TestAMemberNeedsNoFlagToStartAgain(t *testing.T) {
	inEmptyDirectory(t)
	node1 := newNode(t, "node1").start("--bootstrap").ready()
	node1.halt()
	node1.start().ready()
	assert.Contains(t, node1.log.String(), "(term 2, 1 voter)\"")
	readme(t, node1, node1)
}

func TestANodeThatIsStartedBeforeTheClusterJoinsOnceItIsThere(t *testing.T) {
	inEmptyDirectory(t)
	node1, node2 := newNode(t, "node1"), newNode(t, "node2")
	node2.start("--join", node1.addr())
	node2.says("not joined yet")
	status, body := node2.call("GET", "/readyz", "")
	assert.Equal(t, 503, status)
	assert.Contains(t, body, "node2 is joining through "+node1.addr())
	status, _ = node2.call("GET", "/healthz", "")
	assert.Equal(t, 200, status)
	node1.start("--bootstrap")
	node2.ready()
	readme(t, node2, node1, node2)
}

func TestTwoNodesJoinAtTheSameTimeAndOneOfThemThroughAFollower(t *testing.T) {
	inEmptyDirectory(t)
	node1 := newNode(t, "node1").start("--bootstrap").ready()
	node2, node3 := newNode(t, "node2"), newNode(t, "node3")
	node2.start("--join", node1.addr())
	node3.start("--join", node2.addr()+","+node1.addr())
	node2.ready()
	node3.ready()
	eventually(t, "three voters", func() bool {
		voters := 0
		for _, m := range node1.status().Members {
			if m.Role == "voter" {
				voters++
			}
		}
		return voters == 3
	})
	readme(t, node3, node1, node2, node3)
}

func TestANodeWithoutBootstrapOrJoinIdlesAndSaysSo(t *testing.T) {
	inEmptyDirectory(t)
	node2 := newNode(t, "node2").start()
	idle := "node2 belongs to no cluster yet: start it with --bootstrap or --join"
	node2.says(idle)
	status, body := node2.call("POST", "/apply", `{"op":"set","key":"x","value":"1"}`)
	assert.Equal(t, 503, status)
	assert.Contains(t, body, idle)
	status, _ = node2.call("GET", "/readyz", "")
	assert.Equal(t, 503, status)
	assert.Equal(t, 1, strings.Count(node2.log.String(), "level=WARN"))
	node2.halt()
	node2.start("--bootstrap").ready()
	readme(t, node2, node2)
}

func TestAJoinThatNobodyAnswersTimesOut(t *testing.T) {
	inEmptyDirectory(t)
	node2 := newNode(t, "node2").start("--join", "127.0.0.1:1", "--join-timeout", "300ms")
	assert.Equal(t, 1, node2.ended())
	assert.Contains(t, node2.log.String(), "\ndbdb: could not join within 300ms: no connection to 127.0.0.1:1: connection refused\n")
}

func TestAWipedNodeIsRefused(t *testing.T) {
	inEmptyDirectory(t)
	node1 := newNode(t, "node1").start("--bootstrap").ready()
	node2 := newNode(t, "node2").start("--join", node1.addr()).ready()
	eventually(t, "node2 votes", func() bool { return node1.status().Members[1].Role == "voter" })
	node2.halt()
	require.NoError(t, os.RemoveAll("data/node2"))
	// Of two voters one is gone: there is no leader to refuse it, and need not be.
	eventually(t, "node1 steps down", func() bool { return node1.status().Leader == "" })
	node2.start("--join", node1.addr())
	assert.Equal(t, 3, node2.ended())
	assert.Contains(t, node2.log.String(), "\ndbdb: node2 is already a member with other data (was its directory deleted?). Run: dbdb members remove node2\n")
}

func TestANodeThatWasBootstrappedByMistakeIsToldWhatToDelete(t *testing.T) {
	inEmptyDirectory(t)
	node1 := newNode(t, "node1").start("--bootstrap").ready()
	node2 := newNode(t, "node2").start("--bootstrap").ready()
	theirs := node2.status().Cluster
	node2.halt()
	node2.start("--join", node1.addr())
	assert.Equal(t, 3, node2.ended())
	assert.Contains(t, node2.log.String(), fmt.Sprintf("\ndbdb: node2 already belongs to cluster %s; delete ./data/node2 to join %s\n",
		httpapi.ShortCluster(theirs), httpapi.ShortCluster(node1.status().Cluster)))
	require.NoError(t, os.RemoveAll("data/node2"))
	node2.start("--join", node1.addr()).ready()
}

func TestANodeWithNewPortsTellsTheCluster(t *testing.T) {
	inEmptyDirectory(t)
	node1 := newNode(t, "node1").start("--bootstrap").ready()
	node2 := newNode(t, "node2").start("--join", node1.addr()).ready()
	node3 := newNode(t, "node3").start("--join", node1.addr()).ready()
	for _, args := range [][]string{nil, {"--join", node1.addr()}} {
		node3.halt()
		node3.raftPort, node3.httpPort = freePorts(t)
		node3.start(args...).ready()
		eventually(t, "the new address is known", func() bool {
			m := node2.status().Members[2]
			return m.Name == "node3" && m.HTTPAddr == node3.addr() && m.RaftAddr == hostPort("localhost", node3.raftPort)
		})
		readme(t, node3, node1, node2, node3)
	}
}

// It has nobody to ask but itself.
func TestALoneLeaderMayTakeAnotherName(t *testing.T) {
	inEmptyDirectory(t)
	node1 := newNode(t, "node1").start("--bootstrap").ready()
	node1.halt()
	node1.start("--advertise-host", "127.0.0.1").ready()
	eventually(t, "the new name is known", func() bool {
		return node1.status().Members[0].RaftAddr == hostPort("127.0.0.1", node1.raftPort)
	})
}

func TestACopyOfADirectoryInUseIsRefused(t *testing.T) {
	inEmptyDirectory(t)
	node1 := newNode(t, "node1").start("--bootstrap").ready()
	node2 := newNode(t, "node2").start("--join", node1.addr()).ready()
	eventually(t, "node2 votes", func() bool { return node2.status().Members[1].Role == "voter" })
	require.NoError(t, os.CopyFS("copy", os.DirFS(filepath.Join("data", "node2"))))
	copied := newNode(t, "node2").start("--data-dir", "copy", "--join", node1.addr())
	assert.Equal(t, 3, copied.ended())
	assert.Contains(t, copied.log.String(), fmt.Sprintf("\ndbdb: node2 runs already, at localhost:%d, with a copy of data directory copy: "+
		"stop it first, or delete this copy and start a node with another name\n", node2.raftPort))
	readme(t, node2, node1, node2)
}

func TestAPortThatIsTakenIsNamedBeforeAnythingIsTouched(t *testing.T) {
	inEmptyDirectory(t)
	for _, what := range []string{"HTTP", "Raft"} {
		l, err := net.Listen("tcp", "localhost:0")
		require.NoError(t, err)
		defer l.Close()
		n := newNode(t, "node1")
		if taken := l.Addr().(*net.TCPAddr).Port; what == "HTTP" {
			n.httpPort = taken
		} else {
			n.raftPort = taken
		}
		assert.Equal(t, 5, n.start("--bootstrap").ended())
		assert.Equal(t, fmt.Sprintf("dbdb: cannot listen on %s (%s): address already in use\n", strings.Replace(l.Addr().String(), "127.0.0.1", "localhost", 1), what), n.log.String())
	}
	requireNothingMade(t)
}

func TestADataDirectoryIsUsedByOneProcess(t *testing.T) {
	inEmptyDirectory(t)
	newNode(t, "node1").start("--bootstrap").ready()
	second := newNode(t, "node1").start("--bootstrap")
	assert.Equal(t, 3, second.ended())
	assert.Contains(t, second.log.String(), fmt.Sprintf("\ndbdb: data directory ./data/node1 is in use by another dbdb (pid %d)\n", os.Getpid()))
}

func TestADataDirectoryBelongsToOneNode(t *testing.T) {
	inEmptyDirectory(t)
	newNode(t, "node1").start("--bootstrap").ready().halt()
	second := newNode(t, "node2").start("--data-dir", "data/node1")
	assert.Equal(t, 3, second.ended())
	assert.Contains(t, second.log.String(), "\ndbdb: data directory data/node1 holds the data of \"node1\"; you asked for \"node2\"\n")
}

func TestADataDirectoryThatIsAFileCannotBeUsed(t *testing.T) {
	inEmptyDirectory(t)
	require.NoError(t, os.WriteFile("data", nil, 0o600))
	n := newNode(t, "node1").start("--bootstrap")
	assert.Equal(t, 3, n.ended())
	assert.Contains(t, n.log.String(), "\ndbdb: cannot use data directory ./data/node1: ")
}

func TestADamagedDirectoryExitsWith4(t *testing.T) {
	inEmptyDirectory(t)
	newNode(t, "node1").start("--bootstrap").ready().halt()
	require.NoError(t, os.WriteFile(filepath.Join("data", "node1", "identity.json"), []byte("{}"), 0o600))
	n := newNode(t, "node1").start("--bootstrap")
	assert.Equal(t, 4, n.ended())
	assert.Contains(t, n.log.String(), "\ndbdb: data/node1/identity.json is damaged at offset 0: ")
}

func TestHealthPrintsTheChecksOfANode(t *testing.T) {
	inEmptyDirectory(t)
	n := newNode(t, "node1").start()
	n.says("belongs to no cluster yet")
	code, stdout, stderr := runOnce(t, nil, "health", "--http", n.addr())
	assert.Equal(t, 0, code, "it lives, and does nothing wrong")
	assert.Contains(t, stdout, "[-]member failed")
	assert.Empty(t, stderr)
	n.halt()
	n.start("--bootstrap").ready()
	code, stdout, stderr = runOnce(t, nil, "health", "--http", n.addr())
	assert.Equal(t, 0, code)
	assert.Equal(t, "[+]running ok\n[+]member ok\n[+]leader ok\n[+]applied ok\n", stdout)
	assert.Empty(t, stderr)
}

func TestTheFirstLineNamesEveryAddressAndWhatToTypeNext(t *testing.T) {
	inEmptyDirectory(t)
	n := newNode(t, "node1").start("--bootstrap").ready()
	first, _, _ := strings.Cut(n.log.String(), "\n")
	assert.Contains(t, first, fmt.Sprintf("http=localhost:%d raft=localhost:%d data=./data/node1", n.httpPort, n.raftPort))
	assert.Contains(t, first, fmt.Sprintf("--join localhost:%d", n.httpPort))
}

func TestAnUnknownVariableIsWarnedOf(t *testing.T) {
	inEmptyDirectory(t)
	n := newNode(t, "node1")
	log, ctx := &syncBuffer{}, t.Context()
	ctx, cancel := context.WithCancel(ctx)
	code := make(chan int, 1)
	env := []string{"DBDB_RAFTPORT=1", "DBDB_LOG_FORMAT=json", "DBDB_NODE_ID=node1",
		"DBDB_RAFT_PORT=" + strconv.Itoa(n.raftPort), "DBDB_HTTP_PORT=" + strconv.Itoa(n.httpPort)}
	go func() { code <- run(ctx, nil, env, io.Discard, log) }()
	eventually(t, "the warning", func() bool {
		return strings.Contains(log.String(), `"level":"WARN","msg":"unknown environment variable","node":"node1","name":"DBDB_RAFTPORT"`)
	})
	cancel()
	assert.Equal(t, 0, <-code)
}

// A node that was killed while it founded a cluster, and is then told to join one.
func TestAnUnfinishedFoundationIsForgottenIfAnotherClusterIsJoined(t *testing.T) {
	inEmptyDirectory(t)
	node1 := newNode(t, "node1").start("--bootstrap").ready()
	dir, err := wal.Open(wal.OS{}, filepath.Join("data", "node2"), wal.Options{Node: "node2"})
	require.NoError(t, err)
	require.NoError(t, dir.SetCluster("abcd", true))
	require.NoError(t, dir.Close())
	newNode(t, "node2").start("--join", node1.addr()).ready()
}
