package wal

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"dbdb/raft"
)

const (
	snapshotDir = "snapshots"
	// snapshotSuffix ends the names of the snapshots that are or were in force, and
	// completeSuffix of those that are complete and wait for their Save.
	snapshotSuffix = ".snapshot"
	completeSuffix = ".complete"
	// ownTmp is being written, receivedTmp is on its way from the leader.
	ownTmp      = "own.tmp"
	receivedTmp = "received.tmp"
)

// snapshotFiles is the directory of snapshots. It has no state, so that the log can
// publish a snapshot while the next one is being written.
type snapshotFiles struct {
	fsys FS
	dir  string
}

func snapshotName(p position, suffix string) string {
	return fmt.Sprintf("%016x-%016x%s", uint64(p.index), uint64(p.term), suffix)
}

// snapshotPosition reads the name of a snapshot. Other names are none.
func snapshotPosition(name, suffix string) (position, bool) {
	index, term, _ := strings.Cut(strings.TrimSuffix(name, suffix), "-")
	i, err1 := strconv.ParseUint(index, 16, 64)
	t, err2 := strconv.ParseUint(term, 16, 64)
	p := position{raft.Index(i), raft.Term(t)}
	return p, err1 == nil && err2 == nil && snapshotName(p, suffix) == name
}

func (s snapshotFiles) name(p position) string {
	return path.Join(s.dir, snapshotName(p, snapshotSuffix))
}

// list names the files in the directory, none if it is missing.
func (s snapshotFiles) list() ([]string, error) {
	names, err := s.fsys.ReadDir(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return names, err
}

// complete gives a file that was written and synced its name, durably.
func (s snapshotFiles) complete(tmp string, p position) error {
	if err := s.fsys.Rename(path.Join(s.dir, tmp), path.Join(s.dir, snapshotName(p, completeSuffix))); err != nil {
		return err
	}
	return s.fsys.SyncDir(s.dir)
}

// publish brings a complete snapshot into force, durably. Its file must say the same as m:
// m is what the core works with now, the file is what it gets after a restart.
func (s snapshotFiles) publish(m raft.Snapshot) error {
	name := path.Join(s.dir, snapshotName(positionOf(m), completeSuffix))
	stored, err := s.meta(name)
	if err != nil {
		return fmt.Errorf("snapshot %v cannot come into force: %w", positionOf(m), err)
	}
	if positionOf(stored) != positionOf(m) || stored.ConfigurationIndex != m.ConfigurationIndex ||
		!bytes.Equal(stored.Configuration.Encode(), m.Configuration.Encode()) {
		return fmt.Errorf("snapshot %v cannot come into force: its file %s says %v", m, name, stored)
	}
	if err := s.fsys.Rename(name, s.name(positionOf(m))); err != nil {
		return err
	}
	return s.fsys.SyncDir(s.dir)
}

// meta reads what a snapshot's file says about itself.
func (s snapshotFiles) meta(name string) (_ raft.Snapshot, err error) {
	f, err := s.fsys.Open(name)
	if err != nil {
		return raft.Snapshot{}, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	_, m, err := newSnapshotReader(f, name)
	return m, err
}

// removeBefore removes the snapshots that p has replaced, and those that waited for
// their Save in vain. Files that are being written stay: they may become newer ones.
func (s snapshotFiles) removeBefore(p position) error {
	return s.removeIf(func(name string) bool {
		old, published := snapshotPosition(name, snapshotSuffix)
		waiting, complete := snapshotPosition(name, completeSuffix)
		return published && old.index < p.index || complete && waiting.index <= p.index
	})
}

// removeAllBut removes every file of ours but the snapshot in force: no process is left
// that would finish or publish it.
func (s snapshotFiles) removeAllBut(inForce position) error {
	err := s.removeIf(func(name string) bool {
		published, isPublished := snapshotPosition(name, snapshotSuffix)
		_, isComplete := snapshotPosition(name, completeSuffix)
		return isComplete || isPublished && published != inForce
	})
	for _, tmp := range []string{ownTmp, receivedTmp} {
		if err == nil {
			err = removeIfThere(s.fsys, path.Join(s.dir, tmp))
		}
	}
	return err
}

// removeIf removes the files that are of no more use.
func (s snapshotFiles) removeIf(useless func(name string) bool) error {
	names, err := s.list()
	if err != nil {
		return err
	}
	for _, name := range names {
		if !useless(name) {
			continue
		}
		if err := s.fsys.Remove(path.Join(s.dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// removeIfThere removes a file whose making was interrupted.
func removeIfThere(fsys FS, name string) error {
	if err := fsys.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
