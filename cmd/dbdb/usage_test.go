package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// runOnce runs a command line that ends by itself, in an empty directory.
func runOnce(t *testing.T, env []string, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = run(t.Context(), args, env, &out, &errs)
	return code, out.String(), errs.String()
}

const usageLine = "usage: dbdb --node-id <id> --raft-port <port> --http-port <port> [--bootstrap | --join <address>]\n"

func TestACommandLineThatMakesNoSenseExitsWith2AndSaysWhy(t *testing.T) {
	t.Chdir(t.TempDir())
	good := "--node-id node1 --raft-port 2221 --http-port 8221"
	for _, tc := range []struct{ args, want string }{
		{"--node-id ../../etc --raft-port 1 --http-port 2", `invalid value "../../etc" for --node-id: use 1 to 63 letters, digits, dots, dashes and underscores; the first is a letter or a digit`},
		{"--node-id= --raft-port 1 --http-port 2", `invalid value "" for --node-id: use 1 to 63 letters, digits, dots, dashes and underscores; the first is a letter or a digit`},
		{"--node-id .x", `invalid value ".x" for --node-id: use 1 to 63 letters, digits, dots, dashes and underscores; the first is a letter or a digit`},
		{"--node-id a/b", `invalid value "a/b" for --node-id: use 1 to 63 letters, digits, dots, dashes and underscores; the first is a letter or a digit`},
		{"--raft-port 0", `invalid value "0" for --raft-port: it must be a number from 1 to 65535`},
		{"--raft-port 65536", `invalid value "65536" for --raft-port: it must be a number from 1 to 65535`},
		{"--raft-port 0x1F", `invalid value "0x1F" for --raft-port: it must be a number from 1 to 65535`},
		{"--raft-port +1", `invalid value "+1" for --raft-port: it must be a number from 1 to 65535`},
		{"--raft-port -1", `invalid value "-1" for --raft-port: it must be a number from 1 to 65535`},
		{"--http-port http", `invalid value "http" for --http-port: it must be a number from 1 to 65535`},
		{"--node-id n --raft-port 2221 --http-port 2221", "--raft-port and --http-port must differ; both are 2221"},
		{good + " --bootstrap --join localhost:8222", "--bootstrap and --join cannot be used together (bootstrap starts a new cluster, join enters an existing one)"},
		{"--join localhost", `invalid value "localhost" for --join: "localhost" is not host:port, such as localhost:8221`},
		{"--join https://localhost:8221", `invalid value "https://localhost:8221" for --join: "https://localhost:8221" is not host:port, such as localhost:8221`},
		{"--join localhost:8221,", `invalid value "localhost:8221," for --join: "" is not host:port, such as localhost:8221`},
		{"--join :8221", `invalid value ":8221" for --join: "" is no host name, such as localhost:8221`},
		{"--join localhost:0", `invalid value "localhost:0" for --join: "localhost:0" has no port between 1 and 65535, such as localhost:8221`},
		{"--join http://localhost:8221/apply", `invalid value "http://localhost:8221/apply" for --join: "localhost:8221/apply" has no port between 1 and 65535, such as localhost:8221`},
		{good + " --bootstrap true", `unexpected argument "true" (write --bootstrap, or --bootstrap=true)`},
		{"--bootstrap true --join x", `unexpected argument "true" (write --bootstrap, or --bootstrap=true)`},
		{good + " extra", `unexpected argument "extra"`},
		{good + " -", `unexpected argument "-"`},
		{good + " --", `unexpected argument "--"`},
		{"--node-id --raft-port 1", `invalid value "--raft-port" for --node-id: use 1 to 63 letters, digits, dots, dashes and underscores; the first is a letter or a digit`},
		{good + " --node-id node1", "--node-id is given twice"},
		{good + " --raft-port=2221", "--raft-port is given twice"},
		{good + " -http-port 8221", "--http-port is given twice"},
		{good + " --join a:1 --join b:1", "--join is given twice"},
		{"--node", "unknown flag --node"},
		{"-x=1", "unknown flag -x"},
		{"--=1", `unexpected argument "--=1"`},
		{"--node-id", "--node-id needs a value: --node-id <id>"},
		{good + " --bootstrap=maybe", `invalid value "maybe" for --bootstrap: it must be true or false`},
		{"--data-dir=", `invalid value "" for --data-dir: it is empty`},
		{"--bind a:1", `invalid value "a:1" for --bind: "a:1" is no host name`},
		{"--advertise-host http://x", `invalid value "http://x" for --advertise-host: "http://x" is no host name`},
		{"--join-timeout 60", `invalid value "60" for --join-timeout: it must be a positive duration, such as 60s`},
		{"--join-timeout -1s", `invalid value "-1s" for --join-timeout: it must be a positive duration, such as 60s`},
		{"--log-format xml", `invalid value "xml" for --log-format: use text or json`},
		{"--log-level loud", `invalid value "loud" for --log-level: use debug, info, warn or error`},
	} {
		t.Run(tc.args, func(t *testing.T) {
			code, stdout, stderr := runOnce(t, nil, strings.Fields(tc.args)...)
			assert.Equal(t, 2, code)
			assert.Empty(t, stdout)
			assert.Equal(t, "dbdb: "+tc.want+"\n"+usageLine, stderr)
		})
	}
	requireNothingMade(t)
}

func requireNothingMade(t *testing.T) {
	names, err := os.ReadDir(".")
	require.NoError(t, err)
	assert.Empty(t, names, "a command line that was refused left files")
}

func TestAllMissingFlagsAreNamedAtOnce(t *testing.T) {
	t.Chdir(t.TempDir())
	flags := []struct{ name, value string }{{"--node-id", "node1"}, {"--raft-port", "2221"}, {"--http-port", "8221"}}
	for set := range 1<<len(flags) - 1 {
		for _, extra := range [][]string{nil, {"--bootstrap"}, {"--join", "localhost:8221"}, {"--bootstrap", "--join", "localhost:8221"}} {
			var args, missing []string
			for k, f := range flags {
				if set>>k&1 == 1 {
					args = append(args, f.name, f.value)
				} else {
					missing = append(missing, f.name)
				}
			}
			code, stdout, stderr := runOnce(t, nil, append(args, extra...)...)
			assert.Equal(t, 2, code)
			assert.Empty(t, stdout)
			assert.Equal(t, "dbdb: missing required flags: "+strings.Join(missing, ", ")+"\nrun 'dbdb --help'\n", stderr)
		}
	}
	requireNothingMade(t)
}

func TestATooLongNodeIDIsRefused(t *testing.T) {
	for length, ok := range map[int]bool{1: true, 63: true, 64: false, 300: false} {
		_, err := parseOptions([]string{"--node-id", strings.Repeat("n", length), "--raft-port", "1", "--http-port", "2"}, nil)
		assert.Equal(t, ok, err == nil, "%d characters", length)
	}
	_, err := parseOptions([]string{"--node-id", "a\x00b"}, nil)
	assert.Error(t, err)
	_, err = parseOptions([]string{"--node-id", "node1\n"}, nil)
	assert.Error(t, err)
}

func TestHelpAndVersionGoToStdoutAndSucceed(t *testing.T) {
	for _, args := range [][]string{{"--help"}, {"-h"}, {"-help"}, {"--node-id", "n", "--help"}} {
		code, stdout, stderr := runOnce(t, nil, args...)
		assert.Equal(t, 0, code)
		assert.Empty(t, stderr)
		for _, spec := range new(options).specs() {
			assert.Contains(t, stdout, "  --"+spec.name+" ")
		}
		assert.NotRegexp(t, `(?m)^\s+-[a-z]`, stdout, "a flag is shown with one dash")
	}
	code, stdout, stderr := runOnce(t, nil, "--version")
	assert.Equal(t, 0, code)
	assert.Empty(t, stderr)
	assert.Regexp(t, `^dbdb .*go1\.\d+.*\n$`, stdout)
}

func TestAFlagIsReadInAllFourForms(t *testing.T) {
	for _, args := range []string{
		"--node-id node1 --raft-port 2221 --http-port 8221 --bootstrap",
		"-node-id node1 -raft-port 2221 -http-port 8221 -bootstrap",
		"--node-id=node1 --raft-port=2221 --http-port=8221 --bootstrap=true",
		"-node-id=node1 -raft-port=2221 -http-port=8221 -bootstrap=1",
	} {
		o, err := parseOptions(strings.Fields(args), nil)
		require.NoError(t, err)
		assert.Equal(t, options{
			nodeID: "node1", raftPort: 2221, httpPort: 8221, bootstrap: true,
			dataDir: "./data/node1", bind: "localhost", joinTimeout: time.Minute, logFormat: "text",
		}, o)
	}
}

func TestAJoinAddressMayBeAURLOrAList(t *testing.T) {
	for arg, want := range map[string][]string{
		"localhost:8221":                      {"localhost:8221"},
		"http://localhost:8221":               {"localhost:8221"},
		"http://localhost:8221/":              {"localhost:8221"},
		"node1:8221,http://node2:8222/":       {"node1:8221", "node2:8222"},
		"node1:8221, node2:8222":              {"node1:8221", "node2:8222"},
		"[::1]:8221":                          {"[::1]:8221"},
		"10.0.0.1:8221,db-1.example.com:8221": {"10.0.0.1:8221", "db-1.example.com:8221"},
	} {
		o, err := parseOptions([]string{"--node-id", "n", "--raft-port", "1", "--http-port", "2", "--join", arg}, nil)
		require.NoError(t, err, arg)
		assert.Equal(t, want, o.join)
	}
}

func TestEveryFlagMayComeFromTheEnvironmentButTheCommandLineWins(t *testing.T) {
	env := newEnvironment([]string{
		"DBDB_NODE_ID=fromenv", "DBDB_RAFT_PORT=2222", "DBDB_HTTP_PORT=8222", "DBDB_JOIN=localhost:8221", "DBDB_DATA_DIR=/data",
		"DBDB_BIND=0.0.0.0", "DBDB_ADVERTISE_HOST=node2", "DBDB_JOIN_TIMEOUT=5s", "DBDB_LOG_FORMAT=json", "DBDB_LOG_LEVEL=warn",
		"DBDB_BOOTSTRAP=", "DBDB_HTTP=localhost:1", "DBDB_TYPO=1", "PATH=/bin",
	})
	o, err := parseOptions([]string{"--node-id", "fromflag"}, env)
	require.NoError(t, err)
	assert.Equal(t, options{
		nodeID: "fromflag", raftPort: 2222, httpPort: 8222, join: []string{"localhost:8221"}, dataDir: "/data", bind: "0.0.0.0",
		advertiseHost: "node2", joinTimeout: 5 * time.Second, logFormat: "json", logLevel: 4, unknownEnv: []string{"DBDB_TYPO"},
	}, o)
}

func TestABadVariableIsNamed(t *testing.T) {
	for line, want := range map[string]string{
		"DBDB_RAFT_PORT=x":    `dbdb: invalid value "x" for DBDB_RAFT_PORT: it must be a number from 1 to 65535`,
		"DBDB_BOOTSTRAP=yes":  `dbdb: invalid value "yes" for DBDB_BOOTSTRAP: it must be true or false`,
		"DBDB_JOIN=localhost": `dbdb: invalid value "localhost" for DBDB_JOIN: "localhost" is not host:port, such as localhost:8221`,
	} {
		code, _, stderr := runOnce(t, []string{line}, "--node-id", "n", "--http-port", "2")
		assert.Equal(t, 2, code)
		assert.Equal(t, want+"\n"+usageLine, stderr)
	}
}

func TestBootstrapAndJoinExcludeEachOtherWhereverTheyComeFrom(t *testing.T) {
	code, _, stderr := runOnce(t, []string{"DBDB_JOIN=localhost:8221"}, "--node-id", "n", "--raft-port", "1", "--http-port", "2", "--bootstrap")
	assert.Equal(t, 2, code)
	assert.Contains(t, stderr, "cannot be used together")
}

func TestAnUnknownWordIsToldTheCommands(t *testing.T) {
	code, _, stderr := runOnce(t, nil, "serve", "--node-id", "n")
	assert.Equal(t, 2, code)
	assert.Equal(t, "dbdb: unknown command \"serve\": there are get, set, del, status, members remove, members, transfer, health, recover\nrun 'dbdb --help'\n", stderr)
}

func TestACommandFindsItsNode(t *testing.T) {
	for _, tc := range []struct {
		args []string
		env  environment
		want string
	}{
		{nil, nil, "localhost:8221"},
		{nil, environment{"DBDB_HTTP_PORT": "8223"}, "localhost:8223"},
		{nil, environment{"DBDB_HTTP_PORT": "8223", "DBDB_HTTP": "node1:1"}, "node1:1"},
		{[]string{"--http", "http://node2:2/"}, environment{"DBDB_HTTP": "node1:1"}, "node2:2"},
	} {
		c := new(client)
		_, err := c.parse(command{}, c.specs([]string{"http"}), tc.args, tc.env)
		require.NoError(t, err)
		assert.Equal(t, tc.want, c.target)
	}
}

func TestHealthWithABadCommandLineExitsWith2(t *testing.T) {
	code, _, stderr := runOnce(t, nil, "health", "--node-id", "n")
	assert.Equal(t, 2, code)
	assert.Equal(t, "dbdb: unknown flag --node-id\nusage: dbdb health [--http <address>]\n", stderr)
}

func TestHealthOfNobodyFails(t *testing.T) {
	code, stdout, stderr := runOnce(t, nil, "health", "--http", "127.0.0.1:1")
	assert.Equal(t, 1, code)
	assert.Empty(t, stdout)
	assert.Equal(t, "dbdb: no answer from 127.0.0.1:1: connection refused\n", stderr)
}

func TestTheHostThatOthersAreToldIsOneThatReachesUs(t *testing.T) {
	for _, tc := range []struct{ bind, advertise, local, want string }{
		{"localhost", "", "", "localhost"},
		{"localhost", "", "127.0.0.1", "localhost"},
		{"localhost", "", "::1", "localhost"},
		{"localhost", "db1", "10.0.0.2", "db1"},
		{"0.0.0.0", "", "", "localhost"},
		{"0.0.0.0", "", "127.0.0.1", "localhost"},
		{"0.0.0.0", "", "172.18.0.3", "172.18.0.3"},
		{"::", "", "172.18.0.3", "172.18.0.3"},
		{"0.0.0.0", "node1", "172.18.0.3", "node1"},
		{"10.0.0.5", "", "127.0.0.1", "10.0.0.5"},
		{"10.0.0.5", "", "", "10.0.0.5"},
		{"127.0.0.2", "", "", "127.0.0.2"},
	} {
		got, err := advertised(options{nodeID: "n", bind: tc.bind, advertiseHost: tc.advertise}, tc.local)
		require.NoError(t, err, tc)
		assert.Equal(t, tc.want, got, tc)
	}
}

func TestANodeThatListensOnLoopbackCannotJoinAClusterElsewhere(t *testing.T) {
	_, err := advertised(options{nodeID: "node2", bind: "localhost"}, "172.18.0.3")
	assert.EqualError(t, err, "node2 listens on localhost only, where the cluster cannot reach it: start it with --bind 0.0.0.0, or say with --advertise-host who forwards to it")
	assert.Equal(t, 2, exitCode(err))
}
