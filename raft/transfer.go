package raft

// transfer is a leader's attempt to hand over (thesis §3.10). While it lasts, no
// command is taken, so that the other one can catch up; and it lasts no longer than an
// election timeout, so that clients do not wait for a server that is not there.
type transfer struct {
	to    NodeID
	ticks int
	asked bool // since the last heartbeat
}

// TransferLeadership asks this leader to hand over to another voter; nobody means the
// one that is furthest. It is over when this server does not lead any more, or when
// Transferring is false again. On error nothing was done.
func (r *Raft) TransferLeadership(to NodeID) error {
	if r.state != Leader {
		return ErrNotLeader
	}
	switch {
	case to != nobody:
	case r.leader.transfer != nil:
		to = r.leader.transfer.to // whoever it is
	default:
		to = r.successor()
	}
	switch _, known := r.Configuration().Member(to); {
	case to == nobody:
		return ErrNoTransfer
	case !known:
		return ErrUnknownMember
	case to == r.cfg.ID:
		return nil
	case !r.Configuration().IsVoter(to), !r.leader.peers[to].answers():
		return ErrNoTransfer // to wait for a server that is not there would only hold up commands
	case r.leader.transfer != nil && r.leader.transfer.to != to:
		return ErrNoTransfer
	case r.leader.transfer == nil:
		r.leader.transfer, r.leader.toldToLead = &transfer{to: to}, false
		r.trace(RuleTransfer, to, r.leader.peers[to].matchIndex, r.currentTerm)
	}
	return nil
}

// Transferring says whether this server leads and is about to hand over.
func (r *Raft) Transferring() bool { return r.state == Leader && r.leader.transfer != nil }

// MayStillHandOver says, when an attempt was given up, whether the other one was told to
// start an election: the message may be late, and nobody can say that it will not lead.
func (r *Raft) MayStillHandOver() bool { return r.state == Leader && r.leader.toldToLead }

// successor is the voter with the longest log among those that answer, or nobody.
func (r *Raft) successor() NodeID {
	best, match := nobody, Index(0)
	for _, m := range r.Configuration().Members {
		p := r.leader.peers[m.ID]
		if m.ID != r.cfg.ID && m.Role == Voter && p.answers() && (best == nobody || p.matchIndex > match) {
			best, match = m.ID, p.matchIndex
		}
	}
	return best
}

// tickTransfer gives an attempt up that took an election timeout (thesis §3.10).
func (r *Raft) tickTransfer() {
	t := r.leader.transfer
	if t == nil {
		return
	}
	if t.ticks++; t.ticks >= r.cfg.ElectionTicks {
		r.leader.transfer = nil
		r.trace(RuleTransferOver, t.to, 0, r.currentTerm)
	}
}

// handOver sends TimeoutNow once the other one holds the whole log: sooner, it would
// lose the election, and the cluster its leader (hashicorp/raft#570).
func (r *Raft) handOver() {
	t := r.leader.transfer
	if t == nil || t.asked || r.leader.peers[t.to].matchIndex != r.log.lastIndex() {
		return
	}
	t.asked, r.leader.toldToLead = true, true
	r.timeoutNow(t.to)
}

func (r *Raft) timeoutNow(to NodeID) {
	r.send(Call{To: to, TimeoutNow: &TimeoutNowArgs{Term: r.currentTerm, LeaderID: r.cfg.ID}})
}

// HandleTimeoutNow starts an election as if the timer had run out, and without the
// pre-vote: that all are well is known (thesis §3.10). The requests say that the
// leader wanted it, or those that hear from it would not answer.
func (r *Raft) HandleTimeoutNow(a TimeoutNowArgs) TimeoutNowReply {
	if a.Term < r.currentTerm {
		return TimeoutNowReply{Term: r.currentTerm}
	}
	r.observeTerm(a.Term)
	if r.state == Follower && r.mayCampaign() {
		r.trace(RuleTimeoutNow, a.LeaderID, 0, a.Term)
		r.becomeCandidate(true)
	}
	return TimeoutNowReply{Term: r.currentTerm}
}

// HandleTimeoutNowReply notices that the other one has begun its election.
func (r *Raft) HandleTimeoutNowReply(_ NodeID, _ TimeoutNowArgs, rep TimeoutNowReply) {
	r.observeTerm(rep.Term)
}
