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
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const plainGet = "GET /get?key=x HTTP/1.1\r\nHost: x\r\n\r\n"

var plainSet = fmt.Sprintf("POST /apply HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(setX), setX)

// pipeServer serves one end of a pipe until the end of the test, and gives the other. It
// counts the connections that net/http is given.
func pipeServer(t *testing.T, s *Server) (client net.Conn, left *int) {
	near, far := net.Pipe()
	l := newOnce(far)
	left = new(int)
	s.http.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			*left++
		}
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	t.Cleanup(func() {
		near.Close()
		assert.NoError(t, s.Shutdown(context.Background()))
		<-ended
	})
	return near, left
}

func write(t *testing.T, conn net.Conn, request string) {
	_, err := io.WriteString(conn, request)
	require.NoError(t, err)
}

// ask sends a request and returns the status line of its answer.
func ask(t *testing.T, conn net.Conn, in *bufio.Reader, request string) string {
	write(t, conn, request)
	head, _ := rawAnswer(t, in)
	return head[:strings.Index(head, "\r\n")]
}

func TestPlainRequestsTakeTheFastPathUntilOneIsNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, f := leaderServer(t)
		conn, left := pipeServer(t, s)
		in := bufio.NewReader(conn)
		for range 3 {
			assert.Equal(t, "HTTP/1.1 200 OK", ask(t, conn, in, plainSet))
			assert.Equal(t, "HTTP/1.1 200 OK", ask(t, conn, in, plainGet))
		}
		assert.Zero(t, *left)
		assert.Equal(t, "HTTP/1.1 404 Not Found", ask(t, conn, in, "GET /gett HTTP/1.1\r\nHost: x\r\n\r\n"))
		assert.Equal(t, "HTTP/1.1 200 OK", ask(t, conn, in, plainSet))
		assert.Equal(t, 1, *left)
		assert.Equal(t, 4, f.seen())
	})
}

func TestARequestThatArrivesInPiecesIsLeftToTheServerThatCountsItsTime(t *testing.T) {
	for _, whole := range []string{plainSet, plainGet} {
		for cut := 1; cut < len(whole); cut++ {
			synctest.Test(t, func(t *testing.T) {
				s, _ := leaderServer(t)
				conn, left := pipeServer(t, s)
				write(t, conn, whole[:cut])
				assert.Equal(t, "HTTP/1.1 200 OK", ask(t, conn, bufio.NewReader(conn), whole[cut:]))
				assert.Equal(t, 1, *left)
			})
		}
	}
}

func TestABodyThatDoesNotComeEndsIn408AlsoFromTheFastPath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, f := leaderServer(t)
		conn, _ := pipeServer(t, s)
		begin := time.Now()
		got := ask(t, conn, bufio.NewReader(conn), strings.TrimSuffix(plainSet, "}"))
		assert.Equal(t, "HTTP/1.1 408 Request Timeout", got)
		assert.Equal(t, TransferTimeout, time.Since(begin))
		assert.Zero(t, f.seen())
	})
}

func TestAConnectionOnWhichNothingIsAskedIsClosedSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := leaderServer(t)
		conn, _ := pipeServer(t, s)
		begin := time.Now()
		_, err := conn.Read(make([]byte, 1))
		assert.ErrorIs(t, err, io.EOF)
		assert.Equal(t, ReadHeaderTimeout, time.Since(begin))
	})
}

func TestAnIdleConnectionIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := leaderServer(t)
		conn, _ := pipeServer(t, s)
		in := bufio.NewReader(conn)
		require.Equal(t, "HTTP/1.1 200 OK", ask(t, conn, in, plainGet))
		begin := time.Now()
		_, err := in.ReadByte()
		assert.ErrorIs(t, err, io.EOF)
		assert.InDelta(t, IdleTimeout, time.Since(begin), float64(deadlineSlack))
	})
}

func TestAnAnswerThatNobodyTakesEndsTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := leaderServer(t)
		conn, _ := pipeServer(t, s)
		write(t, conn, plainGet)
		time.Sleep(TransferTimeout + 2*deadlineSlack)
		_, err := conn.Read(make([]byte, 1))
		assert.ErrorIs(t, err, io.EOF)
	})
}

// waiting makes commands wait until their client is gone or the test lets them go on.
func waiting(f *fake) (release func(), gone *bool) {
	held := make(chan struct{})
	gone = new(bool)
	f.onApply = func(ctx context.Context) error {
		select {
		case <-held:
			return nil
		case <-ctx.Done():
			*gone = true
			return ErrOutcomeUnknown
		}
	}
	return func() { close(held) }, gone
}

func TestAClientThatHangsUpIsNoticedWhileItsRequestWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, f := leaderServer(t)
		_, gone := waiting(f)
		conn, _ := pipeServer(t, s)
		write(t, conn, plainSet)
		time.Sleep(time.Second)
		assert.False(t, *gone)
		conn.Close()
		synctest.Wait()
		assert.True(t, *gone)
	})
}

func TestTheNextRequestMayComeWhileOneWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, f := leaderServer(t)
		release, gone := waiting(f)
		conn, left := pipeServer(t, s)
		write(t, conn, plainSet)
		time.Sleep(time.Second)
		go func() { _, _ = io.WriteString(conn, plainGet) }()
		time.Sleep(time.Second)
		release()
		in := bufio.NewReader(conn)
		for range 2 {
			head, _ := rawAnswer(t, in)
			assert.Contains(t, head, "HTTP/1.1 200 OK")
		}
		assert.False(t, *gone)
		assert.Zero(t, *left)
	})
}

func TestAShutdownFinishesWhatIsUnderWayAndHangsUpOnTheIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, f := leaderServer(t)
		release, _ := waiting(f)
		conn, _ := pipeServer(t, s)
		write(t, conn, plainSet)
		synctest.Wait()
		ended := make(chan error, 1)
		go func() { ended <- s.Shutdown(context.Background()) }()
		time.Sleep(time.Second)
		assert.Empty(t, ended, "a request is under way")
		release()
		in := bufio.NewReader(conn)
		head, _ := rawAnswer(t, in)
		assert.Contains(t, head, "HTTP/1.1 200 OK")
		assert.Contains(t, head, "Connection: close")
		_, err := in.ReadByte()
		assert.ErrorIs(t, err, io.EOF)
		assert.NoError(t, <-ended)
	})
}

func TestAnIdleConnectionDoesNotDelayAShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := leaderServer(t)
		conn, _ := pipeServer(t, s)
		require.Equal(t, "HTTP/1.1 200 OK", ask(t, conn, bufio.NewReader(conn), plainGet))
		begin := time.Now()
		assert.NoError(t, s.Shutdown(context.Background()))
		assert.Zero(t, time.Since(begin))
	})
}

func TestAShutdownCutsOffWhatDoesNotEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, f := leaderServer(t)
		_, gone := waiting(f)
		conn, _ := pipeServer(t, s)
		write(t, conn, plainSet)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = s.Shutdown(ctx)
		synctest.Wait()
		assert.True(t, *gone)
	})
}

func TestAPanicOnTheFastPathIsA500(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, f := leaderServer(t)
		f.onApply = func(context.Context) error { panic("a bug") }
		conn, _ := pipeServer(t, s)
		assert.Equal(t, "HTTP/1.1 500 Internal Server Error", ask(t, conn, bufio.NewReader(conn), plainSet))
	})
}

func BenchmarkServe(b *testing.B) {
	for _, bench := range []struct{ name, request string }{
		{"get", "GET /get?key=x&consistency=stale HTTP/1.1\r\nHost: x\r\n\r\n"},
		{"get, not on the fast path", "GET /get?key=x&consistency=stale HTTP/1.1\r\nHost: x\r\nX: y\r\n\r\n"},
		{"set", plainSet},
		{"set, not on the fast path", strings.Replace(plainSet, "Host", "X: y\r\nHost", 1)},
	} {
		b.Run(bench.name, func(b *testing.B) {
			s, f := leaderServer(b)
			put(b, f, "x", strings.Repeat("v", 100))
			s.backend = accepting{s.backend}
			l, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(b, err)
			go func() { _ = s.Serve(l) }()
			defer s.Shutdown(b.Context())
			conn, err := net.Dial("tcp", l.Addr().String())
			require.NoError(b, err)
			defer conn.Close()
			answer := make([]byte, 1<<10)
			b.ReportAllocs()
			for b.Loop() {
				_, _ = io.WriteString(conn, bench.request)
				if n, err := conn.Read(answer); err != nil || !strings.HasPrefix(string(answer[:n]), "HTTP/1.1 200") {
					b.Fatalf("%v %q", err, answer[:n])
				}
			}
		})
	}
}
