package raft

// Snapshot says what a snapshot of the state machine covers (§7, Figure 13; thesis
// Figure 5.3). The state itself is a file that the core never sees.
type Snapshot struct {
	Index Index // lastIncludedIndex: the snapshot replaces all entries through it
	Term  Term  // lastIncludedTerm
	// Configuration is the latest one up to Index, and ConfigurationIndex is where it
	// was in the log. A snapshot without it would forget who the members are
	// (async-raft#133).
	Configuration      Configuration
	ConfigurationIndex Index
}

// Snapshot is the newest one that this server has, its own or a leader's.
func (r *Raft) Snapshot() Snapshot { return r.snapshot }

// NextSnapshot says what a snapshot of the state machine would cover if it were
// taken now, and how many bytes of log it would take the place of: not those that are yet
// to be applied, or a server with a long way to go would make one useless snapshot after
// the other. It is false if none can be taken.
func (r *Raft) NextSnapshot() (s Snapshot, logBytes int, ok bool) {
	c := r.configurations[0]
	switch {
	case r.lastApplied <= r.snapshot.Index, c.index > r.lastApplied:
		return Snapshot{}, 0, false // nothing new, or only a newer configuration is known
	case r.RemovedAt() != 0:
		// It receives nothing any more, and its log is what tells it why after a restart.
		return Snapshot{}, 0, false
	}
	return Snapshot{
		Index: r.lastApplied, Term: r.log.term(r.lastApplied),
		Configuration: c.Configuration, ConfigurationIndex: c.index,
	}, r.appliedBytes, true
}

// Compact tells that a snapshot of the own state machine is complete: it comes into
// force with the next Save, and the log before it goes, but for TrailingBytes. It is
// false, and nothing happens, if a newer one is in force: while this one was
// written, a leader may have sent another (hashicorp/raft#248).
//
// The Saves that made the entries up to s.Index durable are older than the one that
// carries s. So the disk never holds a snapshot of what its log does not cover yet.
func (r *Raft) Compact(s Snapshot) bool {
	if s.Index <= r.snapshot.Index {
		return false
	}
	assert(s.Index <= r.lastApplied, "snapshot through %d, but only %d is applied", s.Index, r.lastApplied)
	r.snapshot = s
	r.appliedBytes = sizeOf(r.log.between(s.Index+1, r.lastApplied))
	keep, room := s.Index, r.cfg.TrailingBytes
	for keep > r.log.base && r.log.entry(keep).size() <= room {
		room -= r.log.entry(keep).size()
		keep--
	}
	r.log.compact(keep)
	r.trace(RuleSnapshotTaken, nobody, s.Index, s.Term)
	return true
}

// incomingSnapshot is a leader's snapshot on its way here. Chunks are taken only in
// order and only of one transfer, so that two files cannot mix (camunda#8381).
type incomingSnapshot struct {
	term   Term // of the leader that sends it: another leader's file may differ
	index  Index
	offset uint64 // so much of it was taken
	size   uint64
}

// receiving says how much of it has arrived. What an earlier leader began, what the log
// has overtaken, or what nobody sends at the moment does not count: whoever watches would
// wait for it.
func (r *Raft) receiving() Transferred {
	in := r.incoming
	if in.term != r.currentTerm || r.leaderID == nobody || in.index <= r.commitIndex {
		return Transferred{}
	}
	return Transferred{in.offset, in.size}
}

// HandleInstallSnapshot is the receiver of the InstallSnapshot RPC (Figure 13), up
// to rule 4. If store is true, the chunk must be stored before the reply leaves; once
// the last one is, and the file was found sound, FinishSnapshot has the other rules.
func (r *Raft) HandleInstallSnapshot(a InstallSnapshotArgs) (rep InstallSnapshotReply, store bool) {
	// InstallSnapshot rule 1: reply immediately if term < currentTerm.
	if a.Term < r.currentTerm {
		r.trace(RuleSnapshotStale, a.LeaderID, 0, a.Term)
		return InstallSnapshotReply{Term: r.currentTerm}, false
	}
	r.follow(a.Term, a.LeaderID)
	if a.LastIncludedIndex <= r.commitIndex {
		// Late, repeated, or installed by now: the log or a snapshot has all of it. An older
		// one must not undo newer entries (camunda#6092).
		return InstallSnapshotReply{Term: r.currentTerm, Installed: true}, false
	}
	in := &r.incoming
	if a.Term != in.term || a.LastIncludedIndex != in.index {
		if a.Term == in.term && a.LastIncludedIndex < in.index || a.Offset != 0 {
			return InstallSnapshotReply{Term: r.currentTerm}, false // of a transfer that is over, or unknown
		}
		// InstallSnapshot rule 2: create new snapshot file if first chunk (offset is 0).
		// Rule 5, to discard a snapshot with a smaller index, is the same step.
		*in = incomingSnapshot{term: a.Term, index: a.LastIncludedIndex, size: a.Size}
	}
	if a.Offset != in.offset || a.Size != in.size || len(a.Data) == 0 {
		return InstallSnapshotReply{Term: r.currentTerm, Offset: in.offset}, false
	}
	// InstallSnapshot rule 3: write data into snapshot file at given offset. Rule 4:
	// reply and wait for more data chunks if done is false.
	in.offset += uint64(len(a.Data))
	r.trace(RuleSnapshotChunk, a.LeaderID, a.LastIncludedIndex, a.LastIncludedTerm)
	return InstallSnapshotReply{Term: r.currentTerm, Offset: in.offset}, true
}

// DropIncomingSnapshot tells that a chunk could not be stored, or that the file is
// damaged: the leader will be asked to begin again.
func (r *Raft) DropIncomingSnapshot() { r.incoming = incomingSnapshot{} }

// FinishSnapshot tells that a received snapshot is complete, durable and sound. If it
// returns true, it is in force from now on: the caller must "reset state machine using
// snapshot contents" (Figure 13, rule 8), and the next Save carries it. If false, the
// log has overtaken it.
func (r *Raft) FinishSnapshot(s Snapshot) bool {
	if r.incoming.index <= s.Index {
		r.incoming = incomingSnapshot{}
	}
	if s.Index <= r.commitIndex || r.state == Leader || s.Term > r.currentTerm {
		return false
	}
	if r.log.matches(s.Index, s.Term) {
		// InstallSnapshot rule 6: if existing log entry has same index and term as
		// snapshot's last included entry, retain log entries following it.
		r.log.compact(s.Index)
	} else {
		// InstallSnapshot rule 7: discard the entire log. To keep a conflicting tail would
		// have every AppendEntries refused for ever (hashicorp/raft#697).
		r.log.reset(s.Index, s.Term)
		r.voidSaves(r.commitIndex)
		if r.state != Follower {
			r.becomeFollower(r.currentTerm, nobody) // it asked for votes with another log
		}
	}
	r.snapshot, r.appliedBytes = s, 0
	r.adoptConfiguration(s)
	if r.state != Follower && r.RemovedAt() > 0 {
		r.becomeFollower(r.currentTerm, nobody) // it asked for votes before it heard of that
	}
	r.commitIndex, r.lastApplied = s.Index, s.Index
	r.trace(RuleSnapshotInstalled, nobody, s.Index, s.Term)
	return true
}

// adoptConfiguration takes the snapshot's configuration for the newest committed one:
// "use the snapshot's last included configuration" (thesis Figure 5.3, rule 8).
func (r *Raft) adoptConfiguration(s Snapshot) {
	configurations := []configurationAt{{s.ConfigurationIndex, s.Configuration}}
	for _, c := range r.configurations {
		if c.index > s.Index && c.index <= r.log.lastIndex() {
			configurations = append(configurations, c)
		}
	}
	r.configurations = configurations
	r.noteMembership(s.Configuration)
	r.trace(RuleConfigAppend, nobody, s.ConfigurationIndex, 0)
}

// outgoingSnapshot is a snapshot on its way to a peer.
type outgoingSnapshot struct {
	index  Index
	offset uint64 // the peer has so much of it
	size   uint64 // 0 until the first chunk was answered

	setbacks int // how often the peer had less than before
	skip     int // heartbeats to let pass before the next attempt
}

// maxSetbackDoublings bounds the wait of a peer that loses what it is sent again and again:
// to some six seconds, with the defaults.
const maxSetbackDoublings = 7

// goOn takes the peer's word for how far it is. One that has to begin again may have been
// restarted. One that has to do so time after time has a full disk, or a bad one: without
// a longer and longer wait, the snapshot would be read, sent and written all the time, and
// never get across.
func (s *outgoingSnapshot) goOn(offset, size uint64) {
	if offset < s.offset {
		s.skip = 1<<min(s.setbacks, maxSetbackDoublings) - 1
		s.setbacks++
	}
	s.offset, s.size = offset, size
}

// waits says whether a heartbeat is to pass without an attempt.
func (s *outgoingSnapshot) waits() bool {
	if s == nil || s.skip == 0 {
		return false
	}
	s.skip--
	return true
}

// sendSnapshot is "when the leader has already discarded the next log entry that it
// needs to send to a follower, it sends a snapshot" (§7), a chunk at a time. When the
// peer has all of it but has not installed it yet, the heartbeat's rhythm asks on.
func (r *Raft) sendSnapshot(to NodeID, p *progress) {
	switch {
	case p.snapshot == nil || p.snapshot.index < r.snapshot.Index:
		r.restart(p, p.nextIndex)
		p.snapshot = &outgoingSnapshot{index: r.snapshot.Index}
		r.trace(RuleSnapshotSent, to, r.snapshot.Index, r.snapshot.Term)
	case !p.maySend(1):
		return
	}
	if r.disk.savedSnapshot < r.snapshot.Index {
		return // its file is not in its place yet
	}
	p.inflight++
	r.send(Call{To: to, InstallSnapshot: &InstallSnapshotArgs{
		Term:              r.currentTerm,
		LeaderID:          r.cfg.ID,
		LastIncludedIndex: r.snapshot.Index,
		LastIncludedTerm:  r.snapshot.Term,
		Offset:            p.snapshot.offset,
		Session:           p.session,
	}})
}

// HandleInstallSnapshotReply is the leader's side of the answer.
func (r *Raft) HandleInstallSnapshotReply(from NodeID, a InstallSnapshotArgs, rep InstallSnapshotReply) {
	r.observeTerm(rep.Term)
	p := r.progressOf(from, a.Term)
	if p == nil || rep.Term != a.Term {
		return
	}
	p.recentlyActive = true
	if a.Session != p.session || p.snapshot == nil {
		return // an answer to an earlier run of replication
	}
	p.inflight--
	if rep.Installed {
		r.installed(from, p, a)
		return
	}
	// Without progress the peer refuses, or is busy with the file: not at once again.
	p.paused = rep.Offset <= a.Offset || rep.Offset >= a.Size
	p.snapshot.goOn(min(rep.Offset, a.Size), a.Size)
}

// installed notes that a peer's durable state covers the snapshot.
func (r *Raft) installed(from NodeID, p *progress, a InstallSnapshotArgs) {
	p.snapshot = nil
	p.matchIndex = max(p.matchIndex, a.LastIncludedIndex)
	r.restart(p, p.matchIndex+1)
	r.trace(RuleSnapshotAccepted, from, a.LastIncludedIndex, a.LastIncludedTerm)
	r.trackCatchUp(from, p)
	r.advanceCommitIndex()
}

// HandleInstallSnapshotFailed tells that no reply to a will come, or that the file
// could not be read. The next heartbeat tries again, where the peer says.
func (r *Raft) HandleInstallSnapshotFailed(to NodeID, a InstallSnapshotArgs) {
	if p := r.progressOf(to, a.Term); p != nil && p.session == a.Session && p.snapshot != nil {
		p.inflight--
		p.paused = true
	}
}

// SendsSnapshot says whether a peer that answers is being sent a snapshot. A new one
// would make it begin again.
func (r *Raft) SendsSnapshot() bool {
	if r.state != Leader {
		return false
	}
	for _, m := range r.leader.receivers {
		if p := r.leader.peers[m.ID]; p.snapshot != nil && p.answers() {
			return true
		}
	}
	return false
}
