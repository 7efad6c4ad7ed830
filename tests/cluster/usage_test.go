package cluster

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// get asks the server; 0 means that there was no answer.
func (s *server) get(path string) (status int, body string) {
	resp, err := http.Get(s.url(path))
	if err != nil {
		return 0, ""
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	require.NoError(s.t, err)
	return resp.StatusCode, string(b)
}

// run runs the binary in an empty directory until it ends.
func run(t *testing.T, dir string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	lookAtSources()
	cmd := exec.Command(binary, args...)
	var out, errs bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.Env = dir, &out, &errs, []string{}
	_ = cmd.Run()
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// A command line that makes no sense starts nothing: it says what is wrong in one line,
// and how it is right in the next.
func TestABadCommandLineStartsNothing(t *testing.T) {
	ports := freePorts(t, 2)
	raft, http := fmt.Sprint(ports[0]), fmt.Sprint(ports[1])
	good := "--node-id node1 --raft-port " + raft + " --http-port " + http
	for _, tc := range []struct{ name, args, says string }{
		{"an id that leads out of the directory", "--node-id ../../etc --raft-port " + raft + " --http-port " + http, `invalid value "../../etc" for --node-id`},
		{"a port that is none", "--node-id node1 --raft-port 0 --http-port " + http, `invalid value "0" for --raft-port`},
		{"a port that is not decimal", "--node-id node1 --raft-port " + raft + " --http-port 0x1F", `invalid value "0x1F" for --http-port`},
		{"one port for both", "--node-id node1 --raft-port " + raft + " --http-port " + raft, "must differ"},
		{"nothing but --bootstrap", "--bootstrap", "missing required flags: --node-id, --raft-port, --http-port"},
		{"only an id", "--node-id node1", "missing required flags: --raft-port, --http-port"},
		{"bootstrap and join", good + " --bootstrap --join localhost:8222", "--bootstrap and --join cannot be used together"},
		{"an address without a port", good + " --join localhost", `invalid value "localhost" for --join`},
		{"a value for a switch", good + " --bootstrap true", `unexpected argument "true" (write --bootstrap, or --bootstrap=true)`},
		{"a flag as a value", "--node-id --raft-port " + raft, `invalid value "--raft-port" for --node-id`},
		{"a flag twice", good + " --node-id node2", "--node-id is given twice"},
		{"an unknown flag", good + " --leader", "unknown flag --leader"},
		{"a flag without its value", good + " --data-dir", "--data-dir needs a value"},
		{"an unknown word", "serve " + good, `unknown command "serve"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			code, stdout, stderr := run(t, dir, strings.Fields(tc.args)...)
			assert.Equal(t, 2, code)
			assert.Empty(t, stdout)
			lines := strings.Split(stderr, "\n")
			require.Len(t, lines, 3, stderr)
			assert.True(t, strings.HasPrefix(lines[0], "dbdb: "), stderr)
			assert.Contains(t, lines[0], tc.says)
			made, err := os.ReadDir(dir)
			require.NoError(t, err)
			assert.Empty(t, made)
			for _, port := range []string{raft, http} {
				_, err := net.Dial("tcp", "localhost:"+port)
				assert.ErrorContains(t, err, "refused", "it listens")
			}
		})
	}
}

func TestHelpAndVersionAreOnStdout(t *testing.T) {
	for args, want := range map[string]string{
		"--help": "usage: dbdb --node-id <id>", "-h": "usage: dbdb --node-id <id>", "--version": "dbdb ", "get --help": "usage: dbdb get <key>",
	} {
		code, stdout, stderr := run(t, t.TempDir(), strings.Fields(args)...)
		assert.Zero(t, code, args)
		assert.Empty(t, stderr)
		assert.True(t, strings.HasPrefix(stdout, want), stdout)
	}
}

func TestAPortThatIsTakenExitsWith5AndMakesNoDirectory(t *testing.T) {
	l, err := net.Listen("tcp", "localhost:0")
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	taken, free, dir := l.Addr().(*net.TCPAddr).Port, freePorts(t, 1)[0], t.TempDir()
	code, stdout, stderr := run(t, dir, "--node-id", "node1", "--raft-port", fmt.Sprint(free), "--http-port", fmt.Sprint(taken), "--bootstrap")
	assert.Equal(t, 5, code)
	assert.Empty(t, stdout)
	assert.Equal(t, fmt.Sprintf("dbdb: cannot listen on localhost:%d (HTTP): address already in use\n", taken), stderr)
	made, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Empty(t, made)
}

// Scripts depend on these.
func TestTheClientsExitCodes(t *testing.T) {
	s := newCluster(t, 1)[0]
	s.start()
	s.ready()
	for _, tc := range []struct {
		args           string
		code           int
		stdout, stderr string
	}{
		{"set x 23", 0, "", ""},
		{"get x", 0, "23\n", ""},
		{"get y", 3, "", "dbdb: key \"y\" not found\n"},
		{"get", 2, "", "dbdb: <key> is missing\nusage: dbdb get <key> [--http <address>] [-o <format>]\n"},
		{"members remove node9", 1, "", "dbdb: no member is called \"node9\"; there are node1\n"},
		{"members remove node1", 1, "", "dbdb: node1 is the only voter: without it nobody could write any more\n"},
		{"transfer", 1, "", "dbdb: node1 is the only voter: nobody else can lead\n"},
		{"transfer node1", 0, "node1 leads\n", ""},
	} {
		args := strings.Fields(tc.args)
		if tc.code != 2 {
			args = append(args, "--http", s.address())
		}
		code, stdout, stderr := run(t, s.dir, args...)
		assert.Equal(t, tc.code, code, tc.args)
		assert.Equal(t, tc.stdout, stdout, tc.args)
		assert.Equal(t, tc.stderr, stderr, tc.args)
	}
}
