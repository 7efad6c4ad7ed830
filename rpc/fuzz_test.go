package rpc

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"dbdb/raft"
)

// decodes demands of any bytes: no panic, and what was accepted is a valid message
// that has an encoding which decodes to itself.
func decodes[M interface{ Validate() error }](t *testing.T, data []byte, encode func([]byte, M) []byte, decode func([]byte) (M, error)) {
	m, err := decode(data)
	if err != nil {
		return
	}
	require.NoError(t, m.Validate())
	again, err := decode(encode(nil, m))
	require.NoError(t, err)
	require.Equal(t, m, again)
}

func FuzzDecodeRequestVoteArgs(f *testing.F) {
	f.Add(EncodeRequestVoteArgs(nil, raft.RequestVoteArgs{Term: 5, CandidateID: n1, LastLogIndex: 200, LastLogTerm: 4, PreVote: true, LeadershipTransfer: true}))
	f.Fuzz(func(t *testing.T, data []byte) { decodes(t, data, EncodeRequestVoteArgs, DecodeRequestVoteArgs) })
}

func FuzzDecodeRequestVoteReply(f *testing.F) {
	f.Add(EncodeRequestVoteReply(nil, raft.RequestVoteReply{Term: 6, VoteGranted: true, RemovedAt: 812}))
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

func FuzzReadHello(f *testing.F) {
	f.Add(hello{testCluster, n1, n2, laneSnapshots}.encode())
	f.Add(welcome{testCluster, n2, "cluster ID mismatch"}.encode())
	f.Fuzz(func(t *testing.T, data []byte) {
		_, payload, err := readHello(bufio.NewReader(bytes.NewReader(data)))
		if err != nil {
			payload = data // the checksum keeps the fuzzer out: let it at the decoders
		}
		if h, err := decodeHello(payload); err == nil {
			again, err := decodeHello(h.encode()[helloHeaderBytes : len(h.encode())-crcBytes])
			require.NoError(t, err)
			require.Equal(t, h, again)
		}
		_, _ = decodeWelcome(payload)
	})
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

// FuzzServerConnection sends bytes to a server: raw, after a hello, and as the
// payload of a frame with a right checksum. The server must let go of the connection.
func FuzzServerConnection(f *testing.F) {
	greeting := hello{testCluster, n1, n2, laneCalls}.encode()
	beat, err := endFrame(EncodeAppendEntriesArgs(beginFrame(nil, kindAppendEntriesArgs, 1), heartbeat()), 0)
	require.NoError(f, err)
	f.Add(byte(0), []byte("GET / HTTP/1.1\r\n\r\n"))
	f.Add(byte(0), append(greeting, beat...))
	f.Add(byte(1), append(beat, beat...))
	f.Add(byte(1), []byte{0xff, 0xff, 0xff, 0xff})
	f.Add(byte(2+kindAppendEntriesArgs), EncodeAppendEntriesArgs(nil, sampleAppend()))
	f.Add(byte(2+kindRequestVoteArgs), EncodeRequestVoteArgs(nil, raft.RequestVoteArgs{Term: 5, CandidateID: n1}))
	f.Add(byte(2+kindInstallSnapshotArgs), EncodeInstallSnapshotArgs(nil, sampleChunk()))
	f.Add(byte(2+kindTimeoutNowArgs), EncodeTimeoutNowArgs(nil, raft.TimeoutNowArgs{Term: 9, LeaderID: n1}))
	f.Add(byte(99), []byte("unknown kind"))
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
		s := NewServer(identity(n2), checking{t}, discard)
		near, far := net.Pipe()
		s.start(far)
		go io.Copy(io.Discard, near)
		near.Write(data) // returns when the server has read all or hung up
		near.Close()
		s.wg.Wait()
	})
}
