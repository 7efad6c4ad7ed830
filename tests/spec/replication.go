package spec

import (
	"slices"

	"dbdb/raft"
)

// ClientRequest: "if command received from client: append entry to local log" (Figure 2,
// leaders; §5.3). Not while it hands over (thesis §3.10).
func ClientRequest(pre, post Server, data []byte) error {
	e := raft.Entry{Index: pre.Log.Last() + 1, Term: pre.CurrentTerm, Kind: raft.EntryCommand, Data: data}
	return all(
		must(pre.Role == raft.Leader, "only a leader takes commands"),
		must(!pre.Transferring, "it hands over, and takes no commands"),
		must(post.Log.Base == pre.Log.Base && post.Log.same(pre.Log.and(e)), "the log does not end with the command at %v: %v", e, post.Log),
		unchanged(pre, post, "log"),
	)
}

// AppendNoop: a new leader has "commit a blank no-op entry into the log at the start of its
// term" (§8).
func AppendNoop(pre, post Server) error {
	e := raft.Entry{Index: pre.Log.Last() + 1, Term: pre.CurrentTerm, Kind: raft.EntryNoop}
	return all(
		must(pre.Role == raft.Leader, "only a leader appends"),
		must(post.Log.Base == pre.Log.Base && post.Log.same(pre.Log.and(e)), "the log does not end with a no-op %v: %v", e, post.Log),
		unchanged(pre, post, "log"),
	)
}

// FollowLeader: "if AppendEntries RPC received from new leader: convert to follower" (Figure 2,
// candidates; §5.2). raft.tla calls it ReturnToFollowerState.
func FollowLeader(pre, post Server, term raft.Term) error {
	return all(
		must(term == pre.CurrentTerm, "the leader's term %d is not %d", term, pre.CurrentTerm),
		must(pre.Role != raft.Leader, "a second leader of term %d", term),
		must(post.Role == raft.Follower, "it is no follower"),
		unchanged(pre, post, "role"),
	)
}

// RejectAppend: "reply false if term < currentTerm", or "if log doesn't contain an entry at
// prevLogIndex whose term matches prevLogTerm" (Figure 2, AppendEntries RPC, receiver rules 1
// and 2).
func RejectAppend(pre, post Server, a raft.AppendEntriesArgs) error {
	return all(
		must(a.Term < pre.CurrentTerm || !pre.has(a.PrevLogIndex, a.PrevLogTerm), "the log has %d@%d", a.PrevLogIndex, a.PrevLogTerm),
		unchanged(pre, post),
	)
}

// AcceptAppend: "if an existing entry conflicts with a new one (same index but different
// terms), delete the existing entry and all that follow it", "append any new entries not
// already in the log", "if leaderCommit > commitIndex, set commitIndex = min(leaderCommit,
// index of last new entry)" (Figure 2, AppendEntries RPC, receiver rules 3, 4 and 5).
func AcceptAppend(pre, post Server, a raft.AppendEntriesArgs) error {
	want := logAfter(pre, a)
	lastNew := a.PrevLogIndex + raft.Index(len(a.Entries))
	commit := max(pre.CommitIndex, min(a.LeaderCommit, lastNew))
	return all(
		must(a.Term == pre.CurrentTerm, "the leader's term %d is not %d", a.Term, pre.CurrentTerm),
		must(pre.Role == raft.Follower, "it is no follower"),
		must(pre.has(a.PrevLogIndex, a.PrevLogTerm), "the log does not have %d@%d", a.PrevLogIndex, a.PrevLogTerm),
		must(post.Log.Base == pre.Log.Base && post.Log.same(want), "the log becomes %v, not %v", post.Log, want),
		must(post.CommitIndex == commit, "commitIndex becomes %d, not %d: leaderCommit is %d, the last new entry %d", post.CommitIndex, commit, a.LeaderCommit, lastNew),
		unchanged(pre, post, "log", "commitIndex"),
	)
}

// logAfter carries out rules 3 and 4.
func logAfter(s Server, a raft.AppendEntriesArgs) Log {
	for k, e := range a.Entries {
		if !s.has(e.Index, e.Term) {
			return s.Log.upTo(e.Index - 1).and(a.Entries[k:]...)
		}
	}
	return s.Log
}

// conflictIn is what a follower says that refuses: "the term of the conflicting entry and the
// first index it stores for that term" (§5.3); term 0 and the end of its log, if that is short.
func conflictIn(s Server, prev raft.Index) (raft.Index, raft.Term) {
	if prev > s.Log.Last() {
		return s.Log.Last() + 1, 0
	}
	term, _ := s.Term(prev)
	first := prev
	for first > s.Log.Base+1 {
		if before, known := s.Term(first - 1); !known || before != term {
			break
		}
		first--
	}
	return first, term
}

// HandleAppendEntriesResponse: "if successful: update nextIndex and matchIndex for follower"
// (Figure 2, leaders). What the follower holds follows from the request; matchIndex "increases
// monotonically", which raft.tla forgets. An answer to another session of replication is
// about a server that may have been removed and added again since.
func HandleAppendEntriesResponse(pre, post Server, from raft.NodeID, a raft.AppendEntriesArgs, rep raft.AppendEntriesReply) error {
	return all(leaderIsAnswered(pre, a.Term), unchanged(pre.afterResponse(from, a, rep), post))
}

func leaderIsAnswered(pre Server, term raft.Term) error {
	return all(
		must(pre.Role == raft.Leader, "only a leader is answered"),
		must(term == pre.CurrentTerm, "the answer is to a leader of term %d", term),
	)
}

// afterResponse is where the answer to an AppendEntries leads.
func (s Server) afterResponse(from raft.NodeID, a raft.AppendEntriesArgs, rep raft.AppendEntriesReply) Server {
	if !rep.Success {
		return s
	}
	return s.acknowledged(from, a.Session, a.PrevLogIndex+raft.Index(len(a.Entries)))
}

// acknowledged is a leader that hears, in a session of replication, how far a peer has the log.
func (s Server) acknowledged(from raft.NodeID, session uint64, through raft.Index) Server {
	p, known := s.peer(from)
	if !known || p.Session != session {
		return s
	}
	return s.withMatch(from, max(p.MatchIndex, through))
}

// DropStaleResponse: an answer to an earlier self says nothing (raft.tla; §5.1).
func DropStaleResponse(pre, post Server, term raft.Term) error {
	return all(
		must(term != pre.CurrentTerm || pre.Role != raft.Leader && pre.Role != raft.Candidate, "the answer is to this very term"),
		unchanged(pre, post),
	)
}

// AppendEntries is what a leader may send: "RPC with log entries starting at nextIndex"
// (Figure 2, leaders), entries of its own log after one whose term it tells rightly, and no
// commitIndex beyond its own. Heartbeats begin at matchIndex, or at 0, which every log has, if
// a snapshot has taken that entry's place. It may overtake the leader's own disk (thesis
// §10.2.1), but not the leader's vote.
func AppendEntries(s Server, to raft.NodeID, a raft.AppendEntriesArgs) error {
	p, known := s.peer(to)
	term, knows := s.Term(a.PrevLogIndex)
	last := a.PrevLogIndex + raft.Index(len(a.Entries))
	return all(
		must(s.Role == raft.Leader && a.Term == s.CurrentTerm && a.LeaderID == s.ID, "it does not lead term %d", a.Term),
		must(s.Durable.Term >= a.Term, "its vote of term %d is not durable", a.Term),
		must(known, "%s is nobody to replicate to", to),
		must(!knows || term == a.PrevLogTerm, "the entry at %d is of term %d", a.PrevLogIndex, term),
		must(knows || a.PrevLogIndex <= s.Snapshot.Index, "there is no entry at %d", a.PrevLogIndex),
		must(slices.EqualFunc(a.Entries, s.Log.after(a.PrevLogIndex).upTo(last).Entries, sameEntry), "the entries are not those of its log"),
		must(a.LeaderCommit <= s.CommitIndex, "leaderCommit is %d, commitIndex %d", a.LeaderCommit, s.CommitIndex),
		must(a.PrevLogIndex >= p.MatchIndex || a.PrevLogIndex == 0 && len(a.Entries) == 0, "%s is known to hold %d", to, p.MatchIndex),
		must(last < p.NextIndex || len(a.Entries) == 0, "nextIndex of %s is %d", to, p.NextIndex),
		must(a.Session == p.Session, "the session of replication is %d", p.Session),
	)
}
