package httpapi

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// listening serves s on a port of its own until the end of the test.
func listening(t *testing.T, s *Server) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		assert.NoError(t, s.Shutdown(ctx))
		assert.ErrorIs(t, <-ended, http.ErrServerClosed)
	})
	return l.Addr().String()
}

func dial(t *testing.T, addr string) net.Conn {
	conn, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	require.NoError(t, conn.SetDeadline(time.Now().Add(10*time.Second)))
	t.Cleanup(func() { conn.Close() })
	return conn
}

// answer reads one answer of a connection that was written to by hand.
func answer(t *testing.T, conn net.Conn) *http.Response {
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

func TestTheBytesOnTheWireAreThoseThatCurlShows(t *testing.T) {
	s, _ := leaderServer(t)
	conn := dial(t, listening(t, s))
	in := bufio.NewReader(conn)
	fmt.Fprintf(conn, "POST /apply HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(setX), setX)
	head, body := rawAnswer(t, in)
	assert.Contains(t, head, "HTTP/1.1 200 OK\r\n")
	assert.Contains(t, head, "Content-Length: 0\r\n")
	assert.NotContains(t, head, "Content-Type")
	assert.Empty(t, body)

	fmt.Fprint(conn, "GET /get?key=x HTTP/1.1\r\nHost: x\r\n\r\n")
	head, body = rawAnswer(t, in)
	assert.Contains(t, head, "ETag: \"17\"\r\n")
	assert.Equal(t, "{\"data\":\"23\"}\n", body)
}

// rawAnswer returns the head of an answer as it is on the wire, and its body.
func rawAnswer(t *testing.T, in *bufio.Reader) (head, body string) {
	length := 0
	for !strings.HasSuffix(head, "\r\n\r\n") {
		line, err := in.ReadString('\n')
		require.NoError(t, err)
		head += line
		_, _ = fmt.Sscanf(line, "Content-Length: %d", &length)
	}
	buf := make([]byte, length)
	_, err := io.ReadFull(in, buf)
	require.NoError(t, err)
	return head, string(buf)
}

func TestABodyThatIsAnnouncedTooLargeIsRefusedBeforeItIsSent(t *testing.T) {
	s, f := leaderServer(t)
	conn := dial(t, listening(t, s))
	fmt.Fprintf(conn, "POST /apply HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", MaxBodyBytes+1)
	resp := answer(t, conn)
	requireProblem(t, resp, 413, "body_too_large")
	assert.True(t, resp.Close, "the connection stays open for the rest of the body")
	assert.Zero(t, f.seen())
}

func TestABodyThatIsCutOffNeverReachesTheLog(t *testing.T) {
	s, f := leaderServer(t)
	conn := dial(t, listening(t, s))
	fmt.Fprintf(conn, "POST /apply HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(setX)+5, setX)
	require.NoError(t, conn.(*net.TCPConn).CloseWrite())
	requireProblem(t, answer(t, conn), 400, "invalid_json")
	assert.Zero(t, f.seen())
}

func TestABodyThatIsSentTooSlowlyEndsIn408(t *testing.T) {
	s, f := leaderServer(t)
	s.http.ReadTimeout = 50 * time.Millisecond
	conn := dial(t, listening(t, s))
	fmt.Fprintf(conn, "POST /apply HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
	requireProblem(t, answer(t, conn), 408, "request_timeout")
	assert.Zero(t, f.seen())
}

func TestHeadersThatAreSentTooSlowlyEndTheConnection(t *testing.T) {
	s, _ := leaderServer(t)
	s.http.ReadHeaderTimeout = 50 * time.Millisecond
	conn := dial(t, listening(t, s))
	fmt.Fprint(conn, "GET /get?key=x HTTP/1.1\r\nHost: ")
	_, err := io.Copy(io.Discard, conn)
	assert.NoError(t, err, "the server did not hang up")
}

func TestHeadersThatAreTooLargeEndIn431(t *testing.T) {
	s, _ := leaderServer(t)
	conn := dial(t, listening(t, s))
	go fmt.Fprintf(conn, "GET /get?key=x HTTP/1.1\r\nHost: x\r\nX-Large: %s\r\n\r\n", strings.Repeat("a", MaxHeaderBytes+8192))
	assert.Equal(t, 431, answer(t, conn).StatusCode)
}

func TestEveryTimeoutIsSet(t *testing.T) {
	s, _ := leaderServer(t)
	assert.Equal(t, 5*time.Second, s.http.ReadHeaderTimeout)
	assert.Equal(t, 60*time.Second, s.http.IdleTimeout)
	assert.Greater(t, s.http.WriteTimeout, s.writeDeadline+s.leaderWait)
	assert.Positive(t, s.http.ReadTimeout)
	assert.Less(t, s.peers.Transport.(*http.Transport).IdleConnTimeout, s.http.IdleTimeout)
}

func TestMoreClientsThanAllowedWaitForAPlace(t *testing.T) {
	s, _ := leaderServer(t)
	addr := listening(t, s)
	for range MaxConnections {
		dial(t, addr)
	}
	late := dial(t, addr)
	fmt.Fprint(late, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
	require.NoError(t, late.SetReadDeadline(time.Now().Add(50*time.Millisecond)))
	_, err := late.Read(make([]byte, 1))
	assert.ErrorContains(t, err, "timeout", "it was served")
}

func TestShutdownWaitsForAWriteInFlight(t *testing.T) {
	s, f := leaderServer(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	entered, release := make(chan struct{}), make(chan struct{})
	f.onApply = func(context.Context) error {
		close(entered)
		<-release
		return nil
	}
	status := make(chan int, 1)
	go func() {
		resp, err := http.Post("http://"+l.Addr().String()+"/apply", "", strings.NewReader(setX))
		if assert.NoError(t, err) {
			resp.Body.Close()
			status <- resp.StatusCode
		}
	}()
	<-entered
	stopped := make(chan error, 1)
	go func() { stopped <- s.Shutdown(context.Background()) }()
	assert.ErrorIs(t, <-ended, http.ErrServerClosed)
	close(release)
	assert.Equal(t, 200, <-status)
	assert.NoError(t, <-stopped)
}

func TestClientsThatGoAwayLeaveNothingBehind(t *testing.T) {
	s, f := leaderServer(t)
	addr := listening(t, s)
	gone := make(chan struct{}, 100)
	f.onApply = func(ctx context.Context) error {
		<-ctx.Done()
		gone <- struct{}{}
		return ErrOutcomeUnknown
	}
	for range 100 {
		conn := dial(t, addr)
		fmt.Fprintf(conn, "POST /apply HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(setX), setX)
		require.NoError(t, conn.Close())
	}
	for range 100 {
		select {
		case <-gone:
		case <-time.After(3 * time.Second): // less than the deadline of a write
			t.Fatal("a write still waits for a client that is gone")
		}
	}
}
