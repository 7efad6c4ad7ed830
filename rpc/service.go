package rpc

import (
	"errors"

	"dbdb/raft"
)

// Handler receives the calls of other servers; package node implements it. A method
// returns after it has handed the call over to the node's loop. It does not wait for
// the reply: that is given to done later, after the fsync it depends on.
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

// Request is what net/rpc passes from the codec to a service method: a message, the
// connection it came from, and its place in the order of that connection. It is
// exported only because net/rpc wants the types of its methods to be.
type Request[A any] struct {
	Args A
	from *serverConn
	turn turn
	size int
}

// service has one method per RPC, in the form that net/rpc asks for. net/rpc makes
// a new Request and a new reply for each call, so no field of an earlier message
// can shine through.
type service struct{ handler Handler }

func (s *service) RequestVote(req *Request[raft.RequestVoteArgs], reply *raft.RequestVoteReply) error {
	return handle(req, reply, s.handler.RequestVote)
}

func (s *service) AppendEntries(req *Request[raft.AppendEntriesArgs], reply *raft.AppendEntriesReply) error {
	return handle(req, reply, s.handler.AppendEntries)
}

func (s *service) InstallSnapshot(req *Request[raft.InstallSnapshotArgs], reply *raft.InstallSnapshotReply) error {
	return handle(req, reply, s.handler.InstallSnapshot)
}

func (s *service) TimeoutNow(req *Request[raft.TimeoutNowArgs], reply *raft.TimeoutNowReply) error {
	return handle(req, reply, s.handler.TimeoutNow)
}

func (s *service) ReadIndex(req *Request[raft.ReadIndexArgs], reply *raft.ReadIndexReply) error {
	return handle(req, reply, s.handler.ReadIndex)
}

var errConnectionGone = errors.New("the connection ended before the reply")

// handle passes a request through the turnstile to the handler and waits for the
// reply. Panics of the handler are not caught: a broken invariant must end the
// process before it answers anybody.
func handle[A, R any](req *Request[A], reply *R, hand func(A, func(R))) error {
	answer := make(chan R, 1)
	req.turn.wait()
	if !req.from.isGone() {
		hand(req.Args, func(r R) {
			req.from.answering.Add(1)
			select {
			case answer <- r:
			default:
				panic("rpc: a handler answered the same request twice")
			}
		})
	}
	req.turn.pass()
	defer req.from.held.Add(-int64(req.size))
	select {
	case *reply = <-answer:
		return nil
	case <-req.from.gone:
		return errConnectionGone
	}
}
