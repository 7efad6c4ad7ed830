package raft

import (
	"maps"
	"slices"
)

// Clone makes an independent copy: whatever happens to one of the two is not seen by the
// other. What never changes is shared: entries, their data, the members of a
// configuration, the arguments of calls. Config's Rand and Tracer are the caller's, and
// both servers have the same.
//
// A log's array is shared although the original may still append to it in its place. The
// copy ends where the log ends now and has no room to grow, so its own next append moves to
// a new array; and what the original appends lies beyond the copy's end. Truncation cuts
// the room off as well, see log.
func (r *Raft) Clone() *Raft {
	c := *r
	c.log.entries = r.log.entries[:len(r.log.entries):len(r.log.entries)]
	c.configurations = slices.Clone(r.configurations)
	if r.candidate != nil {
		c.candidate = &candidateState{votes: maps.Clone(r.candidate.votes)}
	}
	c.leader = r.leader.clone()
	c.effects = Effects{
		Send:      slices.Clone(r.effects.Send),
		Save:      r.effects.Save,
		SendAfter: slices.Clone(r.effects.SendAfter),
		Apply:     r.effects.Apply,
		Reads:     slices.Clone(r.effects.Reads),
	}
	return &c
}

func (l *leaderState) clone() *leaderState {
	if l == nil {
		return nil
	}
	c := *l
	c.peers = maps.Clone(l.peers)
	for _, m := range l.receivers { // everybody who has a progress: see addPeers
		c.peers[m.ID] = l.peers[m.ID].clone()
	}
	c.receivers, c.leaving = slices.Clone(l.receivers), slices.Clone(l.leaving)
	if l.transfer != nil {
		t := *l.transfer
		c.transfer = &t
	}
	c.reads.waiting, c.reads.reads = slices.Clone(l.reads.waiting), slices.Clone(l.reads.reads)
	c.matches = nil
	return &c
}

func (p *progress) clone() *progress {
	c := *p
	if p.snapshot != nil {
		s := *p.snapshot
		c.snapshot = &s
	}
	return &c
}
