package sim

import (
	"slices"

	"dbdb/raft"
)

// checker keeps what nobody inside the world can know: what every server has
// promised, across crashes, and what was ever committed. After each step it
// compares the server that moved with it. Each promise has a name, which a failure
// shows; the names of the paper's properties are those of its Figure 3.
//
// checker.go looks at one server's step, checker_log.go at logs and commitment,
// checker_disk.go at what is durable and at what leaves, checker_snapshot.go at snapshots
// and states, checker_members.go at who belongs to the cluster and who leads it,
// checker_again.go at who was removed and is added again, checker_waiters.go at who waits for
// what.
//
//  1. Election Safety: elected, electedByQuorum
//  2. Leader Append-Only: forget
//  3. Log Matching: remember, final
//  4. Leader Completeness: leaderCompleteness
//  5. State Machine Safety: followCommit, applies
//  6. Durable terms rise, one durable vote per term, across restarts: durable
//  7. Indexes rise within a life and are in order: step
//  8. No committed entry is truncated: forget, durable, installs
//  9. matchIndex is durable at the peer and rises, nextIndex is above it: followPeers
//  10. Committed is durable on a quorum: followCommit, quorumHolds
//  11. States are equal at equal indexes, snapshots too: appliedTo, stateIsRight, payloadIsRight;
//     and what a command says is in them: commandTakesEffect
//  12. The configuration in use is the last in the log: configurationInUse; committed ones
//     differ by one server: configurationCommitted; changes wait: mayChange, caughtUpSince;
//     the quorums of leaders meet: quorumsMeet; members may campaign: memberIsNotSilenced; a
//     leader that is removed leaves when that is committed: leavesWhenCommitted, removedLeaderIsGone
//  13. What leaves is durable: the functions whose names end in Leaves or Leave
//  14. No stale read: clients.serve, and all of the history: clients.checkHistory
//  15. Everybody is answered, once, and truly: clients.answer, wasCommitted, command.mayBe,
//     world.removed; in time: waitersAreServed; at a stop: clients.mustBeAnswered; in the end:
//     world.restful
//  16. Recovery gives back what was durable: recovered, born; damage is refused: node.refuses
//  17. In the end all is well: world.recuperate
//
// That no coroutine is left holds by the way they are made: work.abandon returns when the
// coroutine has. A test counts them.
type checker struct {
	w *world

	leaders   map[raft.Term]raft.NodeID // asked, never walked
	variants  [][]variant               // [index-1]: the entries ever seen there
	committed []commitment              // [index-1]: what was first committed there

	configurations []configurationAt // committed, in the order of the log
	states         []uint64          // [index-1]: the state machine's hash after that entry
}

func newChecker(w *world) *checker {
	return &checker{w: w, leaders: map[raft.Term]raft.NodeID{}}
}

// view is what the checker saw of a server's present life when it last looked.
type view struct {
	raft.Status
	log            image // a copy of the core's log; only log is used
	configurations []configurationAt
	changed        span       // of the log that the messages of this step may have touched
	applied        raft.Index // last command given to the state machine, or the end of a snapshot
	transferring   bool
}

// span is a part of the log; the zero span is empty.
type span struct{ from, to raft.Index }

// configurationAt is a configuration and where in the log it is.
type configurationAt struct {
	index raft.Index
	raft.Configuration
}

// born begins the view of a new life: the core must have taken up exactly what the
// disk gave back.
func (c *checker) born(n *node) {
	st := n.replica.Raft().Status()
	d := &n.lasting.durable
	if st.Term != d.term || st.VotedFor != d.votedFor || st.LastIndex != d.last() || st.SnapshotIndex != d.snapshot || st.CommitIndex != d.snapshot || st.LastApplied != d.snapshot || st.State != raft.Follower {
		violate("Recovery", "n%d starts as %v in term %d, vote %q, log to %d; its disk holds %v", n.place+1, st.State, st.Term, st.VotedFor, st.LastIndex, d)
	}
	n.view = view{applied: d.snapshot, configurations: c.configurationsUpTo(d.snapshot)}
	n.view.log.log = cellsOf(c.committed[:d.snapshot])
	c.stateIsRight(n, d.snapshot)
	c.followLog(n, &st)
	n.view.Status = st
}

// step looks at the server that just moved.
func (c *checker) step(n *node) {
	st := n.replica.Raft().Status()
	v := &n.view
	if st.Term < v.Term || st.CommitIndex < v.CommitIndex || st.LastApplied < v.LastApplied {
		violate("Monotone indexes", "n%d went from term %d, commit %d, applied %d to %d, %d, %d", n.place+1,
			v.Term, v.CommitIndex, v.LastApplied, st.Term, st.CommitIndex, st.LastApplied)
	}
	if st.LastApplied > st.CommitIndex || st.CommitIndex > st.LastIndex || st.SnapshotIndex > st.CommitIndex || st.SnapshotIndex < v.SnapshotIndex {
		violate("Monotone indexes", "n%d: snapshot %d after %d, applied %d, commit %d, last %d", n.place+1, st.SnapshotIndex, v.SnapshotIndex, st.LastApplied, st.CommitIndex, st.LastIndex)
	}
	if st.Term == v.Term && v.VotedFor != "" && st.VotedFor != v.VotedFor {
		violate("One vote per term", "n%d changes its vote of term %d from %s to %q", n.place+1, st.Term, v.VotedFor, st.VotedFor)
	}
	hadLast := v.log.last()
	c.followLog(n, &st)
	if st.State == raft.Leader {
		n.ledThrough = n.requests
		if v.State != raft.Leader || v.Term != st.Term {
			c.elected(n, &st, hadLast)
		}
		c.followPeers(n, &st)
	}
	if st.CommitIndex > v.CommitIndex {
		c.followCommit(n, &st)
	}
	c.removedStaysQuiet(n, &st)
	c.memberIsNotSilenced(n, &st)
	v.Status = st
	v.transferring = n.replica.Raft().Transferring()
}

// elected checks a server that became leader in this step.
func (c *checker) elected(n *node, st *raft.Status, hadLast raft.Index) {
	if other, known := c.leaders[st.Term]; known {
		violate("Election Safety", "n%d leads term %d, which %s has led", n.place+1, st.Term, other)
	}
	c.leaders[st.Term] = n.id
	d := &n.lasting.durable
	if d.term != st.Term || d.votedFor != n.id {
		violate("A leader's vote is durable", "n%d leads term %d; its disk holds %v", n.place+1, st.Term, d)
	}
	c.electedByQuorum(n, st)
	c.leaderCompleteness(n, st)
	c.quorumsMeet(n, st)
	if hadLast > raft.Index(len(c.committed)) {
		c.w.marks.hit(markUncommittedTail)
	}
	if !st.Configuration.IsVoter(n.id) && c.isMember(n.id) {
		c.w.marks.hit(markLearnerElected)
	}
	n.elected = true
	c.w.wasElected(n)
}

// electedByQuorum counts the durable votes. A vote whose term was overtaken by a
// newer one in the same Save is not seen on the disk, but forbids another vote all
// the same.
func (c *checker) electedByQuorum(n *node, st *raft.Status) {
	conf := n.view.Configuration
	votes := 0
	for _, m := range conf.Members {
		if m.Role != raft.Voter {
			continue
		}
		peer := &c.w.find(m.ID).lasting
		if peer.votes[st.Term] == n.id || (peer.durable.term > st.Term && peer.votes[st.Term] == "") {
			votes++
		}
	}
	if votes < conf.Voters()/2+1 {
		violate("Election Safety", "n%d leads term %d with %d durable votes of %d voters", n.place+1, st.Term, votes, conf.Voters())
	}
}

// leaderCompleteness: "if a log entry is committed in a given term, then that entry
// will be present in the logs of the leaders for all higher-numbered terms". A
// leader of a lower term may be elected late, and need not have it.
func (c *checker) leaderCompleteness(n *node, st *raft.Status) {
	for k := range c.committed {
		if is := &c.committed[k]; is.inTerm < st.Term && n.view.log.at(raft.Index(k+1)) != is.cell {
			violate("Leader Completeness", "n%d leads term %d without entry %d@%d, committed in term %d",
				n.place+1, st.Term, k+1, is.term, is.inTerm)
		}
	}
}

// followPeers checks what a leader believes of the others: a matchIndex rises only
// over what the peer's disk holds.
func (c *checker) followPeers(n *node, st *raft.Status) {
	v := &n.view
	for k := range st.Peers {
		p := &st.Peers[k]
		if p.NextIndex <= p.MatchIndex || p.NextIndex > st.LastIndex+1 {
			violate("nextIndex", "n%d: %s has matchIndex %d, nextIndex %d; the log ends at %d", n.place+1, p.ID, p.MatchIndex, p.NextIndex, st.LastIndex)
		}
		old := raft.PeerStatus{}
		if v.State == raft.Leader && v.Term == st.Term {
			old = peerIn(v.Peers, k, p.ID)
		}
		if p.MatchIndex < old.MatchIndex && p.Session == old.Session {
			violate("Monotone matchIndex", "n%d: matchIndex of %s falls from %d to %d", n.place+1, p.ID, old.MatchIndex, p.MatchIndex)
		}
		if p.MatchIndex != old.MatchIndex {
			c.matchIsDurable(n, st, p)
		}
	}
}

func peerIn(peers []raft.PeerStatus, k int, id raft.NodeID) raft.PeerStatus {
	if k < len(peers) && peers[k].ID == id {
		return peers[k]
	}
	if k = slices.IndexFunc(peers, func(p raft.PeerStatus) bool { return p.ID == id }); k >= 0 {
		return peers[k]
	}
	return raft.PeerStatus{}
}

// matchIsDurable: while the peer's durable term is the leader's, its disk holds
// what it acknowledged. A newer term may have truncated it: an acknowledgement that
// is overtaken.
func (c *checker) matchIsDurable(n *node, st *raft.Status, p *raft.PeerStatus) {
	d := &c.w.find(p.ID).lasting.durable
	holds := d.at(p.MatchIndex) == n.view.log.at(p.MatchIndex)
	if d.term < st.Term || (d.term == st.Term && !holds) {
		violate("matchIndex is durable", "n%d, leader of term %d, believes that %s holds %d@%d; its disk has %v",
			n.place+1, st.Term, p.ID, p.MatchIndex, n.view.log.at(p.MatchIndex).term, d)
	}
}

// final compares everything once more, without shortcuts, when all is quiet. Servers that
// were removed hold a beginning of it.
func (c *checker) final() {
	for _, n := range c.w.nodes {
		if n.gone || !n.up && c.w.core != nil {
			continue
		}
		core := n.replica.Raft()
		last := core.Status().LastIndex
		if well := slices.Contains(c.w.members(), n); well && (last != n.view.log.last() || last != raft.Index(len(c.committed))) {
			violate("Log Matching", "n%d's log ends at %d; the checker followed %d, and %d are committed", n.place+1, last, n.view.log.last(), len(c.committed))
		}
		for _, e := range core.LogEntries(1, core.Status().CommitIndex) {
			if cellOf(e) != c.committed[e.Index-1].cell || !c.w.isOutside(n) && cellOf(e) != n.lasting.durable.at(e.Index) {
				violate("State Machine Safety", "n%d ends with another entry %v than was committed", n.place+1, e)
			}
		}
		c.stateIsRight(n, n.replica.LastApplied())
	}
}
