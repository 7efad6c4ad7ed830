package rpc

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"dbdb/raft"
)

// decodes demands of any bytes: no panic; what is refused gives the zero message; what is
// accepted is a valid message, whose encoding is no longer than the bytes, decodes to the
// same message, and to nothing if a byte is missing or too many. The bytes stay as they
// are. Package replica's FuzzAnyMessages goes on from here: with what a server makes of them.
func decodes[M interface{ Validate() error }](t *testing.T, data []byte, encode func([]byte, M) []byte, decode func([]byte) (M, error)) {
	before := bytes.Clone(data)
	m, err := decode(data)
	require.True(t, bytes.Equal(before, data))
	if err != nil {
		require.Zero(t, m)
		return
	}
	require.NoError(t, m.Validate())
	encoded := encode(nil, m)
	require.LessOrEqual(t, len(encoded), len(data))
	again, err := decode(encoded)
	require.NoError(t, err)
	require.Equal(t, m, again)
	_, err = decode(encoded[:len(encoded)-1])
	require.Error(t, err)
	_, err = decode(append(encoded, 0))
	require.Error(t, err)
}

func FuzzDecodeRequestVoteArgs(f *testing.F) {
	f.Add(EncodeRequestVoteArgs(nil, raft.RequestVoteArgs{Term: 5, CandidateID: n1, LastLogIndex: 200, LastLogTerm: 4, PreVote: true, LeadershipTransfer: true}))
	f.Fuzz(func(t *testing.T, data []byte) { decodes(t, data, EncodeRequestVoteArgs, DecodeRequestVoteArgs) })
}

func FuzzDecodeRequestVoteReply(f *testing.F) {
	f.Add(EncodeRequestVoteReply(nil, raft.RequestVoteReply{Term: 6, VoteGranted: true, RemovedAt: 812, CommitTerm: 5}))
	f.Fuzz(func(t *testing.T, data []byte) { decodes(t, data, EncodeRequestVoteReply, DecodeRequestVoteReply) })
}

func FuzzDecodeAppendEntriesArgs(f *testing.F) {
	f.Add(EncodeAppendEntriesArgs(nil, sampleAppend()))
	f.Add(EncodeAppendEntriesArgs(nil, heartbeat()))
	f.Fuzz(func(t *testing.T, data []byte) { decodes(t, data, EncodeAppendEntriesArgs, DecodeAppendEntriesArgs) })
}

func FuzzDecodeAppendEntriesReply(f *testing.F) {
	f.Add(EncodeAppendEntriesReply(nil, raft.AppendEntriesReply{Term: 6, ConflictIndex: 130, ConflictTerm: 5}))
	f.Fuzz(func(t *testing.T, data []byte) { decodes(t, data, EncodeAppendEntriesReply, DecodeAppendEntriesReply) })
}

func FuzzDecodeInstallSnapshotArgs(f *testing.F) {
	f.Add(EncodeInstallSnapshotArgs(nil, sampleChunk()))
	f.Fuzz(func(t *testing.T, data []byte) {
		decodes(t, data, EncodeInstallSnapshotArgs, DecodeInstallSnapshotArgs)
	})
}

func FuzzDecodeInstallSnapshotReply(f *testing.F) {
	f.Add(EncodeInstallSnapshotReply(nil, raft.InstallSnapshotReply{Term: 9, Offset: 1 << 21, Installed: true}))
	f.Fuzz(func(t *testing.T, data []byte) {
		decodes(t, data, EncodeInstallSnapshotReply, DecodeInstallSnapshotReply)
	})
}

func FuzzDecodeTimeoutNowArgs(f *testing.F) {
	f.Add(EncodeTimeoutNowArgs(nil, raft.TimeoutNowArgs{Term: 9, LeaderID: n1}))
	f.Fuzz(func(t *testing.T, data []byte) { decodes(t, data, EncodeTimeoutNowArgs, DecodeTimeoutNowArgs) })
}

func FuzzDecodeTimeoutNowReply(f *testing.F) {
	f.Add(EncodeTimeoutNowReply(nil, raft.TimeoutNowReply{Term: 9}))
	f.Fuzz(func(t *testing.T, data []byte) { decodes(t, data, EncodeTimeoutNowReply, DecodeTimeoutNowReply) })
}

func FuzzDecodeReadIndexArgs(f *testing.F) {
	f.Add(EncodeReadIndexArgs(nil, raft.ReadIndexArgs{From: n2}))
	f.Fuzz(func(t *testing.T, data []byte) { decodes(t, data, EncodeReadIndexArgs, DecodeReadIndexArgs) })
}

func FuzzDecodeReadIndexReply(f *testing.F) {
	f.Add(EncodeReadIndexReply(nil, raft.ReadIndexReply{Success: true, Index: 1 << 40}))
	f.Fuzz(func(t *testing.T, data []byte) { decodes(t, data, EncodeReadIndexReply, DecodeReadIndexReply) })
}

// FuzzReadHello reads any bytes as a hello and as its answer, as they are and with the
// length and the checksum repaired. What is accepted is a hello, or an answer, that is
// written in the same way; and a server that is called by it welcomes or refuses, but
// never takes a caller for itself, or for one of another cluster.
func FuzzReadHello(f *testing.F) {
	f.Add(hello{testCluster, n1, n2, laneSnapshots}.encode())
	f.Add(welcome{testCluster, n2, "cluster ID mismatch"}.encode())
	f.Fuzz(func(t *testing.T, data []byte) {
		readsHello(t, data)
		if len(data) >= helloHeaderBytes+crcBytes {
			readsHello(t, resealedHello(data))
		}
	})
}

// resealedHello repairs the magic, the length and the checksum.
func resealedHello(data []byte) []byte {
	data = bytes.Clone(data[:min(len(data), helloHeaderBytes+maxHelloBytes+crcBytes)])
	end := len(data) - crcBytes
	copy(data, helloMagic)
	binary.BigEndian.PutUint16(data[len(helloMagic)+1:], uint16(end-helloHeaderBytes))
	binary.BigEndian.PutUint32(data[end:], crcOf(data[:end]))
	return data
}

func readsHello(t *testing.T, data []byte) {
	version, payload, err := readHello(bufio.NewReader(bytes.NewReader(data)))
	if err != nil {
		return
	}
	whole := data[:helloHeaderBytes+len(payload)+crcBytes]
	if w, err := decodeWelcome(payload); err == nil && version == helloVersion {
		require.True(t, bytes.Equal(whole, minimal(w.encode(), whole)))
	}
	h, err := decodeHello(payload)
	if err != nil || version != helloVersion {
		return
	}
	require.True(t, bytes.Equal(whole, minimal(h.encode(), whole)))
	if identity(n2).objection(h) == "" {
		require.Equal(t, hello{testCluster, h.from, n2, h.lane}, h)
		require.NotEqual(t, n2, h.from)
	}
}

// minimal returns got where it is shorter than want: a number may be written with more bytes
// than it needs, and then there is nothing to compare.
func minimal(got, want []byte) []byte {
	if len(got) < len(want) {
		return want
	}
	return got
}

// checking is a Handler that demands valid arguments from the peer of the connection.
type checking struct{ t *testing.T }

func (c checking) RequestVote(a raft.RequestVoteArgs, done func(raft.RequestVoteReply)) {
	c.check(a.Validate(), a.CandidateID)
	answering{}.RequestVote(a, done)
}

func (c checking) AppendEntries(a raft.AppendEntriesArgs, done func(raft.AppendEntriesReply)) {
	c.check(a.Validate(), a.LeaderID)
	answering{}.AppendEntries(a, done)
}

func (c checking) InstallSnapshot(a raft.InstallSnapshotArgs, done func(raft.InstallSnapshotReply)) {
	c.check(a.Validate(), a.LeaderID)
	answering{}.InstallSnapshot(a, done)
}

func (c checking) TimeoutNow(a raft.TimeoutNowArgs, done func(raft.TimeoutNowReply)) {
	c.check(a.Validate(), a.LeaderID)
	answering{}.TimeoutNow(a, done)
}

func (c checking) ReadIndex(a raft.ReadIndexArgs, done func(raft.ReadIndexReply)) {
	c.check(a.Validate(), a.From)
	answering{}.ReadIndex(a, done)
}

func (c checking) check(err error, from raft.NodeID) {
	if err != nil || from != n1 {
		panic("an invalid message reached the handler")
	}
}

// FuzzServerConnection sends bytes to a server: raw, after a hello for either lane, and as
// the payload of a frame with a right checksum. The handler is given valid messages of the
// caller only, and the server lets go of the connection when the caller does.
func FuzzServerConnection(f *testing.F) {
	greeting := hello{testCluster, n1, n2, laneCalls}.encode()
	beat := heartbeatFrame(f, 1)
	f.Add(byte(0), append(greeting, beat...))
	f.Add(byte(1), append(beat, beat...))
	f.Add(byte(2+kindAppendEntriesArgs), EncodeAppendEntriesArgs(nil, sampleAppend()))
	f.Add(byte(2+kindRequestVoteArgs), EncodeRequestVoteArgs(nil, raft.RequestVoteArgs{Term: 5, CandidateID: n1}))
	f.Add(byte(2+kindInstallSnapshotArgs), EncodeInstallSnapshotArgs(nil, sampleChunk()))
	f.Add(byte(2+kindTimeoutNowArgs), EncodeTimeoutNowArgs(nil, raft.TimeoutNowArgs{Term: 9, LeaderID: n1}))
	f.Add(byte(2+kindReadIndexArgs), EncodeReadIndexArgs(nil, raft.ReadIndexArgs{From: n1}))
	f.Fuzz(func(t *testing.T, how byte, data []byte) {
		switch how {
		case 0:
		case 1:
			data = append(bytes.Clone(greeting), data...)
		default:
			frame, err := endFrame(append(beginFrame(nil, kind(how-2), 1), data...), 0)
			require.NoError(t, err)
			data = append(bytes.Clone(greeting), frame...)
		}
		callServer(t, data)
	})
}

// FuzzServerFramesWithRightChecksums does so with any number of frames, whose lengths and
// checksums are repaired, for either lane.
func FuzzServerFramesWithRightChecksums(f *testing.F) {
	beat := heartbeatFrame(f, 1)
	chunk, err := endFrame(EncodeInstallSnapshotArgs(beginFrame(nil, kindInstallSnapshotArgs, 2), sampleChunk()), 0)
	require.NoError(f, err)
	f.Add(false, append(beat, heartbeatFrame(f, 2)...))
	f.Add(true, append(chunk, beat...))
	f.Fuzz(func(t *testing.T, snapshots bool, data []byte) {
		l := laneCalls
		if snapshots {
			l = laneSnapshots
		}
		callServer(t, append(hello{testCluster, n1, n2, l}.encode(), resealedFrames(data)...))
	})
}

func heartbeatFrame(t require.TestingT, seq uint64) []byte {
	frame, err := endFrame(EncodeAppendEntriesArgs(beginFrame(nil, kindAppendEntriesArgs, seq), heartbeat()), 0)
	require.NoError(t, err)
	return frame
}

// resealedFrames repairs the frames in data: a length that goes beyond the end means the
// rest of it.
func resealedFrames(data []byte) []byte {
	data = bytes.Clone(data)
	for rest := data; len(rest) >= headerBytes; {
		length := min(int(binary.BigEndian.Uint32(rest)), len(rest)-lengthBytes-crcBytes)
		binary.BigEndian.PutUint32(rest, uint32(length))
		frame := rest[:lengthBytes+crcBytes+length]
		binary.BigEndian.PutUint32(frame[lengthBytes:], frameCRC(frame, frame[lengthBytes+crcBytes:]))
		rest = rest[len(frame):]
	}
	return data
}

// callServer is one connection to a server, from its first byte to its last.
func callServer(t *testing.T, data []byte) {
	s := NewServer(identity(n2), checking{t}, discard)
	near, far := net.Pipe()
	s.start(far)
	go io.Copy(io.Discard, near)
	near.Write(data) // returns when the server has read all or hung up
	near.Close()
	s.wg.Wait()
}

// FuzzFramesAreReadAsTheyWereWritten reads any bytes, repaired or not, as frames, in
// pieces of any size. Every frame that is accepted is one that endFrame writes, and
// no more memory is taken than twice what has arrived, and a piece.
func FuzzFramesAreReadAsTheyWereWritten(f *testing.F) {
	f.Add(append(heartbeatFrame(f, 1), heartbeatFrame(f, 300)...), byte(255), false)
	f.Add([]byte{0, 255, 255, 255, 1, 2, 3, 4, 3}, byte(0), false)
	f.Fuzz(func(t *testing.T, data []byte, piece byte, repair bool) {
		if repair {
			data = resealedFrames(data)
		}
		near, far := net.Pipe()
		defer far.Close()
		go func() {
			defer near.Close()
			for rest := data; len(rest) > 0; {
				n := min(len(rest), 1+int(piece))
				if _, err := near.Write(rest[:n]); err != nil {
					return
				}
				rest = rest[n:]
			}
		}()
		readsFrames(t, far, data)
	})
}

func readsFrames(t *testing.T, conn net.Conn, data []byte) {
	r := frameReader{conn: conn, in: bufio.NewReaderSize(conn, readBufferBytes), limit: MaxFrameBytes}
	for {
		got, err := r.next()
		if err != nil {
			require.False(t, err == io.EOF && len(data) > 0, "the end between two frames, and %d bytes are left", len(data))
			return
		}
		whole := data[:lengthBytes+crcBytes+got.size]
		data = data[len(whole):]
		again, err := endFrame(append(beginFrame(nil, got.kind, got.seq), got.payload...), 0)
		require.NoError(t, err)
		require.True(t, bytes.Equal(whole, minimal(again, whole)))
		require.LessOrEqual(t, cap(got.payload), 2*len(whole)+pieceBytes)
	}
}

// FuzzClientConnection has a server welcome a client that makes one call of each kind, and
// answer with any bytes, in both lanes: raw, or as frames with right checksums. Every call
// ends exactly once, with a valid reply or an error, and Close finds nothing that hangs.
func FuzzClientConnection(f *testing.F) {
	reply := func(k kind, seq uint64, payload []byte) []byte {
		frame, err := endFrame(append(beginFrame(nil, k, seq), payload...), 0)
		require.NoError(f, err)
		return frame
	}
	success := EncodeAppendEntriesReply(nil, raft.AppendEntriesReply{Term: 1, Success: true})
	f.Add(reply(kindAppendEntriesReply, 0, success), false)
	f.Add(append(reply(kindReadIndexReply, 3, EncodeReadIndexReply(nil, raft.ReadIndexReply{Success: true, Index: 7})), reply(kindAppendEntriesReply, 0, success)...), true)
	f.Add(reply(kindError, 1, []byte("no such method")), true)
	f.Add(reply(kindInstallSnapshotReply, 0, EncodeInstallSnapshotReply(nil, raft.InstallSnapshotReply{Term: 9})), true)
	f.Fuzz(func(t *testing.T, data []byte, repair bool) {
		if repair {
			data = resealedFrames(data)
		}
		synctest.Test(t, func(t *testing.T) { answerClient(t, data) })
	})
}

func answerClient(t *testing.T, data []byte) {
	n := newNetwork()
	c := NewClient(identity(n1), Options{Dial: n.Dial, Logger: discard})
	c.Configure(members("node2:2222"))
	asked, servers := make(chan struct{}), sync.WaitGroup{}
	servers.Go(func() {
		for conn, err := n.Accept(); err == nil; conn, err = n.Accept() {
			servers.Go(func() { answerWith(conn, data, asked) })
		}
	})
	var ended [5]atomic.Int32
	c.AppendEntries(n2, sampleAppend(), ends[raft.AppendEntriesReply](t, &ended[0]))
	c.RequestVote(n2, raft.RequestVoteArgs{Term: 5, CandidateID: n1}, ends[raft.RequestVoteReply](t, &ended[1]))
	c.TimeoutNow(n2, raft.TimeoutNowArgs{Term: 9, LeaderID: n1}, ends[raft.TimeoutNowReply](t, &ended[2]))
	c.ReadIndex(n2, raft.ReadIndexArgs{From: n1}, ends[raft.ReadIndexReply](t, &ended[3]))
	c.InstallSnapshot(n2, sampleChunk(), ends[raft.InstallSnapshotReply](t, &ended[4]))
	synctest.Wait()
	close(asked)
	synctest.Wait()
	c.Close()
	n.Close()
	servers.Wait()
	for k := range ended {
		require.EqualValues(t, 1, ended[k].Load(), "call %d", k)
	}
}

// answerWith welcomes a client, waits until it has asked, and answers with data.
func answerWith(conn net.Conn, data []byte, asked <-chan struct{}) {
	in := bufio.NewReader(conn)
	if _, err := receiveHello(conn, in, identity(n2)); err != nil {
		return
	}
	go func() {
		<-asked
		_, _ = conn.Write(data)
	}()
	_, _ = io.Copy(io.Discard, in)
}

// ends is a done that counts how often it is called.
func ends[R interface{ Validate() error }](t *testing.T, count *atomic.Int32) func(R, error) {
	return func(r R, err error) {
		count.Add(1)
		if err == nil && r.Validate() != nil {
			t.Errorf("an invalid reply: %v", r)
		}
	}
}
