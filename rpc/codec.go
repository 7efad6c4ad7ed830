package rpc

import (
	netrpc "net/rpc"

	"dbdb/raft"
)

// The adapters between net/rpc and frames. net/rpc calls a codec's reading methods
// from one goroutine and its writing methods from one at a time, and it keeps reading
// after some errors; so each codec remembers the error that ended its connection.

// clientCodec is net/rpc's ClientCodec of one connection. Both the arguments and the
// reply of every net/rpc call are our own call, so that its Done channel leads back
// to it.
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
	if f.kind == kindError {
		r.Error = "error: " + string(f.payload) // never empty: net/rpc takes "" for success
	}
	return nil
}

// ReadResponseBody decodes the reply into the call it belongs to; nil drops it.
func (c *clientCodec) ReadResponseBody(body any) error {
	call, ok := body.(call)
	if !ok {
		return nil
	}
	if call.state().kind+1 != c.frame.kind {
		return c.conn.readerEnds(malformed("reply of kind %d to a call of kind %d", c.frame.kind, call.state().kind))
	}
	if err := call.decodeReply(c.frame.payload); err != nil {
		return c.conn.readerEnds(err)
	}
	return nil
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
	turns  turnstile
	failed error // ended the reading
	out    []byte
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

// accept gives a decoded request its place in the order. The sender that the
// message names must be the one that opened the connection.
func accept[A any](c *serverCodec, req *Request[A], sender raft.NodeID) error {
	if sender != c.conn.peer {
		return malformed("%s sent a message of another server", c.conn.peer)
	}
	req.from, req.turn, req.size = c.conn, c.turns.take(), c.frame.size
	c.conn.held.Add(int64(req.size))
	return nil
}

// fail ends the reading. The goroutines that wait for a reply must not wait for
// ever, so the connection is gone from now on.
func (c *serverCodec) fail(err error) error {
	c.failed = err
	c.conn.close(err)
	return err
}

// WriteResponse sends a reply. When replies come in a crowd, as after an fsync that
// many requests waited for, only the last of the crowd makes the system call: all
// that are counted in answering are on their way here and wait for nothing else. A
// stream of replies that never ends is cut into writes of crowdBytes.
func (c *serverCodec) WriteResponse(r *netrpc.Response, body any) error {
	c.conn.unanswered.Add(-1)
	start := len(c.out)
	crowd := int64(0)
	if r.Error == "" {
		crowd = c.conn.answering.Add(-1)
		c.out = appendReply(c.out, r.Seq, body)
	} else {
		crowd = c.conn.answering.Load()
		c.out = beginFrame(c.out, kindError, r.Seq)
		c.out = append(c.out, r.Error[:min(len(r.Error), maxReasonBytes)]...)
	}
	out, err := endFrame(c.out, start)
	c.out = out
	if err != nil {
		return err
	}
	if crowd > 0 && len(c.out) < crowdBytes {
		return nil
	}
	if err := c.conn.write(c.out); err != nil {
		c.conn.close(err)
	}
	c.out = recycled(c.out)
	return nil
}

// crowdBytes is when replies leave although more are coming.
const crowdBytes = 4096

func appendReply(out []byte, seq uint64, body any) []byte {
	switch reply := body.(type) {
	case *raft.RequestVoteReply:
		return EncodeRequestVoteReply(beginFrame(out, kindRequestVoteReply, seq), *reply)
	case *raft.AppendEntriesReply:
		return EncodeAppendEntriesReply(beginFrame(out, kindAppendEntriesReply, seq), *reply)
	case *raft.InstallSnapshotReply:
		return EncodeInstallSnapshotReply(beginFrame(out, kindInstallSnapshotReply, seq), *reply)
	case *raft.TimeoutNowReply:
		return EncodeTimeoutNowReply(beginFrame(out, kindTimeoutNowReply, seq), *reply)
	case *raft.ReadIndexReply:
		return EncodeReadIndexReply(beginFrame(out, kindReadIndexReply, seq), *reply)
	}
	return append(beginFrame(out, kindError, seq), "no such reply"...)
}

// Close is called by net/rpc when all requests of the connection are answered.
func (c *serverCodec) Close() error {
	c.conn.close(nil)
	return nil
}
