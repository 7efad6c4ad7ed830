package raft

import "slices"

// RemoveServer removes a server from the cluster (thesis §4.1). It returns where the
// configuration without it is in the log; the change is done when that entry is
// applied. A leader may remove itself: it goes on, without counting itself, until the
// new configuration is committed, and then hands over (thesis §4.2.2). On error
// nothing was done.
func (r *Raft) RemoveServer(id NodeID) (Index, Term, error) {
	if r.state != Leader {
		return 0, 0, ErrNotLeader
	}
	c := r.Configuration()
	switch _, isMember := c.Member(id); {
	case !r.mayChangeConfiguration():
		return 0, 0, ErrConfigurationBusy
	case !isMember:
		// Said of a configuration that is not committed, it would send an operator off to wipe
		// a server that may be a member again in a moment.
		return 0, 0, ErrUnknownMember
	case c.IsVoter(id) && c.Voters() == 1:
		return 0, 0, ErrLastVoter
	}
	r.trace(RuleRemove, id, r.log.lastIndex()+1, r.currentTerm)
	r.appendConfiguration(c.without(id))
	return r.ConfigurationIndex(), r.currentTerm, nil
}

// leaving is a server that was removed, and that the leader speaks to until it knows:
// nobody else will tell it, and it would start elections (§6, thesis §4.2.3).
type leaving struct {
	Member
	index Index // of the configuration without it
	ticks int
}

// maxLeavingTimeouts bounds, in election timeouts, how long a leader speaks to a server
// that was removed. Afterwards the answers to its requests for votes tell it.
const maxLeavingTimeouts = 10

// tickLeaving lets go of servers that know, that are gone, or that would need a
// snapshot to know.
func (r *Raft) tickLeaving() {
	var stay []leaving
	for _, out := range r.leader.leaving {
		out.ticks++
		p := r.leader.peers[out.ID]
		if p.ackedCommit < out.index && p.snapshot == nil && out.ticks < maxLeavingTimeouts*r.cfg.ElectionTicks {
			stay = append(stay, out)
			continue
		}
		delete(r.leader.peers, out.ID)
	}
	gone := len(stay) < len(r.leader.leaving)
	r.leader.leaving = stay // with their ticks, or nobody would ever be let go of
	if gone {
		r.addPeers()
	}
}

// stopLeaving says whether a server was leaving, and ends that: it is a member again.
func (r *Raft) stopLeaving(id NodeID) bool {
	for k, out := range r.leader.leaving {
		if out.ID == id {
			r.leader.leaving = append(r.leader.leaving[:k:k], r.leader.leaving[k+1:]...)
			return true
		}
	}
	return false
}

// Contacts are the servers that this one may have to call: the members, and on a
// leader those that were removed and may not know it yet.
func (r *Raft) Contacts() Configuration {
	c := r.Configuration()
	if r.state == Leader {
		for _, out := range r.leader.leaving {
			c = c.with(out.Member)
		}
	}
	return c
}

// leaveIfRemoved ends a leadership whose server is not a voter of the committed
// configuration any more: "once it commits Cnew, it steps down" (thesis §4.2.2). To
// step down earlier could lose the change, to stay would be to lead a cluster that it
// is no part of. The voter that is furthest takes over at once. A learner that was elected
// leaves in the same way, and not before its first entry is committed: from then on the
// voters can elect each other again.
func (r *Raft) leaveIfRemoved() {
	if len(r.configurations) > 1 || !r.committedInTerm() || r.Configuration().IsVoter(r.cfg.ID) {
		return
	}
	if to := r.successor(); to != nobody && r.leader.peers[to].matchIndex == r.log.lastIndex() {
		r.timeoutNow(to)
	}
	r.trace(RuleRemovedLeader, nobody, r.ConfigurationIndex(), r.currentTerm)
	r.becomeFollower(r.currentTerm, nobody)
}

// mayCampaign says whether this server may start an election: it is a voter of the
// configuration in use; or of the one before, as long as nobody knows that the newest
// is committed. Such a server may be the only one whose log can win (thesis §4.2.2;
// cowsql/raft#150). So may a learner, if it is needed: others may have made it a voter.
// After the last term there is none to campaign in, and after the last index none for a
// leader's first entry.
func (r *Raft) mayCampaign() bool {
	if r.RemovedAt() > 0 || r.currentTerm >= MaxTerm || r.log.lastIndex() >= MaxIndex {
		return false
	}
	for _, c := range r.configurations {
		if c.IsVoter(r.cfg.ID) {
			return true
		}
	}
	return r.isNeeded
}

// noteMembership remembers that this server was a member once: until then, to be in no
// configuration is the beginning and not the end.
func (r *Raft) noteMembership(c Configuration) {
	if _, isMember := c.Member(r.cfg.ID); isMember {
		r.wasMember, r.removedAt = true, 0
	}
}

// noteTakingPart remembers that this server was a member while it was up to date. The
// log of one that was removed while it was down names it too, until it has caught up.
func (r *Raft) noteTakingPart(upToDate bool) {
	if upToDate && !r.tookPart {
		_, r.tookPart = r.Configuration().Member(r.cfg.ID)
	}
}

// RemovedAt is the index of the configuration that removed this server, or 0: then it
// is a member, was never one, or cannot know it.
func (r *Raft) RemovedAt() Index {
	at := Index(0) // where the own log removed it, as far as it goes
	for _, c := range slices.Backward(r.configurations) {
		if _, isMember := c.Member(r.cfg.ID); isMember {
			break
		}
		at = c.index
	}
	switch {
	case !r.wasMember: // or its snapshot knows nothing of that
		return r.removedAt
	case at > 0 && at <= r.removedAt, r.removedAt == 0 && at == r.configurations[0].index:
		return at
	}
	return r.removedAt
}

// refusalOf is the answer to a request for a vote that is not granted. It tells which
// committed configuration does without the candidate, if there is one and none that may
// come into force has it.
func (r *Raft) refusalOf(id NodeID) RequestVoteReply {
	rep := RequestVoteReply{Term: r.currentTerm}
	for _, c := range r.configurations {
		if _, isMember := c.Member(id); isMember {
			return rep
		}
	}
	if rep.RemovedAt = r.configurations[0].index; rep.RemovedAt > 0 {
		rep.CommitTerm = r.log.term(r.commitIndex)
	}
	return rep
}

// askWhetherRemoved asks the voters, as for a pre-vote whose answers nobody counts, when
// no leader speaks to a server that may not campaign. Nobody else would tell a learner
// that was removed while it was down; nor a server whose snapshot covers its removal, as
// its log then looks like that of one that is still to be told of its membership.
func (r *Raft) askWhetherRemoved() {
	if r.RemovedAt() > 0 || r.currentTerm >= MaxTerm {
		return
	}
	for _, call := range r.requestVotes(RequestVoteArgs{Term: r.currentTerm + 1, PreVote: true}) {
		r.send(call)
	}
}

// isNews says whether a committed configuration without this server, of which a peer
// speaks, is one that its own log does not know, or ends with. Where the log goes on to a
// newer one, that is the one in force, or it will never be. Which of the two, the terms tell,
// as they never fall along a log: a peer that has committed an entry of a later term would know
// the newer one, were it committed. Any other does not know yet that this server was added again.
// To go by the newest index alone would not do: a leader that was cut off may have put
// configurations of its own at higher ones, which nobody will commit.
func (r *Raft) isNews(rep RequestVoteReply) bool {
	if rep.RemovedAt == 0 || rep.RemovedAt < r.configurations[0].index {
		return false // nothing is said, or this server knows more
	}
	for k, c := range r.configurations[1:] {
		if rep.RemovedAt == r.configurations[k].index {
			return r.log.term(c.index) < rep.CommitTerm
		}
	}
	return true
}

// toldRemoved ends the elections of a server that was removed while it was down.
func (r *Raft) toldRemoved(from NodeID, at Index) {
	if r.state != Follower {
		r.becomeFollower(r.currentTerm, nobody)
	}
	r.removedAt = at
	r.trace(RuleToldRemoved, from, at, 0)
}
