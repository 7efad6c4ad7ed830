// Command floor is dbdb without Raft and without a disk: its HTTP server, with every
// header, and its store, in one process. No dbdb can be faster than this; what lies between
// the two is the price of consensus.
package main

import (
	"context"
	"flag"
	"log/slog"
	"net"
	"os"
	"sync"

	"dbdb/httpapi"
	"dbdb/kvstore"
	"dbdb/raft"
)

const self raft.NodeID = "node1.floor"

func main() {
	address := flag.String("http", "localhost:8221", "where to listen")
	flag.Parse()
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	ln, err := net.Listen("tcp", *address)
	if err != nil {
		log.Error("cannot listen", "err", err)
		os.Exit(1)
	}
	store := kvstore.New()
	b := &backend{store: store, members: raft.Configuration{
		Members: []raft.Member{{ID: self, Role: raft.Voter, RaftAddr: *address, HTTPAddr: *address}},
	}}
	log.Error("stopped", "err", httpapi.New(httpapi.Options{Backend: b, Store: store, Logger: log}).Serve(ln))
	os.Exit(1)
}

// backend is a leader that is alone and forgets everything. What it does not do, nobody
// asks a floor for.
type backend struct {
	httpapi.Backend
	store   *kvstore.Store
	members raft.Configuration

	mu      sync.Mutex // one applies at a time, as in dbdb
	applied raft.Index
}

func (b *backend) Info() httpapi.Info {
	b.mu.Lock()
	defer b.mu.Unlock()
	return httpapi.Info{
		Name: self.Name(), ID: self, Cluster: "f1", State: raft.Leader, Term: 1, Leader: self,
		CommitIndex: b.applied, AppliedIndex: b.applied, LastIndex: b.applied, Configuration: b.members,
	}
}

func (b *backend) Apply(_ context.Context, cmd []byte) (httpapi.Result, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.applied++
	return httpapi.Result{Index: b.applied, Term: 1, Value: b.store.Apply(b.applied, cmd)}, nil
}

func (b *backend) Read(context.Context) error { return nil }

func (b *backend) Progress(context.Context) ([]httpapi.Progress, error) { return nil, nil }
