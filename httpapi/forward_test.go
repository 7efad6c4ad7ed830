package httpapi

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"dbdb/raft"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const setX = `{"op":"set","key":"x","value":"23"}`

// serving gives a handler a real port and returns the member that is reached there.
func serving(t *testing.T, m raft.Member, h http.Handler) raft.Member {
	ts := httptest.NewServer(h)
	t.Cleanup(ts.Close)
	m.HTTPAddr = strings.TrimPrefix(ts.URL, "http://")
	return m
}

// followerOf is node2, whose leader is node1 at m's address.
func followerOf(t *testing.T, m raft.Member, edit ...func(*Options)) (*Server, *fake) {
	f := newFake(node2, node1)
	f.info.Configuration.Members = []raft.Member{m, node2}
	s := newServer(t, f, edit...)
	t.Cleanup(s.peers.CloseIdleConnections)
	return s, f
}

func TestAWriteOnAFollowerIsForwardedAndAnsweredLikeOnTheLeader(t *testing.T) {
	leader, lf := leaderServer(t)
	s, f := followerOf(t, serving(t, node1, leader))
	w := send(s, "POST", "/apply", setX)
	assert.Equal(t, 200, w.Code)
	assert.Empty(t, w.Body.String())
	assert.Equal(t, http.Header{
		"Dbdb-Index": {"17"}, "Dbdb-Term": {"5"}, "Dbdb-Leader": {"node1"}, "Dbdb-Forwarded-By": {"node2"},
	}, w.Result().Header)
	assert.Zero(t, f.seen())
	assert.Equal(t, 1, lf.seen())
}

func TestAForwardedWriteIsSeenOnTheLeaderByteForByte(t *testing.T) {
	var got []byte
	var seen http.Header
	m := serving(t, node1, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got, _ = io.ReadAll(r.Body)
		seen = r.Header
	}))
	s, _ := followerOf(t, m)
	send(s, "POST", "/apply", setX, header("Cookie", "secret"), header("X-Anything", "1"))
	assert.Equal(t, setX, string(got))
	assert.Equal(t, "node2", seen.Get("Dbdb-Forwarded-By"))
	assert.NotContains(t, seen, "Cookie")
	assert.NotContains(t, seen, "X-Anything")
}

func TestABadWriteIsRefusedByTheFollowerItself(t *testing.T) {
	leader, lf := leaderServer(t)
	s, _ := followerOf(t, serving(t, node1, leader))
	requireProblem(t, send(s, "POST", "/apply", `{"op":"delete","key":"x"}`).Result(), 400, "unknown_op")
	assert.Zero(t, lf.seen())
}

func TestTheLeadersErrorsAreThoseOfTheFollower(t *testing.T) {
	for err, want := range map[error]Problem{
		ErrBusy: busy, ErrTimeout: notDone, ErrOutcomeUnknown: outcomeUnknown,
	} {
		leader, lf := leaderServer(t)
		lf.applyErr = err
		s, _ := followerOf(t, serving(t, node1, leader))
		w := send(s, "POST", "/apply", setX)
		requireProblem(t, w.Result(), want.Status, want.Code)
		assert.Equal(t, "node2", w.Header().Get("Dbdb-Forwarded-By"))
	}
}

func TestARedirectIsGivenToWhoAsksForIt(t *testing.T) {
	leader, lf := leaderServer(t)
	m := serving(t, node1, leader)
	s, _ := followerOf(t, m)
	w := send(s, "POST", "/apply?redirect=1", setX)
	assert.Equal(t, 307, w.Code)
	assert.Equal(t, "http://"+m.HTTPAddr+"/apply", w.Header().Get("Location"))
	assert.Zero(t, lf.seen())
	assert.Equal(t, 200, send(leader, "POST", "/apply?redirect=1", setX).Code, "a leader has nowhere to send to")
}

func TestAWriteThatCameThroughTwoNodesIsNotPassedOn(t *testing.T) {
	leader, lf := leaderServer(t)
	s, _ := followerOf(t, serving(t, node1, leader))
	requireProblem(t, send(s, "POST", "/apply", setX, header("Dbdb-Forwarded-By", "node4, node3")).Result(), 503, "not_leader")
	assert.Zero(t, lf.seen())
	assert.Equal(t, 200, send(s, "POST", "/apply", setX, header("Dbdb-Forwarded-By", "node3")).Code, "one hop is fine")
	assert.Equal(t, 1, lf.seen())
}

func TestTwoNodesThatTakeEachOtherForTheLeaderGiveUp(t *testing.T) {
	fa, fb := newFake(node1, node2), newFake(node2, node1)
	a, b := newServer(t, fa, soon), newServer(t, fb, soon)
	members := []raft.Member{serving(t, node1, a), serving(t, node2, b)}
	for _, f := range []*fake{fa, fb} {
		f.change(func(i *Info) { i.Configuration.Members = members })
	}
	requireProblem(t, send(a, "POST", "/apply", setX).Result(), 503, "no_leader")
	assert.Zero(t, fa.seen()+fb.seen())
}

func TestAForwardedWriteIsToldAtOnceThatThereIsNoLeader(t *testing.T) {
	s, f := leaderServer(t, func(o *Options) { o.LeaderWait = time.Hour })
	f.change(func(i *Info) { i.State, i.Leader = raft.Follower, "" })
	requireProblem(t, send(s, "POST", "/apply", setX, header("Dbdb-Forwarded-By", "node2")).Result(), 503, "not_leader")
}

// closedPort is an address where nobody listens.
func closedPort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return l.Addr().String()
}

func TestALeaderThatCannotBeDialedIsNotTheEnd(t *testing.T) {
	leader, lf := leaderServer(t)
	live := serving(t, node1, leader)
	dead := node1
	dead.HTTPAddr = closedPort(t)
	s, f := followerOf(t, dead)
	looks := &lookingBackend{fake: f, after: 3, then: func() {
		f.change(func(i *Info) { i.Configuration.Members = []raft.Member{live, node2} })
	}}
	s.backend = looks
	assert.Equal(t, 200, send(s, "POST", "/apply", setX).Code)
	assert.Equal(t, 1, lf.seen())
}

// lookingBackend changes the world after a number of looks at it.
type lookingBackend struct {
	*fake
	after int32
	looks atomic.Int32
	then  func()
}

func (b *lookingBackend) Info() Info {
	if b.looks.Add(1) == b.after {
		b.then()
	}
	return b.fake.Info()
}

func TestALeaderThatSteppedDownIsNotTheEnd(t *testing.T) {
	old, of := leaderServer(t)
	of.change(func(i *Info) { i.State, i.Leader = raft.Follower, "" })
	s, f := followerOf(t, serving(t, node1, old))
	s.backend = &lookingBackend{fake: f, after: 3, then: func() {
		f.change(func(i *Info) { i.State, i.Leader = raft.Leader, node2.ID })
	}}
	assert.Equal(t, 200, send(s, "POST", "/apply", setX).Code)
	assert.Equal(t, 1, f.seen())
	assert.Zero(t, of.seen())
}

func TestAWriteThatBreaksAfterItWasSentIsUnknownAndNotSentAgain(t *testing.T) {
	for name, breaks := range map[string]http.HandlerFunc{
		"before the answer": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"in the answer": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "half")
		},
	} {
		t.Run(name, func(t *testing.T) {
			var sent atomic.Int32
			m := serving(t, node1, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				sent.Add(1)
				breaks(w, r)
			}))
			s, _ := followerOf(t, m)
			requireProblem(t, send(s, "POST", "/apply", setX).Result(), 504, "outcome_unknown")
			assert.Equal(t, int32(1), sent.Load(), "a write was sent twice")
		})
	}
}

func TestAWriteIsNotSentAgainWhenAnIdleConnectionBreaks(t *testing.T) {
	var sent atomic.Int32
	m := serving(t, node1, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if sent.Add(1) == 2 {
			panic(http.ErrAbortHandler)
		}
	}))
	s, _ := followerOf(t, m)
	assert.Equal(t, 200, send(s, "POST", "/apply", setX).Code)
	requireProblem(t, send(s, "POST", "/apply", setX).Result(), 504, "outcome_unknown")
	assert.Equal(t, int32(2), sent.Load())
}

func TestALeaderThatNeverAnswersMakesTheOutcomeUnknown(t *testing.T) {
	release := make(chan struct{})
	m := serving(t, node1, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	t.Cleanup(func() { close(release) })
	s, _ := followerOf(t, m, func(o *Options) { o.WriteDeadline = 50 * time.Millisecond })
	requireProblem(t, send(s, "POST", "/apply", setX).Result(), 504, "outcome_unknown")
}

func TestARedirectFromALeaderIsNotFollowed(t *testing.T) {
	elsewhere, ef := leaderServer(t)
	target := serving(t, node3, elsewhere)
	m := serving(t, node1, http.RedirectHandler("http://"+target.HTTPAddr+"/apply", http.StatusTemporaryRedirect))
	s, _ := followerOf(t, m)
	assert.Equal(t, 307, send(s, "POST", "/apply", setX).Code)
	assert.Zero(t, ef.seen())
}

func TestWithoutALeaderAWriteWaitsTwoSecondsAndNamesWhoIsMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(node1, raft.Member{})
		start := time.Now()
		detail := requireProblem(t, send(newServer(t, f), "POST", "/apply", setX).Result(), 503, "no_leader")
		assert.Equal(t, "node1 can reach 1 of 2 voters; not reachable: node2 (localhost:2222)", detail)
		assert.InDelta(t, 2*time.Second, time.Since(start), float64(2*leaderPoll))
		assert.Zero(t, f.seen())
	})
}

func TestALeaderThatIsElectedWhileAWriteWaitsGetsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(node1, raft.Member{})
		time.AfterFunc(1500*time.Millisecond, func() {
			f.change(func(i *Info) { i.State, i.Leader = raft.Leader, node1.ID })
		})
		assert.Equal(t, 200, send(newServer(t, f), "POST", "/apply", setX).Code)
		assert.Equal(t, 1, f.seen())
	})
}

// Whoever starts two nodes and types the next command at once is not too early.
func TestANodeThatIsStillJoiningHoldsRequestsUntilItBelongs(t *testing.T) {
	for name, request := range map[string]func(*Server) int{
		"write": func(s *Server) int { return send(s, "POST", "/apply", setX).Code },
		"read":  func(s *Server) int { return send(s, "GET", "/get?key=x", "").Code },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(node1, node1)
				member := f.info
				f.info, f.readErr = Info{Name: "node1", Waits: "node1 is joining"}, ErrNotMember
				time.AfterFunc(1500*time.Millisecond, func() {
					f.change(func(i *Info) { *i, f.readErr = member, nil })
				})
				assert.Equal(t, 200, request(newServer(t, f)))
			})
		})
	}
}

func TestAWriteThatIsStuckInTheLogEndsAfterFiveSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, f := leaderServer(t)
		f.onApply = func(ctx context.Context) error {
			<-ctx.Done()
			return ErrOutcomeUnknown
		}
		start := time.Now()
		requireProblem(t, send(s, "POST", "/apply", setX).Result(), 504, "outcome_unknown")
		assert.Equal(t, 5*time.Second, time.Since(start))
	})
}

func TestALeaderThatLosesItsPlaceBeforeAppendingLetsTheNextOneDoIt(t *testing.T) {
	s, f := leaderServer(t)
	tries := 0
	f.onApply = func(context.Context) error {
		if tries++; tries < 3 {
			return ErrNotLeader
		}
		return nil
	}
	assert.Equal(t, 200, send(s, "POST", "/apply", setX).Code)
	assert.Equal(t, 1, f.seen())
}

func TestManyForwardedWritesDoNotMixTheirBodies(t *testing.T) {
	leader, lf := leaderServer(t)
	s, _ := followerOf(t, serving(t, node1, leader))
	var clients sync.WaitGroup
	for c := range 8 {
		clients.Go(func() {
			key := strings.Repeat(string(rune('a'+c)), 100)
			for range 25 {
				w := send(s, "POST", "/apply", `{"op":"set","key":"`+key+`","value":"`+key+`"}`)
				assert.Equal(t, 200, w.Code, w.Body)
			}
		})
	}
	clients.Wait()
	assert.Equal(t, 200, lf.seen())
	for _, cmd := range lf.commands {
		body := cmd[4:]
		assert.True(t, bytes.Equal(body, bytes.Repeat(body[:1], 200)), "%q", body)
	}
}
