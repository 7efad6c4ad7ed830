package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"dbdb/httpapi"
	"dbdb/kvstore"
	"dbdb/raft"
	"dbdb/raft/node"
	"dbdb/raft/wal"
	"dbdb/rpc"
)

// Bounds of stopping after a signal.
const (
	handOverGrace = time.Second     // for another server to take over the leadership
	shutdownGrace = 5 * time.Second // for requests in flight
)

// process is one node from its start to its end.
type process struct {
	o        options
	log      *slog.Logger
	plainLog *slog.Logger // for what names the node itself
	ln       listeners
	store    *kvstore.Store
	backend  *backend
	api      *httpapi.Server
	// restarted says that this node belonged to its cluster before this process.
	restarted bool
}

// serve runs a node until ctx ends, which is a clean stop and returns nil. The order
// is: both ports, the HTTP API, the data directory, the cluster. So a port that
// is taken leaves no trace, and a node that waits for something can be asked for what.
func serve(ctx context.Context, o options, log *slog.Logger) error {
	ln, err := listen(o)
	if err != nil {
		return err
	}
	defer ln.raft.Close() // rpc closes it too, once it is served
	p := &process{o: o, log: log.With("node", o.nodeID), plainLog: log, ln: ln, store: kvstore.New(), backend: newBackend(o.nodeID)}
	p.api = httpapi.New(httpapi.Options{Backend: p.backend, Store: p.store, Logger: p.log, Hosts: []string{o.bind, o.advertiseHost}})
	p.sayStart()

	// The first that fails ends the others' context, and its error is the reason.
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		if err := p.api.Serve(ln.http); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("the HTTP port is not served any more: %w", err)
		}
		return nil
	})
	g.Go(func() error {
		defer p.stopHTTP()
		if err := p.run(ctx); !errors.Is(err, errNeverMember) {
			return err
		}
		return nil
	})
	return g.Wait()
}

// sayStart prints every address and what to type next.
func (p *process) sayStart() {
	for _, name := range p.o.unknownEnv {
		p.log.Warn("unknown environment variable", "name", name)
	}
	next := fmt.Sprintf("curl 'localhost:%d/v1/status'", p.o.httpPort)
	if host, err := advertised(p.o, ""); p.o.bootstrap && err == nil && !p.hasData() {
		next = fmt.Sprintf("%s --node-id %s --raft-port %d --http-port %d --join %s", os.Args[0], nextName(p.o.nodeID),
			p.o.raftPort+1, p.o.httpPort+1, hostPort(host, p.o.httpPort))
	}
	p.log.Info("dbdb starts", "http", hostPort(p.o.bind, p.o.httpPort), "raft", hostPort(p.o.bind, p.o.raftPort),
		"data", p.o.dataDir, "next", next)
}

// hasData says whether the node was started before.
func (p *process) hasData() bool {
	names, err := os.ReadDir(p.o.dataDir)
	return err == nil && len(names) > 0
}

// nextName is what the next node could be called: node2 after node1.
func nextName(name string) string {
	base := strings.TrimRight(name, "0123456789")
	number, _ := strconv.Atoi(name[len(base):])
	return fmt.Sprintf("%s%d", base, max(number+1, 2))
}

// run opens the data directory and lives in it.
func (p *process) run(ctx context.Context) (err error) {
	dir, err := wal.Open(wal.OS{}, p.o.dataDir, wal.Options{Node: p.o.nodeID})
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := dir.Close(); err == nil {
			err = closeErr // after another error it only repeats that one
		}
	}()
	if r := dir.Repaired(); r != nil {
		p.log.Warn("took a torn write out of the log; nobody was told of it", "repair", fmt.Sprint(*r))
	}
	p.restarted = dir.Identity().Cluster != "" && !dir.Identity().Founding
	restored, err := p.enter(ctx, dir)
	if err != nil {
		return err
	}
	if err := p.refuseTwin(ctx, dir.Identity(), configurationOf(restored)); err != nil {
		return err
	}
	if err := p.load(dir.Snapshots(), p.store, restored.Snapshot); err != nil {
		return err
	}
	m, err := p.open(dir, restored)
	if err != nil {
		return err
	}
	if p.restarted {
		p.sayRestart(m.cluster, dir.Identity().NodeID(), restored)
	}
	return p.live(ctx, dir, m)
}

// open starts the node.
func (p *process) open(dir *wal.Dir, restored raft.Restored) (*membership, error) {
	id := dir.Identity()
	peers := rpc.NewClient(rpc.Identity{Cluster: id.Cluster, Self: id.NodeID()}, rpc.Options{Logger: p.log})
	n, err := node.Open(node.Config{
		Raft:         raft.Config{ID: id.NodeID(), Rand: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))},
		Log:          dir.Log(),
		Snapshots:    dir.Snapshots(),
		Restored:     restored,
		Transport:    peers,
		StateMachine: p.store,
		Logger:       p.plainLog,
	})
	if err != nil {
		peers.Close()
		return nil, err
	}
	return &membership{id.Cluster, n, peers}, nil
}

// live serves Raft and clients until ctx ends or something breaks.
func (p *process) live(ctx context.Context, dir *wal.Dir, m *membership) error {
	server := rpc.NewServer(rpc.Identity{Cluster: m.cluster, Self: dir.Identity().NodeID()}, m.node, p.log)
	p.backend.member.Store(m)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		if err := server.Serve(p.ln.raft); err != nil {
			return fmt.Errorf("the Raft port is not served any more: %w", err)
		}
		return nil
	})
	g.Go(func() error { monitorQuorum(ctx, p.backend, p.log); return nil })
	g.Go(func() error { keepHeapSmall(ctx); return nil })
	g.Go(func() error { return p.keepAddress(ctx, p.backend, dir.Identity()) })
	g.Go(func() error { return p.watchRemoval(ctx, p.backend, p.joiner(dir)) })
	g.Go(func() error { return p.stop(ctx, server, m) })
	return g.Wait()
}

// stop waits until it is time to stop, and then stops in the opposite order of the
// start. It returns why the node stopped, if nobody asked it to.
func (p *process) stop(ctx context.Context, server *rpc.Server, m *membership) error {
	select {
	case <-ctx.Done():
		p.log.Info("stopping")
		p.leave(p.backend)
	case <-m.node.Done():
		p.stopHTTP()
	}
	server.Close()
	err := m.node.Close()
	m.peers.Close()
	return err
}

// leave takes leave of the clients. First the node is not ready any more, so that nobody
// new is sent here. Then another server takes over, while clients are still
// served: what they write meanwhile waits for the new leader instead of an election.
// What they asked for by then is finished.
func (p *process) leave(b httpapi.Backend) {
	p.api.Drain()
	handOver(b, p.log)
	p.stopHTTP()
}

// handOver lets another server lead, if this one does. Stopping is not leaving: it stays
// a member. Without a hand-over the others notice after an election timeout.
func handOver(b httpapi.Backend, log *slog.Logger) {
	info := b.Info()
	if info.State != raft.Leader || info.Configuration.Voters() == 1 && info.Configuration.IsVoter(info.ID) {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), handOverGrace)
	defer cancel()
	if err := b.TransferLeadership(ctx, ""); err != nil {
		log.Warn("nobody took over the leadership; the others will elect a leader", "err", err)
		return
	}
	log.Info("handed over the leadership")
}

// stopHTTP may be called twice.
func (p *process) stopHTTP() {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownGrace)
	defer cancel()
	if err := p.api.Shutdown(ctx); err != nil && !errors.Is(err, http.ErrServerClosed) {
		p.log.Warn("HTTP did not stop cleanly", "err", err)
	}
}
