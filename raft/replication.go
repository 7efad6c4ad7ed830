package raft

import "slices"

// becomeLeader is "upon election" (Figure 2, §5.2). The empty entry of its own term
// is what lets it learn which older entries are committed (§8).
func (r *Raft) becomeLeader() {
	assert(r.state == Candidate, "a %v cannot win an election", r.state)
	r.state, r.leaderID, r.lostElections = Leader, r.cfg.ID, 0
	r.candidate, r.leader = nil, &leaderState{peers: map[NodeID]*progress{}}
	r.trace(RuleWonElection, nobody, 0, r.currentTerm)
	r.appendAsLeader(EntryNoop, nil)
	r.addPeers()
	r.noteTakingPart(true)
	r.trace(RuleNoop, nobody, r.log.lastIndex(), r.currentTerm)
	r.HeartbeatTimeout() // "upon election: send initial empty AppendEntries RPCs"
}

// Propose is "if command received from client: append entry to local log"
// (Figure 2, leaders). It returns the index of the first command and the term of
// all: a command is committed when an entry with its index and its term is applied.
// On error nothing was done.
func (r *Raft) Propose(cmds ...[]byte) (first Index, term Term, err error) {
	if r.state != Leader || r.leader.transfer != nil || !r.Configuration().IsVoter(r.cfg.ID) {
		return 0, 0, ErrNotLeader // or not for long: the next one will take it
	}
	size := 0
	for _, cmd := range cmds {
		size += len(cmd) + entryOverhead
	}
	switch {
	case r.leader.uncommittedBytes > 0 && r.leader.uncommittedBytes+size > r.cfg.MaxUncommittedBytes:
		return 0, 0, ErrBusy
	case MaxIndex-r.log.lastIndex() < Index(len(cmds)):
		return 0, 0, ErrBusy // for ever: no server could read the entry
	}
	first = r.log.lastIndex() + 1
	for _, cmd := range cmds {
		r.appendAsLeader(EntryCommand, cmd)
	}
	r.trace(RulePropose, nobody, r.log.lastIndex(), r.currentTerm)
	return first, r.currentTerm, nil
}

func (r *Raft) appendAsLeader(kind EntryKind, data []byte) {
	e := Entry{Index: r.log.lastIndex() + 1, Term: r.currentTerm, Kind: kind, Data: data}
	r.log.append(e)
	r.leader.uncommittedBytes += e.size()
}

func (r *Raft) tickLeader() {
	r.leader.quorumElapsed++
	if r.leader.quorumElapsed >= r.cfg.ElectionTicks && !r.cfg.NoCheckQuorum && !r.checkQuorum() {
		return
	}
	r.leader.heartbeatElapsed++
	if r.leader.heartbeatElapsed >= r.cfg.HeartbeatTicks {
		r.HeartbeatTimeout()
	}
	for _, m := range r.leader.receivers {
		p := r.leader.peers[m.ID]
		p.roundTicks++
		p.overdue = true
		// An idle follower would hear of a commit with the next heartbeat only, and
		// its readers would wait for it. One that needs a snapshot cannot hear of it so.
		if p.inflight == 0 && p.matchIndex >= r.log.base && p.sentCommit < min(r.commitIndex, p.matchIndex) {
			r.sendHeartbeat(m.ID, p)
		}
	}
	r.tickLeaving()
	r.tickTransfer()
}

// checkQuorum lets a leader step down that has not heard from a majority within an
// election timeout (thesis §6.2): its clients should look elsewhere.
func (r *Raft) checkQuorum() bool {
	r.leader.quorumElapsed = 0
	active := r.Configuration().majority(func(voter NodeID) bool {
		return voter == r.cfg.ID || r.leader.peers[voter].recentlyActive
	})
	for _, m := range r.leader.receivers {
		p := r.leader.peers[m.ID]
		p.recentlyActive, p.activeBefore = false, p.recentlyActive
	}
	if active {
		return true
	}
	r.trace(RuleQuorumLost, nobody, 0, r.currentTerm)
	r.becomeFollower(r.currentTerm, nobody)
	return false
}

// HeartbeatTimeout is "repeat during idle periods to prevent election timeouts"
// (Figure 2, leaders). It also gives peers that failed another chance.
func (r *Raft) HeartbeatTimeout() {
	if r.state != Leader {
		return
	}
	r.leader.heartbeatElapsed = 0
	for _, m := range r.leader.receivers {
		p := r.leader.peers[m.ID]
		p.paused = p.snapshot.waits()
		r.sendHeartbeat(m.ID, p)
	}
	if r.leader.transfer != nil {
		r.leader.transfer.asked = false
	}
}

// sendHeartbeat sends an empty AppendEntries from where the logs are known to
// agree. So nobody who is not in a newer term refuses it, and it promises nothing
// of the log that its receiver's disk would have to confirm first: see MayReplyAtOnce.
// What the log no longer holds has no term here; every log agrees at index 0.
func (r *Raft) sendHeartbeat(to NodeID, p *progress) {
	p.heartbeats++
	prev := p.matchIndex
	if prev < r.log.base {
		prev = 0
	}
	r.sendAppendEntries(to, p, prev, nil)
}

// replicate is "if last log index >= nextIndex for a follower: send AppendEntries
// RPC with log entries starting at nextIndex" (Figure 2, leaders), as far as the
// window allows.
func (r *Raft) replicate() {
	for _, m := range r.leader.receivers {
		p := r.leader.peers[m.ID]
		if p.snapshot != nil || p.nextIndex <= r.log.base {
			r.sendSnapshot(m.ID, p)
			continue
		}
		for p.nextIndex <= r.log.lastIndex() && p.maySend(r.cfg.MaxInflight) {
			maxBytes := p.batchBytes
			if p.probing {
				maxBytes = 0 // one entry: it may well be refused
			}
			entries := r.log.batch(p.nextIndex, maxBytes)
			if last := entries[len(entries)-1].Index; p.inflight > 0 && last == r.log.lastIndex() && !p.overdue {
				break // not a full one: see progress.overdue
			}
			r.sendAppendEntries(m.ID, p, p.nextIndex-1, entries)
			p.nextIndex += Index(len(entries))
			p.inflight++
			p.overdue = false
		}
	}
}

func (r *Raft) sendAppendEntries(to NodeID, p *progress, prev Index, entries []Entry) {
	p.sentCommit = max(p.sentCommit, min(r.commitIndex, prev+Index(len(entries))))
	prevTerm := Term(0)
	if prev > 0 {
		prevTerm = r.log.term(prev)
	}
	r.send(Call{To: to, AppendEntries: &AppendEntriesArgs{
		Term:         r.currentTerm,
		LeaderID:     r.cfg.ID,
		PrevLogIndex: prev,
		PrevLogTerm:  prevTerm,
		Entries:      entries,
		LeaderCommit: r.commitIndex,
		ReadRound:    r.leader.reads.round,
		Session:      p.session,
	}})
}

// HandleAppendEntries is the receiver of the AppendEntries RPC (Figure 2).
func (r *Raft) HandleAppendEntries(a AppendEntriesArgs) AppendEntriesReply {
	// AppendEntries rule 1: reply false if term < currentTerm (§5.1).
	if a.Term < r.currentTerm {
		r.trace(RuleAppendStale, a.LeaderID, 0, a.Term)
		return AppendEntriesReply{Term: r.currentTerm}
	}
	r.follow(a.Term, a.LeaderID)
	r.leaderCommit = a.LeaderCommit
	a = r.aboveBase(a)
	// AppendEntries rule 2: reply false if log doesn't contain an entry at
	// prevLogIndex whose term matches prevLogTerm (§5.3).
	if a.PrevLogIndex >= r.log.base && !r.log.matches(a.PrevLogIndex, a.PrevLogTerm) {
		r.trace(RuleAppendMismatch, a.LeaderID, a.PrevLogIndex, a.PrevLogTerm)
		return r.conflict(a.PrevLogIndex)
	}
	r.storeEntries(a)
	// AppendEntries rule 5: if leaderCommit > commitIndex, set commitIndex =
	// min(leaderCommit, index of last new entry). Not our last index: a stale tail may
	// follow the entries that this leader vouches for (scylladb#9965).
	lastNew := a.PrevLogIndex + Index(len(a.Entries))
	if commit := min(a.LeaderCommit, lastNew); commit > r.commitIndex {
		r.setCommitIndex(commit)
		r.trace(RuleFollowCommit, a.LeaderID, commit, r.log.term(commit))
	}
	r.noteTakingPart(r.commitIndex >= a.LeaderCommit)
	return AppendEntriesReply{Term: r.currentTerm, Success: true}
}

// aboveBase leaves out what a snapshot has taken the place of. It was committed, so
// every leader's log has the same there. To refuse it instead would send the leader back
// to entries that were needed by nobody, for ever (scylladb#9552).
func (r *Raft) aboveBase(a AppendEntriesArgs) AppendEntriesArgs {
	if a.PrevLogIndex >= r.log.base {
		return a
	}
	covered := min(Index(len(a.Entries)), r.log.base-a.PrevLogIndex)
	if covered == r.log.base-a.PrevLogIndex {
		last := a.Entries[covered-1]
		assert(last.Term == r.log.baseTerm, "State Machine Safety: entry %v contradicts a snapshot, in which it is of term %d", last, r.log.baseTerm)
		a.PrevLogTerm = last.Term
	}
	a.PrevLogIndex, a.Entries = a.PrevLogIndex+covered, a.Entries[covered:]
	return a
}

// follow accepts the sender as the leader of its term, and resets the election
// timer: the leader is alive even if its entries do not fit (Figure 2, followers).
func (r *Raft) follow(term Term, leader NodeID) {
	r.observeTerm(term)
	if r.state == Leader {
		broken("Election Safety: second leader %q in term %d", leader, term)
	}
	if r.state != Follower || r.leaderID != leader {
		r.becomeFollower(term, leader)
		r.trace(RuleNewLeader, leader, 0, term)
	}
	r.removedAt, r.isNeeded = 0, false
	r.resetElectionTimer()
}

// storeEntries makes the log agree with the leader's, up to the last new entry.
func (r *Raft) storeEntries(a AppendEntriesArgs) {
	for k, e := range a.Entries {
		if r.log.matches(e.Index, e.Term) {
			continue
		}
		// AppendEntries rule 3: if an existing entry conflicts with a new one (same
		// index but different terms), delete the existing entry and all that follow it
		// (§5.3). Only then: an old request that arrives late is a prefix of what is
		// stored, and to truncate after it would erase what was acknowledged.
		if e.Index <= r.log.lastIndex() {
			r.truncate(e.Index)
		}
		// AppendEntries rule 4: append any new entries not already in the log.
		r.log.append(a.Entries[k:]...)
		r.useConfigurations(a.Entries[k:])
		r.trace(RuleAppend, a.LeaderID, r.log.lastIndex(), r.log.lastTerm())
		return
	}
}

func (r *Raft) truncate(from Index) {
	assert(from > r.commitIndex, "State Machine Safety: entry %v conflicts, but %d is committed", r.log.entry(from), r.commitIndex)
	r.trace(RuleTruncate, nobody, from, r.log.term(from))
	r.log.truncate(from)
	r.dropConfigurations(from)
	r.voidSaves(from - 1)
}

// conflict refuses an AppendEntries, with "the term of the conflicting entry and the
// first index it stores for that term" (end of §5.3).
func (r *Raft) conflict(prev Index) AppendEntriesReply {
	rep := AppendEntriesReply{Term: r.currentTerm, ConflictIndex: r.log.lastIndex() + 1}
	if prev <= r.log.lastIndex() {
		rep.ConflictTerm = r.log.term(prev)
		rep.ConflictIndex = r.log.firstOfTerm(prev)
	}
	return rep
}

// MayReplyAtOnce says whether the reply to a heartbeat may leave although Saves are
// still on their way to the disk: what it promises — this term, and the log up to
// PrevLogIndex — is durable already. Without it, a leader whose followers wait for
// a slow disk would hear from nobody and step down.
func (r *Raft) MayReplyAtOnce(a AppendEntriesArgs, rep AppendEntriesReply) bool {
	return rep.Success && len(a.Entries) == 0 &&
		rep.Term == r.disk.savedTerm && a.PrevLogIndex <= r.disk.savedIndex
}

// HandleAppendEntriesReply is the leader's side of the answer (Figure 2, leaders).
func (r *Raft) HandleAppendEntriesReply(from NodeID, a AppendEntriesArgs, rep AppendEntriesReply) {
	r.observeTerm(rep.Term)
	p := r.progressOf(from, a.Term)
	if p == nil || rep.Term != a.Term {
		return
	}
	p.answered(a)
	// Success or not, the peer took this server for the leader of the term after the
	// message was sent.
	p.recentlyActive = true
	p.ackedRound = max(p.ackedRound, a.ReadRound)
	r.finishReadRound()
	if a.Session != p.session {
		return // an answer to an earlier run of replication
	}
	if p.snapshot == nil { // else a chunk's answer paused it: see HandleInstallSnapshotReply
		p.paused = false
	}
	if rep.Success {
		p.ackedCommit = max(p.ackedCommit, min(a.LeaderCommit, a.PrevLogIndex+Index(len(a.Entries))))
	}
	if len(a.Entries) > 0 {
		p.inflight--
	}
	switch {
	case rep.Success:
		r.matched(from, p, a)
		r.trackCatchUp(from, p)
	case len(a.Entries) > 0:
		r.backtrack(from, p, a, rep)
	}
}

// matched is "if successful: update nextIndex and matchIndex for follower" (§5.3).
// What the peer holds follows from the request that it accepted. Answers may
// overtake each other, so the indexes only rise: the specification that lets
// matchIndex fall (ongardie/raft.tla#18) lets commitIndex fall with it.
func (r *Raft) matched(from NodeID, p *progress, a AppendEntriesArgs) {
	last := a.PrevLogIndex + Index(len(a.Entries))
	if len(a.Entries) > 0 && !p.probing {
		p.batchBytes = min(p.batchBytes+batchGrowth, r.cfg.MaxBatchBytes)
	}
	if len(a.Entries) > 0 {
		p.probing = false
	}
	if last <= p.matchIndex {
		return
	}
	p.matchIndex, p.nextIndex = last, max(p.nextIndex, last+1)
	r.trace(RuleMatch, from, last, a.lastTerm())
	r.advanceCommitIndex()
}

// backtrack is "if AppendEntries fails because of log inconsistency: decrement
// nextIndex and retry" (§5.3), by a term at a time: the logs can agree no later than
// at the leader's last entry with a term up to the conflicting one's; and if that
// entry's term is not the conflicting one, before the follower's first of it. A
// message that overtook the one before it is refused too, perhaps after that one
// was accepted: then the entries above matchIndex are sent again.
func (r *Raft) backtrack(from NodeID, p *progress, a AppendEntriesArgs, rep AppendEntriesReply) {
	next := min(rep.ConflictIndex, a.PrevLogIndex)
	if rep.ConflictTerm != 0 && a.PrevLogIndex > r.log.base {
		agree := r.log.lastIndexOf(rep.ConflictTerm, a.PrevLogIndex-1)
		if next = agree + 1; r.log.term(agree) != rep.ConflictTerm {
			next = min(next, rep.ConflictIndex)
		}
	}
	r.restart(p, max(next, p.matchIndex+1))
	p.paused = a.PrevLogIndex <= p.matchIndex // should it be none, this must not spin
	r.trace(RuleBacktrack, from, p.nextIndex, rep.ConflictTerm)
}

// HandleAppendEntriesFailed tells that no reply to a will come. Whether it arrived
// is unknown, so everything above matchIndex is in doubt and is sent again, after
// the next heartbeat: a peer that is down would fail again at once.
func (r *Raft) HandleAppendEntriesFailed(to NodeID, a AppendEntriesArgs) {
	p := r.progressOf(to, a.Term)
	if p == nil {
		return
	}
	p.answered(a)
	if len(a.Entries) > 0 && p.session == a.Session {
		next := p.matchIndex + 1
		if p.probing { // a probe that got lost says nothing: the same place again
			next = max(next, a.PrevLogIndex+1)
		}
		r.restart(p, next)
		p.paused, p.caughtUp = true, false
		p.batchBytes = max(p.batchBytes/2, min(batchGrowth, r.cfg.MaxBatchBytes))
	}
}

// advanceCommitIndex is "if there exists an N such that N > commitIndex, a majority
// of matchIndex[i] >= N, and log[N].term == currentTerm: set commitIndex = N"
// (Figure 2, leaders). The last condition is §5.4.2: without it, Figure 8 loses an
// entry that was committed.
func (r *Raft) advanceCommitIndex() {
	matches, c := r.leader.matches[:0], r.Configuration()
	for _, m := range c.Members {
		switch {
		case m.Role != Voter:
		case m.ID == r.cfg.ID:
			matches = append(matches, r.disk.savedIndex)
		default:
			matches = append(matches, r.leader.peers[m.ID].matchIndex)
		}
	}
	r.leader.matches = matches
	slices.Sort(matches)
	n := matches[len(matches)-c.Quorum()]
	if n > r.commitIndex && r.log.term(n) == r.currentTerm {
		r.setCommitIndex(n)
		r.trace(RuleCommit, nobody, n, r.currentTerm)
	}
}

// committedInTerm says whether this leader has committed an entry of its own term:
// from then on its commitIndex covers everything that earlier leaders committed.
func (r *Raft) committedInTerm() bool { return r.log.term(r.commitIndex) == r.currentTerm }

func (r *Raft) setCommitIndex(i Index) {
	if r.leader != nil {
		for _, e := range r.log.between(r.commitIndex+1, i) {
			if e.Term == r.currentTerm {
				r.leader.uncommittedBytes -= e.size()
			}
		}
	}
	r.commitIndex = i
	r.settleConfigurations()
}
