package cluster

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What a node does at a start depends on its directory and on --bootstrap and --join. Each
// test is one kind of directory, each cell is a process.

// flags gives the server other flags than it has, beside its name and ports.
func (s *server) flags(flags ...string) *server {
	s.args = append(s.args[:6:6], flags...)
	s.log.mu.Lock()
	s.log.Reset()
	s.log.mu.Unlock()
	return s
}

// says waits for a line of the log.
func (s *server) says(line string) {
	s.t.Helper()
	require.Eventually(s.t, func() bool { return strings.Contains(s.log.String(), line) }, 20*time.Second, 2*time.Millisecond, "%q:\n%s", line, &s.log)
}

// ends runs a command line that ends by itself, and returns its exit code and the last
// line that it printed.
func (s *server) ends() (code int, last string) {
	s.t.Helper()
	lookAtSources()
	s.cmd = exec.Command(binary, s.args...)
	s.cmd.Dir, s.cmd.Stderr = s.dir, &s.log
	require.NoError(s.t, s.cmd.Start())
	ended := time.AfterFunc(30*time.Second, func() { _ = s.cmd.Process.Kill() })
	defer ended.Stop()
	_ = s.cmd.Wait()
	lines := strings.Split(strings.TrimSuffix(s.log.String(), "\n"), "\n")
	return s.cmd.ProcessState.ExitCode(), lines[len(lines)-1]
}

// pair is a cluster of two voters, of which node2 is asked for what the matrix says.
func pair(t *testing.T) (node1, node2 *server) {
	servers := newCluster(t, 2)
	startAll(servers)
	return servers[0], servers[1]
}

func (s *server) address() string {
	return net.JoinHostPort(cmp.Or(s.host, "localhost"), strconv.Itoa(s.http))
}

// file is in the server's data directory.
func (s *server) file(name ...string) string {
	return filepath.Join(append([]string{s.dir, "data", s.name}, name...)...)
}

// identity is what the directory says about its owner.
func (s *server) identity() (id struct{ Instance, Cluster string }) {
	b, err := os.ReadFile(s.file("identity.json"))
	require.NoError(s.t, err)
	require.NoError(s.t, json.Unmarshal(b, &id))
	return id
}

// short is a cluster's id as people are shown it.
func short(cluster string) string { return cluster[:4] + "…" }

// idles waits for the sentence of a node that belongs to no cluster, and stops it.
func (s *server) idles() {
	s.t.Helper()
	s.says(s.name + " belongs to no cluster yet: start it with --bootstrap or --join")
	code, body := s.get("/readyz")
	assert.Equal(s.t, 503, code)
	assert.Contains(s.t, body, "belongs to no cluster yet")
	require.Zero(s.t, s.stop())
}

func TestAnEmptyDirectory(t *testing.T) {
	node1, node2 := newCluster2(t)
	node2.flags().start()
	node2.idles()
	require.NoError(t, os.RemoveAll(node2.file()))

	node2.flags("--join", "127.0.0.1:1", "--join-timeout", "300ms")
	code, last := node2.ends()
	assert.Equal(t, 1, code)
	assert.Equal(t, "dbdb: could not join within 300ms: no connection to 127.0.0.1:1: connection refused", last)
	require.NoError(t, os.RemoveAll(node2.file()))

	node1.start()
	node1.says("started a new cluster")
	node2.flags("--join", node1.address()).start()
	node2.says("joined")
	node2.ready()
	require.Eventually(t, func() bool { return node1.status().voters() == 2 }, 20*time.Second, 5*time.Millisecond)
}

// newCluster2 is two servers that do not run.
func newCluster2(t *testing.T) (node1, node2 *server) {
	servers := newCluster(t, 2)
	return servers[0], servers[1]
}

func TestADirectoryOfAMember(t *testing.T) {
	node1, node2 := pair(t)
	cluster := node2.identity().Cluster
	for _, cell := range []struct {
		flags []string
		says  string
	}{
		{nil, "already a member of cluster " + short(cluster) + " (term 2, 2 voters)\""},
		{[]string{"--bootstrap"}, "already a member of cluster " + short(cluster) + " (term 2, 2 voters); --bootstrap ignored\""},
		{[]string{"--join", node1.address()}, "already a member of cluster " + short(cluster) + " (term 2, 2 voters); --join ignored\""},
	} {
		require.Zero(t, node2.stop())
		node2.flags(cell.flags...).start()
		node2.says(cell.says)
		node2.ready()
		assert.Equal(t, cluster, node2.identity().Cluster)
		// The leader may have stepped down meanwhile; the next cell wants its term again.
		node1.ready()
	}
}

// Its instance was durable before it first asked: the retry is the same server.
func TestADirectoryWhoseJoinNeverSucceeded(t *testing.T) {
	node1, node2 := newCluster2(t)
	node2.flags("--join", "127.0.0.1:1", "--join-timeout", "1ms")
	code, _ := node2.ends()
	require.Equal(t, 1, code)
	id := node2.identity()
	require.NotEmpty(t, id.Instance)

	node2.flags().start()
	node2.idles()
	assert.Equal(t, id, node2.identity())

	node1.start()
	node2.flags("--join", node1.address()).start()
	node2.ready()
	assert.Equal(t, id.Instance, node2.identity().Instance)
	assert.Equal(t, node1.identity().Cluster, node2.identity().Cluster)

	node3 := newServer(t, 2, t.TempDir(), append(make([]int, 4), freePorts(t, 2)...))
	node3.flags("--join", "127.0.0.1:1", "--join-timeout", "1ms")
	_, _ = node3.ends()
	instance := node3.identity().Instance
	node3.flags("--bootstrap").start()
	node3.says("started a new cluster")
	node3.ready()
	assert.Equal(t, instance, node3.identity().Instance)
}

func TestADirectoryThatWasWipedWhileTheClusterKnowsTheNode(t *testing.T) {
	servers := newCluster(t, 3)
	startAll(servers)
	node1, node3 := servers[0], servers[2]
	require.Zero(t, node3.stop())
	wipe := func() { require.NoError(t, os.RemoveAll(node3.file())) }

	wipe()
	node3.flags().start()
	node3.idles()

	wipe()
	node3.flags("--bootstrap").start()
	node3.says("started a new cluster")
	mismatch := func(theirs, ours string) string {
		return fmt.Sprintf("speaks for %s, this cluster is %s", short(theirs), short(ours))
	}
	node3.says("cluster ID mismatch: node")
	node3.says(mismatch(node1.identity().Cluster, node3.identity().Cluster))
	refused := func() bool {
		for _, s := range servers[:2] {
			if strings.Contains(s.log.String(), mismatch(s.identity().Cluster, node3.identity().Cluster)) {
				return true
			}
		}
		return false
	}
	require.Eventually(t, refused, 20*time.Second, 5*time.Millisecond, "the other side does not say so")
	node3.ready() // alone, in its own cluster
	require.Zero(t, node3.stop())

	wipe()
	node3.flags("--join", node1.address())
	code, last := node3.ends()
	assert.Equal(t, 3, code)
	assert.Equal(t, "dbdb: node3 is already a member with other data (was its directory deleted?). Run: dbdb members remove node3", last)
}

func TestADirectoryThatWasBootstrappedByMistake(t *testing.T) {
	node1, node2 := newCluster2(t)
	node1.start()
	node1.ready()
	node2.flags("--bootstrap").start()
	node2.ready()
	require.Zero(t, node2.stop())
	node2.flags("--join", node1.address())
	code, last := node2.ends()
	assert.Equal(t, 3, code)
	assert.Equal(t, fmt.Sprintf("dbdb: node2 already belongs to cluster %s; delete ./data/node2 to join %s",
		short(node2.identity().Cluster), short(node1.identity().Cluster)), last)
}

func TestADirectoryThatCannotBeUsed(t *testing.T) {
	node1, node2 := pair(t)
	require.NoError(t, os.WriteFile(filepath.Join(node1.dir, "file"), nil, 0o600))
	require.NoError(t, os.CopyFS(filepath.Join(node1.dir, "copy"), os.DirFS(node2.file())))
	third := newServer(t, 2, node1.dir, append(make([]int, 4), freePorts(t, 2)...))
	for name, cell := range map[string]struct {
		node, dir, want string
	}{
		"in use":          {"node2", "data/node2", fmt.Sprintf("dbdb: data directory data/node2 is in use by another dbdb (pid %d)", node2.cmd.Process.Pid)},
		"of another node": {"node3", "copy", `dbdb: data directory copy holds the data of "node2"; you asked for "node3"`},
		"copied while used": {"node2", "copy", fmt.Sprintf("dbdb: node2 runs already, at localhost:%d, with a copy of data directory copy: "+
			"stop it first, or delete this copy and start a node with another name", node2.raft)},
		"a file":    {"node3", "file", "dbdb: cannot use data directory file: "},
		"in a file": {"node3", "file/node3", "dbdb: cannot use data directory file/node3: "},
		"read-only": {"node3", "/sys/dbdb", "dbdb: cannot use data directory /sys/dbdb: "},
	} {
		for _, flags := range [][]string{nil, {"--bootstrap"}, {"--join", node1.address()}} {
			t.Run(name+" "+strings.Join(flags, " "), func(t *testing.T) {
				third.args[1] = cell.node
				third.flags(append(flags, "--data-dir", cell.dir)...)
				code, last := third.ends()
				assert.Equal(t, 3, code)
				assert.True(t, strings.HasPrefix(last, cell.want), last)
			})
		}
	}
	node2.ready()
}

func TestAMemberThatWasRemoved(t *testing.T) {
	servers := newCluster(t, 3)
	startAll(servers)
	node1, node3 := servers[0], servers[2]
	id := node3.identity()
	out, err := exec.Command(binary, "members", "remove", "node3", "--http", node1.address()).CombinedOutput()
	require.NoError(t, err, "%s", out)
	assert.NotContains(t, string(out), "node3")

	t.Run("while it runs", func(t *testing.T) {
		node3.says("node3 was removed at index ")
		code, body := node3.get("/get?key=x")
		assert.Equal(t, 503, code)
		assert.Contains(t, body, `"code":"removed","detail":"node3 was removed at index `)
		require.Zero(t, node3.stop())
	})
	t.Run("no flag", func(t *testing.T) {
		node3.flags().start()
		node3.says("level=WARN msg=\"node3 was removed at index ")
		code, body := node3.get("/readyz")
		assert.Equal(t, 503, code)
		assert.Contains(t, body, "[-]member failed: node3 was removed at index ")
		require.Zero(t, node3.stop())
	})
	t.Run("--bootstrap", func(t *testing.T) {
		code, last := node3.flags("--bootstrap").ends()
		assert.Equal(t, 3, code)
		assert.Equal(t, fmt.Sprintf("dbdb: cannot bootstrap: this directory holds data of cluster %s; move it away to start a new cluster", short(id.Cluster)), last)
	})
	t.Run("--join", func(t *testing.T) {
		node3.flags("--join", node1.address()).start()
		node3.ready()
		require.Eventually(t, func() bool { return node1.status().voters() == 3 }, 20*time.Second, 5*time.Millisecond)
		assert.Equal(t, id, node3.identity(), "it is another server now")
	})
}

// The answer to a node that lost its data: remove it, then it may join as a new server.
func TestAWipedNodeThatWasRemovedJoinsAsANewServer(t *testing.T) {
	servers := newCluster(t, 3)
	startAll(servers)
	node1, node3 := servers[0], servers[2]
	before := node3.identity().Instance
	node3.kill()
	require.NoError(t, os.RemoveAll(node3.file()))
	var out []byte
	require.Eventually(t, func() (done bool) { // the leader has to see first that it is gone
		var err error
		out, err = exec.Command(binary, "members", "remove", "node3", "--http", node1.address()).CombinedOutput()
		return err == nil
	}, 20*time.Second, 50*time.Millisecond, "%s", &out)
	node3.start()
	node3.ready()
	require.Eventually(t, func() bool { return node1.status().voters() == 3 }, 20*time.Second, 5*time.Millisecond)
	assert.NotEqual(t, before, node3.identity().Instance)
}

// A leader that removes itself hands over, and stays to say so.
func TestALeaderThatIsRemoved(t *testing.T) {
	servers := newCluster(t, 3)
	startAll(servers)
	leader := leaderOf(t, servers)
	out, err := exec.Command(binary, "members", "remove", leader.name, "--http", leader.address()).CombinedOutput()
	require.NoError(t, err, "%s", out)
	leader.says(leader.name + " was removed at index ")
	var rest []*server
	for _, s := range servers {
		if s != leader {
			rest = append(rest, s)
		}
	}
	next := leaderOf(t, rest)
	out, err = exec.Command(binary, "set", "x", "1", "--http", next.address()).CombinedOutput()
	require.NoError(t, err, "%s", out)
}

func TestALeaderThatIsStoppedHandsOver(t *testing.T) {
	servers := newCluster(t, 3)
	startAll(servers)
	leader := leaderOf(t, servers)
	require.Zero(t, leader.stop())
	assert.Contains(t, leader.log.String(), "handed over the leadership")
}

func TestALeaderHandsOverToWhoIsNamed(t *testing.T) {
	servers := newCluster(t, 3)
	startAll(servers)
	for _, s := range []*server{servers[2], servers[1], servers[0], servers[0]} {
		out, err := exec.Command(binary, "transfer", s.name, "--http", servers[0].address()).CombinedOutput()
		require.NoError(t, err, "%s", out)
		assert.Equal(t, s.name+" leads\n", string(out))
		assert.Equal(t, s, leaderOf(t, servers))
	}
}

// Whoever asks twice does not want to wait for a request that does not end.
func TestASecondSignalEndsAProcessAtOnce(t *testing.T) {
	for signal, want := range map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143} {
		s := newCluster(t, 1)[0]
		s.start()
		s.ready()
		c, err := net.Dial("tcp", s.address())
		require.NoError(t, err)
		_, err = c.Write([]byte("POST /apply HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n"))
		require.NoError(t, err)
		// From here on a request is under way, for which the first signal waits.
		line, err := bufio.NewReader(c).ReadString('\n')
		require.NoError(t, err)
		require.Equal(t, "HTTP/1.1 100 Continue\r\n", line)
		begin := time.Now()
		require.NoError(t, s.cmd.Process.Signal(signal))
		s.says("stopping")
		require.NoError(t, s.cmd.Process.Signal(signal))
		_ = s.cmd.Wait()
		assert.Equal(t, want, s.cmd.ProcessState.ExitCode())
		assert.Less(t, time.Since(begin), 4*time.Second, "the grace is 5 s")
		_ = c.Close()
	}
}
