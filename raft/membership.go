package raft

// configurationAt is a configuration and the index of the entry that holds it.
type configurationAt struct {
	index Index
	Configuration
}

// Configuration is the one in use: "a server always uses the latest configuration
// in its log, regardless of whether the entry is committed" (§6, thesis §4.1).
func (r *Raft) Configuration() Configuration {
	return r.configurations[len(r.configurations)-1].Configuration
}

// ConfigurationIndex is the index of the entry that holds the one in use.
func (r *Raft) ConfigurationIndex() Index {
	return r.configurations[len(r.configurations)-1].index
}

// useConfigurations takes up the configurations among entries that were just
// appended.
func (r *Raft) useConfigurations(entries []Entry) {
	for _, e := range entries {
		if e.Kind != EntryConfiguration {
			continue
		}
		c, err := DecodeConfiguration(e.Data)
		assert(err == nil, "entry %v: %v", e, err)
		r.configurations = append(r.configurations, configurationAt{e.Index, c})
		r.noteMembership(c)
		r.trace(RuleConfigAppend, nobody, e.Index, e.Term)
	}
}

// dropConfigurations goes back to the configuration before a truncated part of the
// log, however many it held (canonical/raft#250 went back by one).
func (r *Raft) dropConfigurations(from Index) {
	for r.ConfigurationIndex() >= from {
		r.trace(RuleConfigRollback, nobody, r.ConfigurationIndex(), 0)
		r.configurations = r.configurations[:len(r.configurations)-1]
	}
}

// settleConfigurations forgets what no truncation can bring back: all before the
// newest committed one.
func (r *Raft) settleConfigurations() {
	settled := 0
	for k, c := range r.configurations {
		if c.index <= r.commitIndex {
			settled = k
		}
	}
	r.configurations = r.configurations[settled:]
}

// mayChangeConfiguration holds the two conditions under which single-server changes
// are safe: the last change is committed (thesis §4.1), and so is an entry of the
// leader's own term. Without the second, two leaders can change the same
// configuration in ways whose majorities do not meet (Ongaro, raft-dev, 2015).
//
// A leader that hands over, or whose own removal is committed, leaves changes to the next:
// each would be one more entry before the other one can lead, and in a cluster that it is
// no part of, it has nothing to change.
func (r *Raft) mayChangeConfiguration() bool {
	safe := r.ConfigurationIndex() <= r.commitIndex && r.committedInTerm() && r.log.lastIndex() < MaxIndex
	return safe && r.leader.transfer == nil && r.Configuration().IsVoter(r.cfg.ID)
}

// AddLearner adds a server that receives the log without counting in any majority,
// so that a server that is empty, slow or not there at all stalls nobody
// (thesis §4.2.1). When it has caught up the leader makes it a voter. A server
// that is a member already keeps its role and gets the new addresses.
//
// It returns where the configuration that holds the member is in the log; the
// change is done when that entry is applied. On error nothing was done.
func (r *Raft) AddLearner(m Member) (Index, Term, error) {
	if r.state != Leader {
		return 0, 0, ErrNotLeader
	}
	old, isMember := r.Configuration().Member(m.ID)
	m.Role = old.Role // Learner, if it is not there
	if at := r.ConfigurationIndex(); isMember && m == old {
		return at, r.log.term(max(at, r.log.base)), nil // if compacted, it is long applied
	}
	c := r.Configuration().with(m)
	if _, err := DecodeConfiguration(c.Encode()); err != nil {
		return 0, 0, ErrBadMember // every server would refuse the entry
	}
	if !r.mayChangeConfiguration() {
		return 0, 0, ErrConfigurationBusy
	}
	r.appendConfiguration(c)
	return r.ConfigurationIndex(), r.currentTerm, nil
}

func (r *Raft) appendConfiguration(c Configuration) {
	before := r.Configuration()
	r.appendAsLeader(EntryConfiguration, c.Encode())
	r.useConfigurations(r.log.between(r.log.lastIndex(), r.log.lastIndex()))
	for _, m := range before.Members {
		if _, stays := c.Member(m.ID); !stays && m.ID != r.cfg.ID {
			r.leader.leaving = append(r.leader.leaving, leaving{Member: m, index: r.log.lastIndex()})
		}
	}
	r.addPeers()
}

// trackCatchUp follows a learner's rounds: one that took less than an election
// timeout means that, as a voter, it would not hold up commitment for longer than
// a change of leader does (thesis §4.2.1). When the learner has the whole log, the
// next round is empty and takes no time: were it to wait for an entry, a learner
// that was slow once would stay one in a cluster without writes.
func (r *Raft) trackCatchUp(from NodeID, p *progress) {
	if p.matchIndex < p.roundTarget || r.Configuration().IsVoter(from) {
		return
	}
	p.caughtUp = p.roundTicks < r.cfg.ElectionTicks || p.matchIndex == r.log.lastIndex()
	p.roundTarget, p.roundTicks = r.log.lastIndex(), 0
}

// promoteCaughtUp makes a learner a voter, if the configuration may change.
func (r *Raft) promoteCaughtUp() {
	if !r.mayChangeConfiguration() {
		return
	}
	for _, m := range r.Configuration().Members {
		if m.Role == Learner && r.leader.peers[m.ID].caughtUp {
			r.trace(RuleCaughtUp, m.ID, r.leader.peers[m.ID].matchIndex, 0)
			m.Role = Voter
			r.appendConfiguration(r.Configuration().with(m))
			return // one at a time
		}
	}
}
