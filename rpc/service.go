package rpc

import (
	"sync/atomic"

	"dbdb/raft"
)

// Handler receives the calls of other servers; package node implements it. A method
// returns after it has handed the call over to the node's loop. It does not wait for
// the reply: that is given to done later, after the fsync it depends on. The calls of one
// connection come one after the other, in the order in which they were made.
//
// done is called at most once, from any goroutine, and not after the node has closed;
// a call whose done never comes ends with its connection. The arguments belong to
// the handler, with the memory that their Data points to.
type Handler interface {
	RequestVote(a raft.RequestVoteArgs, done func(raft.RequestVoteReply))
	AppendEntries(a raft.AppendEntriesArgs, done func(raft.AppendEntriesReply))
	InstallSnapshot(a raft.InstallSnapshotArgs, done func(raft.InstallSnapshotReply))
	TimeoutNow(a raft.TimeoutNowArgs, done func(raft.TimeoutNowReply))
	ReadIndex(a raft.ReadIndexArgs, done func(raft.ReadIndexReply))
}

// Request is what net/rpc passes from the codec to a service method: a message and whom
// to answer. It is exported only because net/rpc wants the types of its methods to be.
type Request[A any] struct {
	Args     A
	from     *serverConn
	seq      uint64
	size     int
	answered atomic.Bool
}

// service has one method per RPC, in the form that net/rpc asks for. net/rpc makes a new
// Request for each call, so no field of an earlier message can shine through. The reply
// that it makes too stays empty: a method that waited for the real one would hold up the
// requests behind it, which shall share the fsync. See serverCodec.WriteResponse.
type service struct{ handler Handler }

func (s *service) RequestVote(req *Request[raft.RequestVoteArgs], _ *raft.RequestVoteReply) error {
	s.handler.RequestVote(req.Args, replier(req, kindRequestVoteReply, EncodeRequestVoteReply))
	return nil
}

func (s *service) AppendEntries(req *Request[raft.AppendEntriesArgs], _ *raft.AppendEntriesReply) error {
	s.handler.AppendEntries(req.Args, replier(req, kindAppendEntriesReply, EncodeAppendEntriesReply))
	return nil
}

func (s *service) InstallSnapshot(req *Request[raft.InstallSnapshotArgs], _ *raft.InstallSnapshotReply) error {
	s.handler.InstallSnapshot(req.Args, replier(req, kindInstallSnapshotReply, EncodeInstallSnapshotReply))
	return nil
}

func (s *service) TimeoutNow(req *Request[raft.TimeoutNowArgs], _ *raft.TimeoutNowReply) error {
	s.handler.TimeoutNow(req.Args, replier(req, kindTimeoutNowReply, EncodeTimeoutNowReply))
	return nil
}

func (s *service) ReadIndex(req *Request[raft.ReadIndexArgs], _ *raft.ReadIndexReply) error {
	s.handler.ReadIndex(req.Args, replier(req, kindReadIndexReply, EncodeReadIndexReply))
	return nil
}

// replier is the done of a request. Panics of the handler are not caught: a broken
// invariant must end the process before it answers anybody.
func replier[A, R any](req *Request[A], k kind, encode func([]byte, R) []byte) func(R) {
	return func(r R) {
		if req.answered.Swap(true) {
			panic("rpc: a handler answered the same request twice")
		}
		req.from.held.Add(-int64(req.size))
		req.from.replies.add(k, req.seq, func(out []byte) []byte { return encode(out, r) })
	}
}
