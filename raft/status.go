package raft

import "fmt"

// Status is what one server knows, for people and for the checks of tests.
type Status struct {
	ID       NodeID
	State    State
	Term     Term
	VotedFor NodeID
	Leader   NodeID // of Term, if known

	CommitIndex Index
	LastApplied Index
	LastIndex   Index

	// LeaderCommit is how far the cluster has committed, as far as this server knows; it
	// may be far ahead of CommitIndex after a restart.
	LeaderCommit Index

	SnapshotIndex Index       // where the snapshot ends; 0 if there is none
	Receiving     Transferred // of a leader's snapshot
	RemovedAt     Index       // see Raft.RemovedAt
	// TookPart says that since its start this server has been a member, and up to date:
	// if it is removed now, that was not while it was down.
	TookPart bool

	Configuration      Configuration // in use
	ConfigurationIndex Index
	// LeaderHeard is how many ticks ago a follower reset its election timer.
	LeaderHeard int
	// Peers is the leader's view of the other members, in the order of the
	// configuration, and of those that were removed and may not know it yet; empty on
	// the others.
	Peers []PeerStatus
}

// PeerStatus is the leader's view of one other member.
type PeerStatus struct {
	ID         NodeID
	MatchIndex Index
	NextIndex  Index
	Session    uint64 // of replication; see progress
	// Snapshot says how much of a snapshot the peer has; zero if it is sent none.
	Snapshot Transferred
}

// Transferred is how many bytes of a snapshot's Size have got across.
type Transferred struct{ Offset, Size uint64 }

// Percent is how much that is; 0 if nothing is under way.
func (t Transferred) Percent() int {
	if t.Size == 0 {
		return 0
	}
	return int(100 * t.Offset / t.Size)
}

// String writes it as "63 %".
func (t Transferred) String() string { return fmt.Sprintf("%d %%", t.Percent()) }

// Status describes the server as it is now.
func (r *Raft) Status() Status {
	s := Status{
		ID: r.cfg.ID, State: r.state, Term: r.currentTerm, VotedFor: r.votedFor, Leader: r.leaderID,
		CommitIndex: r.commitIndex, LastApplied: r.lastApplied, LastIndex: r.log.lastIndex(),
		Configuration: r.Configuration(), ConfigurationIndex: r.ConfigurationIndex(),
		LeaderHeard:   r.electionElapsed,
		LeaderCommit:  max(r.leaderCommit, r.commitIndex),
		SnapshotIndex: r.snapshot.Index,
		Receiving:     r.receiving(),
		RemovedAt:     r.RemovedAt(),
		TookPart:      r.tookPart,
	}
	if r.state == Leader {
		s.LeaderHeard = 0
		if !r.committedInTerm() {
			s.LeaderCommit = s.LastIndex // all of it may be committed: it does not know yet
		}
		for _, m := range r.leader.receivers {
			p := r.leader.peers[m.ID]
			peer := PeerStatus{ID: m.ID, MatchIndex: p.matchIndex, NextIndex: p.nextIndex, Session: p.session}
			if p.snapshot != nil {
				peer.Snapshot = Transferred{p.snapshot.offset, p.snapshot.size}
			}
			s.Peers = append(s.Peers, peer)
		}
	}
	return s
}

// LogEntries returns the entries with from <= index <= to that the log holds. The
// slice must not be changed.
func (r *Raft) LogEntries(from, to Index) []Entry {
	return r.log.between(max(from, r.log.base+1), min(to, r.log.lastIndex()))
}

// State is the server's role.
func (r *Raft) State() State { return r.state }

// Term is the server's currentTerm.
func (r *Raft) Term() Term { return r.currentTerm }

// Leader is the leader of Term, or "" if it is not known.
func (r *Raft) Leader() NodeID { return r.leaderID }
