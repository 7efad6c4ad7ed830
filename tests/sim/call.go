package sim

import (
	"dbdb/raft"
	"dbdb/rpc"
	"dbdb/tests/spec"
)

// codec is how one RPC looks as bytes: the functions of package rpc that the real
// transport uses.
type codec[A, R any] struct {
	encodeArgs  func([]byte, A) []byte
	decodeArgs  func([]byte) (A, error)
	encodeReply func([]byte, R) []byte
	decodeReply func([]byte) (R, error)
}

var (
	voteCodec = codec[raft.RequestVoteArgs, raft.RequestVoteReply]{
		rpc.EncodeRequestVoteArgs, rpc.DecodeRequestVoteArgs, rpc.EncodeRequestVoteReply, rpc.DecodeRequestVoteReply,
	}
	appendCodec = codec[raft.AppendEntriesArgs, raft.AppendEntriesReply]{
		rpc.EncodeAppendEntriesArgs, rpc.DecodeAppendEntriesArgs, rpc.EncodeAppendEntriesReply, rpc.DecodeAppendEntriesReply,
	}
	snapshotCodec = codec[raft.InstallSnapshotArgs, raft.InstallSnapshotReply]{
		rpc.EncodeInstallSnapshotArgs, rpc.DecodeInstallSnapshotArgs, rpc.EncodeInstallSnapshotReply, rpc.DecodeInstallSnapshotReply,
	}
	transferCodec = codec[raft.TimeoutNowArgs, raft.TimeoutNowReply]{
		rpc.EncodeTimeoutNowArgs, rpc.DecodeTimeoutNowArgs, rpc.EncodeTimeoutNowReply, rpc.DecodeTimeoutNowReply,
	}
	readCodec = codec[raft.ReadIndexArgs, raft.ReadIndexReply]{
		rpc.EncodeReadIndexArgs, rpc.DecodeReadIndexArgs, rpc.EncodeReadIndexReply, rpc.DecodeReadIndexReply,
	}
)

// outgoing is one RPC that a server has made. It is answered once: with the first
// reply that comes back, or with an error.
type outgoing[A, R any] struct {
	from, to *node
	args     A
	life     uint64 // of the caller: a restarted server has forgotten its calls
	message  message
	codec    codec[A, R]
	done     func(R, error)
	serve    func(*node, A, func(R))
	old      bool // made in phase 1
	line     int  // of its arrival, where that is written down
}

// call makes one RPC. Its arguments are encoded when it is made and decoded anew
// each time that they arrive, so no server shares memory with another.
func call[A, R any](from *node, to raft.NodeID, m message, c codec[A, R], args A, done func(R, error),
	serve func(*node, A, func(R)),
) {
	w := from.w
	o := &outgoing[A, R]{from: from, to: w.network.dial(from, to), args: args, life: from.life, message: m, codec: c, done: done, serve: serve, old: !w.calm}
	packet := c.encodeArgs(nil, args)
	from.calls++
	w.trace.add(record{at: w.now, what: sent, message: m, node: place(from), peer: place(o.to), a: checksum(packet), b: uint64(len(packet))})
	if w.played() {
		w.stage.call(from, o.to, describe(args), func() { o.arrives(packet) }, func() { o.finish(deadline, errDeadline, nil) })
		return
	}
	w.network.carry(m, from, o.to, o.old, func() { o.arrives(packet) })
	from.doom(edgeSent)
	w.inLife(w.profile.callDeadline, from, func() { o.giveUp(args, errDeadline) })
	if !o.to.up && w.profile.refuses {
		w.inLife(w.network.delay(m), from, func() { o.giveUp(args, errRefused) })
	}
}

// arrives is the request at its receiver, maybe not for the first time.
func (o *outgoing[A, R]) arrives(packet []byte) {
	w, dest := o.from.w, o.to
	w.trace.add(record{at: w.now, what: delivered, message: o.message, node: place(dest), peer: place(o.from), a: checksum(packet)})
	if o.message == readIndex {
		w.network.asked++
	}
	args, err := o.codec.decodeArgs(packet)
	if err != nil {
		violate("Codec", "a %s from n%d does not decode: %v", messageNames[o.message], o.from.place+1, err)
	}
	w.recorder.arrival(&o.line, o.from, dest, args)
	life, answers := dest.life, 0
	request := dest.received(o.from.id, args)
	dest.input(request, func() {
		o.serve(dest, args, func(rep R) {
			if answers++; answers > 1 || dest.life != life {
				violate("One reply", "n%d answers a %s %d times", dest.place+1, messageNames[o.message], answers)
			}
			dest.held.replies(request.ID, rep)
			o.reply(args, rep)
		})
	})
}

// reply leaves the receiver.
func (o *outgoing[A, R]) reply(args A, rep R) {
	w := o.from.w
	packet := o.codec.encodeReply(nil, rep)
	w.trace.add(record{at: w.now, what: replied, message: o.message, node: place(o.to), peer: place(o.from), a: checksum(packet)})
	if w.played() {
		w.stage.put(o.to, o.from, describeReply(args, rep), func() { o.finish(answered, nil, packet) })
		return
	}
	o.to.soonerOrLater(func() {
		w.network.carry(o.message+1, o.to, o.from, o.old && o.done != nil, func() {
			if w.recorder != nil && o.isOpen() {
				w.recorder.message("deliver", o.to, o.from, describeReply(args, rep))
			}
			o.finish(answered, nil, packet)
		})
	})
	o.to.doom(edgeReplied)
}

// isOpen says that nothing has answered the call, and that the caller still knows of it.
func (o *outgoing[A, R]) isOpen() bool { return o.done != nil && o.from.up && o.from.life == o.life }

// giveUp ends a call without an answer.
func (o *outgoing[A, R]) giveUp(args A, err error) {
	if w := o.from.w; w.recorder != nil && o.isOpen() {
		w.recorder.message("expire", o.from, o.to, describe(args))
	}
	o.finish(deadline, err, nil)
}

// finish answers the call, if nothing has yet and the caller still knows of it.
func (o *outgoing[A, R]) finish(how what, err error, packet []byte) {
	if !o.isOpen() {
		return
	}
	var rep R
	if err == nil {
		if rep, err = o.codec.decodeReply(packet); err != nil {
			violate("Codec", "a reply from n%d does not decode: %v", o.to.place+1, err)
		}
	}
	w := o.from.w
	w.trace.add(record{at: w.now, what: how, message: o.message, node: place(o.from), peer: place(o.to), a: checksum(packet)})
	done := o.done
	o.done = nil
	var what spec.Input = spec.Answered{From: o.to.id, Args: o.args, Reply: rep}
	if err != nil {
		what = spec.Failed{To: o.to.id, Args: o.args}
	}
	o.from.input(what, func() { done(rep, err) })
}
