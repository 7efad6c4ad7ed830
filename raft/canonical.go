package raft

import (
	"encoding/binary"
	"maps"
	"slices"
	"strings"
)

// AppendState appends an encoding of everything that can influence what this server does
// from now on: two servers with the same encoding answer the same inputs in the same way,
// for ever. It is for whoever looks at all states that can be reached, and at each only
// once. Ids are written as rename has them, so that states that differ only in who is who
// can be told to be the same. It is asked between two batches, when Effects has nothing.
//
// Left out is what can be told apart by no input:
//
//   - Timers. They "may run out now", at any time (ElectionTimeout, HeartbeatTimeout), and
//     whatever only decides when that is counts for nothing: ticks, the timeout that was drawn,
//     the elections lost, a heartbeat that leaves early to tell of a commit. One thing that
//     the election timer decides is no timeout: whether a leader counts as heard when
//     somebody asks for a vote. That is written.
//   - Numbers of Saves and of sessions. They are only compared with those in messages and
//     notes, and two servers whose numbers differ may well do the same. Whoever keeps a message
//     has to write whether its session is the present one: see PeerStatus.
//   - What is only told: leaderCommit, tookPart. And the count of unanswered heartbeats: to
//     have too many of them is like losing the next one.
//   - What a leader knows of a voter's rounds of catching up, or of how far somebody was told
//     to commit who stays: nobody asks.
//   - The Config, which does not change.
func (r *Raft) AppendState(buf []byte, rename func(NodeID) NodeID) []byte {
	e := &encoder{buf, rename}
	e.id(r.cfg.ID)
	e.numbers(uint64(r.currentTerm), uint64(r.state), uint64(r.commitIndex), uint64(r.lastApplied), uint64(r.appliedBytes), uint64(r.removedAt))
	e.id(r.votedFor)
	e.id(r.leaderID)
	e.flags(r.wasMember, r.isNeeded, r.hearsLeader(nobody))
	e.log(&r.log)
	e.snapshot(r.snapshot)
	e.number(uint64(len(r.configurations)))
	for _, c := range r.configurations {
		e.number(uint64(c.index))
		e.configuration(c.Configuration)
	}
	e.numbers(uint64(r.incoming.term), uint64(r.incoming.index), r.incoming.offset, r.incoming.size)
	e.disk(&r.disk)
	e.flags(r.candidate != nil, r.leader != nil)
	if r.candidate != nil {
		e.votes(r.candidate.votes)
	}
	if r.leader != nil {
		e.leader(r.leader, r.Configuration())
	}
	return e.buf
}

// encoder writes numbers as uvarints and texts after their length, so that no two
// different states have the same bytes.
type encoder struct {
	buf    []byte
	rename func(NodeID) NodeID
}

func (e *encoder) number(n uint64) { e.buf = binary.AppendUvarint(e.buf, n) }

func (e *encoder) numbers(all ...uint64) {
	for _, n := range all {
		e.number(n)
	}
}

func (e *encoder) flags(all ...bool) {
	for _, yes := range all {
		n := byte(0)
		if yes {
			n = 1
		}
		e.buf = append(e.buf, n)
	}
}

func (e *encoder) text(s string) {
	e.number(uint64(len(s)))
	e.buf = append(e.buf, s...)
}

func (e *encoder) id(id NodeID) { e.text(string(e.renamed(id))) }

// renamed: nobody stays nobody.
func (e *encoder) renamed(id NodeID) NodeID {
	if id == nobody {
		return nobody
	}
	return e.rename(id)
}

func (e *encoder) log(l *log) {
	e.numbers(uint64(l.base), uint64(l.baseTerm), uint64(l.unsavedFrom), uint64(l.truncateFrom), uint64(len(l.entries)))
	for _, entry := range l.entries {
		e.entry(entry)
	}
}

// entry writes the members of a configuration under their new names.
func (e *encoder) entry(entry Entry) {
	e.numbers(uint64(entry.Index), uint64(entry.Term), uint64(entry.Kind))
	if entry.Kind == EntryConfiguration {
		if c, err := DecodeConfiguration(entry.Data); err == nil {
			e.configuration(c)
			return
		}
	}
	e.text(string(entry.Data))
}

// configuration writes the members in the order of their new names.
func (e *encoder) configuration(c Configuration) {
	e.number(uint64(len(c.Members)))
	for _, m := range e.sorted(c.Members) {
		e.member(m)
	}
}

func (e *encoder) member(m Member) {
	e.id(m.ID)
	e.number(uint64(m.Role))
	e.text(m.RaftAddr)
	e.text(m.HTTPAddr)
}

func (e *encoder) sorted(members []Member) []Member {
	return slices.SortedFunc(slices.Values(members), e.compare)
}

func (e *encoder) compare(a, b Member) int {
	return strings.Compare(string(e.renamed(a.ID)), string(e.renamed(b.ID)))
}

func (e *encoder) snapshot(s Snapshot) {
	e.numbers(uint64(s.Index), uint64(s.Term), uint64(s.ConfigurationIndex))
	e.configuration(s.Configuration)
}

func (e *encoder) disk(d *diskState) {
	e.numbers(uint64(d.handedTerm), uint64(d.handedSnapshot), uint64(d.savedTerm), uint64(d.savedSnapshot), uint64(d.savedIndex))
	e.id(d.handedVote)
	void := uint64(0) // how many Saves on their way tell nothing of indexes is all that counts
	if d.truncationSeq != 0 {
		void = d.seq + 2 - d.truncationSeq
	}
	e.number(void)
}

func (e *encoder) votes(votes map[NodeID]bool) {
	voters := slices.Collect(maps.Keys(votes))
	for k, id := range voters {
		voters[k] = e.renamed(id)
	}
	slices.Sort(voters)
	e.number(uint64(len(voters)))
	for _, id := range voters {
		e.text(string(id))
	}
}

func (e *encoder) leader(l *leaderState, c Configuration) {
	e.number(uint64(len(l.receivers)))
	for _, m := range e.sorted(l.receivers) { // everybody who has a progress
		e.id(m.ID)
		e.progress(l.peers[m.ID], c.IsVoter(m.ID))
	}
	e.leaving(l)
	e.flags(l.toldToLead, l.transfer != nil)
	if t := l.transfer; t != nil {
		e.id(t.to)
		e.number(uint64(t.ticks))
		e.flags(t.asked)
	}
	e.number(uint64(l.uncommittedBytes))
	q := &l.reads
	e.numbers(q.round, uint64(q.index), uint64(len(q.waiting)), uint64(len(q.reads)))
	e.numbers(q.waiting...)
	e.numbers(q.reads...)
	e.flags(q.active)
}

func (e *encoder) progress(p *progress, isVoter bool) {
	e.numbers(uint64(p.nextIndex), uint64(p.matchIndex), uint64(p.inflight), uint64(p.batchBytes), p.ackedRound)
	e.flags(p.probing, p.paused, p.overdue, p.recentlyActive, p.activeBefore, p.snapshot != nil)
	if s := p.snapshot; s != nil {
		e.numbers(uint64(s.index), s.offset, s.size, uint64(s.setbacks), uint64(s.skip))
	}
	if !isVoter {
		e.numbers(uint64(p.roundTarget), uint64(p.roundTicks))
		e.flags(p.caughtUp)
	}
}

// leaving writes of those who are spoken to although they were removed whether they know
// of it: then they are let go of.
func (e *encoder) leaving(l *leaderState) {
	byName := func(a, b leaving) int { return e.compare(a.Member, b.Member) }
	e.number(uint64(len(l.leaving)))
	for _, out := range slices.SortedFunc(slices.Values(l.leaving), byName) {
		e.member(out.Member)
		e.numbers(uint64(out.index), uint64(out.ticks))
		e.flags(l.peers[out.ID].ackedCommit >= out.index)
	}
}
