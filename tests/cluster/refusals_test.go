package cluster

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// refusal is a bad request and what it is told.
type refusal struct {
	name, method, target, body string
	headers                    []string
	status                     int
	code                       string // of the problem; "" for net/http's own refusals
}

// refusals are the bad requests that users, scripts and attackers send, as raw HTTP: a
// client library would not send half of them.
func refusals() []refusal {
	post := func(name, body string, status int, code string) refusal {
		return refusal{name: name, method: "POST", target: "/apply", body: body, status: status, code: code}
	}
	get := func(name, target string, status int, code string) refusal {
		return refusal{name: name, method: "GET", target: target, status: status, code: code}
	}
	member := func(method, target, body string, status int, code string) refusal {
		return refusal{name: method + " " + target, method: method, target: target, body: body, status: status, code: code}
	}
	return []refusal{
		post("not JSON", `op=set&key=x`, 400, "invalid_json"),
		post("nothing", ``, 400, "invalid_json"),
		post("null", `null`, 400, "invalid_json"),
		post("an array", `[]`, 400, "invalid_json"),
		post("two documents", `{"op":"del","key":"x"} {}`, 400, "invalid_json"),
		post("cut off", `{"op":"set","key":"x","value":"`, 400, "invalid_json"),
		post("no op", `{"key":"x","value":"1"}`, 400, "unknown_op"),
		post("an unknown op", `{"op":"delete","key":"x"}`, 400, "unknown_op"),
		post("no value", `{"op":"set","key":"x"}`, 400, "missing_value"),
		post("a misspelled field", `{"op":"set","key":"x","val":"1"}`, 400, "unknown_field"),
		post("a field twice", `{"op":"set","key":"x","key":"y","value":"1"}`, 400, "duplicate_field"),
		post("a number", `{"op":"set","key":"x","value":23}`, 400, "not_a_string"),
		post("null for a value", `{"op":"set","key":"x","value":null}`, 400, "not_a_string"),
		post("no key", `{"op":"set","value":"1"}`, 400, "missing_key"),
		post("an empty key", `{"op":"set","key":"","value":"1"}`, 400, "missing_key"),
		post("a value to delete", `{"op":"del","key":"x","value":"1"}`, 400, "unexpected_value"),
		post("bytes that are no UTF-8", "{\"op\":\"set\",\"key\":\"k\xff\",\"value\":\"1\"}", 400, "invalid_utf8"),
		post("half a surrogate", `{"op":"set","key":"\ud800","value":"1"}`, 400, "invalid_json"),
		post("a key that is too long", `{"op":"set","key":"`+strings.Repeat("k", 1025)+`","value":"1"}`, 413, "key_too_large"),
		post("a value that is too long", `{"op":"set","key":"x","value":"`+strings.Repeat("v", 1<<20+1)+`"}`, 413, "value_too_large"),
		{"a body that is too long", "POST", "/apply", "", []string{"Content-Length: 9000000"}, 413, "body_too_large"},
		{"a body that is packed", "POST", "/apply", `{"op":"del","key":"x"}`, []string{"Content-Encoding: gzip"}, 415, "encoded_body"},
		{"another site's page", "POST", "/apply", `{"op":"del","key":"x"}`, []string{"Sec-Fetch-Site: cross-site"}, 403, "cross_origin"},
		{"a name that points here", "POST", "/apply", `{"op":"del","key":"x"}`, []string{"Host: evil.example"}, 403, "foreign_host"},
		{"headers that are too long", "GET", "/get?key=x", "", []string{"X: " + strings.Repeat("x", 64<<10)}, 431, ""},
		get("no key to get", "/get", 400, "missing_key"),
		get("an empty key to get", "/get?key=", 400, "missing_key"),
		get("an unknown parameter", "/get?key=x&consistancy=stale", 400, "invalid_query"),
		get("a consistency that is none", "/get?key=x&consistency=strong", 400, "invalid_query"),
		get("a key that is no UTF-8", "/get?key=%ff", 400, "invalid_utf8"),
		get("a write by GET", "/apply", 405, "method_not_allowed"),
		get("an unknown path", "/set", 404, "not_found"),
		get("an unclean path", "//get?key=x", 404, "not_found"),
		member("DELETE", "/get?key=x", "", 405, "method_not_allowed"),
		member("DELETE", "/v1/members/node9", "", 404, "unknown_member"),
		member("DELETE", "/v1/members/node1", "", 409, "last_voter"),
		member("POST", "/v1/leader/transfer?to=node9", "", 404, "unknown_member"),
		member("POST", "/v1/leader/transfer", `{"too":"node1"}`, 400, "unknown_field"),
		member("POST", "/join", `{}`, 400, "invalid_joiner"),
		member("POST", "/join", `{"id":"../x","instance":"1","cluster":"","raftAddr":"a:1","httpAddr":"a:2"}`, 400, "invalid_joiner"),
		member("POST", "/join", `{"id":"node1","instance":"1","cluster":"","raftAddr":"localhost:1","httpAddr":"localhost:2"}`, 409, "name_taken"),
		member("POST", "/join", `{"id":"node2","instance":"1","cluster":"91bc","raftAddr":"localhost:1","httpAddr":"localhost:2"}`, 409, "other_cluster"),
		member("POST", "/join", `{"id":"node2","instance":"1","cluster":"","raftAddr":"10.0.0.9:1","httpAddr":"10.0.0.9:2"}`, 409, "leader_unreachable"),
	}
}

// Whatever is refused leaves no trace in the log.
func TestBadRequestsAreRefusedAndChangeNothing(t *testing.T) {
	servers := newCluster(t, 1)
	startAll(servers)
	node1 := servers[0]
	status, body := request(t, "POST", node1.url("/apply"), `{"op":"set","key":"x","value":"23"}`)
	require.Equal(t, 200, status, body)
	length := node1.status().LastIndex
	statuses := map[int]int{}
	for _, r := range refusals() {
		t.Run(r.name, func(t *testing.T) {
			resp, body := r.send(t, node1)
			assert.Equal(t, r.status, resp.StatusCode, body)
			statuses[resp.StatusCode]++
			if r.code != "" {
				assert.Equal(t, "application/problem+json", resp.Header.Get("Content-Type"))
				var problem struct {
					Title, Code, Detail string
					Status              int
				}
				require.NoError(t, json.Unmarshal([]byte(body), &problem), body)
				assert.Equal(t, r.code, problem.Code, body)
				assert.Equal(t, r.status, problem.Status)
				assert.NotEmpty(t, problem.Title)
				assert.NotEmpty(t, problem.Detail)
			}
			assert.Equal(t, length, node1.status().LastIndex, "the log has grown")
		})
	}
	_, body = request(t, "GET", node1.url("/get?key=x"), "")
	assert.Equal(t, "{\"data\":\"23\"}\n", body)
	t.Logf("%d bad requests, by status: %v; the log has %d entries before and after", len(refusals()), statuses, length)
}

// send writes the request as it is and reads the answer.
func (r refusal) send(t *testing.T, s *server) (*http.Response, string) {
	conn, err := net.Dial("tcp", net.JoinHostPort("localhost", strconv.Itoa(s.http)))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	head := fmt.Sprintf("%s %s HTTP/1.1\r\n", r.method, r.target)
	headers := strings.Join(r.headers, "\r\n")
	if !strings.Contains(headers, "Host:") {
		head += "Host: localhost\r\n"
	}
	if !strings.Contains(headers, "Content-Length:") {
		head += fmt.Sprintf("Content-Length: %d\r\n", len(r.body))
	}
	for _, h := range r.headers {
		head += h + "\r\n"
	}
	_, err = io.WriteString(conn, head+"\r\n"+r.body)
	require.NoError(t, err)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	if r.code != "" { // net/http hangs up on the rest of headers that are too long
		require.NoError(t, err)
	}
	return resp, string(body)
}
