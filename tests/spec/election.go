package spec

import (
	"slices"

	"dbdb/raft"
)

// UpdateTerm: "if RPC request or response contains term T > currentTerm: set currentTerm = T,
// convert to follower" (Figure 2, all servers; §5.1). A vote belongs to its term.
func UpdateTerm(pre, post Server, term raft.Term) error {
	return all(
		must(term > pre.CurrentTerm, "term %d is not newer than %d", term, pre.CurrentTerm),
		must(post.CurrentTerm == term, "currentTerm becomes %d, not %d", post.CurrentTerm, term),
		must(post.VotedFor == "", "a vote for %q in a term in which nobody asked", post.VotedFor),
		must(post.Role == raft.Follower, "it is no follower"),
		unchanged(pre.asFollower(), post, "currentTerm", "votedFor", "role"),
	)
}

// afterUpdateTerm is where UpdateTerm leads, if the term is newer.
func (s Server) afterUpdateTerm(term raft.Term) Server {
	if term <= s.CurrentTerm {
		return s
	}
	s.CurrentTerm, s.VotedFor, s.Leader = term, "", ""
	return s.asFollower()
}

// upToDate: "if the logs have last entries with different terms, then the log with the later
// term is more up-to-date. If the logs end with the same term, then whichever log is longer"
// (§5.4.1).
func upToDate(s Server, a raft.RequestVoteArgs) bool {
	mine := s.LastTerm()
	return a.LastLogTerm > mine || a.LastLogTerm == mine && a.LastLogIndex >= s.Log.Last()
}

// GrantVote: "if votedFor is null or candidateId, and candidate's log is at least as
// up-to-date as receiver's log, grant vote" (Figure 2, RequestVote RPC, receiver rule 2).
func GrantVote(pre, post Server, a raft.RequestVoteArgs) error {
	return all(
		must(a.Term == pre.CurrentTerm, "the candidate's term %d is not %d", a.Term, pre.CurrentTerm),
		must(pre.VotedFor == "" || pre.VotedFor == a.CandidateID, "the vote of term %d is given to %s", pre.CurrentTerm, pre.VotedFor),
		must(upToDate(pre, a), "the candidate's log ends at %d@%d, the own one at %d@%d", a.LastLogIndex, a.LastLogTerm, pre.Log.Last(), pre.LastTerm()),
		must(post.VotedFor == a.CandidateID, "the vote is for %q", post.VotedFor),
		unchanged(pre, post, "votedFor"),
	)
}

// RefuseVote is what is left of that: "reply false if term < currentTerm" (rule 1), a vote
// that is given, a log that is behind.
func RefuseVote(pre, post Server, a raft.RequestVoteArgs) error {
	may := a.Term == pre.CurrentTerm && (pre.VotedFor == "" || pre.VotedFor == a.CandidateID) && upToDate(pre, a)
	return all(
		must(a.Term <= pre.CurrentTerm, "the candidate's term %d is newer", a.Term),
		must(!may, "nothing forbids the vote"),
		unchanged(pre, post),
	)
}

// IgnoreCandidate: "if a server receives a RequestVote request within the minimum election
// timeout of hearing from a current leader, it does not update its term or grant its vote"
// (thesis §4.2.3), unless the leader itself has asked for the election.
func IgnoreCandidate(pre, post Server, a raft.RequestVoteArgs) error {
	return all(
		must(!a.LeadershipTransfer, "the leader has asked for this election"),
		must(pre.hearsLeader(), "it hears no leader"),
		unchanged(pre, post),
	)
}

// AnswerPreVote: who is asked whether an election could be won changes nothing (thesis §9.6).
func AnswerPreVote(pre, post Server, a raft.RequestVoteArgs) error {
	return all(must(a.PreVote, "it is no pre-vote"), unchanged(pre, post))
}

// mayCampaign: "a server that is not part of its own latest configuration should still start
// new elections" (thesis §4.2.2), if a configuration that may be in force has it as a voter:
// the newest committed one, or a later one; or if somebody has asked for its vote, as for one of
// a voter, and cannot have it: the server "might still be needed". Whoever was told that it was removed asks no more
// (thesis §4.2.3 only keeps the others from listening), until a leader speaks to it again.
func (s Server) mayCampaign() error {
	return all(
		must(s.RemovedAt == 0, "it was told that it was removed, at %d", s.RemovedAt),
		must(s.Needed || s.isVoterSomewhere(), "no configuration that may be in force has it as a voter, and nobody needs its log"),
	)
}

// needed says whether a candidate has asked whose log is too old for this server's vote, and no
// leader has spoken since.
func (s Server) needed(in Input) bool {
	rec, _ := in.(Received)
	switch a := rec.Args.(type) {
	case raft.RequestVoteArgs:
		ignored := s.hearsLeader() && s.Leader != a.CandidateID && !a.LeadershipTransfer
		return s.Needed || !ignored && !upToDate(s, a)
	case raft.AppendEntriesArgs:
		return s.Needed && a.Term < s.CurrentTerm
	case raft.InstallSnapshotArgs:
		return s.Needed && a.Term < s.CurrentTerm
	}
	return s.Needed
}

func (s Server) isVoterSomewhere() bool {
	c, at := s.CommittedConfiguration()
	if isVoter(c, s.ID) {
		return true
	}
	for _, e := range s.Log.after(at).Entries {
		if e.Kind != raft.EntryConfiguration {
			continue
		}
		if c, err := raft.DecodeConfiguration(e.Data); err == nil && isVoter(c, s.ID) {
			return true
		}
	}
	return false
}

func isVoter(c raft.Configuration, id raft.NodeID) bool {
	m, found := c.Member(id)
	return found && m.Role == raft.Voter
}

// AskForPreVotes: before its term rises, a server asks whether it could win (thesis §9.6).
func AskForPreVotes(pre, post Server) error {
	return all(
		must(pre.Options.PreVote, "there are no pre-votes here"),
		must(pre.Role != raft.Leader, "a leader needs no votes"),
		pre.mayCampaign(),
		must(post.Role == raft.PreCandidate, "it is no pre-candidate"),
		unchanged(pre, post, "role"),
	)
}

// Timeout: "on conversion to candidate, start election: increment currentTerm, vote for self"
// (Figure 2, candidates; §5.2). With pre-votes, a majority must have said that it could win,
// or the leader itself has asked for the election (thesis §3.10).
func Timeout(pre, post Server, transfer bool) error {
	c, _ := pre.Configuration()
	could := func(id raft.NodeID) bool { return id == pre.ID || slices.Contains(pre.PreVotes, id) }
	return all(
		must(pre.Role != raft.Leader, "a leader starts no election"),
		pre.mayCampaign(),
		must(!pre.Options.PreVote || transfer || pre.Role == raft.PreCandidate && majority(c, could), "only %v would vote for it", pre.PreVotes),
		must(post.CurrentTerm == pre.CurrentTerm+1, "currentTerm goes from %d to %d", pre.CurrentTerm, post.CurrentTerm),
		must(post.VotedFor == pre.ID, "it votes for %q", post.VotedFor),
		must(post.Role == raft.Candidate, "it is no candidate"),
		unchanged(pre, post, "currentTerm", "votedFor", "role"),
	)
}

// GiveUpElection: a candidate that hears that it was removed (thesis §4.2.3), or whose log a
// snapshot replaces while it asks with the old one, asks no more. It may do so at any time:
// another timeout is all that it costs (§5.2).
func GiveUpElection(pre, post Server) error {
	return all(
		must(pre.Role == raft.Candidate || pre.Role == raft.PreCandidate, "it asks for no votes"),
		must(post.Role == raft.Follower, "it is no follower"),
		unchanged(pre, post, "role"),
	)
}

// BecomeLeader: "if votes received from majority of servers: become leader" (Figure 2,
// candidates; §5.2), of the latest configuration (§6). Its own vote counts when the disk has
// it: until then a crash makes the server forget it. "nextIndex: initialized to leader last
// log index + 1", "matchIndex: initialized to 0" (Figure 2, state).
func BecomeLeader(pre, post Server) error {
	c, _ := pre.Configuration()
	voted := func(id raft.NodeID) bool {
		if id == pre.ID {
			return pre.Durable.Term == pre.CurrentTerm && pre.Durable.VotedFor == pre.ID
		}
		return slices.Contains(pre.Votes, id)
	}
	return all(
		must(pre.Role == raft.Candidate, "only a candidate becomes leader"),
		must(voted(pre.ID), "its own vote of term %d is not durable: the disk has (%d, %q)", pre.CurrentTerm, pre.Durable.Term, pre.Durable.VotedFor),
		must(majority(c, voted), "votes of %v are no majority", pre.Votes),
		must(post.Role == raft.Leader, "it is no leader"),
		initialized(pre, post, c),
		unchanged(pre, post, "role", "matchIndex"),
	)
}

func initialized(pre, post Server, c raft.Configuration) error {
	for _, m := range c.Members {
		p, known := post.peer(m.ID)
		if m.ID == pre.ID {
			continue
		}
		if err := all(
			must(known, "it knows nothing of %s", m.ID),
			must(p.MatchIndex == 0, "matchIndex of %s begins at %d", m.ID, p.MatchIndex),
			must(p.NextIndex == pre.Log.Last()+1, "nextIndex of %s begins at %d, not after the log's end %d", m.ID, p.NextIndex, pre.Log.Last()),
		); err != nil {
			return err
		}
	}
	return nil
}

// countVotes is votesGranted of raft.tla: who has voted for this server in the election that
// it holds. A reply of an older term is stale: DropStaleResponse.
func countVotes(pre, post Server, in Input) (votes, preVotes []raft.NodeID) {
	sameTerm := post.CurrentTerm == pre.CurrentTerm
	if sameTerm && pre.Role == raft.Candidate {
		votes = pre.Votes
	}
	if sameTerm && pre.Role == raft.PreCandidate {
		preVotes = pre.PreVotes
	}
	answer, ok := in.(Answered)
	if !ok {
		return votes, preVotes
	}
	a, asked := answer.Args.(raft.RequestVoteArgs)
	rep, _ := answer.Reply.(raft.RequestVoteReply)
	switch {
	case !asked || !rep.VoteGranted || rep.Term > pre.CurrentTerm && !a.PreVote:
	case a.PreVote && pre.Role == raft.PreCandidate && a.Term == pre.CurrentTerm+1:
		preVotes = with(preVotes, answer.From)
	case !a.PreVote && pre.Role == raft.Candidate && a.Term == pre.CurrentTerm:
		votes = with(votes, answer.From)
	}
	return votes, preVotes
}

// with is a set with one more element.
func with(set []raft.NodeID, id raft.NodeID) []raft.NodeID {
	if slices.Contains(set, id) {
		return set
	}
	return append(slices.Clip(set), id)
}

// RequestVote is what may be asked (raft.tla, RequestVote): the candidate's term and last
// entry as they were when it became candidate, and not before its own vote is durable.
func RequestVote(s Server, a raft.RequestVoteArgs) error {
	if a.PreVote {
		return all(
			must(a.CandidateID == s.ID, "it speaks for %s", a.CandidateID),
			must(slices.Contains(s.Asked, a), "it did not ask with a log that ends at %d@%d for term %d", a.LastLogIndex, a.LastLogTerm, a.Term),
		)
	}
	return all(
		must(slices.Contains(s.Asked, a), "it was no candidate of term %d with a log that ends at %d@%d", a.Term, a.LastLogIndex, a.LastLogTerm),
		must(s.Durable.Term > a.Term || s.Durable.Term == a.Term && s.Durable.VotedFor == s.ID, "its own vote of term %d is not durable: the disk has (%d, %q)", a.Term, s.Durable.Term, s.Durable.VotedFor),
	)
}
