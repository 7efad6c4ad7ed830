package explore

import "dbdb/raft"

// bury takes messages away that nobody will ever react to: a vote for an election that is
// over, an answer to a leader that is none any more. Worlds with and without them go on
// alike, so they are one; and they leave room for others.
func (x *space) bury(w *world) {
	for k := w.bag.n - 1; k >= 0; k-- {
		if n := w.bag.of[k]; x.isDead(x.message(n), n, w) {
			w.bag.remove(k)
		}
	}
	if !x.level.SlowDisks {
		return
	}
	for place := range x.level.nodes() {
		for _, n := range x.at(w, place).held {
			if x.isDead(x.message(n), n, w) {
				w.servers[place] = x.outcome(place, w.servers[place], input{useless, n}).next
			}
		}
	}
}

// isDead is careful: what it takes for granted, the search could not find broken. It relies
// on terms that only rise, also across a crash, which is checked; on nobody campaigning beyond
// the level's newest term; and on that a refusal, and a request of an old term, changes
// nothing later if it changes nothing now. That it changes nothing now, the core itself says.
func (x *space) isDead(m *message, n uint32, w *world) bool {
	to := x.at(w, m.to)
	if !x.isOver(m, w, to) {
		return false
	}
	o := x.outcome(m.to, w.servers[m.to], input{deliver, n})
	return o.next == w.servers[m.to] && len(o.sent) == 0 || !m.isReply && x.onlyTells(o, w, m)
}

// onlyTells: a request changes nothing but that its answer leaves.
func (x *space) onlyTells(o *outcome, w *world, m *message) bool {
	return o.next == w.servers[m.to] && len(o.sent) == 1 && x.message(o.sent[0]).isReply
}

func (x *space) isOver(m *message, w *world, to *server) bool {
	term, newest := to.Term, x.level.maxTerm()
	if !m.isReply {
		// One that is refused can still tell the caller of a new term, unless it knows it.
		knows := x.level.Changes == 0 && x.at(w, m.from).Term == newest
		return (m.orphan || knows) && m.isOld(term)
	}
	retired := term == newest && to.State == raft.Follower // it campaigns and leads no more
	elected := term == newest && to.State == raft.Leader
	switch c := m.call; {
	case c.RequestVote != nil:
		return m.vote.RemovedAt == 0 && m.vote.Term <= term && (retired || elected || !m.vote.VoteGranted)
	case c.AppendEntries != nil:
		return retired && m.entries.Term <= term
	case c.InstallSnapshot != nil:
		return retired && m.chunk.Term <= term
	}
	return m.told.Term <= term
}

// isOld says of a request that its receiver will refuse it.
func (m *message) isOld(term raft.Term) bool {
	switch c := m.call; {
	case c.RequestVote != nil:
		return c.RequestVote.PreVote || c.RequestVote.Term < term
	case c.AppendEntries != nil:
		return c.AppendEntries.Term < term
	case c.InstallSnapshot != nil:
		return c.InstallSnapshot.Term < term
	}
	return m.call.TimeoutNow.Term < term
}
