package main

import (
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"

	"dbdb/kvstore"
	dbdb "dbdb/raft"
)

// Sizes that the library leaves to its user: those of its own documentation and of Consul.
const (
	cachedEntries    = 512 // of the log, in front of bbolt
	keptSnapshots    = 2
	connectionsKept  = 3
	transportTimeout = 10 * time.Second
)

// open starts hashicorp/raft with its own defaults.
func open(o options, self raft.Server, servers []raft.Server, m raft.FSM) (*raft.Raft, error) {
	logs, stable, snapshots, err := stores(o)
	if err != nil {
		return nil, err
	}
	transport, err := raft.NewTCPTransport(string(self.Address), nil, connectionsKept, transportTimeout, os.Stderr)
	if err != nil {
		return nil, err
	}
	config := raft.DefaultConfig()
	config.LocalID = self.ID
	config.Logger = hclog.New(&hclog.LoggerOptions{Level: hclog.Warn, Output: os.Stderr})
	known, err := raft.HasExistingState(logs, stable, snapshots)
	if err != nil {
		return nil, err
	}
	if !known && !o.join {
		if err := raft.BootstrapCluster(config, logs, stable, snapshots, transport, raft.Configuration{Servers: servers}); err != nil {
			return nil, err
		}
	}
	return raft.NewRaft(config, m, logs, stable, snapshots, transport)
}

func stores(o options) (raft.LogStore, raft.StableStore, raft.SnapshotStore, error) {
	if o.memory {
		s := raft.NewInmemStore()
		return s, s, raft.NewInmemSnapshotStore(), nil
	}
	bolt, err := raftboltdb.New(raftboltdb.Options{Path: filepath.Join(o.dir, "raft.db")})
	if err != nil {
		return nil, nil, nil, err
	}
	logs, err := raft.NewLogCache(cachedEntries, bolt)
	if err != nil {
		return nil, nil, nil, err
	}
	snapshots, err := raft.NewFileSnapshotStore(o.dir, keptSnapshots, os.Stderr)
	return logs, bolt, snapshots, err
}

// machine is dbdb's store as hashicorp/raft's state machine.
type machine struct{ store *kvstore.Store }

func (m *machine) Apply(l *raft.Log) any { return m.store.Apply(dbdb.Index(l.Index), l.Data) }

func (m *machine) Snapshot() (raft.FSMSnapshot, error) { return cut{m.store.Snapshot()}, nil }

func (m *machine) Restore(r io.ReadCloser) error {
	install, err := m.store.Restore(r)
	if err != nil {
		return err
	}
	install()
	return r.Close()
}

// cut is the state at one index.
type cut struct{ io.WriterTo }

func (c cut) Persist(sink raft.SnapshotSink) error {
	if _, err := c.WriteTo(sink); err != nil {
		_ = sink.Cancel()
		return err
	}
	return sink.Close()
}

func (cut) Release() {}
