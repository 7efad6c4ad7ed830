package raft

// leaderState dies with the role: "reinitialized after election" (Figure 2).
type leaderState struct {
	// peers holds what the leader knows of each other member. It is walked in the
	// order of the configuration, never in the map's.
	peers    map[NodeID]*progress
	sessions uint64 // sessions numbered so far

	// receivers are the servers that are sent entries and heartbeats: the other members,
	// and those that were removed and may not know it yet.
	receivers []Member
	leaving   []leaving
	transfer  *transfer // nil unless this leader hands over
	// toldToLead says that TimeoutNow was sent for the newest transfer.
	toldToLead bool

	heartbeatElapsed int
	quorumElapsed    int // ticks since the last check of the quorum
	uncommittedBytes int // size of the entries beyond commitIndex

	reads readRounds

	matches []Index // scratch space of advanceCommitIndex
}

// progress is the leader's view of one other server (Figure 2, thesis §10.2). While
// probing, one message at a time looks for the place where the logs agree; after
// that, messages are sent ahead of their answers:
//
//	          success
//	probing ──────────▶ pipelining
//	   ▲                    │
//	   ├────────────────────┘
//	   │ refused, or no answer
//	   │
//	   ▼ its next entry is no longer in the log: see sendSnapshot
//	sending a snapshot
type progress struct {
	nextIndex  Index // index of the next log entry to send to that server
	matchIndex Index // index of highest log entry known to be replicated on it

	// session numbers this run of replication. Whatever answers an earlier run is
	// ignored: its refusals speak of a nextIndex that is no more, and its successes
	// may be those of a server that was removed and added again (etcd-io/raft#349).
	session  uint64
	probing  bool
	inflight int  // unanswered messages with entries, of this session
	paused   bool // the last one failed: wait for the next heartbeat

	// overdue lets a batch follow another that is not answered yet although it is not
	// full. Without waiting, many small messages would each cost the follower a
	// wake-up and a write, while its disk takes one at a time anyhow; so what comes
	// meanwhile gathers until the answer, but no longer than a tick.
	overdue bool

	// batchBytes bounds the next message. It halves when a message fails and grows with
	// each answer: on a slow link a large message would miss its deadline every time,
	// and nothing would ever get across.
	batchBytes int
	heartbeats int // unanswered ones, of any session

	recentlyActive bool   // answered since the last check of the quorum (thesis §6.2)
	activeBefore   bool   // had answered at that check
	ackedRound     uint64 // newest read round that it acknowledged (thesis §6.4)
	sentCommit     Index  // how far it was told to commit
	ackedCommit    Index  // how far it said that it was told

	snapshot *outgoingSnapshot // what it is sent instead of entries; nil if entries do

	// A learner catches up in rounds: each goes to the end of the log as it was when
	// the round began (thesis §4.2.1).
	roundTarget Index
	roundTicks  int
	caughtUp    bool
}

// progressOf finds what the leader knows of a server that it called in a term. It is nil
// if the call was an earlier self's, or the server has been let go of: then neither the
// reply nor its failure to come says anything.
func (r *Raft) progressOf(peer NodeID, called Term) *progress {
	if r.state != Leader || called != r.currentTerm {
		return nil
	}
	return r.leader.peers[peer]
}

// addPeers starts the progress of members that have none, and lists the receivers.
// The newest entry is the first probe. A server that was removed and is added again is
// a new one here, whatever it had acknowledged (etcd-io/raft#349).
func (r *Raft) addPeers() {
	l := r.leader
	l.receivers = nil
	for _, m := range r.Configuration().Members {
		if m.ID == r.cfg.ID {
			continue
		}
		l.receivers = append(l.receivers, m)
		returns := r.stopLeaving(m.ID)
		if l.peers[m.ID] != nil && !returns {
			continue
		}
		p := &progress{recentlyActive: true, roundTarget: r.log.lastIndex(), batchBytes: r.cfg.MaxBatchBytes}
		l.peers[m.ID] = p
		r.restart(p, r.log.lastIndex())
	}
	for _, out := range l.leaving {
		l.receivers = append(l.receivers, out.Member)
	}
}

// restart begins a new session that probes from next on.
func (r *Raft) restart(p *progress, next Index) {
	r.leader.sessions++
	p.session, p.nextIndex = r.leader.sessions, next
	p.probing, p.inflight = true, 0
}

// batchGrowth is how much more a message may carry after one was answered, and the
// least that batchBytes falls to.
const batchGrowth = 16 << 10

// answered notes that the fate of a message is known, whatever it is.
func (p *progress) answered(a AppendEntriesArgs) {
	if len(a.Entries) == 0 && p.heartbeats > 0 { // it may be of an earlier progress
		p.heartbeats--
	}
}

// answers says whether the peer seems to be there. Right after a check of the quorum
// nobody has answered since; to take all for dead then would drop what is under way.
func (p *progress) answers() bool { return p.recentlyActive || p.activeBefore }

// maySend says whether one more message with entries may leave.
func (p *progress) maySend(maxInflight int) bool {
	if p.probing {
		maxInflight = 1
	}
	return !p.paused && p.inflight < maxInflight
}
