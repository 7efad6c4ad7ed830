package node

import (
	"context"
	"slices"
	"time"

	"dbdb/raft"
)

// Info is what a node knows of itself and its cluster.
type Info struct {
	ID          raft.NodeID
	State       raft.State
	Term        raft.Term
	Leader      raft.NodeID // of Term; "" if not known
	CommitIndex raft.Index
	// LeaderCommit is how far the cluster has committed, as far as this node was told.
	LeaderCommit  raft.Index
	AppliedIndex  raft.Index
	LastIndex     raft.Index
	Configuration raft.Configuration
	// SnapshotIndex is where the snapshot in force ends; 0 if there is none.
	SnapshotIndex raft.Index
	// RemovedAt is the index of the configuration that removed this server; 0 if it is a
	// member, or was never one.
	RemovedAt raft.Index
	// TookPart says that since its start this node has been a member, and up to date.
	TookPart bool
	// Receiving says how much of a leader's snapshot has arrived; both 0 if none comes.
	Receiving raft.Transferred
	// LeaderContact is how long ago the election timer was reset: on a follower, by
	// its leader. 0 on the leader.
	LeaderContact time.Duration
}

// Status is Info, with the leader's view of its peers.
type Status struct {
	Info
	Peers []raft.PeerStatus
}

// Info returns the newest state that the loop has published. It costs nothing and
// waits for nothing.
func (n *Node) Info() Info { return *n.info.Load() }

// Status asks the loop.
func (n *Node) Status(ctx context.Context) (Status, error) {
	return request(ctx, n, ErrTimeout, func(done func(Status, error)) {
		s := n.replica.Raft().Status()
		done(Status{Info: n.look(s), Peers: s.Peers}, nil)
	})
}

func (n *Node) look(s raft.Status) Info {
	return Info{
		ID: s.ID, State: s.State, Term: s.Term, Leader: s.Leader,
		CommitIndex: s.CommitIndex, LeaderCommit: s.LeaderCommit, AppliedIndex: n.replica.LastApplied(), LastIndex: s.LastIndex,
		Configuration: s.Configuration,
		LeaderContact: time.Duration(s.LeaderHeard) * n.cfg.TickInterval,
		SnapshotIndex: s.SnapshotIndex, RemovedAt: s.RemovedAt, TookPart: s.TookPart, Receiving: s.Receiving,
	}
}

// publish makes the loop's state visible, and logs what a person would want to know
// of: changes of role, leader and configuration, never a heartbeat.
func (n *Node) publish() {
	status := n.replica.Raft().Status()
	now := n.look(status)
	before := n.info.Swap(&now)
	if before == nil {
		return
	}
	n.sayProgress(status)
	if before.State != now.State || before.Term != now.Term || before.Leader != now.Leader {
		n.cfg.Logger.Info("role", "node", now.ID.Name(), "state", now.State.String(), "term", uint64(now.Term),
			"leader", now.Leader.Name(), "index", uint64(now.LastIndex))
	}
	if !slices.Equal(before.Configuration.Members, now.Configuration.Members) {
		n.cfg.Logger.Info("configuration", "node", now.ID.Name(), "index", uint64(now.LastIndex),
			"voters", names(now.Configuration, raft.Voter), "learners", names(now.Configuration, raft.Learner))
	}
}

// progressEvery is how often a node says how far a snapshot has got across.
const progressEvery = time.Second

func (n *Node) sayProgress(s raft.Status) {
	if time.Since(n.said) < progressEvery {
		return
	}
	if s.Receiving.Size > 0 {
		n.said = time.Now()
		n.cfg.Logger.Info("receiving a snapshot", "node", s.ID.Name(), "leader", s.Leader.Name(), "done", s.Receiving.String())
	}
	for _, p := range s.Peers {
		if p.Snapshot.Size > 0 {
			n.said = time.Now()
			n.cfg.Logger.Info("sending a snapshot", "node", s.ID.Name(), "peer", p.ID.Name(), "done", p.Snapshot.String())
		}
	}
}

func names(c raft.Configuration, role raft.Role) []string {
	var names []string
	for _, m := range c.Members {
		if m.Role == role {
			names = append(names, m.Name())
		}
	}
	return names
}
