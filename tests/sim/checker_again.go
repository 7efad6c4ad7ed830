package sim

import (
	"slices"

	"dbdb/raft"
)

// caughtUpSince: a learner is made a voter when it has caught up (thesis §4.2.1), so it has
// acknowledged at least the configuration that made it a member. What it acknowledged before
// it was removed, and added again, is that of another server (etcd-io/raft#349): a leader that
// counts it makes a voter of one that may be empty, or not there at all.
func (c *checker) caughtUpSince(n *node, e raft.Entry, conf raft.Configuration) {
	confs := n.view.configurations
	if len(confs) == 0 {
		return
	}
	for _, m := range conf.Members {
		old, was := confs[len(confs)-1].Member(m.ID)
		if !was || old.Role == raft.Voter || m.Role != raft.Voter {
			continue
		}
		if since, match := memberSince(confs, m.ID), matchOf(n, m.ID); match < since {
			violate("A learner catches up before it votes", "n%d makes %s a voter at %v; it is a member since %d, and has acknowledged what is up to %d", n.place+1, m.ID, e, since, match)
		}
	}
}

// memberSince is where the newest stretch of configurations begins that all have a server.
func memberSince(confs []configurationAt, id raft.NodeID) (since raft.Index) {
	for _, conf := range slices.Backward(confs) {
		if _, is := conf.Member(id); !is {
			break
		}
		since = conf.index
	}
	return since
}

// matchOf is what a leader believes that a server holds.
func matchOf(n *node, id raft.NodeID) raft.Index {
	for _, p := range n.replica.Raft().Status().Peers {
		if p.ID == id {
			return p.MatchIndex
		}
	}
	return 0
}

// memberIsNotSilenced: that a server was removed is a hint, and may be old (thesis §4.2.3). One
// whose log holds the newest committed configuration, and that is in it, knows better than
// whoever says so: if it believed it, it would ask for no votes, and may be the only one that
// can win.
func (c *checker) memberIsNotSilenced(n *node, st *raft.Status) {
	if st.RemovedAt == 0 || len(c.configurations) == 0 || !c.isMember(n.id) {
		return
	}
	newest := c.configurations[len(c.configurations)-1].index
	if newest > st.RemovedAt && n.view.log.at(newest) == c.committed[newest-1].cell {
		violate("A member is not silenced", "n%d believes that it was removed at %d; its log has the configuration at %d, which is committed, and in which it is", n.place+1, st.RemovedAt, newest)
	}
}
