package sim

import (
	"slices"

	"dbdb/raft"
)

// configurationsUpTo are the committed configurations up to an index, oldest first.
func (c *checker) configurationsUpTo(i raft.Index) []configurationAt {
	k := len(c.configurations)
	for k > 0 && c.configurations[k-1].index > i {
		k--
	}
	return slices.Clone(c.configurations[:k])
}

// isMember says whether the newest committed configuration has a server.
func (c *checker) isMember(id raft.NodeID) bool {
	if len(c.configurations) == 0 {
		return false
	}
	_, found := c.configurations[len(c.configurations)-1].Member(id)
	return found
}

// configurationCommitted: consecutive committed configurations differ by one server.
func (c *checker) configurationCommitted(n *node, i raft.Index) {
	k := slices.IndexFunc(n.view.configurations, func(conf configurationAt) bool { return conf.index == i })
	if k < 0 {
		violate("Configuration", "n%d commits one at %d that the checker does not know", n.place+1, i)
	}
	conf := n.view.configurations[k]
	if known := len(c.configurations); known > 0 {
		old := c.configurations[known-1]
		if gone, come := differences(old.Configuration, conf.Configuration), differences(conf.Configuration, old.Configuration); gone > 1 || come > 1 {
			violate("Configuration", "the one at %d changes more than one server of the one at %d", i, old.index)
		}
		for _, m := range conf.Members {
			if _, was := old.Member(m.ID); !was && slices.ContainsFunc(c.configurations, func(o configurationAt) bool { _, was := o.Member(m.ID); return was }) {
				c.w.marks.hit(markReAdded)
			}
		}
	}
	c.configurations = append(c.configurations, conf)
}

// mayChange: a leader appends a configuration only when the one before it is committed
// (thesis §4.1), and so is an entry of its own term (Ongaro, raft-dev, 2015).
func (c *checker) mayChange(n *node, e raft.Entry, conf raft.Configuration) {
	core := n.replica.Raft()
	if core.State() != raft.Leader || e.Term != core.Term() {
		return
	}
	v, commit := &n.view, core.Status().CommitIndex
	if k := len(v.configurations); k > 0 && v.configurations[k-1].index > commit {
		violate("One change at a time", "n%d appends a configuration at %v while the one at %d is not committed", n.place+1, e, v.configurations[k-1].index)
	}
	if v.log.at(commit).term != e.Term {
		violate("A change waits for an entry of the own term", "n%d appends a configuration at %v; it has committed %d@%d", n.place+1, e, commit, v.log.at(commit).term)
	}
	c.caughtUpSince(n, e, conf)
}

// leavesWhenCommitted: a leader steps down for want of a vote when the configuration that
// takes it is committed, and not earlier (thesis §4.2.2): nobody else may have it, the next
// leader undoes it, and the leader that is to be removed gives up again.
func (c *checker) leavesWhenCommitted(n *node, conf, commit raft.Index) {
	if conf > commit {
		violate("A removed leader waits for the commit", "n%d steps down for the configuration at %d; it has committed %d", n.place+1, conf, commit)
	}
}

// removedLeaderIsGone: after a Flush nobody leads who knows that a committed configuration
// has no vote for it, and who has none in a later one either (thesis §4.2.2), once it has
// committed an entry of its own term. A server that was just elected may know less than it
// has: it may be a learner in the newest configuration that it knows to be committed, and a
// voter in those after it, or in one of which only others know.
func (c *checker) removedLeaderIsGone(n *node) {
	v := &n.view
	if v.State != raft.Leader || v.log.at(v.CommitIndex).term != v.Term {
		return
	}
	for k := len(v.configurations) - 1; k >= 0; k-- {
		conf := v.configurations[k]
		if conf.IsVoter(n.id) {
			return
		}
		if conf.index <= v.CommitIndex {
			violate("A removed leader steps down", "n%d leads, and the configuration at %d, which is committed, has no vote for it", n.place+1, conf.index)
		}
	}
}

// removedStaysQuiet: a server that knows of its removal starts no election.
func (c *checker) removedStaysQuiet(n *node, st *raft.Status) {
	if st.RemovedAt > 0 && (st.State == raft.PreCandidate || st.State == raft.Candidate) {
		violate("A removed server is quiet", "n%d is a %v; it knows that it was removed at %d", n.place+1, st.State, st.RemovedAt)
	}
}

// knowsWhenRestarted: a server that was removed takes no snapshot. It would start from a
// configuration without itself, and could not tell a removal from never having been a member.
func (c *checker) knowsWhenRestarted(n *node) {
	if at := n.view.RemovedAt; at > 0 {
		violate("A removed server knows it after a restart", "n%d, removed at %d, takes a snapshot", n.place+1, at)
	}
}

// quorumsMeet: each majority of a new leader's configuration shares a server with each
// majority of the newest one that was committed in an earlier term. Else two of them could
// decide on their own. It follows from the rules on changes and from Leader Completeness, and
// is asked for all the same, as it is what they are for.
//
// "No two leaders with disjoint quorums", at any moment, would be too much: a leader that was
// cut off long ago may still lead an old term with servers that have all been exchanged since.
// It can commit nothing more, and what it learns of any newer term ends it.
func (c *checker) quorumsMeet(n *node, st *raft.Status) {
	for k := len(c.configurations) - 1; k >= 0; k-- {
		conf := c.configurations[k]
		if c.committed[conf.index-1].inTerm >= st.Term {
			continue // this one was elected late, in an old term
		}
		if mayBeApart(conf.Configuration, st.Configuration) {
			violate("Quorums meet", "n%d leads term %d with %v; the configuration at %d, which is committed, has majorities apart from it", n.place+1, st.Term, st.Configuration, conf.index)
		}
		return
	}
}

// mayBeApart says whether a majority of a and one of b can be without a common server.
func mayBeApart(a, b raft.Configuration) bool {
	onlyA, both := 0, 0
	for _, m := range a.Members {
		switch {
		case m.Role != raft.Voter:
		case b.IsVoter(m.ID):
			both++
		default:
			onlyA++
		}
	}
	onlyB := b.Voters() - both
	// Of the servers that are in both, each majority takes as few as it can.
	return max(0, a.Voters()/2+1-onlyA)+max(0, b.Voters()/2+1-onlyB) <= both
}

// transportKnows: the transport was told of everybody whom this server may call: the
// members, and on a leader those that were removed and may not know it.
func (c *checker) transportKnows(n *node) {
	want := n.replica.Raft().Contacts()
	if !slices.Equal(n.told.Members, want.Members) {
		violate("The transport knows the configuration", "n%d may call %v; its transport was told %v", n.place+1, want, n.told)
	}
	for _, m := range n.view.Configuration.Members {
		if told, found := n.told.Member(m.ID); !found || told != m {
			violate("The transport knows the configuration", "n%d uses %v; its transport was told %v", n.place+1, n.view.Configuration, n.told)
		}
	}
	for _, p := range n.view.Peers {
		if _, found := n.told.Member(p.ID); !found {
			violate("The transport knows the configuration", "n%d sends to %s; its transport was told %v", n.place+1, p.ID, n.told)
		}
	}
}

// leaderIsDurable: whoever speaks as leader has its vote on its disk.
func (c *checker) leaderIsDurable(n *node, term raft.Term) {
	d := &n.lasting.durable
	if d.term < term || d.term == term && d.votedFor != n.id {
		violate("Durable before it leaves", "n%d leads term %d; its disk holds %v", n.place+1, term, d)
	}
}

// timeoutNowLeaves: whoever asks for an election leads.
func (c *checker) timeoutNowLeaves(n, to *node, a raft.TimeoutNowArgs) {
	c.leaderIsDurable(n, a.Term)
	c.step(n)
	c.hasWholeLog(n, to, a.Term)
}

// hasWholeLog: who is asked to take over holds the whole log. Sooner, it would lose the
// election, and the cluster its leader (thesis §3.10; hashicorp/raft#570).
func (c *checker) hasWholeLog(n, to *node, term raft.Term) {
	last, d := n.view.log.last(), &to.lasting.durable
	if d.term <= term && d.at(last) != n.view.log.at(last) {
		violate("TimeoutNow to whoever has the whole log", "n%d asks n%d to take over at %d@%d; its disk holds %v", n.place+1, to.place+1, last, n.view.log.at(last).term, d)
	}
}
