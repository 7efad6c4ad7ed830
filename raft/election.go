package raft

// candidateState dies with the role.
type candidateState struct {
	// votes holds who granted, so that a repeated reply is still one vote
	// (xnnyygn/xraft#27). It is asked, never walked.
	votes map[NodeID]bool
}

// ElectionTimeout is the rule for followers and candidates: "if election timeout
// elapses without receiving AppendEntries RPC from current leader or granting vote
// to candidate: convert to candidate" (Figure 2, §5.2). A server that may not
// campaign keeps waiting.
func (r *Raft) ElectionTimeout() {
	switch {
	case r.state == Leader:
		return
	case r.state == Candidate && r.disk.savedTerm < r.currentTerm:
		// The own vote is still on its way to the disk, so nobody was asked yet. To go on
		// to the next term would chase the disk for ever.
		return
	case r.state == Candidate:
		r.lostElections++
	}
	r.resetElectionTimer()
	r.leaderID = nobody // it is silent; a server that may not campaign must know that too
	if !r.mayCampaign() {
		if r.state != Follower {
			r.becomeFollower(r.currentTerm, nobody)
		}
		r.askWhetherRemoved()
		return
	}
	r.trace(RuleTimeout, nobody, 0, 0)
	if r.cfg.NoPreVote {
		r.becomeCandidate(false)
	} else {
		r.becomePreCandidate()
	}
}

// becomePreCandidate asks whether an election could be won (thesis §9.6). Nothing
// durable changes, so the own vote counts at once and the requests need not wait.
// Without this, a server that comes back from a partition brings a high term along
// and deposes a healthy leader (logcabin#56).
func (r *Raft) becomePreCandidate() {
	r.state, r.leaderID = PreCandidate, nobody
	r.candidate, r.leader = &candidateState{votes: map[NodeID]bool{}}, nil
	r.trace(RulePreVote, nobody, 0, r.currentTerm+1)
	for _, call := range r.requestVotes(RequestVoteArgs{Term: r.currentTerm + 1, PreVote: true}) {
		r.send(call)
	}
	r.countVote(r.cfg.ID)
}

// becomeCandidate is "on conversion to candidate, start election: increment
// currentTerm, vote for self, reset election timer, send RequestVote RPCs to all
// other servers" (Figure 2, §5.2). The requests speak of the own vote, so they
// leave after it is durable; it counts in Saved.
func (r *Raft) becomeCandidate(transfer bool) {
	r.state, r.leaderID = Candidate, nobody
	r.candidate, r.leader = &candidateState{votes: map[NodeID]bool{}}, nil
	r.currentTerm, r.votedFor = r.currentTerm+1, r.cfg.ID
	r.resetElectionTimer()
	r.trace(RuleCampaign, nobody, 0, r.currentTerm)
	r.effects.SendAfter = append(r.effects.SendAfter, r.requestVotes(RequestVoteArgs{Term: r.currentTerm, LeadershipTransfer: transfer})...)
}

func (r *Raft) requestVotes(a RequestVoteArgs) []Call {
	a.CandidateID = r.cfg.ID
	a.LastLogIndex, a.LastLogTerm = r.log.lastIndex(), r.log.lastTerm()
	var calls []Call
	for _, m := range r.Configuration().Members {
		if m.Role == Voter && m.ID != r.cfg.ID {
			args := a
			calls = append(calls, Call{To: m.ID, RequestVote: &args})
		}
	}
	return calls
}

// HandleRequestVote is the receiver of the RequestVote RPC (Figure 2). Whether the
// candidate is in this server's configuration does not matter: this server may not
// have heard yet that it is (thesis §4.1).
func (r *Raft) HandleRequestVote(a RequestVoteArgs) RequestVoteReply {
	if r.hearsLeader(a.CandidateID) && !a.LeadershipTransfer {
		r.trace(RuleLeaderKnown, a.CandidateID, 0, a.Term)
		return r.refusalOf(a.CandidateID)
	}
	if !r.mayCampaign() && !r.isUpToDate(a) {
		r.isNeeded = true // from now on it may
	}
	if a.PreVote {
		return r.handlePreVote(a)
	}
	r.observeTerm(a.Term)
	// RequestVote rule 1: reply false if term < currentTerm (§5.1).
	if a.Term < r.currentTerm {
		r.trace(RuleVoteStaleTerm, a.CandidateID, 0, a.Term)
		return r.refusalOf(a.CandidateID)
	}
	// RequestVote rule 2: if votedFor is null or candidateId, and candidate's log is
	// at least as up-to-date as receiver's log, grant vote (§5.2, §5.4). To refuse
	// the same candidate twice would lose an election to a lost reply (akka-raft#29).
	if (r.votedFor != nobody && r.votedFor != a.CandidateID) || !r.isUpToDate(a) {
		r.trace(RuleVoteRefused, a.CandidateID, a.LastLogIndex, a.LastLogTerm)
		return r.refusalOf(a.CandidateID)
	}
	r.votedFor = a.CandidateID
	r.resetElectionTimer() // only a granted vote does (Figure 2, "Followers")
	r.trace(RuleVoteGranted, a.CandidateID, a.LastLogIndex, a.LastLogTerm)
	return RequestVoteReply{Term: r.currentTerm, VoteGranted: true}
}

// handlePreVote changes nothing durable. A refusal carries the own term, so that a server
// with the longer log and the lower term learns the term that it must beat: else
// the two could stand off for ever (databendlabs/openraft#1796).
func (r *Raft) handlePreVote(a RequestVoteArgs) RequestVoteReply {
	rep := r.refusalOf(a.CandidateID)
	if rep.VoteGranted = a.Term > r.currentTerm && r.isUpToDate(a); rep.VoteGranted {
		r.trace(RulePreVoteGranted, a.CandidateID, a.LastLogIndex, a.LastLogTerm)
	} else {
		r.trace(RuleVoteRefused, a.CandidateID, a.LastLogIndex, a.LastLogTerm)
	}
	return rep
}

// hearsLeader says that a leader other than the candidate was heard within the
// smallest election timeout: then the election is somebody's mistake, and taking
// part would depose a leader that works (thesis §4.2.3). A leader hears itself; it
// steps down by its own check of the quorum. The candidate may be the leader of
// old, restarted: nobody else speaks for that term then (hashicorp/raft 99125f5).
func (r *Raft) hearsLeader(candidate NodeID) bool {
	if r.cfg.NoCheckQuorum || r.leaderID == nobody || r.leaderID == candidate {
		return false
	}
	return r.state == Leader || r.electionElapsed < r.cfg.ElectionTicks
}

// isUpToDate compares the last entries of two logs: "if the logs have last entries
// with different terms, then the log with the later term is more up-to-date. If
// the logs end with the same term, then whichever log is longer" (§5.4.1).
func (r *Raft) isUpToDate(a RequestVoteArgs) bool {
	if a.LastLogTerm != r.log.lastTerm() {
		return a.LastLogTerm > r.log.lastTerm()
	}
	return a.LastLogIndex >= r.log.lastIndex()
}

// HandleRequestVoteReply counts a vote, if it is for the election that this
// server is in now: a vote of an older term counts for nothing (akka-raft#45).
func (r *Raft) HandleRequestVoteReply(from NodeID, a RequestVoteArgs, rep RequestVoteReply) {
	r.observeTerm(rep.Term)
	if r.state != Leader && r.isNews(rep) {
		r.toldRemoved(from, rep.RemovedAt)
		return
	}
	asked := r.state == Candidate && !a.PreVote && a.Term == r.currentTerm ||
		r.state == PreCandidate && a.PreVote && a.Term == r.currentTerm+1
	if asked && rep.VoteGranted {
		r.countVote(from)
	}
}

// countVote counts voters, not votes: "if votes received from majority of servers:
// become leader" (Figure 2, §5.2). Only voters of the configuration in use count.
// becomeLeader is in replication.go, with what a leader does.
func (r *Raft) countVote(from NodeID) {
	r.candidate.votes[from] = true
	switch {
	case !r.Configuration().majority(func(voter NodeID) bool { return r.candidate.votes[voter] }):
	case r.state == PreCandidate:
		r.becomeCandidate(false)
	default:
		r.becomeLeader()
	}
}
