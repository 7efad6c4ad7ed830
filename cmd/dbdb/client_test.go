package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAClientSetsGetsAndDeletes(t *testing.T) {
	inEmptyDirectory(t)
	n := newNode(t, "node1").start("--bootstrap").ready()
	env := []string{"DBDB_HTTP=" + n.addr()}
	for _, tc := range []struct {
		args           []string
		code           int
		stdout, stderr string
	}{
		{[]string{"get", "x"}, 3, "", "dbdb: key \"x\" not found\n"},
		{[]string{"set", "x", "23"}, 0, "", ""},
		{[]string{"get", "x"}, 0, "23\n", ""},
		{[]string{"get", "x", "-o", "json"}, 0, "{\"data\":\"23\"}\n", ""},
		{[]string{"get", "-o=json", "--http", n.addr(), "x"}, 0, "{\"data\":\"23\"}\n", ""},
		{[]string{"set", "--", "-k", "-v"}, 0, "", ""},
		{[]string{"get", "--", "-k"}, 0, "-v\n", ""},
		{[]string{"set", "a/b ?&%\n☃", `<"\`}, 0, "", ""},
		{[]string{"get", "a/b ?&%\n☃"}, 0, "<\"\\\n", ""},
		{[]string{"set", "x", ""}, 0, "", ""},
		{[]string{"get", "x"}, 0, "\n", ""},
		{[]string{"set", "-", "-o", "json", "1"}, 0, "{\"index\":7,\"term\":2}\n", ""},
		{[]string{"del", "x"}, 0, "", ""},
		{[]string{"del", "x", "-o", "json"}, 0, "{\"index\":9,\"term\":2}\n", ""},
		{[]string{"get", "x"}, 3, "", "dbdb: key \"x\" not found\n"},
		{[]string{"set", "x", "\xff"}, 2, "", "dbdb: the value is not valid UTF-8\nrun 'dbdb --help'\n"},
		{[]string{"set", "", "1"}, 1, "", "dbdb: the key is missing or empty\n"},
	} {
		code, stdout, stderr := runOnce(t, env, tc.args...)
		assert.Equal(t, tc.code, code, tc.args)
		assert.Equal(t, tc.stdout, stdout, tc.args)
		assert.Equal(t, tc.stderr, stderr, tc.args)
	}
}

func TestAClientShowsStatusAndMembersInColumns(t *testing.T) {
	inEmptyDirectory(t)
	n := newNode(t, "node1").start("--bootstrap").ready()
	eventually(t, "the leader's first entry is committed", func() bool { return n.status().AppliedIndex == 2 })
	st := n.status()
	code, stdout, stderr := runOnce(t, nil, "status", "--http", n.addr())
	assert.Zero(t, code, stderr)
	head := "node:     " + "node1 (" + st.ID + "), ready\n" +
		"cluster:  " + st.Cluster + "\n" +
		"state:    leader in term 2, leader node1\n" +
		"log:      committed 2, applied 2, last 2, snapshot 0\n" +
		"keys:     0\n\n"
	raft, http := hostPort("localhost", n.raftPort), n.addr()
	pad := func(head, cell string) string { return head + strings.Repeat(" ", len(cell)-len(head)) }
	assert.Equal(t, head+
		"NAME   ROLE   "+pad("RAFT", raft)+"  "+pad("HTTP", http)+"  REACHABLE  MATCH  CATCHING UP\n"+
		"node1  voter  "+raft+"  "+http+"  yes        -      -\n", stdout)

	code, stdout, _ = runOnce(t, nil, "members", "--http", n.addr())
	assert.Zero(t, code)
	assert.Equal(t, "NAME   ROLE   "+pad("RAFT", raft)+"  "+pad("HTTP", http)+"  ID\nnode1  voter  "+raft+"  "+http+"  "+st.ID+"\n", stdout)

	for command, path := range map[string]string{"status": "/v1/status", "members": "/v1/members"} {
		_, want := n.call("GET", path, "")
		_, stdout, _ = runOnce(t, nil, command, "-o", "json", "--http", n.addr())
		assert.Equal(t, want, stdout)
	}
}

// stub is a node, or what is mistaken for one, that gives one answer to everything.
func stub(t *testing.T, h http.HandlerFunc) (addr string) {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

func answering(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func TestAChangeTellsNotDoneFromUnknown(t *testing.T) {
	unknown := "it may or may not have been done"
	for name, tc := range map[string]struct {
		h    http.HandlerFunc
		code int
		want string
	}{
		"refused":           {answering(409, `{"code":"last_voter","detail":"node1 is the only voter"}`), 1, "node1 is the only voter"},
		"not done":          {answering(503, `{"code":"no_leader","detail":"nobody leads"}`), 1, "nobody leads"},
		"unknown":           {answering(504, `{"code":"outcome_unknown","detail":"who knows"}`), 4, "who knows"},
		"a broken answer":   {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 4, unknown},
		"a proxy's timeout": {answering(504, "<html>"), 4, "answered with status 504: " + unknown},
		"another program":   {answering(200, "hello"), 4, "did not answer like a dbdb node: " + unknown},
		"no such page":      {answering(404, "hello"), 1, "answered with status 404, not like a dbdb node"},
		"a redirect":        {http.RedirectHandler("/elsewhere", http.StatusTemporaryRedirect).ServeHTTP, 1, "answered with status 307, not like a dbdb node"},
	} {
		for _, args := range []string{"set x 1", "del x", "members remove node2", "transfer", "transfer node2"} {
			t.Run(name+": "+args, func(t *testing.T) {
				code, stdout, stderr := runOnce(t, []string{"DBDB_HTTP=" + stub(t, tc.h)}, strings.Fields(args)...)
				assert.Equal(t, tc.code, code)
				assert.Empty(t, stdout)
				assert.Contains(t, stderr, tc.want)
				assert.Equal(t, 1, strings.Count(stderr, "\n"), "one line: %q", stderr)
			})
		}
	}
}

func TestANodeThatIsNotThereDidNothing(t *testing.T) {
	for _, args := range []string{"get x", "set x 1", "del x", "status", "members", "members remove node2", "transfer", "health"} {
		code, stdout, stderr := runOnce(t, []string{"DBDB_HTTP=127.0.0.1:1"}, strings.Fields(args)...)
		assert.Equal(t, 1, code)
		assert.Empty(t, stdout)
		assert.Equal(t, "dbdb: no answer from 127.0.0.1:1: connection refused\n", stderr)
	}
}

func TestARemovalAndAHandOverSayWhatIsNow(t *testing.T) {
	var asked []string
	addr := stub(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		asked = append(asked, fmt.Sprintf("%s %s %s", r.Method, r.URL.EscapedPath(), body))
		if r.Method == http.MethodDelete {
			_, _ = io.WriteString(w, `{"cluster":"c","members":[{"name":"node1","id":"node1.a","role":"voter","raftAddr":"h:1","httpAddr":"h:2"}]}`)
			return
		}
		_, _ = io.WriteString(w, "{\"leader\":\"node2\"}\n")
	})
	env := []string{"DBDB_HTTP=" + addr}
	for _, tc := range []struct{ args, stdout, asked string }{
		{"members remove node2", "NAME   ROLE   RAFT  HTTP  ID\nnode1  voter  h:1   h:2   node1.a\n", "DELETE /v1/members/node2 "},
		{"members remove a/b", "NAME   ROLE   RAFT  HTTP  ID\nnode1  voter  h:1   h:2   node1.a\n", "DELETE /v1/members/a%2Fb "},
		{"transfer", "node2 leads\n", "POST /v1/leader/transfer {}"},
		{"transfer node2", "node2 leads\n", `POST /v1/leader/transfer {"to":"node2"}`},
		{"transfer -o json", "{\"leader\":\"node2\"}\n", "POST /v1/leader/transfer {}"},
	} {
		asked = nil
		code, stdout, stderr := runOnce(t, env, strings.Fields(tc.args)...)
		assert.Zero(t, code, stderr)
		assert.Equal(t, tc.stdout, stdout)
		assert.Equal(t, []string{tc.asked}, asked)
	}
}

func TestABadClientCommandLineExitsWith2AndShowsItsUsage(t *testing.T) {
	for args, want := range map[string]string{
		"get":                    "<key> is missing",
		"get x y":                `unexpected argument "y"`,
		"set x":                  "<value> is missing",
		"set x 1 2":              `unexpected argument "2"`,
		"set x -1":               "unknown flag -1",
		"del":                    "<key> is missing",
		"status x":               `unexpected argument "x"`,
		"status -o yaml":         `invalid value "yaml" for -o: use text or json`,
		"status -o":              "-o needs a value: -o <format>",
		"status --http x":        `invalid value "x" for --http: "x" is not host:port, such as localhost:8221`,
		"members add x":          `unexpected argument "add"`,
		"members remove":         "<name> is missing",
		"transfer a b":           `unexpected argument "b"`,
		"health -o json":         "unknown flag -o",
		"recover":                "--data-dir is missing",
		"recover x --data-dir y": `unexpected argument "x"`,
		"get x -o json -o json":  "-o is given twice",
	} {
		code, stdout, stderr := runOnce(t, nil, strings.Fields(args)...)
		assert.Equal(t, 2, code, args)
		assert.Empty(t, stdout)
		assert.Regexp(t, `^dbdb: [^\n]*\nusage: dbdb [^\n]*\n$`, stderr)
		assert.True(t, strings.HasPrefix(stderr, "dbdb: "+want+"\n"), stderr)
	}
}

func TestEveryCommandHasHelp(t *testing.T) {
	_, all, _ := runOnce(t, nil, "--help")
	for _, c := range commands {
		assert.Contains(t, all, "\n  "+c.name+" ")
		for _, flag := range []string{"--help", "-h"} {
			code, stdout, stderr := runOnce(t, nil, append(strings.Fields(c.name), flag)...)
			assert.Zero(t, code)
			assert.Empty(t, stderr)
			assert.True(t, strings.HasPrefix(stdout, "usage: dbdb "+c.name+" "), stdout)
			assert.Contains(t, stdout, "--help")
		}
	}
}

// A node may take a connection and say nothing.
func TestAClientThatGivesUpDoesNotKnow(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	c := &client{target: l.Addr().String(), stdout: os.Stdout}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = c.change(ctx, "POST", "/apply", []byte("{}"))
	assert.Equal(t, exitUnknown, exitCode(err), "it was sent")
}
