package main

import (
	"context"
	"errors"
	"log/slog"
	"net"

	"dbdb/httpapi"
	"dbdb/raft"
	"dbdb/raft/wal"
)

// keepAddress looks, once after a start, whether the cluster still knows where this
// node is: ports may have been changed, and containers get new addresses. If not, it
// asks a member to tell the others.
func (p *process) keepAddress(ctx context.Context, b httpapi.Backend, id wal.Identity) error {
	if !awaitMembership(ctx, b, id.NodeID()) {
		return nil
	}
	timeout, cancel := context.WithTimeout(ctx, p.o.joinTimeout)
	defer cancel()
	level := slog.LevelWarn // once; then it is only tried again
	for pause := joinFirstPause; ; pause = min(2*pause, joinLastPause) {
		err := p.updateAddress(timeout, b, joiner{p.o, id, p.log})
		if err == nil || ctx.Err() != nil {
			return nil
		}
		m, _ := b.Info().Configuration.Member(id.NodeID())
		p.log.Log(ctx, level, "the cluster looks for this node elsewhere", "raft", m.RaftAddr, "http", m.HTTPAddr, "err", err)
		level = slog.LevelDebug
		if isFinal(err) && !mayPass(err) || !httpapi.Pause(timeout, pause) {
			return twinError(err)
		}
	}
}

// twinError ends a node only if the cluster sees another one under its identity.
func twinError(err error) error {
	if r, refused := errors.AsType[*refusedError](err); refused && r.code == "used_twice" {
		return &exitError{exitData, err}
	}
	return nil
}

// mayPass says that a refusal may be over soon: the leader takes a moment to see that
// nobody answers at the old address any more, and members that exchange their
// addresses must wait for each other.
func mayPass(err error) bool {
	r, refused := errors.AsType[*refusedError](err)
	return refused && (r.code == "used_twice" || r.code == "address_taken")
}

// awaitMembership waits until the log says where this node is.
func awaitMembership(ctx context.Context, b httpapi.Backend, id raft.NodeID) bool {
	for {
		if _, ok := b.Info().Configuration.Member(id); ok {
			return true
		}
		if !httpapi.Pause(ctx, joinFirstPause) {
			return false
		}
	}
}

// updateAddress compares our address, seen from a member, with the configuration, and
// has that changed if they differ.
func (p *process) updateAddress(ctx context.Context, b httpapi.Backend, j joiner) error {
	self, ok := b.Info().Configuration.Member(j.identity.NodeID())
	if !ok {
		return nil
	}
	var last error
	for _, addr := range p.tellers(b, self.ID) {
		local, err := p.local(ctx, addr, self)
		if err != nil {
			last = err
			continue
		}
		want, err := j.request(local)
		if err != nil || want.RaftAddr == self.RaftAddr && want.HTTPAddr == self.HTTPAddr {
			return err
		}
		if _, last = j.send(ctx, addr, want); last == nil {
			p.log.Info("told the cluster this node's new address", "raft", want.RaftAddr, "http", want.HTTPAddr)
			return nil
		}
		if isFinal(last) {
			return last
		}
	}
	return last
}

// tellers are the HTTP addresses to tell the cluster through: those of --join, else those
// of the other members. The last is our own, where we tell ourselves if we lead.
func (p *process) tellers(b httpapi.Backend, self raft.NodeID) []string {
	addrs := p.o.join
	if len(addrs) == 0 {
		for _, m := range b.Info().Configuration.Members {
			if m.ID != self {
				addrs = append(addrs, m.HTTPAddr)
			}
		}
	}
	return append(addrs[:len(addrs):len(addrs)], p.ownAddress())
}

func (p *process) ownAddress() string {
	host := p.o.bind
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return hostPort(host, p.o.httpPort)
}

// local is the address that we have towards addr. Towards ourselves that would be
// loopback, which says nothing: the host that the cluster knows is as good as any.
func (p *process) local(ctx context.Context, addr string, self raft.Member) (string, error) {
	if addr == p.ownAddress() {
		return knownHost(self), nil
	}
	return localAddress(ctx, addr)
}

// moved says whether a member is started at another address than the cluster knows, as
// far as that can be told without a connection to the cluster.
func (p *process) moved(m raft.Member) bool {
	host, err := advertised(p.o, knownHost(m))
	return err != nil || m.RaftAddr != hostPort(host, p.o.raftPort)
}

func knownHost(m raft.Member) string {
	host, _, _ := net.SplitHostPort(m.RaftAddr)
	return host
}
