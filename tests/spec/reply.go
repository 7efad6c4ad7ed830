package spec

import (
	"fmt"
	"slices"

	"dbdb/raft"
)

// Owed is a request that is not answered yet, and what its answer must be. It was decided when
// the request came; it leaves when the disk has what it promises (Figure 2).
type Owed struct {
	ID      uint64
	Request any
	Term    raft.Term // currentTerm then, "for candidate to update itself"

	Granted   bool       // the vote may be, or the entries were accepted
	Refused   bool       // they may be
	RemovedAt raft.Index // a committed configuration without the candidate; 0 for none
	CommitIn  raft.Term  // the term of the last entry that is committed

	Conflict  raft.AppendEntriesReply // what a refusal says of the log
	Offset    uint64                  // the chunk that is wanted next
	Committed raft.Index              // commitIndex then
}

// owes is what a request will be answered.
func owes(w found, in Received, post Server) Owed {
	o := Owed{ID: in.ID, Request: in.Args, Term: post.CurrentTerm, Committed: post.CommitIndex, Offset: post.Incoming.Offset}
	switch a := in.Args.(type) {
	case raft.RequestVoteArgs:
		o.Granted = w.has("GrantVote") || a.PreVote && mayPreVote(post, a)
		o.Refused = w.has("RefuseVote") || w.has("IgnoreCandidate") || a.PreVote
		if c, at := post.CommittedConfiguration(); at > 0 && !isMember(c, a.CandidateID) {
			o.RemovedAt = at
			o.CommitIn, _ = post.Term(post.CommitIndex)
		}
	case raft.AppendEntriesArgs:
		o.Granted, o.Refused = w.has("AcceptAppend"), w.has("RejectAppend")
		o.Conflict.ConflictIndex, o.Conflict.ConflictTerm = conflictIn(post, a.PrevLogIndex)
	case raft.InstallSnapshotArgs:
		in := post.Incoming
		if in.Term != a.Term || in.Label != (Label{a.LastIncludedIndex, a.LastIncludedTerm}) {
			o.Offset = 0
		}
	}
	return o
}

// mayPreVote: a pre-vote is granted only to whom the vote could be, and by nobody who hears a
// leader, but to that leader itself, which has started again (thesis §9.6).
func mayPreVote(s Server, a raft.RequestVoteArgs) bool {
	free := a.Term > s.CurrentTerm || a.Term == s.CurrentTerm && (s.VotedFor == "" || s.VotedFor == a.CandidateID)
	return free && upToDate(s, a) && (!s.hearsLeader() || s.Leader == a.CandidateID)
}

func isMember(c raft.Configuration, id raft.NodeID) bool {
	_, found := c.Member(id)
	return found
}

func sameMembers(a, b raft.Configuration) bool { return slices.Equal(a.Members, b.Members) }

// mayReply judges a reply as it leaves.
func (s Server) mayReply(rep Replied) error {
	k := slices.IndexFunc(s.Owed, func(o Owed) bool { return o.ID == rep.To })
	if k < 0 {
		return fmt.Errorf("  a reply %s to nothing that was asked", describe(rep.Reply))
	}
	o := s.Owed[k]
	var err error
	switch is := rep.Reply.(type) {
	case raft.RequestVoteReply:
		err = s.voteLeaves(o, is)
	case raft.AppendEntriesReply:
		err = s.appendReplyLeaves(o, is)
	case raft.InstallSnapshotReply:
		err = s.installReplyLeaves(o, is)
	case raft.TimeoutNowReply:
		err = s.termLeaves(o, is.Term)
	case raft.ReadIndexReply:
		err = s.readLeaves(rep.To, is)
	}
	return named("it may not reply "+describe(rep.Reply)+" to "+describe(o.Request), err)
}

// termLeaves: no server tells of a term that a crash could make it forget.
func (s Server) termLeaves(o Owed, term raft.Term) error {
	return all(
		must(term == o.Term, "its term was %d", o.Term),
		must(s.Durable.Term >= term, "that term is not durable: the disk has %v", s.Durable),
	)
}

func (o Owed) decided(granted bool) error {
	return must(granted && o.Granted || !granted && o.Refused, "it may be granted: %v; it may be refused: %v", o.Granted, o.Refused)
}

// voteLeaves: a vote is durable before it leaves, or a newer term is, in which the server
// cannot vote in this one again.
func (s Server) voteLeaves(o Owed, rep raft.RequestVoteReply) error {
	a, _ := o.Request.(raft.RequestVoteArgs)
	d := s.Durable
	return all(
		s.termLeaves(o, rep.Term),
		o.decided(rep.VoteGranted),
		must(!rep.VoteGranted || a.PreVote || d.Term > a.Term || d.Term == a.Term && d.VotedFor == a.CandidateID, "that vote is not durable: the disk has %v", d),
		must(rep.RemovedAt == 0 || rep.RemovedAt == o.RemovedAt && rep.CommitTerm == o.CommitIn, "the candidate was removed at %d, and the last committed entry is of term %d", o.RemovedAt, o.CommitIn),
	)
}

// appendReplyLeaves: a success promises that the log up to the last new entry is durable. A
// newer term that is durable may have truncated it: that equals a success that came late.
func (s Server) appendReplyLeaves(o Owed, rep raft.AppendEntriesReply) error {
	a, _ := o.Request.(raft.AppendEntriesArgs)
	last, term := a.PrevLogIndex, a.PrevLogTerm
	if n := len(a.Entries); n > 0 {
		last, term = a.Entries[n-1].Index, a.Entries[n-1].Term
	}
	stale := a.Term < o.Term
	return all(
		s.termLeaves(o, rep.Term),
		o.decided(rep.Success),
		must(!rep.Success || s.Durable.Term > a.Term || s.Durable.holds(last, term), "%d@%d is not durable: the disk has %v", last, term, s.Durable),
		must(rep.Success || stale || rep.ConflictIndex == o.Conflict.ConflictIndex && rep.ConflictTerm == o.Conflict.ConflictTerm,
			"the logs differ at %d, of term %d", o.Conflict.ConflictIndex, o.Conflict.ConflictTerm),
	)
}

// installReplyLeaves: Figure 13 replies with the term alone. "Installed" promises that what the
// snapshot covers is durable; the offset is the end of what is stored, or the beginning, if
// that was lost.
func (s Server) installReplyLeaves(o Owed, rep raft.InstallSnapshotReply) error {
	a, _ := o.Request.(raft.InstallSnapshotArgs)
	return all(
		s.termLeaves(o, rep.Term),
		must(!rep.Installed || a.LastIncludedIndex <= o.Committed, "only %d was committed", o.Committed),
		must(!rep.Installed || s.Durable.holds(a.LastIncludedIndex, a.LastIncludedTerm), "the snapshot is not durable: the disk has %v", s.Durable),
		must(rep.Installed || rep.Offset == 0 || rep.Offset == o.Offset, "so much was stored: %d", o.Offset),
	)
}
