package raft

import "errors"

// ErrNotLeader says that this server does not lead, so nothing was done.
var ErrNotLeader = errors.New("raft: not the leader")

// ErrBusy says that too much is waiting to be committed, so nothing was done.
var ErrBusy = errors.New("raft: too many uncommitted entries")

// ErrConfigurationBusy says that the configuration cannot change now: another
// change is not committed yet, the leader has not committed an entry of its own
// term, or it is about to hand over. Nothing was done.
var ErrConfigurationBusy = errors.New("raft: a configuration change is in progress")

// ErrBadMember says that a server cannot be added: its id or an address is too
// long, or there are MaxMembers already. Nothing was done.
var ErrBadMember = errors.New("raft: a member's names are too long, or there are too many members")

// ErrUnknownMember says that no such server is a member. Nothing was done.
var ErrUnknownMember = errors.New("raft: not a member")

// ErrLastVoter says that a cluster cannot lose its only voter. Nothing was done.
var ErrLastVoter = errors.New("raft: the only voter cannot be removed")

// ErrNoTransfer says that the leadership was not handed over and will not be: nobody is
// there who could lead, or the one who shall did not catch up in time to be told so.
var ErrNoTransfer = errors.New("raft: the leadership was not handed over")

// Raft is one server's consensus state: Figure 2 as a value. It does no I/O, has
// no clock and starts no goroutine. Inputs are methods; what they ask of the
// outside is collected by Effects. Not safe for concurrent use.
type Raft struct {
	cfg Config

	// Persistent state on all servers (Figure 2). Nobody saves it by hand: Effects
	// compares it with what was handed out last, so no change can be forgotten.
	currentTerm Term
	votedFor    NodeID // cleared where currentTerm rises, and nowhere else
	log         log
	snapshot    Snapshot // takes the place of the log up to its Index (§7)
	// appliedBytes is the size of the entries that are applied and that snapshot lacks.
	appliedBytes int

	// Volatile state on all servers (Figure 2).
	commitIndex Index
	lastApplied Index

	state    State
	leaderID NodeID // the leader of currentTerm, if known
	// leaderCommit is the newest commitIndex that a leader told: more than commitIndex
	// while the log is behind. Only for people; nothing is committed by it.
	leaderCommit Index
	candidate    *candidateState // set while PreCandidate or Candidate
	leader       *leaderState    // set while Leader

	// configurations holds the configurations in the log that may be in force one
	// day again: the newest committed one, then those that truncation may undo. The
	// last is in use (thesis §4.1). Never empty: it starts with "none, at index 0".
	configurations []configurationAt

	// The election timer (§5.2). A timeout is drawn once per reset: to compare a
	// fresh draw at each tick would shorten it (etcd#4887).
	electionElapsed int
	electionTimeout int
	incoming        incomingSnapshot // from the leader, not complete
	// removedAt is what a peer said: the index of a configuration without this server,
	// which it may never see. A word from a leader clears it.
	removedAt Index
	wasMember bool // of some configuration in the log or the snapshot
	tookPart  bool // as a member, since the start; see Status.TookPart
	// isNeeded says that somebody for whom this server is a voter asked for its vote, and
	// cannot have it, as the log here is the newer one. A word from a leader clears it.
	isNeeded bool

	// lostElections counts the elections without a result since a leader was heard.
	lostElections int

	disk    diskState
	shadow  shadow // what check saw last
	effects Effects
}

// diskState is what this server knows of its own disk. Saves are handed out in
// order and become durable in order.
type diskState struct {
	seq            uint64 // of the newest Save that was handed out
	handedTerm     Term   // currentTerm in it
	handedVote     NodeID // votedFor in it
	handedSnapshot Index  // the end of the newest snapshot that was handed out

	savedTerm     Term  // durable currentTerm
	savedSnapshot Index // the end of the snapshot that is in force on the disk
	savedIndex    Index // the log up to here is durable, with no truncation pending

	// truncationSeq is the newest Save that takes entries out of the log, for a truncation
	// or a snapshot. A Save below it may have stored them: its word on indexes is void. It
	// is 0 once it, or a later one, is durable: then no earlier one is on its way any more.
	truncationSeq uint64
}

// New starts a server from what its disk gave back. It panics if cfg is not valid
// or the restored log is impossible.
func New(cfg Config, disk Restored) *Raft {
	if err := cfg.Validate(); err != nil {
		panic(err)
	}
	r := &Raft{
		cfg:            cfg.withDefaults(),
		currentTerm:    disk.Term,
		votedFor:       disk.VotedFor,
		log:            newLog(disk.Snapshot, disk.Entries),
		snapshot:       disk.Snapshot,
		configurations: []configurationAt{{disk.Snapshot.ConfigurationIndex, disk.Snapshot.Configuration}},
		commitIndex:    disk.Snapshot.Index,
		lastApplied:    disk.Snapshot.Index,
	}
	assert(r.log.lastTerm() <= r.currentTerm, "restored log is of term %d, beyond currentTerm %d", r.log.lastTerm(), r.currentTerm)
	r.disk = diskState{
		handedTerm: disk.Term, handedVote: disk.VotedFor,
		savedTerm: disk.Term, savedIndex: r.log.lastIndex(),
		handedSnapshot: disk.Snapshot.Index, savedSnapshot: disk.Snapshot.Index,
	}
	r.noteMembership(disk.Snapshot.Configuration)
	// A configuration counts from the log, committed or not: to forget the
	// uncommitted one at a restart is NuRaft#67.
	r.useConfigurations(r.log.between(disk.Snapshot.Index+1, r.log.lastIndex()))
	r.resetElectionTimer()
	r.shadow = r.look()
	return r
}

// Bootstrap is the first Save of a new cluster: a log whose first entry is a
// configuration with self as the only voter. It is made in term 1, so the first
// election is for term 2.
func Bootstrap(self Member) Save {
	self.Role = Voter
	c := Configuration{}.with(self)
	return Save{
		Seq:     1,
		Term:    1,
		Entries: []Entry{{Index: 1, Term: 1, Kind: EntryConfiguration, Data: c.Encode()}},
	}
}

// Tick is the passing of one unit of time.
func (r *Raft) Tick() {
	if r.state == Leader {
		r.tickLeader()
		return
	}
	r.electionElapsed++
	if r.electionElapsed >= r.electionTimeout || r.isOnlyVoter() {
		r.ElectionTimeout()
	}
}

// isOnlyVoter says that no other server's opinion matters, so that waiting for an
// election timeout would only delay the start of a cluster of one.
func (r *Raft) isOnlyVoter() bool {
	c := r.Configuration()
	return r.state == Follower && c.Voters() == 1 && c.IsVoter(r.cfg.ID)
}

func (r *Raft) resetElectionTimer() {
	r.electionElapsed = 0
	r.electionTimeout = r.cfg.ElectionTicks + r.cfg.Rand.IntN(r.cfg.ElectionTicks)
}

// observeTerm is the rule for all servers: "if RPC request or response contains
// term T > currentTerm: set currentTerm = T, convert to follower" (Figure 2, §5.1).
func (r *Raft) observeTerm(t Term) {
	if t > r.currentTerm {
		r.becomeFollower(t, nobody)
		r.trace(RuleHigherTerm, nobody, 0, t)
	}
}

// becomeFollower is the only way to the follower's role. The vote belongs to the
// term: it survives a step-down within the term, or a candidate that hears its
// leader could vote a second time (eliben/raft PR #27).
func (r *Raft) becomeFollower(t Term, leader NodeID) {
	if t > r.currentTerm {
		r.currentTerm, r.votedFor = t, nobody
	}
	if r.state == Leader {
		r.resetElectionTimer() // it did not run while leading
	}
	if leader != nobody {
		r.lostElections = 0
	}
	r.state, r.leaderID = Follower, leader
	r.candidate, r.leader = nil, nil
}

// maxTimeoutDoublings bounds the wait for votes to four election timeouts: enough
// for an fsync of as many, and not so long that a lost request keeps a cluster
// without a leader for seconds.
const maxTimeoutDoublings = 2

// Saved tells that s is durable. Saves become durable in the order in which
// Effects handed them out.
func (r *Raft) Saved(s Save) {
	r.disk.savedTerm = max(r.disk.savedTerm, s.Term)
	r.disk.savedSnapshot = max(r.disk.savedSnapshot, s.Snapshot.Index)
	if s.Seq >= r.disk.truncationSeq {
		// An append, a truncation and another append of the same index may all be on
		// their way to the disk; the note about the first is not about the last.
		r.disk.savedIndex = max(r.disk.savedIndex, s.lastIndex())
		r.disk.truncationSeq = 0
	}
	switch {
	case r.state == Candidate && s.Term == r.currentTerm && s.VotedFor == r.cfg.ID:
		// The candidate's own vote counts from here: led before its vote is durable,
		// a term can be led twice, by one server and its own restart. The requests leave
		// now, so the time for an answer begins now. It doubles with each election
		// without a result: if voters need longer than a timeout to make their votes
		// durable, no election would ever end (the paper's "broadcastTime must be an
		// order of magnitude less than the election timeout", §5.6, is then not met).
		r.resetElectionTimer()
		r.electionTimeout <<= min(r.lostElections, maxTimeoutDoublings)
		r.countVote(r.cfg.ID)
	case r.state == Leader:
		r.advanceCommitIndex() // the own disk is one more matchIndex (thesis §10.2.1)
	}
}

// voidSaves goes with every change that takes entries after an index out of the log. The
// next Save carries it; what earlier ones say of indexes counts no more.
func (r *Raft) voidSaves(upTo Index) {
	r.disk.savedIndex = min(r.disk.savedIndex, upTo)
	r.disk.truncationSeq = r.disk.seq + 1
}

// Effects returns what the inputs since its last call ask of the outside.
func (r *Raft) Effects() Effects {
	if r.state == Leader {
		r.leaveIfRemoved()
	}
	if r.state == Leader {
		r.promoteCaughtUp()
		r.startReadRound()
		r.replicate()
		r.handOver()
	}
	r.takeSave()
	r.takeApply()
	r.check()
	e := r.effects
	r.effects = Effects{}
	return e
}

// takeSave compares the persistent state with what was handed out last.
func (r *Raft) takeSave() {
	d := &r.disk
	first, last := r.log.unsavedFrom, r.log.lastIndex()
	unchanged := d.handedTerm == r.currentTerm && d.handedVote == r.votedFor && d.handedSnapshot == r.snapshot.Index
	if unchanged && first > last && r.log.truncateFrom == 0 {
		return
	}
	d.seq++
	r.effects.Save = Save{
		Seq: d.seq, Term: r.currentTerm, VotedFor: r.votedFor,
		TruncateFrom: r.log.truncateFrom, Entries: r.log.between(first, last),
	}
	if d.handedSnapshot != r.snapshot.Index {
		r.effects.Save.Snapshot, r.effects.Save.KeepFrom = r.snapshot, r.log.base+1
	}
	d.handedTerm, d.handedVote, d.handedSnapshot = r.currentTerm, r.votedFor, r.snapshot.Index
	r.log.unsavedFrom, r.log.truncateFrom = last+1, 0
}

// takeApply is the rule for all servers: "if commitIndex > lastApplied: increment
// lastApplied, apply log[lastApplied] to state machine" (Figure 2, §5.3).
func (r *Raft) takeApply() {
	if r.commitIndex <= r.lastApplied {
		return
	}
	r.effects.Apply = r.log.batch(r.lastApplied+1, maxApplyBytes)
	if last := r.effects.Apply[len(r.effects.Apply)-1].Index; last > r.commitIndex {
		r.effects.Apply = r.log.between(r.lastApplied+1, r.commitIndex)
	}
	r.lastApplied += Index(len(r.effects.Apply))
	r.appliedBytes += sizeOf(r.effects.Apply)
	r.trace(RuleApply, nobody, r.lastApplied, 0)
}

// maxApplyBytes bounds what one call of Effects hands to the state machine: after a
// restart that is the whole log, and a server that applies it in one go answers
// nobody meanwhile.
const maxApplyBytes = 1 << 20

// MoreToApply says that committed entries are left for the next call of Effects.
func (r *Raft) MoreToApply() bool { return r.lastApplied < r.commitIndex }

func (r *Raft) send(c Call) { r.effects.Send = append(r.effects.Send, c) }
