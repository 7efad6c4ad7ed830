package main

import (
	"io"
	"time"

	"dbdb/raft"
)

// slowLoad is how long a snapshot may take to load without a word.
const slowLoad = time.Second

// snapshotFiles is package wal's Snapshots.
type snapshotFiles interface {
	Load(m raft.Snapshot, load func(state io.Reader) error) error
}

// restorer is package kvstore's Store.
type restorer interface {
	Restore(state io.Reader) (install func(), err error)
}

// load puts the snapshot in force into the store, before there is a node: the log
// begins where the snapshot ends, and must not be applied to anything else.
func (p *process) load(files snapshotFiles, store restorer, s raft.Snapshot) error {
	if s.Index == 0 {
		return nil
	}
	p.backend.waitFor(p.o.nodeID + " is loading its snapshot")
	begin := time.Now()
	var install func()
	err := files.Load(s, func(state io.Reader) (err error) {
		install, err = store.Restore(state)
		return err
	})
	if err != nil {
		return err
	}
	install()
	if took := time.Since(begin); took > slowLoad {
		p.log.Info("loaded the snapshot", "index", uint64(s.Index), "took", took.Round(time.Millisecond))
	}
	return nil
}
