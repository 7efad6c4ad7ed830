package sim

import (
	"errors"
	"syscall"

	"dbdb/raft"
)

// lasting is what the checker knows of a server's disk, across all its lives.
type lasting struct {
	// durable is what recovery would give back if the server crashed now and lost
	// all that is not synced.
	durable image
	// handed is durable with all Saves that this life has handed out.
	handed image
	seq    uint64 // of the last of them
	// unsure are Saves that were written but not synced when a life ended: the disk
	// holds none of them, or the first few.
	unsure []raft.Save
	votes  map[raft.Term]raft.NodeID // every vote that was ever durable; asked, never walked
}

// handedOut checks a Save that the core has handed out.
func (c *checker) handedOut(n *node, s raft.Save) {
	l := &n.lasting
	if s.Seq != l.seq+1 {
		violate("Saves are numbered", "n%d hands out Save %d after %d", n.place+1, s.Seq, l.seq)
	}
	l.seq = s.Seq
	if s.Snapshot.Index > 0 {
		c.snapshotIsTrue(n, s.Snapshot)
		if s.Snapshot.Index <= l.handed.snapshot || s.KeepFrom == 0 || s.KeepFrom > s.Snapshot.Index+1 {
			violate("A snapshot replaces an older one", "n%d hands out one through %d, to keep from %d, after one through %d", n.place+1, s.Snapshot.Index, s.KeepFrom, l.handed.snapshot)
		}
	}
	if err := l.handed.apply(s, c.committed); err != nil {
		violate("Saves fit the log", "n%d: %v", n.place+1, err)
	}
}

// flushed checks that nothing was forgotten: after a Flush all persistent state is
// on its way to the disk.
func (c *checker) flushed(n *node) {
	h, v := &n.lasting.handed, &n.view
	if h.term != v.Term || h.snapshot != v.SnapshotIndex || h.votedFor != v.VotedFor || h.last() != v.LastIndex || h.at(h.last()) != v.log.at(v.LastIndex) {
		violate("All state is saved", "n%d is in term %d, vote %q, log to %d@%d; it handed out %v", n.place+1,
			v.Term, v.VotedFor, v.LastIndex, v.log.at(v.LastIndex).term, h)
	}
	if n.failed == nil {
		c.transportKnows(n)
		c.removedLeaderIsGone(n)
		c.waitersAreServed(n)
	}
}

// logFails: a log ends because its disk failed. One that refuses what it is given, as it
// contradicts what is there, ends the process too: and another one starts, and goes on.
func (c *checker) logFails(n *node, err error) {
	if !ofDisk(err) {
		violate("Saves fit the log", "n%d's log refuses what it is given: %v", n.place+1, err)
	}
}

// ofDisk says that the simulated disk gave an error.
func ofDisk(err error) bool {
	return errors.Is(err, errDisk) || errors.Is(err, ErrPowerCut) || errors.Is(err, syscall.ENOSPC)
}

// durable carries out a Save on the model of the disk: it was synced.
func (c *checker) durable(n *node, s raft.Save) {
	d := &n.lasting.durable
	if s.Term < d.term {
		violate("Durable term is monotone", "n%d: %d after %d", n.place+1, s.Term, d.term)
	}
	if s.VotedFor != "" {
		if n.lasting.votes == nil {
			n.lasting.votes = map[raft.Term]raft.NodeID{}
		}
		if before, voted := n.lasting.votes[s.Term]; voted && before != s.VotedFor {
			violate("One vote per term", "n%d's disk holds a vote for %s in term %d; it held one for %s", n.place+1, s.VotedFor, s.Term, before)
		}
		n.lasting.votes[s.Term] = s.VotedFor
	}
	if s.TruncateFrom > 0 {
		for i := s.TruncateFrom; i <= d.last() && i <= raft.Index(len(c.committed)); i++ {
			if c.mustKeep(i, d.at(i), d.term) {
				violate("No committed entry is truncated", "n%d's disk loses entry %d@%d", n.place+1, i, d.at(i).term)
			}
		}
	}
	if i := s.Snapshot.Index; i > 0 && d.at(i).term != s.Snapshot.Term {
		for i++; i <= d.last() && i <= raft.Index(len(c.committed)); i++ {
			if d.at(i) == c.committed[i-1].cell {
				violate("No committed entry is truncated", "n%d's disk loses entry %d@%d to a snapshot through %d", n.place+1, i, d.at(i).term, s.Snapshot.Index)
			}
		}
	}
	if err := d.apply(s, c.committed); err != nil {
		violate("Saves fit the log", "n%d's disk: %v", n.place+1, err)
	}
}

// ended remembers what the disk may hold beyond what was synced.
func (c *checker) ended(n *node) {
	n.lasting.unsure = nil
	for _, p := range n.saver.batch {
		n.lasting.unsure = append(n.lasting.unsure, stages(p.save)...)
	}
}

// stages are what a crash can make of one Save: all of it or nothing, but for one with a
// snapshot. That comes into force between its term and its entries, with a file of its own.
func stages(s raft.Save) []raft.Save {
	if s.Snapshot.Index == 0 {
		return []raft.Save{s}
	}
	term := raft.Save{Seq: s.Seq, Term: s.Term, VotedFor: s.VotedFor}
	file := term
	file.Snapshot, file.KeepFrom = s.Snapshot, s.KeepFrom
	return []raft.Save{term, file, s}
}

// recovered compares what real recovery made of the disk with the model: all that
// was synced, and of what was only written a beginning. From now on the server acts
// on it, so it must not be lost any more.
func (c *checker) recovered(n *node, found raft.Restored) {
	l := &n.lasting
	is, err := imageOf(found, c.committed)
	if err != nil {
		violate("Recovery", "n%d's disk gives back what cannot be: %v", n.place+1, err)
	}
	if found.Snapshot.Index > 0 {
		c.snapshotIsTrue(n, found.Snapshot)
	}
	may := l.durable.clone()
	k := 0
	for ; !may.equal(&is) && k < len(l.unsure); k++ {
		if err := may.apply(l.unsure[k], c.committed); err != nil {
			violate("Saves fit the log", "n%d: %v", n.place+1, err)
		}
	}
	if !may.equal(&is) {
		violate("Recovery", "n%d's disk gives back %v; synced was %v, and %d Saves were under way", n.place+1, &is, &l.durable, len(l.unsure))
	}
	if found.Snapshot.Index > l.durable.snapshot {
		c.w.marks.hit(markSwitchSurvived)
	}
	for _, s := range l.unsure[:k] {
		c.durable(n, s)
	}
	switch {
	case k > 0:
		c.w.marks.hit(markUnsyncedSurvived)
	case len(l.unsure) > 0:
		c.w.marks.hit(markTornBatch)
	}
	l.unsure, l.seq = nil, 0
	l.handed = l.durable.clone()
}

// requestVoteLeaves: a request for a vote speaks of the candidate's own vote.
func (c *checker) requestVoteLeaves(n *node, a raft.RequestVoteArgs) {
	d := &n.lasting.durable
	if !a.PreVote && !(d.term > a.Term || d.term == a.Term && d.votedFor == n.id) {
		violate("Durable before it leaves", "n%d asks for votes in term %d; its disk holds %v", n.place+1, a.Term, d)
	}
}

// voteLeaves: a vote that leaves is durable, or a newer term is, which forbids
// another one in this.
func (c *checker) voteLeaves(n *node, a raft.RequestVoteArgs, rep raft.RequestVoteReply) {
	d := &n.lasting.durable
	if !a.PreVote && rep.VoteGranted && !(d.term > a.Term || d.term == a.Term && d.votedFor == a.CandidateID) {
		violate("Durable before it leaves", "n%d votes for %s in term %d; its disk holds %v", n.place+1, a.CandidateID, a.Term, d)
	}
	c.termLeaves(n, rep.Term)
}

// termLeaves: a reply tells of no term that a crash could make its sender forget.
func (c *checker) termLeaves(n *node, t raft.Term) {
	if d := &n.lasting.durable; t > d.term {
		violate("Durable before it leaves", "n%d answers in term %d; its disk holds %v", n.place+1, t, d)
	}
}

// promise is what the success of an AppendEntries promises.
type promise struct {
	term     raft.Term
	last     raft.Index // of what the request covers
	lastTerm raft.Term
}

func promiseOf(a raft.AppendEntriesArgs) promise {
	p := promise{a.Term, a.PrevLogIndex, a.PrevLogTerm}
	if k := len(a.Entries); k > 0 {
		p.last, p.lastTerm = a.Entries[k-1].Index, a.Entries[k-1].Term
	}
	return p
}

// acknowledgementLeaves: a success that leaves is durable, or a newer term is: then
// it equals "acknowledged, and truncated later".
func (c *checker) acknowledgementLeaves(n *node, p promise, rep raft.AppendEntriesReply) {
	c.termLeaves(n, rep.Term)
	d := &n.lasting.durable
	if rep.Success && d.term <= p.term && d.at(p.last).term != p.lastTerm {
		violate("Durable before it leaves", "n%d acknowledges entry %d@%d in term %d; its disk holds %v", n.place+1, p.last, p.lastTerm, p.term, d)
	}
	if rep.Success && n.lasting.handed.last() > d.last() {
		c.w.marks.hit(markReplyAtOnce)
	}
}

// appendEntriesLeaves: whoever speaks as leader has its vote on its disk, and tells
// of no commitment that is none.
func (c *checker) appendEntriesLeaves(n *node, a raft.AppendEntriesArgs) {
	c.leaderIsDurable(n, a.Term)
	if a.LeaderCommit > raft.Index(len(c.committed)) {
		c.step(n)
	}
	if a.LeaderCommit > raft.Index(len(c.committed)) {
		violate("State Machine Safety", "n%d tells that %d is committed; %d is", n.place+1, a.LeaderCommit, len(c.committed))
	}
}
