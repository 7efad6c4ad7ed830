package rpc

import (
	"errors"
	"time"
)

// Why a call ends without a reply. Dial errors, *RefusedError and what net/rpc
// reports come beside them.
var (
	// ErrTimeout: no reply within the deadline. The call may have been carried out.
	ErrTimeout = errors.New("no reply within the deadline")
	// ErrBusy: MaxOpenCalls calls to this server are open.
	ErrBusy = errors.New("too many open calls to this server")
	// ErrUnknown: the configuration has no such member.
	ErrUnknown = errors.New("not a member of the configuration")
	// ErrSelf: a server does not call itself.
	ErrSelf = errors.New("a call to this server itself")
	// ErrClosed: the client, or its connection to a former member, was closed.
	ErrClosed = errors.New("the transport is closed")

	errSilent  = errors.New("connection closed: nothing received although calls passed their deadlines")
	errIdle    = errors.New("connection closed: no snapshot to send")
	errHangUp  = errors.New("the connection was closed by the other server")
	errNoHello = errors.New("the server at this address did not answer our hello in time")
	errReplace = errors.New("the member's address changed")
)

// call is one RPC on its way. A call is finished once: by whoever takes it out of
// its peer's open calls, with a reply, an error or by its deadline.
type call interface {
	state() *callState
	appendArgs(buf []byte) []byte
	decodeReply(data []byte) error
	// finish tells the caller; err nil means that the reply was decoded.
	finish(err error)
}

// callState is what peer keeps about a call, whatever its types. The peer's mutex
// guards the fields below kind.
type callState struct {
	kind     kind
	deadline time.Time
	number   uint64      // in the order of arrival
	slot     int         // in peer.open; -1 when finished
	sentOn   *clientConn // nil before it was sent
}

func (s *callState) state() *callState { return s }

// typedCall is a call with its arguments and its reply in one piece of memory. It is
// never reused: a reply that arrives after the deadline is decoded into a call
// that nobody looks at any more.
type typedCall[A, R any] struct {
	callState
	args   A
	reply  R
	encode func([]byte, A) []byte
	decode func([]byte) (R, error)
	done   func(R, error)
}

func (c *typedCall[A, R]) appendArgs(buf []byte) []byte { return c.encode(buf, c.args) }

func (c *typedCall[A, R]) decodeReply(data []byte) (err error) {
	c.reply, err = c.decode(data)
	return err
}

func (c *typedCall[A, R]) finish(err error) {
	if err != nil {
		var none R // the reply may be half of one, or still being decoded
		c.done(none, err)
		return
	}
	c.done(c.reply, nil)
}

// newCall makes a call with the two halves of its codec.
func newCall[A, R any](k kind, a A, encode func([]byte, A) []byte, decode func([]byte) (R, error), done func(R, error)) call {
	return &typedCall[A, R]{
		callState: callState{kind: k, slot: -1},
		args:      a, encode: encode, decode: decode, done: done,
	}
}
