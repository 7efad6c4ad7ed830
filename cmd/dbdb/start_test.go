package main

import (
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"

	"dbdb/raft"

	"github.com/stretchr/testify/assert"
)

func TestTheNewestConfigurationIsInTheLogOrElseInTheSnapshot(t *testing.T) {
	configuration := func(name string) raft.Configuration {
		return raft.Configuration{Members: []raft.Member{{ID: raft.NodeID(name), Role: raft.Voter}}}
	}
	entry := func(i raft.Index, name string) raft.Entry {
		return raft.Entry{Index: i, Term: 1, Kind: raft.EntryConfiguration, Data: configuration(name).Encode()}
	}
	snapshot := raft.Snapshot{Index: 7, Term: 1, Configuration: configuration("a")}
	assert.Equal(t, configuration("c"), configurationOf(raft.Restored{Snapshot: snapshot, Entries: []raft.Entry{entry(8, "b"), entry(9, "c"), {Index: 10, Term: 1}}}))
	assert.Equal(t, configuration("a"), configurationOf(raft.Restored{Snapshot: snapshot, Entries: []raft.Entry{{Index: 8, Term: 1}}}))
	assert.Empty(t, configurationOf(raft.Restored{}).Members)
	assert.False(t, isEmpty(raft.Restored{Snapshot: snapshot}))
	assert.True(t, isEmpty(raft.Restored{Term: 3}))
}

// snapshotFile is a snapshot on a disk that may be damaged.
type snapshotFile struct {
	state string
	err   error
}

func (f snapshotFile) Load(_ raft.Snapshot, load func(io.Reader) error) error {
	return errors.Join(load(strings.NewReader(f.state)), f.err)
}

// lines is a state machine that restores text.
type lines struct{ text string }

func (l *lines) Restore(r io.Reader) (install func(), err error) {
	b, err := io.ReadAll(r)
	return func() { l.text = string(b) }, err
}

func TestTheSnapshotIsInstalledOnlyIfAllOfItIsSound(t *testing.T) {
	p := &process{log: slog.New(slog.DiscardHandler), backend: newBackend("node1"), o: options{nodeID: "node1"}}
	var l lines
	assert.NoError(t, p.load(snapshotFile{state: "x"}, &l, raft.Snapshot{}))
	assert.Empty(t, l.text, "there is none to load")

	damage := errors.New("damaged")
	assert.ErrorIs(t, p.load(snapshotFile{"x", damage}, &l, raft.Snapshot{Index: 7}), damage)
	assert.Empty(t, l.text)

	assert.NoError(t, p.load(snapshotFile{state: "x"}, &l, raft.Snapshot{Index: 7}))
	assert.Equal(t, "x", l.text)
	assert.Equal(t, "node1 is loading its snapshot", p.backend.Info().Waits)
}
