package rpc

import (
	netrpc "net/rpc"

	"dbdb/raft"
)

// The adapters between net/rpc and frames. net/rpc calls a codec's reading methods
// from one goroutine and its writing methods from one at a time, and it keeps reading
// after some errors; so each codec remembers the error that ended its connection.

// clientCodec is net/rpc's ClientCodec of one connection. Both the arguments and the
// reply of every net/rpc call are our own call, which ends here, on the goroutine that
// reads: net/rpc's Done channel would lead to another one that has to be woken first.
type clientCodec struct {
	conn   *clientConn
	frames frameReader
	frame  frame  // the reply whose header was read last
	out    []byte // requests that flush will send
}

// WriteRequest appends a request to those that the next flush sends.
func (c *clientCodec) WriteRequest(r *netrpc.Request, body any) error {
	call := body.(call)
	start := len(c.out)
	c.out = beginFrame(c.out, call.state().kind, r.Seq)
	c.out = call.appendArgs(c.out)
	out, err := endFrame(c.out, start)
	c.out = out
	if err != nil {
		c.conn.peer.refused(c.conn, call, err)
	}
	return err
}

// flush sends what WriteRequest collected with one write.
func (c *clientCodec) flush() error {
	if len(c.out) == 0 {
		return nil
	}
	_, err := c.conn.conn.Write(c.out)
	c.out = recycled(c.out)
	return err
}

// recycled empties a buffer for its next use; one that has grown large is left to
// the garbage collector, or one big batch would hold its memory for ever.
func recycled(buf []byte) []byte {
	const keep = 1 << 20
	if cap(buf) > keep {
		return nil
	}
	return buf[:0]
}

// ReadResponseHeader waits for the next reply.
func (c *clientCodec) ReadResponseHeader(r *netrpc.Response) error {
	f, err := c.frames.next()
	if err != nil {
		return c.conn.readerEnds(err)
	}
	c.frame = f
	r.Seq = f.seq
	return nil
}

// ReadResponseBody ends the call that the reply belongs to; net/rpc gives nil where there
// is none. A reply after the deadline is decoded into a call that nobody looks at any more.
func (c *clientCodec) ReadResponseBody(body any) error {
	call, ok := body.(call)
	if !ok {
		return nil
	}
	var told error
	if c.frame.kind == kindError {
		told = netrpc.ServerError("error: " + string(c.frame.payload))
	} else if err := c.decode(call); err != nil {
		return c.conn.readerEnds(err)
	}
	c.conn.peer.replied(c.conn, call, told)
	return nil
}

func (c *clientCodec) decode(call call) error {
	if asked := call.state().kind; c.frame.kind != asked+1 {
		return malformed("reply of kind %d to a call of kind %d", c.frame.kind, asked)
	}
	return call.decodeReply(c.frame.payload)
}

// Close is part of net/rpc's interface.
func (c *clientCodec) Close() error {
	c.conn.close(ErrClosed)
	return nil
}

// serverCodec is net/rpc's ServerCodec of one connection.
type serverCodec struct {
	conn   *serverConn
	frames frameReader
	frame  frame // the request whose header was read last
	failed error // ended the reading
}

// ReadRequestHeader waits for the next request. A kind that this version does not
// know is answered by net/rpc with an error, and the connection goes on.
func (c *serverCodec) ReadRequestHeader(r *netrpc.Request) error {
	if c.failed != nil {
		return c.failed
	}
	f, err := c.frames.next()
	if err == nil && (c.conn.unanswered.Add(1) > maxUnanswered || c.conn.held.Load() > maxHeldBytes) {
		err = malformed("more than %d requests or %d bytes without a reply", maxUnanswered, maxHeldBytes)
	}
	if err != nil {
		return c.fail(err)
	}
	c.frame = f
	r.ServiceMethod, r.Seq = f.kind.method(), f.seq
	return nil
}

// ReadRequestBody decodes the request; nil drops it. A message that is malformed in
// spite of its checksum was made by a program we do not understand: the
// connection ends.
func (c *serverCodec) ReadRequestBody(body any) (err error) {
	switch req := body.(type) {
	case nil:
		return nil
	case *Request[raft.RequestVoteArgs]:
		if req.Args, err = DecodeRequestVoteArgs(c.frame.payload); err == nil {
			err = accept(c, req, req.Args.CandidateID)
		}
	case *Request[raft.AppendEntriesArgs]:
		if req.Args, err = DecodeAppendEntriesArgs(c.frame.payload); err == nil {
			err = accept(c, req, req.Args.LeaderID)
		}
	case *Request[raft.InstallSnapshotArgs]:
		if req.Args, err = DecodeInstallSnapshotArgs(c.frame.payload); err == nil {
			err = accept(c, req, req.Args.LeaderID)
		}
	case *Request[raft.TimeoutNowArgs]:
		if req.Args, err = DecodeTimeoutNowArgs(c.frame.payload); err == nil {
			err = accept(c, req, req.Args.LeaderID)
		}
	case *Request[raft.ReadIndexArgs]:
		if req.Args, err = DecodeReadIndexArgs(c.frame.payload); err == nil {
			err = accept(c, req, req.Args.From)
		}
	default:
		err = malformed("request for %T", body)
	}
	if err != nil {
		return c.fail(err)
	}
	return nil
}

// accept tells a decoded request whom to answer. The sender that the message names must
// be the one that opened the connection.
func accept[A any](c *serverCodec, req *Request[A], sender raft.NodeID) error {
	if sender != c.conn.peer {
		return malformed("%s sent a message of another server", c.conn.peer)
	}
	req.from, req.seq, req.size = c.conn, c.frame.seq, c.frame.size
	c.conn.held.Add(int64(req.size))
	return nil
}

// fail ends the reading, and the connection with it.
func (c *serverCodec) fail(err error) error {
	c.failed = err
	c.conn.close(err)
	return err
}

// WriteResponse sends what net/rpc itself has to say, which is that there is no such
// method. All other replies leave when the handler gives them; see service.
func (c *serverCodec) WriteResponse(r *netrpc.Response, _ any) error {
	if r.Error != "" {
		c.conn.replies.add(kindError, r.Seq, func(out []byte) []byte {
			return append(out, r.Error[:min(len(r.Error), maxReasonBytes)]...)
		})
	}
	return nil
}

// Close is part of net/rpc's interface.
func (c *serverCodec) Close() error {
	c.conn.close(nil)
	return nil
}
