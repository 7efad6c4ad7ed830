package rpc

import (
	"bytes"
	"encoding/binary"
	"log/slog"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbdb/raft"
)

// chunkOutcome is how an InstallSnapshot ended.
type chunkOutcome struct {
	reply raft.InstallSnapshotReply
	err   error
	at    time.Time
}

func installSnapshot(c *Client, a raft.InstallSnapshotArgs) <-chan chunkOutcome {
	out := make(chan chunkOutcome, 2) // room for a second answer, which would be a bug
	c.InstallSnapshot(n2, a, func(r raft.InstallSnapshotReply, err error) { out <- chunkOutcome{r, err, time.Now()} })
	return out
}

// largestChunk is the first of two.
func largestChunk() raft.InstallSnapshotArgs {
	return raft.InstallSnapshotArgs{Term: 1, LeaderID: n1, LastIncludedIndex: 9, LastIncludedTerm: 1,
		Data: make([]byte, raft.MaxChunkBytes), Size: 2 * raft.MaxChunkBytes}
}

// chunkFunc answers an InstallSnapshot as it likes and the other calls at once.
type chunkFunc func(a raft.InstallSnapshotArgs, done func(raft.InstallSnapshotReply))

func (chunkFunc) RequestVote(a raft.RequestVoteArgs, done func(raft.RequestVoteReply)) {
	answering{}.RequestVote(a, done)
}

func (chunkFunc) AppendEntries(a raft.AppendEntriesArgs, done func(raft.AppendEntriesReply)) {
	answering{}.AppendEntries(a, done)
}

func (f chunkFunc) InstallSnapshot(a raft.InstallSnapshotArgs, done func(raft.InstallSnapshotReply)) {
	f(a, done)
}

func (chunkFunc) TimeoutNow(a raft.TimeoutNowArgs, done func(raft.TimeoutNowReply)) {
	answering{}.TimeoutNow(a, done)
}

func (chunkFunc) ReadIndex(a raft.ReadIndexArgs, done func(raft.ReadIndexReply)) {
	answering{}.ReadIndex(a, done)
}

// slowLink lets each connection bring 1 Mbit/s.
type slowLink struct{ *network }

func (l slowLink) Accept() (net.Conn, error) {
	conn, err := l.network.Accept()
	return slowConn{conn}, err
}

type slowConn struct{ net.Conn }

func (c slowConn) Read(p []byte) (int, error) {
	const bytesPerSecond = 1_000_000 / 8
	n, err := c.Conn.Read(p[:min(len(p), 4096)])
	time.Sleep(time.Duration(n) * time.Second / bytesPerSecond)
	return n, err
}

// With one connection for both, hashicorp/raft 1.5.0 had one election after the other
// while it sent a snapshot. The chunk takes longer than pieceTimeout, too.
func TestASlowChunkDelaysNoHeartbeat(t *testing.T) {
	clientBubble(t, func(t *testing.T, c *Client, n *network) {
		serve(t, slowLink{n}, answering{})
		begin := time.Now()
		chunk := installSnapshot(c, largestChunk())
		for time.Since(begin) < 8*time.Second {
			at := time.Now()
			require.NoError(t, callOnce(c))
			require.Less(t, time.Since(at), 10*time.Millisecond)
			time.Sleep(50 * time.Millisecond)
		}
		require.Empty(t, chunk, "the chunk is under way all the time")
		got := <-chunk
		require.NoError(t, got.err)
		assert.Equal(t, raft.InstallSnapshotReply{Term: 1, Offset: raft.MaxChunkBytes}, got.reply)
		assert.Less(t, got.at.Sub(begin), 10*time.Second)
	})
}

func TestChunksReachTheHandlerInTheOrderOfTheirCalls(t *testing.T) {
	var offsets []uint64
	l := listenTCP(t)
	serve(t, l, chunkFunc(func(a raft.InstallSnapshotArgs, done func(raft.InstallSnapshotReply)) {
		offsets = append(offsets, a.Offset) // one comes in at a time
		answering{}.InstallSnapshot(a, done)
	}))
	c := newClient(t, l.Addr().String(), patient)
	var want []uint64
	var calls []<-chan chunkOutcome
	for i := range uint64(200) {
		a := sampleChunk()
		a.Offset, a.Size = i*100, 1<<20
		want = append(want, a.Offset)
		calls = append(calls, installSnapshot(c, a))
	}
	for _, call := range calls {
		require.NoError(t, (<-call).err)
	}
	assert.Equal(t, want, offsets)
}

func TestAChunkBelongsToTheHandler(t *testing.T) {
	var kept [][]byte
	l := listenTCP(t)
	serve(t, l, chunkFunc(func(a raft.InstallSnapshotArgs, done func(raft.InstallSnapshotReply)) {
		kept = append(kept, a.Data)
		answering{}.InstallSnapshot(a, done)
	}))
	c := newClient(t, l.Addr().String(), patient)
	for _, data := range []string{"the first", "the other"} {
		a := sampleChunk()
		a.Data = []byte(data)
		require.NoError(t, (<-installSnapshot(c, a)).err)
	}
	assert.Equal(t, [][]byte{[]byte("the first"), []byte("the other")}, kept)
}

func TestAChunkHasTenSecondsAndTimeoutNowAsLongAsAHeartbeat(t *testing.T) {
	clientBubble(t, func(t *testing.T, c *Client, n *network) {
		blackHole(t, n)
		begin := time.Now()
		chunk := installSnapshot(c, largestChunk())
		handOver := make(chan time.Duration, 1)
		c.TimeoutNow(n2, raft.TimeoutNowArgs{Term: 1, LeaderID: n1}, func(_ raft.TimeoutNowReply, err error) {
			assert.ErrorIs(t, err, ErrTimeout)
			handOver <- time.Since(begin)
		})
		assert.Equal(t, 200*time.Millisecond, <-handOver)
		got := <-chunk
		assert.ErrorIs(t, got.err, ErrTimeout)
		assert.Equal(t, 10*time.Second, got.at.Sub(begin))
	})
}

// Its repetition would wait behind what is left of it.
func TestALateChunkCostsItsConnectionAndNothingElse(t *testing.T) {
	clientBubble(t, func(t *testing.T, c *Client, n *network) {
		serve(t, n, chunkFunc(func(a raft.InstallSnapshotArgs, done func(raft.InstallSnapshotReply)) {
			if a.Session == 0 {
				answering{}.InstallSnapshot(a, done)
			}
		}))
		require.NoError(t, callOnce(c))
		require.NoError(t, (<-installSnapshot(c, largestChunk())).err)
		require.Equal(t, 2, n.dialled())

		never := largestChunk()
		never.Session = 1
		assert.ErrorIs(t, (<-installSnapshot(c, never)).err, ErrTimeout)
		assert.True(t, c.Reachable(n2))
		require.NoError(t, callOnce(c))
		assert.Equal(t, 2, n.dialled(), "the connection of the heartbeats stays")
		require.NoError(t, (<-installSnapshot(c, largestChunk())).err)
		assert.Equal(t, 3, n.dialled())
	})
}

// connections is how many a server has.
func (s *Server) connections() int {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

func TestTheConnectionForSnapshotsIsMadeForTheFirstChunkAndClosedWhenIdle(t *testing.T) {
	clientBubble(t, func(t *testing.T, c *Client, n *network) {
		s := serve(t, n, answering{})
		require.NoError(t, callOnce(c))
		assert.Equal(t, 1, s.connections())
		for range 5 {
			require.NoError(t, (<-installSnapshot(c, largestChunk())).err)
			time.Sleep(snapshotIdle - time.Millisecond)
			assert.Equal(t, 2, s.connections())
		}
		time.Sleep(time.Millisecond)
		assert.Equal(t, 1, s.connections())
		assert.True(t, c.Reachable(n2))
		time.Sleep(time.Hour)
		require.NoError(t, (<-installSnapshot(c, largestChunk())).err)
		assert.Equal(t, 3, n.dialled(), "dialled at once, with no back-off")
	})
}

func TestAConnectionThatIsClosedWhenIdleIsNoNews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var log bytes.Buffer
		n := newNetwork()
		s := serve(t, n, answering{})
		c := newClient(t, "node2:2222", Options{Dial: n.Dial, Logger: slog.New(slog.NewTextHandler(lockedWriter{&mu, &log}, nil))})
		require.NoError(t, (<-installSnapshot(c, largestChunk())).err)
		time.Sleep(snapshotIdle)
		require.Zero(t, s.connections())
		mu.Lock()
		defer mu.Unlock()
		assert.NotContains(t, log.String(), "does not answer")
	})
}

func TestAMemberThatIsGoneOrMovedIsHungUpOnInBothLanes(t *testing.T) {
	for _, tc := range []struct {
		now  raft.Configuration
		want error
	}{{raft.Configuration{}, ErrUnknown}, {members("elsewhere:2222"), errReplace}} {
		never := chunkFunc(func(raft.InstallSnapshotArgs, func(raft.InstallSnapshotReply)) {})
		clientBubble(t, func(t *testing.T, c *Client, n *network) {
			s := serve(t, n, never)
			require.NoError(t, callOnce(c))
			chunk := installSnapshot(c, largestChunk())
			require.Equal(t, 2, s.connections())
			c.Configure(tc.now)
			assert.ErrorIs(t, (<-chunk).err, tc.want)
			assert.Zero(t, s.connections())
		})
	}
}

func TestASnapshotTellsNothingAboutReachability(t *testing.T) {
	clientBubble(t, func(t *testing.T, c *Client, n *network) {
		serve(t, n, answering{})
		require.NoError(t, (<-installSnapshot(c, largestChunk())).err)
		assert.False(t, c.Reachable(n2))
	})
}

// Each lane can break as often as it likes: it closes connections of its own alone.
func TestTheLanesOfAPeerDoNotEvictEachOther(t *testing.T) {
	for _, quiet := range []lane{laneCalls, laneSnapshots} {
		inBubble(t, answering{}, func(t *testing.T, n *network) {
			stays := n.connect(t)
			stays.greetFor(n1, quiet)
			var busy []*stranger
			for range 5 * MaxConnectionsPerPeer {
				s := n.connect(t)
				s.greetFor(n1, laneSnapshots-quiet)
				synctest.Wait()
				busy = append(busy, s)
			}
			busy[0].requireClosed()
			stays.sendFrame(kindReadIndexArgs, 1, EncodeReadIndexArgs(nil, raft.ReadIndexArgs{From: n1}))
			_, err := stays.reply()
			require.NoError(t, err)
		})
	}
}

func TestAServerOfAnotherVersionIsAnErrorThatSaysSo(t *testing.T) {
	clientBubble(t, func(t *testing.T, c *Client, n *network) {
		go func() {
			conn, _ := n.Accept()
			s := newStranger(t, conn)
			readHello(s.in)
			buf := welcome{testCluster, n2, "unknown format version 3"}.encode()
			buf[len(helloMagic)] = 1
			end := len(buf) - crcBytes
			binary.BigEndian.PutUint32(buf[end:], crcOf(buf[:end]))
			conn.Write(buf)
		}()
		var refused *RefusedError
		require.ErrorAs(t, callOnce(c), &refused)
		assert.Equal(t, "unknown format version 1: node1 speaks version 3; run the same dbdb on all servers", refused.Reason)
	})
}

// chunkFrame is an InstallSnapshot of the largest size as it crosses the wire.
func chunkFrame(t *testing.T) []byte {
	frame, err := endFrame(EncodeInstallSnapshotArgs(beginFrame(nil, kindInstallSnapshotArgs, 1), largestChunk()), 0)
	require.NoError(t, err)
	return frame
}

func TestAFrameMayTakeItsTimeWhileItMakesProgress(t *testing.T) {
	inBubble(t, answering{}, func(t *testing.T, n *network) {
		s, begin := n.connect(t), time.Now()
		s.greetFor(n1, laneSnapshots)
		rest := chunkFrame(t)
		for len(rest) > 0 {
			time.Sleep(pieceTimeout - time.Second)
			piece := min(pieceBytes, len(rest))
			_, err := s.Write(rest[:piece])
			require.NoError(t, err)
			rest = rest[piece:]
		}
		f, err := s.reply()
		require.NoError(t, err)
		assert.Equal(t, kindInstallSnapshotReply, f.kind)
		assert.Greater(t, time.Since(begin), time.Minute)
	})
}

func TestAFrameThatStopsAfterItsFirstPieceIsCutOffFiveSecondsLater(t *testing.T) {
	inBubble(t, answering{}, func(t *testing.T, n *network) {
		s := n.connect(t)
		s.greetFor(n1, laneSnapshots)
		_, err := s.Write(chunkFrame(t)[:pieceBytes+headerBytes])
		require.NoError(t, err)
		begin := time.Now()
		var dripping bytes.Reader
		dripping.Reset(chunkFrame(t)[pieceBytes+headerBytes:])
		for range 4 { // a byte a second is no progress
			time.Sleep(time.Second)
			b, _ := dripping.ReadByte()
			_, err := s.Write([]byte{b})
			require.NoError(t, err)
		}
		s.requireClosed()
		assert.Equal(t, pieceTimeout, time.Since(begin))
	})
}
