package rpc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbdb/raft"
)

func TestEachCallBringsBackItsReply(t *testing.T) {
	l := listenTCP(t)
	serve(t, l, answering{})
	c := newClient(t, l.Addr().String(), patient)

	votes := make(chan raft.RequestVoteReply, 1)
	c.RequestVote(n2, raft.RequestVoteArgs{Term: 4, CandidateID: n1}, func(r raft.RequestVoteReply, err error) {
		assert.NoError(t, err)
		votes <- r
	})
	assert.Equal(t, raft.RequestVoteReply{Term: 4, VoteGranted: true}, <-votes)

	got := <-appendEntries(c, n2, sampleAppend())
	require.NoError(t, got.err)
	assert.Equal(t, raft.AppendEntriesReply{Term: 9, Success: true}, got.reply)

	chunk := <-installSnapshot(c, sampleChunk())
	require.NoError(t, chunk.err)
	assert.Equal(t, raft.InstallSnapshotReply{Term: 9, Offset: 1<<20 + 7}, chunk.reply)

	handedOver := make(chan raft.TimeoutNowReply, 1)
	c.TimeoutNow(n2, raft.TimeoutNowArgs{Term: 9, LeaderID: n1}, func(r raft.TimeoutNowReply, err error) {
		assert.NoError(t, err)
		handedOver <- r
	})
	assert.Equal(t, raft.TimeoutNowReply{Term: 9}, <-handedOver)

	reads := make(chan raft.ReadIndexReply, 1)
	c.ReadIndex(n2, raft.ReadIndexArgs{From: n1}, func(r raft.ReadIndexReply, err error) {
		assert.NoError(t, err)
		reads <- r
	})
	assert.Equal(t, raft.ReadIndexReply{Success: true, Index: 7}, <-reads)
}

func TestEntriesArriveAsTheyWereSent(t *testing.T) {
	got := make(chan raft.AppendEntriesArgs, 2)
	l := listenTCP(t)
	serve(t, l, handlerFunc(func(a raft.AppendEntriesArgs, done func(raft.AppendEntriesReply)) {
		got <- a
		done(raft.AppendEntriesReply{Term: a.Term, Success: true})
	}))
	c := newClient(t, l.Addr().String(), patient)
	large := heartbeat()
	large.Entries = []raft.Entry{{Index: 1, Term: 1, Kind: raft.EntryCommand, Data: make([]byte, 3<<20)}}
	large.Entries[0].Data[2<<20] = 7
	for _, a := range []raft.AppendEntriesArgs{sampleAppend(), large} {
		require.NoError(t, (<-appendEntries(c, n2, a)).err)
		assert.Equal(t, a, <-got)
	}
}

func TestACallThatCannotBeMadeEndsWithAnErrorAndNotInsideTheCall(t *testing.T) {
	c := newClient(t, "127.0.0.1:1", Options{})
	var mu sync.Mutex
	ended := make(chan error)
	for _, to := range []raft.NodeID{n1, n3} {
		mu.Lock() // a callback inside the call would stop here for ever
		c.AppendEntries(to, heartbeat(), func(_ raft.AppendEntriesReply, err error) {
			mu.Lock()
			defer mu.Unlock()
			ended <- err
		})
		mu.Unlock()
		want := map[raft.NodeID]error{n1: ErrSelf, n3: ErrUnknown}[to]
		assert.ErrorIs(t, <-ended, want)
	}
	c.Close()
	assert.ErrorIs(t, callOnce(c), ErrClosed)
}

// clientBubble runs a test in virtual time with a client of node1 that reaches
// node2 through n. A goroutine that the client leaves behind fails the test.
func clientBubble(t *testing.T, test func(t *testing.T, c *Client, n *network)) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		t.Cleanup(func() { n.Close() })
		test(t, newClient(t, "node2:2222", Options{Dial: n.Dial}), n)
	})
}

// blackHole welcomes every connection and then neither reads nor writes.
func blackHole(t *testing.T, n *network) {
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := n.Accept()
			if err != nil {
				return
			}
			s := newStranger(t, conn)
			wg.Go(func() { receiveHello(conn, s.in, identity(n2)) })
		}
	})
	t.Cleanup(func() {
		n.Close()
		wg.Wait()
	})
}

// net/rpc alone would wait for ever, and its caller with it (golang/go#33615).
func TestACallToABlackHoleEndsAtItsDeadline(t *testing.T) {
	clientBubble(t, func(t *testing.T, c *Client, n *network) {
		blackHole(t, n)
		begin := time.Now()
		first := appendEntries(c, n2, heartbeat())
		read := make(chan time.Duration, 1)
		c.ReadIndex(n2, raft.ReadIndexArgs{From: n1}, func(_ raft.ReadIndexReply, err error) {
			assert.ErrorIs(t, err, ErrTimeout)
			read <- time.Since(begin)
		})
		time.Sleep(50 * time.Millisecond)
		second := appendEntries(c, n2, heartbeat())

		got := <-first
		assert.ErrorIs(t, got.err, ErrTimeout)
		assert.Equal(t, 200*time.Millisecond, got.at.Sub(begin))
		assert.Equal(t, 250*time.Millisecond, (<-second).at.Sub(begin))
		assert.Equal(t, 500*time.Millisecond, <-read)
		assert.False(t, c.Reachable(n2))
		assert.ErrorIs(t, lastError(c, n2), ErrTimeout)
	})
}

func TestABlackHoleIsDialledAgainAfterFourSilences(t *testing.T) {
	clientBubble(t, func(t *testing.T, c *Client, n *network) {
		blackHole(t, n)
		for range maxSilences {
			assert.ErrorIs(t, callOnce(c), ErrTimeout)
			assert.Equal(t, 1, n.dialled(), "a time-out keeps its connection")
		}
		synctest.Wait()
		assert.ErrorIs(t, lastError(c, n2), errSilent)
		assert.ErrorIs(t, callOnce(c), errSilent, "fails fast during the back-off")
		time.Sleep(time.Second)
		assert.ErrorIs(t, callOnce(c), ErrTimeout)
		assert.Equal(t, 2, n.dialled())
	})
}

func TestCallsThatExpireTogetherAreOneSilence(t *testing.T) {
	clientBubble(t, func(t *testing.T, c *Client, n *network) {
		blackHole(t, n)
		var calls []<-chan outcome
		for range 2 * maxSilences {
			calls = append(calls, appendEntries(c, n2, heartbeat()))
		}
		for _, call := range calls {
			assert.ErrorIs(t, (<-call).err, ErrTimeout)
		}
		synctest.Wait()
		assert.NotNil(t, c.peer(n2).current(), "the connection stays")
	})
}

func TestALateReplyIsDroppedAndTheConnectionStays(t *testing.T) {
	clientBubble(t, func(t *testing.T, c *Client, n *network) {
		serve(t, n, handlerFunc(func(a raft.AppendEntriesArgs, done func(raft.AppendEntriesReply)) {
			time.AfterFunc(time.Duration(a.ReadRound), func() { done(raft.AppendEntriesReply{Term: a.Term, Success: true}) })
		}))
		slow := heartbeat()
		slow.ReadRound = uint64(300 * time.Millisecond)
		late := appendEntries(c, n2, slow)
		assert.ErrorIs(t, (<-late).err, ErrTimeout)
		time.Sleep(200 * time.Millisecond)
		synctest.Wait()
		assert.Empty(t, late, "done a second time")
		assert.True(t, c.Reachable(n2), "the late reply was a sign of life")
		assert.NoError(t, callOnce(c))
		assert.Equal(t, 1, n.dialled())
	})
}

// A net/rpc client whose connection broke answers ErrShutdown for ever (minio#3221).
func TestCallsSucceedAgainAfterThePeerRestarted(t *testing.T) {
	clientBubble(t, func(t *testing.T, c *Client, n *network) {
		for range 3 {
			s := NewServer(identity(n2), answering{}, discard)
			life := newNetwork()
			life.accept = n.accept
			go s.Serve(life)
			assert.NoError(t, callOnce(c))
			assert.True(t, c.Reachable(n2))
			s.Close()
			synctest.Wait()
			assert.False(t, c.Reachable(n2))
			assert.ErrorIs(t, lastError(c, n2), errHangUp)
		}
	})
}

func TestAServerThatIsDownIsDialledLessAndLessOften(t *testing.T) {
	down := errors.New("connect: connection refused")
	synctest.Test(t, func(t *testing.T) {
		var dials []time.Time
		c := newClient(t, "node2:2222", Options{Dial: func(context.Context, string) (net.Conn, error) {
			dials = append(dials, time.Now())
			return nil, down
		}})
		begin := time.Now()
		for time.Since(begin) < 10*time.Second {
			at := time.Now()
			assert.ErrorIs(t, callOnce(c), down)
			assert.Zero(t, time.Since(at), "a call in the back-off fails fast")
			time.Sleep(10 * time.Millisecond)
		}
		assert.ErrorIs(t, lastError(c, n2), down)
		for i := 1; i < len(dials); i++ {
			planned := min(50*time.Millisecond<<(i-1), time.Second)
			assert.InDelta(t, planned.Seconds(), dials[i].Sub(dials[i-1]).Seconds(), planned.Seconds()/4+0.010)
		}
		assert.InDelta(t, 13, len(dials), 3)
	})
}

func TestAServerThatWelcomesAndHangsUpIsNotDialledOncePerCall(t *testing.T) {
	clientBubble(t, func(t *testing.T, c *Client, n *network) {
		go func() {
			for {
				conn, err := n.Accept()
				if err != nil {
					return
				}
				receiveHello(conn, newStranger(t, conn).in, identity(n2))
				conn.Close()
			}
		}()
		for range 1000 {
			assert.Error(t, callOnce(c))
			time.Sleep(time.Millisecond)
		}
		assert.Less(t, n.dialled(), 8)
		n.Close()
	})
}

func TestADialThatHangsDoesNotHoldCallsBeyondTheirDeadline(t *testing.T) {
	clientBubble(t, func(t *testing.T, c *Client, n *network) {
		begin := time.Now() // nobody accepts
		got := <-appendEntries(c, n2, heartbeat())
		assert.ErrorIs(t, got.err, ErrTimeout)
		assert.Equal(t, 200*time.Millisecond, got.at.Sub(begin))
	})
}

func TestAServerThatDoesNotAnswerTheHelloIsGivenUp(t *testing.T) {
	clientBubble(t, func(t *testing.T, c *Client, n *network) {
		go func() {
			conn, _ := n.Accept()
			newStranger(t, conn) // reads nothing
		}()
		assert.ErrorIs(t, callOnce(c), ErrTimeout)
		time.Sleep(2 * time.Second)
		assert.ErrorIs(t, lastError(c, n2), errNoHello)
	})
}

func TestARefusalIsTheErrorOfTheCallAndOfTheMember(t *testing.T) {
	l := listenTCP(t)
	serve(t, l, answering{})
	c := NewClient(Identity{"91bc00ffee", n1}, patient)
	t.Cleanup(c.Close)
	c.Configure(members(l.Addr().String()))
	var refused *RefusedError
	require.ErrorAs(t, callOnce(c), &refused)
	assert.Equal(t, "cluster ID mismatch: node1 speaks for 91bc…, this cluster is 3f2a…", refused.Reason)
	assert.ErrorAs(t, lastError(c, n2), &refused)
	assert.False(t, c.Reachable(n2))
}

func TestANewAddressOfAMemberIsUsedAtOnce(t *testing.T) {
	one, two := listenTCP(t), listenTCP(t)
	serve(t, one, answering{})
	var reached atomic.Int32
	serve(t, two, handlerFunc(func(a raft.AppendEntriesArgs, done func(raft.AppendEntriesReply)) {
		reached.Add(1)
		done(raft.AppendEntriesReply{Term: a.Term, Success: true})
	}))
	c := newClient(t, one.Addr().String(), patient)
	require.NoError(t, callOnce(c))
	before := c.peer(n2)
	c.Configure(members(one.Addr().String()))
	assert.Same(t, before, c.peer(n2), "the same address keeps its connection")
	c.Configure(members(two.Addr().String()))
	require.NoError(t, callOnce(c))
	assert.EqualValues(t, 1, reached.Load())
}

func TestAMemberThatIsGoneIsHungUpOnAndItsOpenCallsEnd(t *testing.T) {
	clientBubble(t, func(t *testing.T, c *Client, n *network) {
		blackHole(t, n)
		open := appendEntries(c, n2, heartbeat())
		synctest.Wait()
		begin := time.Now()
		c.Configure(raft.Configuration{})
		assert.ErrorIs(t, (<-open).err, ErrUnknown)
		assert.ErrorIs(t, callOnce(c), ErrUnknown)
		assert.Zero(t, time.Since(begin))
	})
}

func TestCloseEndsOpenCallsAndWaitsForNothingElse(t *testing.T) {
	clientBubble(t, func(t *testing.T, c *Client, n *network) {
		blackHole(t, n)
		var calls []<-chan outcome
		for range 100 {
			calls = append(calls, appendEntries(c, n2, heartbeat()))
		}
		synctest.Wait()
		begin := time.Now()
		c.Close()
		for _, call := range calls {
			require.Len(t, call, 1, "Close waits for the callbacks")
			assert.ErrorIs(t, (<-call).err, ErrClosed)
		}
		assert.Zero(t, time.Since(begin))
	})
}

func TestCallsBeyondTheLimitAreRefused(t *testing.T) {
	clientBubble(t, func(t *testing.T, c *Client, n *network) {
		blackHole(t, n)
		var calls []<-chan outcome
		for range MaxOpenCalls {
			calls = append(calls, appendEntries(c, n2, heartbeat()))
		}
		assert.ErrorIs(t, callOnce(c), ErrBusy)
		for _, call := range calls {
			assert.ErrorIs(t, (<-call).err, ErrTimeout)
		}
		assert.ErrorIs(t, callOnce(c), ErrTimeout, "there is room again")
	})
}

// A peer that answers some calls and never others keeps its connection. The calls
// that it swallowed stay with net/rpc; beside them there must be room for others.
func TestRepliesAreNotLostToAPeerThatSwallowsCalls(t *testing.T) {
	clientBubble(t, func(t *testing.T, c *Client, n *network) {
		serve(t, n, handlerFunc(func(a raft.AppendEntriesArgs, done func(raft.AppendEntriesReply)) {
			if a.ReadRound%2 == 0 {
				done(raft.AppendEntriesReply{Term: a.Term, Success: true})
			}
		}))
		for i := range uint64(MaxOpenCalls - 10) {
			a := heartbeat()
			a.ReadRound = 2*i + 1
			swallowed := appendEntries(c, n2, a)
			require.NoError(t, callOnce(c))
			if i%50 == 0 {
				require.ErrorIs(t, (<-swallowed).err, ErrTimeout)
			}
		}
		assert.Equal(t, 1, n.dialled())
	})
}

func TestAMessageThatIsTooLongFailsAloneAndIsNotSent(t *testing.T) {
	l := listenTCP(t)
	serve(t, l, answering{})
	c := newClient(t, l.Addr().String(), patient)
	a := heartbeat()
	a.Entries = []raft.Entry{{Index: 1, Term: 1, Kind: raft.EntryCommand, Data: make([]byte, MaxFrameBytes)}}
	assert.ErrorContains(t, (<-appendEntries(c, n2, a)).err, fmt.Sprint(MaxFrameBytes))
	assert.NoError(t, callOnce(c))
}

func TestAReplyThatIsNoReplyEndsTheConnectionAndTheCall(t *testing.T) {
	for name, payload := range map[string]struct {
		kind    kind
		payload []byte
	}{
		"another kind":       {kindRequestVoteReply, EncodeRequestVoteReply(nil, raft.RequestVoteReply{Term: 1})},
		"garbage":            {kindAppendEntriesReply, []byte("garbage")},
		"term 0":             {kindAppendEntriesReply, []byte{0, 0, 0, 0}},
		"longer than replys": {kindAppendEntriesReply, make([]byte, 2*maxReplyBytes)},
	} {
		t.Run(name, func(t *testing.T) {
			clientBubble(t, func(t *testing.T, c *Client, n *network) {
				go func() {
					conn, _ := n.Accept()
					s := newStranger(t, conn)
					receiveHello(conn, s.in, identity(n2))
					r := frameReader{conn: conn, in: s.in, limit: MaxFrameBytes}
					f, _ := r.next()
					buf, _ := endFrame(append(beginFrame(nil, payload.kind, f.seq), payload.payload...), 0)
					conn.Write(buf)
				}()
				begin := time.Now()
				assert.ErrorContains(t, callOnce(c), "malformed")
				assert.Zero(t, time.Since(begin))
				assert.False(t, c.Reachable(n2))
			})
		})
	}
}

// Connections are cut at random moments while calls are made: each call must end
// exactly once, and calls must succeed again.
func TestEveryCallEndsExactlyOnceWhileConnectionsBreak(t *testing.T) {
	l := listenTCP(t)
	s := serve(t, l, answering{})
	c := newClient(t, l.Addr().String(), patient)
	const calls = 5000
	ended := make([]atomic.Int32, calls)
	var succeeded atomic.Int32
	var open sync.WaitGroup
	places := make(chan struct{}, 32)
	for i := range calls {
		places <- struct{}{}
		open.Add(1)
		c.AppendEntries(n2, heartbeat(), func(_ raft.AppendEntriesReply, err error) {
			if ended[i].Add(1) > 1 {
				return
			}
			if err == nil {
				succeeded.Add(1)
			}
			<-places
			open.Done()
		})
		if i%100 == 99 {
			s.mu.Lock()
			for _, conn := range s.conns {
				conn.conn.Close()
			}
			s.mu.Unlock()
		}
	}
	open.Wait()
	c.Close()
	for i := range ended {
		require.EqualValues(t, 1, ended[i].Load(), "call %d", i)
	}
	assert.Greater(t, succeeded.Load(), int32(calls/10))
}

// Else a call that comes between the end of a connection and the news of it would wait for
// its deadline.
func TestAConnectionThatHasEndedTakesNoCalls(t *testing.T) {
	c := newClient(t, "127.0.0.1:1", patient)
	conn := &clientConn{peer: c.peer(n2), err: errHangUp, ended: true}
	assert.ErrorIs(t, conn.peer.dispatch(nil, conn), errHangUp)
}
