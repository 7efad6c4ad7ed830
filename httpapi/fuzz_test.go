package httpapi

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"dbdb/kvstore"
	"dbdb/raft"

	"github.com/stretchr/testify/require"
)

// fuzzServer is a node that leads and always does what it is asked: whatever is answered
// with an error is the request's own fault. It stays the leader, as a request that is
// forwarded would leave the test.
func fuzzServer(t *testing.T) (*Server, *fake) {
	f := newFake(node1, node1)
	put(t, f, "x", "23")
	f.onTransfer = func() { f.info.Term, f.info.Leader = f.info.Term+1, node2.ID }
	return newServer(t, f, func(o *Options) { o.Logger = slog.New(slog.DiscardHandler) }), f
}

// changes is how often a client had something done.
func (f *fake) changes() int {
	return len(f.commands) + len(f.learners) + len(f.removals) + len(f.targets)
}

// FuzzRequest gives a request of any method, target, header and body to the handler. It
// does not panic, never blames the node, and says of what type its answer is. An answer of
// 4xx means that nothing was done; a command that was taken is the one that encoding/json
// finds in the body, and a value that was read is the one of the key that net/url finds
// in the query.
func FuzzRequest(f *testing.F) {
	set := []byte(`{"op":"set","key":"k","value":"v"}`)
	joiner := []byte(`{"id":"node3","instance":"cccccc","cluster":"","raftAddr":"localhost:2223","httpAddr":"localhost:8223"}`)
	f.Add("POST", "/apply", "", "", set)
	f.Add("POST", "/apply?redirect=1", "Content-Type", "application/json", []byte(`{"op":"del","key":"x"}`))
	f.Add("GET", "/get?key=x&consistency=stale", "", "", []byte{})
	f.Add("HEAD", "/get?key=x", "Origin", "http://localhost:8221", []byte{})
	f.Add("POST", "/join", "", "", joiner)
	f.Add("GET", "/v1/status", "Host", "evil.example", []byte{})
	f.Add("GET", "/v1/members", "", "", []byte{})
	f.Add("DELETE", "/v1/members/node2", "", "", []byte{})
	f.Add("POST", "/v1/leader/transfer?to=node2", "", "", []byte{})
	f.Add("POST", "/v1/leader/transfer", "Dbdb-Forwarded-By", "node3, node2", []byte(`{"to":"node2"}`))
	f.Add("GET", "/healthz", "", "", []byte{})
	f.Add("GET", "/readyz?verbose", "Sec-Fetch-Site", "cross-site", []byte{})
	f.Fuzz(func(t *testing.T, method, target, name, value string, body []byte) {
		r := requestOf(method, target, name, value, body)
		if r == nil {
			return
		}
		s, f := fuzzServer(t)
		before := f.info
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		requireHonest(t, w.Result(), w.Body.Bytes())
		switch {
		case w.Code >= 400:
			require.Zero(t, f.changes(), "%d, and something was done", w.Code)
			require.Equal(t, before, f.info)
		case r.URL.Path == "/apply":
			requireTaken(t, f, body)
		case r.URL.Path == "/get":
			requireRead(t, f, r.URL.RawQuery, w)
		}
	})
}

// requestOf makes a request as net/http would; nil if it would refuse the target.
func requestOf(method, target, name, value string, body []byte) *http.Request {
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return nil
	}
	r := &http.Request{
		Method: method, URL: u, Host: "localhost:8221", RequestURI: target, Header: http.Header{},
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
	}
	if name == "Host" {
		r.Host = value
	} else if name != "" {
		r.Header.Set(name, value)
	}
	return r
}

// requireHonest demands of every answer that it does not blame the node, and that its body
// has a type; an error of ours is a problem as RFC 9457 has it.
func requireHonest(t *testing.T, resp *http.Response, body []byte) {
	require.Less(t, resp.StatusCode, 500, "%s", body)
	if len(body) == 0 {
		return
	}
	switch resp.Header.Get("Content-Type") {
	case "application/problem+json":
		var p problemBody
		require.NoError(t, json.Unmarshal(body, &p))
		require.Equal(t, resp.StatusCode, p.Status)
	case "application/json":
		require.True(t, json.Valid(body))
	default:
		require.Contains(t, resp.Header.Get("Content-Type"), "text/plain")
	}
}

// requireTaken demands that the one command in the log is the one in the body.
func requireTaken(t *testing.T, f *fake, body []byte) {
	var m map[string]string
	require.NoError(t, json.Unmarshal(body, &m))
	op := map[string]kvstore.Op{"set": kvstore.Set, "del": kvstore.Del}[m["op"]]
	want, err := kvstore.Encode(kvstore.Command{Op: op, Key: []byte(m["key"]), Value: []byte(m["value"])})
	require.NoError(t, err)
	require.Equal(t, [][]byte{want}, f.commands)
	// encoding/json lets the last of two equal members win, and makes U+FFFD of what is
	// no character: two keys would become one.
	written := bytes.ToLower(body)
	if !bytes.Contains(written, []byte("\ufffd")) && !bytes.Contains(written, []byte(`\ufffd`)) {
		require.NotContains(t, string(want), "\ufffd")
	}
	tokens := 0
	for dec := json.NewDecoder(bytes.NewReader(body)); ; tokens++ {
		if _, err := dec.Token(); err == io.EOF {
			break
		}
	}
	require.Equal(t, 2+2*len(m), tokens, "a member is there twice")
}

// requireRead demands that the answer is about the key in the query.
func requireRead(t *testing.T, f *fake, query string, w *httptest.ResponseRecorder) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return // it refuses a semicolon, which is a byte like any other here
	}
	want, _, found := f.store.Get(values.Get("key"))
	var got struct{ Data string }
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
	require.Equal(t, want, got.Data)
	require.Equal(t, []string{map[bool]string{true: "true", false: "false"}[found]}, w.Header()["Dbdb-Found"])
}

// FuzzConnection sends any bytes to the whole server, net/http included. All goroutines of
// the connection end. What net/http answers by itself has its own form, and it may say
// that it does not implement something, which is a 5xx; for the rest it is as above. As
// many things were done as answers say at most.
func FuzzConnection(f *testing.F) {
	set := "POST /apply HTTP/1.1\r\nHost: localhost\r\nContent-Length: 34\r\n\r\n" + `{"op":"set","key":"k","value":"v"}`
	f.Add([]byte(set))
	f.Add([]byte(set + "GET /get?key=k HTTP/1.1\r\nHost: localhost\r\n\r\n"))
	f.Add([]byte("HEAD /readyz HTTP/1.0\r\n\r\n"))
	f.Add([]byte("POST /apply HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n" + "22\r\n" + `{"op":"set","key":"k","value":"v"}` + "\r\n0\r\n\r\n"))
	f.Add([]byte("DELETE /v1/members/node2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		synctest.Test(t, func(t *testing.T) {
			s, fake := fuzzServer(t)
			answers := converse(t, s, data, s.Serve)
			done := 0
			in, out := bufio.NewReader(bytes.NewReader(data)), bufio.NewReader(bytes.NewReader(answers))
			for {
				if _, err := out.Peek(1); err == io.EOF {
					break
				}
				if requireAnswer(t, in, out) {
					done++
				}
			}
			require.LessOrEqual(t, fake.changes(), done)
		})
	})
}

// converse serves one connection to its end and returns what the client received.
func converse(t *testing.T, s *Server, data []byte, serve func(net.Listener) error) []byte {
	conn := &canned{in: bytes.NewReader(data)}
	l := newOnce(conn)
	conn.closed = l.close
	require.ErrorIs(t, serve(l), net.ErrClosed)
	require.NoError(t, s.http.Close())
	return conn.out.Bytes()
}

// FuzzFastPath sends any bytes to two servers, one of which leaves all to net/http. To the
// last byte they answer the same. (Time stands still, so the dates are the same, too.)
func FuzzFastPath(f *testing.F) {
	set := "POST /apply HTTP/1.1\r\nHost: localhost\r\nContent-Length: 34\r\n\r\n" + `{"op":"set","key":"k","value":"v"}`
	get := "GET /get?key=k HTTP/1.1\r\nHost: localhost\r\n\r\n"
	f.Add([]byte(set + get + set))
	f.Add([]byte("GET /get?key=x&consistency=stale HTTP/1.1\r\nhost: 127.0.0.1:8221\r\nUser-Agent: curl/8\r\nAccept: */*\r\n\r\n"))
	f.Add([]byte("POST /apply HTTP/1.1\r\nHost: a b\r\nContent-Length: 2\r\n\r\n{}" + get))
	f.Add([]byte("POST /apply HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}" + get))
	f.Add([]byte("POST /apply HTTP/1.1\r\nHost: x\r\nContent-Length: +2\r\n\r\n{}" + get))
	f.Add([]byte("POST /apply HTTP/1.1\r\nHost: x\r\nContent-Length: 02\r\n\r\n{}" + get))
	f.Add([]byte("GET /get?key=k HTTP/1.1\r\nHost: x.com\r\n\r\n" + set))
	f.Add([]byte("GET /get?key=k HTTP/1.1\r\nHost:\r\n\r\n" + set))
	f.Add([]byte("GET /get?key=k HTTP/1.1\r\nHost: [::1]:1\r\nConnection: Keep-Alive\r\n\r\n" + set))
	f.Add([]byte("GET /get?key=k HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" + set))
	f.Add([]byte("GET /get?key=%zz#x HTTP/1.1\r\nHost: x\r\n\r\n" + set))
	f.Add([]byte("GET /get?key=k HTTP/1.1\nHost: x\n\n" + set))
	f.Add([]byte("GET /get?key=k HTTP/1.1\r\nHost : x\r\n\r\n" + set))
	f.Add([]byte("GET /get?key=k HTTP/1.1\r\n Host: x\r\n\r\n" + set))
	f.Add([]byte(set + "\r\n" + get))
	f.Add([]byte(set + "xy"))
	f.Fuzz(func(t *testing.T, data []byte) {
		synctest.Test(t, func(t *testing.T) {
			fast, done := fuzzServer(t)
			plain, wanted := fuzzServer(t)
			got := converse(t, fast, data, fast.Serve)
			want := converse(t, plain, data, func(l net.Listener) error {
				plain.onLoopback.Store(true)
				return plain.http.Serve(l)
			})
			require.Equal(t, string(want), string(got))
			require.Equal(t, wanted.changes(), done.changes())
		})
	})
}

// requireAnswer reads one answer to the next request, and says whether it is of success.
func requireAnswer(t *testing.T, in, out *bufio.Reader) bool {
	r, err := http.ReadRequest(in)
	if err == nil {
		_, _ = io.Copy(io.Discard, r.Body)
	}
	resp, err := http.ReadResponse(out, r)
	for err == nil && resp.StatusCode == http.StatusContinue {
		resp, err = http.ReadResponse(out, r)
	}
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	if resp.StatusCode == http.StatusNotImplemented || resp.StatusCode == http.StatusHTTPVersionNotSupported {
		require.Contains(t, resp.Header.Get("Content-Type"), "text/plain", "not from net/http")
		return false
	}
	requireHonest(t, resp, body)
	return resp.StatusCode < 300
}

// canned is a connection whose client has sent everything and listens to the end.
type canned struct {
	in     *bytes.Reader
	closed func()
	mu     sync.Mutex
	out    bytes.Buffer
}

func (c *canned) Read(b []byte) (int, error) { return c.in.Read(b) }

func (c *canned) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.Write(b)
}

func (c *canned) Close() error                     { c.closed(); return nil }
func (c *canned) LocalAddr() net.Addr              { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8221} }
func (c *canned) RemoteAddr() net.Addr             { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 50000} }
func (c *canned) SetDeadline(time.Time) error      { return nil }
func (c *canned) SetReadDeadline(time.Time) error  { return nil }
func (c *canned) SetWriteDeadline(time.Time) error { return nil }

// once is a listener with one connection.
type once struct {
	conns  chan net.Conn
	closed chan struct{}
	close  func()
}

func newOnce(c net.Conn) *once {
	l := &once{conns: make(chan net.Conn, 1), closed: make(chan struct{})}
	l.close = sync.OnceFunc(func() { close(l.closed) })
	l.conns <- c
	return l
}

func (l *once) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *once) Close() error {
	l.close()
	return nil
}

func (l *once) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8221} }

// FuzzQuery demands that a query which is accepted means what net/url takes it to mean,
// with no parameter that is unknown or there twice.
func FuzzQuery(f *testing.F) {
	f.Add("key=x&consistency=stale")
	f.Add("key=a+b%2Bc&&")
	f.Add("key=%")
	f.Add("key=a;b")
	f.Fuzz(func(t *testing.T, raw string) {
		got, refused := parseQuery(raw, "key", "consistency")
		if refused != nil {
			require.Equal(t, 400, refused.Status)
			return
		}
		want, err := url.ParseQuery(raw)
		if err != nil {
			return // it refuses a semicolon, which is a byte like any other here
		}
		require.Len(t, got, len(want))
		for name, value := range got {
			require.Contains(t, []string{"key", "consistency"}, name)
			require.Equal(t, []string{value}, want[name])
		}
	})
}

// FuzzMemberName demands that a path which names a member is, decoded, that name and
// nothing else: never one with a slash in it, which has become two elements by then, and
// never "..".
func FuzzMemberName(f *testing.F) {
	f.Add("/v1/members/node2")
	f.Add("/v1/members/node2.bbbbbb")
	f.Add("/v1/members/node%322")
	f.Add("/v1/members/node2%2Fx")
	f.Add("/v1/members/..")
	f.Fuzz(func(t *testing.T, target string) {
		u, err := url.ParseRequestURI(target)
		if err != nil {
			return
		}
		if name, ok := memberName(u); ok {
			require.Equal(t, memberPath+name, u.Path)
			require.NotContains(t, name, "/")
			require.LessOrEqual(t, len(name), raft.MaxNodeIDBytes)
			require.NotContains(t, []string{".", ".."}, name)
		}
	})
}
