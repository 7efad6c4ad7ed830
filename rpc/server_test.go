package rpc

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbdb/raft"
)

func TestAHelloIsRefusedWithAReason(t *testing.T) {
	l := listenTCP(t)
	serve(t, l, answering{})
	for name, c := range map[string]struct {
		me     Identity
		to     raft.NodeID
		reason string
	}{
		"another cluster":   {Identity{"91bc00ffee", n1}, n2, "cluster ID mismatch: node1 speaks for 91bc…, this cluster is 3f2a…"},
		"like cluster":      {Identity{"3f2axxxxxx", n1}, n2, "cluster ID mismatch: node1 speaks for 3f2axxxxxx, this cluster is " + testCluster},
		"wrong destination": {identity(n1), n3, "wrong destination: node1 looks for node3.cccccc, this server is node2.bbbbbb"},
		"own id":            {identity(n2), n2, "own id: the caller says that it is node2.bbbbbb, which is this server"},
	} {
		t.Run(name, func(t *testing.T) {
			s := connect(t, l.Addr().String())
			var refused *RefusedError
			require.ErrorAs(t, sendHello(s.Conn, s.in, c.me, c.to, laneCalls), &refused)
			assert.Equal(t, c.reason, refused.Reason)
			s.requireClosed()
			assert.Equal(t, refused, Meet(c.me, identity(n2), c.to), "without a connection, too")
		})
	}
	assert.NoError(t, Meet(identity(n1), identity(n2), n2))
}

func TestAHelloOfAnotherVersionIsToldWhichVersionsDiffer(t *testing.T) {
	l := listenTCP(t)
	serve(t, l, answering{})
	future := appendHello([]byte("a payload of the future"))
	future[len(helloMagic)] = 9
	end := len(future) - crcBytes
	binary.BigEndian.PutUint32(future[end:], crcOf(future[:end]))
	for version, buf := range map[string][]byte{"9": future, "1": helloOfVersion1(t)} {
		s := connect(t, l.Addr().String())
		_, err := s.Write(buf)
		require.NoError(t, err)
		_, payload, err := readHello(s.in)
		require.NoError(t, err)
		w, err := decodeWelcome(payload)
		require.NoError(t, err)
		assert.Equal(t, "unknown format version "+version+": node2 speaks version 3; run the same dbdb on all servers", w.reason)
		s.requireClosed()
	}
}

// helloOfVersion1 is what a server of the first version says: its golden file stays.
func helloOfVersion1(t *testing.T) []byte {
	dump, err := os.ReadFile("testdata/hello-version-1.hex")
	require.NoError(t, err)
	var buf []byte
	for line := range strings.Lines(string(dump)) {
		digits, _, _ := strings.Cut(line[8:], "|") // between the offset and the text
		bytes, err := hex.DecodeString(strings.Join(strings.Fields(digits), ""))
		require.NoError(t, err)
		buf = append(buf, bytes...)
	}
	require.EqualValues(t, 1, buf[len(helloMagic)])
	return buf
}

// inBubble runs a test in virtual time, with a server of node2 on a network of
// pipes. A goroutine that the server leaves behind fails the test.
func inBubble(t *testing.T, h Handler, test func(t *testing.T, n *network)) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		serve(t, n, h)
		test(t, n)
	})
}

func (n *network) connect(t *testing.T) *stranger {
	conn, err := n.Dial(t.Context(), "")
	require.NoError(t, err)
	return newStranger(t, conn)
}

func TestWhatIsNotAHelloIsHungUpOnAtOnce(t *testing.T) {
	for name, bytes := range map[string]string{
		"HTTP":        "GET /raft HTTP/1.1\r\nHost: node1\r\n\r\n",
		"TLS":         "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
		"nearly":      "dbdb-rafT\x02",
		"zeros":       strings.Repeat("\x00", 100),
		"long hello":  helloMagic + "\x02\xff\xff",
		"wrong crc":   helloMagic + "\x02\x00\x00\x01\x02\x03\x04",
		"empty hello": string(appendHello(nil)),
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, answering{}, func(t *testing.T, n *network) {
				s, begin := n.connect(t), time.Now()
				go s.Write([]byte(bytes)) // the server may hang up before it has read all
				s.requireClosed()
				assert.Zero(t, time.Since(begin))
			})
		})
	}
}

func TestAHelloThatArrivesOneByteASecondIsCutOffAfterFiveSeconds(t *testing.T) {
	inBubble(t, answering{}, func(t *testing.T, n *network) {
		s, begin := n.connect(t), time.Now()
		var dripping sync.WaitGroup
		dripping.Go(func() {
			for _, b := range (hello{testCluster, n1, n2, laneCalls}).encode() {
				if _, err := s.Write([]byte{b}); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		})
		s.requireClosed()
		assert.Equal(t, helloTimeout, time.Since(begin))
		dripping.Wait()
	})
}

func TestAFrameThatStopsHalfWayIsCutOffFiveSecondsAfterItsFirstByte(t *testing.T) {
	inBubble(t, answering{}, func(t *testing.T, n *network) {
		s := n.connect(t)
		s.greet(n1)
		time.Sleep(time.Hour) // an idle connection may stay
		begin := time.Now()
		_, err := s.Write([]byte{0})
		require.NoError(t, err)
		time.Sleep(3 * time.Second)
		_, err = s.Write([]byte{0, 0, 9})
		require.NoError(t, err)
		s.requireClosed()
		assert.Equal(t, pieceTimeout, time.Since(begin))
	})
}

func TestAFrameThatArrivesInPiecesLeavesNoDeadlineBehind(t *testing.T) {
	inBubble(t, answering{}, func(t *testing.T, n *network) {
		s := n.connect(t)
		s.greet(n1)
		for range 3 {
			buf, err := endFrame(EncodeReadIndexArgs(beginFrame(nil, kindReadIndexArgs, 4), raft.ReadIndexArgs{From: n1}), 0)
			require.NoError(t, err)
			for _, piece := range [][]byte{buf[:5], buf[5:12], buf[12:]} {
				_, err := s.Write(piece)
				require.NoError(t, err)
				time.Sleep(time.Second)
			}
			f, err := s.reply()
			require.NoError(t, err)
			assert.Equal(t, kindReadIndexReply, f.kind)
			time.Sleep(time.Hour)
		}
	})
}

func TestAFrameTooLongForThisProtocolEndsTheConnectionAtOnce(t *testing.T) {
	for _, length := range []uint32{0, 1, MaxFrameBytes + 1, 1 << 31, 1<<32 - 1} {
		inBubble(t, answering{}, func(t *testing.T, n *network) {
			s, begin := n.connect(t), time.Now()
			s.greet(n1)
			go s.Write(append(binary.BigEndian.AppendUint32(nil, length), 0, 0, 0, 0, byte(kindAppendEntriesArgs)))
			s.requireClosed()
			assert.Zero(t, time.Since(begin))
		})
	}
}

// 64 connections that each claim the largest frame and send a few bytes of it would
// take 1 GiB if the claim were believed.
func TestAClaimedLengthIsNotWorthAnAllocation(t *testing.T) {
	inBubble(t, answering{}, func(t *testing.T, n *network) {
		before := allocated()
		for i := range 64 {
			s := n.connect(t)
			s.greet(raft.NodeID("node" + string(rune('A'+i))))
			bomb := append(binary.BigEndian.AppendUint32(nil, MaxFrameBytes), 0, 0, 0, 0, byte(kindAppendEntriesArgs), 1)
			_, err := s.Write(bomb)
			require.NoError(t, err)
		}
		synctest.Wait()
		assert.Less(t, allocated()-before, uint64(64)*4*pieceBytes)
	})
}

func TestAnUnknownKindOfRequestIsAnsweredWithAnError(t *testing.T) {
	inBubble(t, answering{}, func(t *testing.T, n *network) {
		s := n.connect(t)
		s.greet(n1)
		s.sendFrame(99, 5, []byte("from the future"))
		f, err := s.reply()
		require.NoError(t, err)
		assert.Equal(t, kindError, f.kind)
		assert.EqualValues(t, 5, f.seq)
		assert.Contains(t, string(f.payload), "Raft.Kind99")

		s.sendFrame(kindReadIndexArgs, 6, EncodeReadIndexArgs(nil, raft.ReadIndexArgs{From: n1}))
		f, err = s.reply()
		require.NoError(t, err)
		assert.Equal(t, kindReadIndexReply, f.kind, "the connection goes on")
	})
}

func TestWhatCannotBeValidNeverReachesTheHandler(t *testing.T) {
	insane := raft.AppendEntriesArgs{Term: 1, LeaderID: n1, Entries: []raft.Entry{{Index: 7, Term: 1}}}
	foreign := raft.AppendEntriesArgs{Term: 1, LeaderID: n3}
	for name, payload := range map[string][]byte{
		"garbage":                   []byte("garbage"),
		"nothing":                   nil,
		"a hole before the entries": EncodeAppendEntriesArgs(nil, insane),
		"another server's message":  EncodeAppendEntriesArgs(nil, foreign),
		"a byte too many":           append(EncodeAppendEntriesArgs(nil, heartbeat()), 0),
	} {
		t.Run(name, func(t *testing.T) {
			var reached atomic.Int32
			h := handlerFunc(func(raft.AppendEntriesArgs, func(raft.AppendEntriesReply)) { reached.Add(1) })
			inBubble(t, h, func(t *testing.T, n *network) {
				s := n.connect(t)
				s.greet(n1)
				s.sendFrame(kindAppendEntriesArgs, 1, payload)
				s.requireClosed()
				synctest.Wait()
				assert.Zero(t, reached.Load())
			})
		})
	}
}

func TestAFrameWithOneFlippedBitEndsTheConnection(t *testing.T) {
	good, err := endFrame(EncodeAppendEntriesArgs(beginFrame(nil, kindAppendEntriesArgs, 1), heartbeat()), 0)
	require.NoError(t, err)
	for bit := 4 * 8; bit < len(good)*8; bit++ { // a flip in the length is another test's
		bad := bytes.Clone(good)
		bad[bit/8] ^= 1 << (bit % 8)
		inBubble(t, handlerFunc(func(raft.AppendEntriesArgs, func(raft.AppendEntriesReply)) {
			panic("damaged message handled")
		}), func(t *testing.T, n *network) {
			s := n.connect(t)
			s.greet(n1)
			_, err := s.Write(bad)
			require.NoError(t, err)
			s.requireClosed()
		})
	}
}

func TestAThousandConnectionsOfOnePeerLeaveTheNewestFour(t *testing.T) {
	inBubble(t, answering{}, func(t *testing.T, n *network) {
		var all []*stranger
		for range 1000 {
			s := n.connect(t)
			s.greet(n1)
			synctest.Wait()
			all = append(all, s)
		}
		for _, s := range all[:996] {
			s.requireClosed()
		}
		for _, s := range all[996:] {
			s.sendFrame(kindReadIndexArgs, 1, EncodeReadIndexArgs(nil, raft.ReadIndexArgs{From: n1}))
			_, err := s.reply()
			require.NoError(t, err)
		}
	})
}

func TestSilentConnectionsDoNotLockAMemberOut(t *testing.T) {
	inBubble(t, answering{}, func(t *testing.T, n *network) {
		var silent []*stranger
		for range 2 * MaxConnections {
			silent = append(silent, n.connect(t))
		}
		begin := time.Now()
		n.connect(t).greet(n1)
		assert.Zero(t, time.Since(begin))
		silent[0].requireClosed()
		assert.Zero(t, time.Since(begin), "the oldest had to go before its hello timed out")
	})
}

func TestConnectionsBeyondTheLimitAreRefusedWhenAllHaveIntroducedThemselves(t *testing.T) {
	inBubble(t, answering{}, func(t *testing.T, n *network) {
		for i := range MaxConnections {
			n.connect(t).greet(raft.NodeID("x" + string(rune('a'+i%26)) + string(rune('a'+i/26))))
		}
		synctest.Wait()
		begin := time.Now()
		n.connect(t).requireClosed()
		assert.Zero(t, time.Since(begin))
	})
}

func TestAFloodOfGarbageIsOneLineInTheLogAndThenACount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var log bytes.Buffer
		n := newNetwork()
		s := NewServer(identity(n2), answering{}, slog.New(slog.NewTextHandler(lockedWriter{&mu, &log}, nil)))
		go s.Serve(n)
		defer s.Close()
		flood := func(garbage string) {
			for range 50 {
				c := n.connect(t)
				go c.Write([]byte(garbage))
				c.requireClosed()
			}
			synctest.Wait()
		}
		lines := func() int {
			mu.Lock()
			defer mu.Unlock()
			return strings.Count(log.String(), "\n")
		}
		flood("GET / HTTP/1.1\r\n")
		assert.Equal(t, 1, lines())
		time.Sleep(logEvery)
		flood("\x16\x03\x01")
		assert.Equal(t, 2, lines())
		assert.Contains(t, log.String(), "suppressed=49")
	})
}

type lockedWriter struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

func TestCloseDoesNotWaitForRepliesThatNeverCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		never := handlerFunc(func(raft.AppendEntriesArgs, func(raft.AppendEntriesReply)) {})
		s := NewServer(identity(n2), never, discard)
		served := make(chan error, 1)
		go func() { served <- s.Serve(n) }()
		c := n.connect(t)
		c.greet(n1)
		for seq := range uint64(10) {
			c.sendFrame(kindAppendEntriesArgs, seq, EncodeAppendEntriesArgs(nil, heartbeat()))
		}
		synctest.Wait()
		begin := time.Now()
		s.Close()
		assert.NoError(t, <-served)
		assert.Zero(t, time.Since(begin))
		assert.NoError(t, s.Serve(newNetwork()), "a closed server serves nothing")
	})
}

func TestTooManyRequestsWithoutAReplyEndTheConnection(t *testing.T) {
	never := handlerFunc(func(raft.AppendEntriesArgs, func(raft.AppendEntriesReply)) {})
	inBubble(t, never, func(t *testing.T, n *network) {
		s := n.connect(t)
		s.greet(n1)
		for seq := range uint64(maxUnanswered) {
			s.sendFrame(kindAppendEntriesArgs, seq, EncodeAppendEntriesArgs(nil, heartbeat()))
		}
		synctest.Wait()
		s.sendFrame(kindAppendEntriesArgs, maxUnanswered, EncodeAppendEntriesArgs(nil, heartbeat()))
		s.requireClosed()
	})
}

// A follower syncs many requests at once; their replies must leave together, each
// for its own request.
func TestRepliesThatComeInACrowdAreAllSent(t *testing.T) {
	const crowd = 200
	var mu sync.Mutex
	var waiting []func()
	inBubble(t, handlerFunc(func(a raft.AppendEntriesArgs, done func(raft.AppendEntriesReply)) {
		mu.Lock()
		defer mu.Unlock()
		waiting = append(waiting, func() { done(raft.AppendEntriesReply{Term: a.Term, Success: true}) })
	}), func(t *testing.T, n *network) {
		s := n.connect(t)
		s.greet(n1)
		for seq := range uint64(crowd) {
			s.sendFrame(kindAppendEntriesArgs, seq, EncodeAppendEntriesArgs(nil, raft.AppendEntriesArgs{Term: raft.Term(seq + 1), LeaderID: n1}))
		}
		synctest.Wait()
		mu.Lock()
		for _, answer := range waiting {
			answer()
		}
		mu.Unlock()
		seen := map[uint64]bool{}
		for range crowd {
			f, err := s.reply()
			require.NoError(t, err)
			r, err := DecodeAppendEntriesReply(f.payload)
			require.NoError(t, err)
			assert.EqualValues(t, f.seq+1, r.Term)
			seen[f.seq] = true
		}
		assert.Len(t, seen, crowd)
	})
}

// shortage is a listener that runs out of file descriptors twice.
type shortage struct {
	net.Listener
	left atomic.Int32
}

type temporary struct{ error }

func (temporary) Temporary() bool { return true }

func (s *shortage) Accept() (net.Conn, error) {
	if s.left.Add(-1) >= 0 {
		return nil, temporary{context.DeadlineExceeded}
	}
	return s.Listener.Accept()
}

func TestAShortageOfFileDescriptorsDoesNotMakeTheServerDeaf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		l := &shortage{Listener: n}
		l.left.Store(2)
		serve(t, l, answering{})
		n.connect(t).greet(n1)
	})
}

// What was answered counts no more: else a long transfer would end in the middle.
func TestMuchMayCrossAConnectionIfItIsAnswered(t *testing.T) {
	l := listenTCP(t)
	serve(t, l, answering{})
	c := newClient(t, l.Addr().String(), patient)
	ended := make(chan error, 1)
	chunk := raft.InstallSnapshotArgs{Term: 1, LeaderID: n1, LastIncludedIndex: 1, LastIncludedTerm: 1, Data: make([]byte, raft.MaxChunkBytes), Size: 1 << 40}
	for range maxHeldBytes/raft.MaxChunkBytes + 2 {
		c.InstallSnapshot(n2, chunk, func(_ raft.InstallSnapshotReply, err error) { ended <- err })
		require.NoError(t, <-ended)
		chunk.Offset += raft.MaxChunkBytes
	}
}
