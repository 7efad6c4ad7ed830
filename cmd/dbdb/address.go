package main

import (
	"context"
	"errors"
	"net"

	"dbdb/raft"
	"dbdb/raft/wal"
)

// keepAddress looks, once after a start, whether the cluster still knows where this
// node is: ports may have been changed, and containers get new addresses. With
// --join it asks a member to tell the others; without, it can only say so.
func (p *process) keepAddress(ctx context.Context, id wal.Identity) {
	if !p.awaitMembership(ctx, id.NodeID()) {
		return
	}
	if len(p.o.join) == 0 {
		p.warnOfAddress(id.NodeID())
		return
	}
	j := joiner{p.o, id, p.log}
	ctx, cancel := context.WithTimeout(ctx, p.o.joinTimeout)
	defer cancel()
	for pause := joinFirstPause; ; pause = min(2*pause, joinLastPause) {
		err := p.updateAddress(ctx, j)
		if err == nil || !sleep(ctx, pause) {
			return
		}
		if isFinal(err) {
			p.log.Warn("the cluster did not take this node's address", "err", err)
			return
		}
		p.log.Debug("the cluster was not told this node's address yet", "err", err)
	}
}

// awaitMembership waits until the log says where this node is.
func (p *process) awaitMembership(ctx context.Context, id raft.NodeID) bool {
	for {
		if _, ok := p.backend.Info().Configuration.Member(id); ok {
			return true
		}
		if !sleep(ctx, joinFirstPause) {
			return false
		}
	}
}

// updateAddress compares our address, seen from a member, with the configuration.
func (p *process) updateAddress(ctx context.Context, j joiner) error {
	var last error
	for _, addr := range j.o.join {
		want, err := j.request(ctx, addr)
		if err != nil {
			last = err
			continue
		}
		if m, ok := p.backend.Info().Configuration.Member(j.identity.NodeID()); !ok || m.RaftAddr == want.RaftAddr && m.HTTPAddr == want.HTTPAddr {
			return nil
		}
		if _, last = j.ask(ctx, addr); last == nil || isFinal(last) {
			p.log.Info("told the cluster this node's new address", "raft", want.RaftAddr, "http", want.HTTPAddr, "err", last)
			return last
		}
	}
	if last == nil {
		return errors.New("no address of --join could be asked")
	}
	return last
}

// warnOfAddress compares what can be compared without a connection to the cluster.
func (p *process) warnOfAddress(id raft.NodeID) {
	m, _ := p.backend.Info().Configuration.Member(id)
	known, _, _ := net.SplitHostPort(m.RaftAddr)
	host, err := advertised(p.o, known)
	if err != nil || m.RaftAddr != hostPort(host, p.o.raftPort) || m.HTTPAddr != hostPort(host, p.o.httpPort) {
		p.log.Warn("the cluster looks for this node elsewhere: start it with --join <address of a member>, to tell it",
			"raft", m.RaftAddr, "http", m.HTTPAddr)
	}
}
