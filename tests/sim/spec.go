package sim

import (
	"dbdb/raft"
	"dbdb/tests/spec"
)

// held holds one server to the specification, if the run asks for that: every step that it
// takes must be an action of package spec, or a composition of actions.
type held struct {
	n      *node
	server spec.Server // after its last step
	ran    bool        // it has begun once
	during bool        // a step is under way
	out    spec.Output
}

// holdTo makes the holder of a server, which is nil in most runs: then nothing is held.
func holdTo(n *node) *held {
	if !n.w.options.Spec {
		return nil
	}
	return &held{n: n}
}

// starts looks at a new life.
func (h *held) starts(disk raft.Restored) {
	if h == nil {
		return
	}
	core, cfg := h.n.replica.Raft(), h.n.w.profile.raft
	options := spec.Options{PreVote: !cfg.NoPreVote, CheckQuorum: !cfg.NoCheckQuorum, ElectionTicks: cfg.ElectionTicks}
	var err error
	if h.ran {
		h.server.Options = options // pre-votes may have been switched on
		h.server, err = h.server.Restart(disk, core)
	} else {
		h.server, err = spec.Begin(options, disk, core)
	}
	h.ran, h.during, h.out = true, false, spec.Output{}
	h.reject(err)
}

// step lets something happen and checks it. An oracle that is quicker does not hide what the
// specification says of the same step.
func (h *held) step(in spec.Input, happen func()) {
	if h == nil {
		happen()
		return
	}
	if h.during {
		violate("Specification", "%s: something happens to %s in the middle of a step", in, h.n.id)
	}
	h.during = true
	defer func() {
		caught := recover()
		if _, broken := caught.(violation); caught == nil || broken {
			h.ends(in)
		}
		if caught != nil {
			panic(caught)
		}
	}()
	happen()
}

func (h *held) ends(in spec.Input) {
	out := h.out
	h.during, h.out = false, spec.Output{}
	if h.n.failed != nil {
		return // the disk's error has closed it
	}
	var err error
	h.server, err = h.server.Step(in, out, h.n.replica.Raft())
	h.reject(err)
}

func (h *held) reject(err error) {
	if err != nil {
		violate("Specification", "%v", err)
	}
}

// What leaves a server in a step.

func (h *held) sends(to raft.NodeID, args any) {
	if h != nil {
		h.out.Sent = append(h.out.Sent, spec.Sent{To: to, Args: args})
	}
}

func (h *held) replies(to uint64, reply any) {
	if h != nil {
		h.out.Replies = append(h.out.Replies, spec.Replied{To: to, Reply: reply})
	}
}

func (h *held) saves(s raft.Save) {
	if h != nil {
		h.out.Saves = append(h.out.Saves, s)
	}
}

func (h *held) serves(read uint64, err error) {
	switch {
	case h == nil:
	case err != nil:
		h.out.GaveUp = append(h.out.GaveUp, read)
	default:
		h.out.Served = append(h.out.Served, read)
	}
}

func (h *held) begins(m raft.Snapshot) {
	if h != nil {
		h.out.Begun = append(h.out.Begun, m)
	}
}

func (h *held) stores() {
	if h != nil {
		h.out.Stored = true
	}
}

// received numbers a request that comes.
func (n *node) received(from raft.NodeID, args any) spec.Received {
	n.requests++
	return spec.Received{ID: n.requests, From: from, Args: args}
}

// ended is the input that the end of a job on files is: the core hears of it if it went well, or
// of its failure.
func ended(err error, well, badly spec.Input) spec.Input {
	if err != nil {
		return badly
	}
	return well
}
