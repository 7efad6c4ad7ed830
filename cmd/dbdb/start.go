package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"dbdb/httpapi"
	"dbdb/raft"
	"dbdb/raft/wal"
)

// errNeverMember ends a node that was stopped before it belonged to a cluster.
var errNeverMember = errors.New("stopped before this node belonged to a cluster")

// enter makes this node a member of a cluster, if it is none, and returns what its
// log holds. What was decided once is in the data directory: the same command line
// starts a node the first time and every time after.
func (p *process) enter(ctx context.Context, dir *wal.Dir) (raft.Restored, error) {
	id := dir.Identity()
	restored := dir.Log().Restored()
	switch {
	case id.Founding && (p.o.bootstrap || !isEmpty(restored)):
		return p.found(dir, id.Cluster, restored) // the last process was killed in the middle
	case id.Founding:
		// It was killed before there was a cluster, and is not asked to make one any more.
		if err := dir.SetCluster("", false); err != nil {
			return restored, err
		}
		id = dir.Identity()
	}
	switch {
	case id.Cluster != "":
		return restored, p.checkJoin(ctx, dir, restored)
	case p.o.bootstrap:
		return p.found(dir, newClusterID(), restored)
	case len(p.o.join) > 0:
		return restored, p.enterCluster(ctx, dir)
	}
	idle := p.o.nodeID + " belongs to no cluster yet: start it with --bootstrap or --join"
	p.backend.waitFor(idle)
	p.log.Warn(idle)
	<-ctx.Done()
	return restored, errNeverMember
}

// found starts a new cluster. The cluster's id is durable before the first entry:
// with two attempts under different ids, the directory would not know which one its
// log belongs to.
func (p *process) found(dir *wal.Dir, cluster string, restored raft.Restored) (raft.Restored, error) {
	if err := dir.SetCluster(cluster, true); err != nil {
		return restored, err
	}
	if isEmpty(restored) {
		host, err := advertised(p.o, "")
		if err != nil {
			return restored, err
		}
		first := raft.Bootstrap(raft.Member{
			ID:       dir.Identity().NodeID(),
			RaftAddr: hostPort(host, p.o.raftPort), HTTPAddr: hostPort(host, p.o.httpPort),
		})
		if err := dir.Log().Save(first); err != nil {
			return restored, err
		}
		restored.Term, restored.Entries = first.Term, first.Entries
		p.log.Info("started a new cluster", "cluster", httpapi.ShortCluster(cluster))
	}
	return restored, dir.SetCluster(cluster, false)
}

func newClusterID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // it never fails; see crypto/rand
	return hex.EncodeToString(b[:])
}

// enterCluster joins through --join. The cluster's id is durable before this node
// says anything in the cluster's name.
func (p *process) enterCluster(ctx context.Context, dir *wal.Dir) error {
	p.backend.waitFor(p.o.nodeID + " is joining through " + strings.Join(p.o.join, ", "))
	cluster, err := p.joiner(dir).join(ctx)
	switch {
	case err == nil:
		return dir.SetCluster(cluster, false)
	case ctx.Err() != nil:
		return errNeverMember
	}
	return identityError(err)
}

// identityError gives a refusal that is about the data directory its exit code.
func identityError(err error) error {
	if r, refused := errors.AsType[*refusedError](err); refused && (r.code == "name_taken" || r.code == "other_cluster" || r.code == "used_twice") {
		return &exitError{exitData, err}
	}
	return err
}

func (p *process) joiner(dir *wal.Dir) joiner {
	return joiner{p.o, dir.Identity(), p.log}
}

// checkJoin refuses to start a node that was bootstrapped by mistake and now shall
// join another cluster. It is alone in its own, so to go on would only hide
// the mistake. A node with fellow members goes on: its cluster needs it more than
// the command line is right.
func (p *process) checkJoin(ctx context.Context, dir *wal.Dir, restored raft.Restored) error {
	if len(p.o.join) == 0 {
		return nil
	}
	addr, theirs := p.joiner(dir).probe(ctx)
	ours := dir.Identity().Cluster
	switch alone := len(configurationOf(restored).Members) == 1; {
	case theirs == "" || theirs == ours:
		return nil
	case alone:
		return exit(exitData, "%s", httpapi.OtherCluster(p.o.nodeID, p.o.dataDir, ours, theirs))
	}
	p.log.Warn("the address of --join is in another cluster", "address", addr,
		"cluster", httpapi.ShortCluster(theirs), "ours", httpapi.ShortCluster(ours))
	return nil
}

// isEmpty says that a server never had anything in its log.
func isEmpty(restored raft.Restored) bool {
	return len(restored.Entries) == 0 && restored.Snapshot.Index == 0
}

// configurationOf is the newest configuration of a log, or of the snapshot before it.
func configurationOf(restored raft.Restored) raft.Configuration {
	for k := len(restored.Entries) - 1; k >= 0; k-- {
		if e := restored.Entries[k]; e.Kind == raft.EntryConfiguration {
			c, _ := raft.DecodeConfiguration(e.Data) // the core asserts that it decodes
			return c
		}
	}
	return restored.Snapshot.Configuration
}

// sayRestart tells that the directory, not the command line, decided.
func (p *process) sayRestart(cluster string, self raft.NodeID, restored raft.Restored) {
	c := configurationOf(restored)
	said, ignored := "already a member of", ""
	switch _, listed := c.Member(self); {
	case !listed:
		said = "not a member, as far as the log goes, of" // it was removed, or is still to be told all of the log
	case p.o.bootstrap:
		ignored = "; --bootstrap ignored"
	case len(p.o.join) > 0:
		ignored = "; --join ignored"
	}
	voters := fmt.Sprintf("%d voters", c.Voters())
	if c.Voters() == 1 {
		voters = "1 voter"
	}
	p.log.Info(fmt.Sprintf("%s cluster %s (term %d, %s)%s", said, httpapi.ShortCluster(cluster), restored.Term, voters, ignored))
}
