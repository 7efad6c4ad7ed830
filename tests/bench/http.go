package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// client asks one server. It is for one goroutine.
type client interface {
	set(key, value string) error
	get(key string, stale bool) (value string, found bool, err error)
	close()
}

// errNotDone means that a write did certainly not happen. Any other error of set means
// that nobody can say.
var errNotDone = errors.New("not done")

func isNotDone(err error) bool { return errors.Is(err, errNotDone) }

// httpClient speaks to dbdb's API as cheaply as can be, since it shares the machine with
// the servers: one connection, requests written by hand, answers read only as far as they
// are judged.
type httpClient struct {
	addr    string
	timeout time.Duration
	conn    net.Conn // nil if there is none
	in      *bufio.Reader
	out     []byte
	body    []byte
}

func dialHTTP(addr string, n int, timeout time.Duration) (clients []client, err error) {
	for range n {
		clients = append(clients, &httpClient{addr: addr, timeout: timeout, in: bufio.NewReader(nil)})
	}
	return clients, nil
}

func (c *httpClient) set(key, value string) error {
	const before, between, after = `{"op":"set","key":"`, `","value":"`, `"}`
	c.out = append(c.out[:0], "POST /apply HTTP/1.1\r\nHost: localhost\r\nContent-Length: "...)
	c.out = strconv.AppendInt(c.out, int64(len(before)+len(key)+len(between)+len(value)+len(after)), 10)
	c.out = append(c.out, "\r\n\r\n"+before...)
	c.out = append(c.out, key...)
	c.out = append(c.out, between...)
	c.out = append(c.out, value...)
	c.out = append(c.out, after...)
	status, _, err := c.do()
	switch {
	case err != nil:
		return err
	case status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests:
		return fmt.Errorf("%w: %s", errNotDone, bytes.TrimSpace(c.body))
	case status != http.StatusOK:
		return fmt.Errorf("status %d: %s", status, bytes.TrimSpace(c.body))
	}
	return nil
}

func (c *httpClient) get(key string, stale bool) (value string, found bool, err error) {
	c.out = append(c.out[:0], "GET /get?key="...)
	c.out = append(c.out, key...)
	if stale {
		c.out = append(c.out, "&consistency=stale"...)
	}
	c.out = append(c.out, " HTTP/1.1\r\nHost: localhost\r\n\r\n"...)
	status, found, err := c.do()
	if err != nil {
		return "", false, err
	}
	rest, begins := bytes.CutPrefix(c.body, []byte(`{"data":"`))
	data, ends := bytes.CutSuffix(rest, []byte("\"}\n"))
	if status != http.StatusOK || !begins || !ends {
		return "", false, fmt.Errorf("status %d: %s", status, bytes.TrimSpace(c.body))
	}
	return string(data), found, nil
}

// do sends what is in out and reads the answer; the body is then in c.body. After an error
// the connection is not used any more: the answer could come later.
func (c *httpClient) do() (status int, found bool, err error) {
	if c.conn == nil {
		conn, err := net.DialTimeout("tcp", c.addr, c.timeout)
		if err != nil {
			return 0, false, fmt.Errorf("%w: %w", errNotDone, err)
		}
		c.conn = conn
		c.in.Reset(conn)
	}
	status, found, err = c.exchange()
	if err != nil {
		c.close()
	}
	return status, found, err
}

func (c *httpClient) exchange() (status int, found bool, err error) {
	if err := c.conn.SetDeadline(time.Now().Add(c.timeout)); err != nil {
		return 0, false, err
	}
	if _, err := c.conn.Write(c.out); err != nil {
		return 0, false, err
	}
	length := -1
	for first := true; ; first = false {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return 0, false, err
		}
		switch {
		case len(line) <= 2:
			if length < 0 {
				return 0, false, errors.New("an answer without a length")
			}
			c.body = append(c.body[:0], make([]byte, length)...)
			_, err := io.ReadFull(c.in, c.body)
			return status, found, err
		case first:
			if len(line) < len("HTTP/1.1 200") {
				return 0, false, fmt.Errorf("no HTTP: %q", line)
			}
			status, _ = strconv.Atoi(string(line[9:12]))
		case bytes.HasPrefix(line, []byte("Content-Length: ")):
			length, err = strconv.Atoi(string(bytes.TrimSpace(line[len("Content-Length: "):])))
			if err != nil {
				return 0, false, err
			}
		case bytes.HasPrefix(line, []byte("Dbdb-Found: true")):
			found = true
		}
	}
}

func (c *httpClient) close() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}

// web asks what is not measured.
var web = &http.Client{Timeout: time.Second}

// httpStatus is what a server of dbdb's API says of itself and of its cluster.
type httpStatus struct {
	State                    string
	Ready                    bool
	LastIndex, SnapshotIndex uint64
	Members                  []struct{ Role string }
}

func statusOf(n *node) (st httpStatus, err error) {
	resp, err := web.Get("http://" + n.http + "/v1/status")
	if err != nil {
		return st, err
	}
	defer func() { _ = resp.Body.Close() }()
	return st, json.NewDecoder(resp.Body).Decode(&st)
}

// httpView is what it says of its cluster alone.
func httpView(n *node) (view, error) {
	st, err := statusOf(n)
	if err != nil {
		return view{}, err
	}
	v := view{leads: st.State == "leader", ready: st.Ready}
	for _, m := range st.Members {
		if m.Role == "voter" {
			v.voters++
		}
	}
	return v, nil
}

// httpJoin asks a leader to add a server.
func httpJoin(leader, joiner *node) error {
	body := fmt.Sprintf(`{"id":%q,"instance":"h","cluster":"","raftAddr":%q,"httpAddr":%q}`, joiner.name, joiner.raft, joiner.http)
	resp, err := web.Post("http://"+leader.http+"/join", "application/json", strings.NewReader(body))
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		answer, _ := io.ReadAll(resp.Body)
		return fmt.Errorf("join: status %d: %s", resp.StatusCode, answer)
	}
	return nil
}
