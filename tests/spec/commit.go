package spec

import "dbdb/raft"

// AdvanceCommitIndex: "if there exists an N such that N > commitIndex, a majority of
// matchIndex[i] ≥ N, and log[N].term == currentTerm: set commitIndex = N" (Figure 2, leaders;
// §5.3, §5.4.2). The leader's own matchIndex is what its disk holds (thesis §10.2.1); it
// counts only as a voter (thesis §4.2.2).
func AdvanceCommitIndex(pre, post Server) error {
	n := post.CommitIndex
	term, _ := pre.Term(n)
	c, _ := pre.Configuration()
	return all(
		must(pre.Role == raft.Leader, "only a leader counts"),
		must(n > pre.CommitIndex && n <= pre.Log.Last(), "commitIndex goes from %d to %d, the log to %d", pre.CommitIndex, n, pre.Log.Last()),
		must(term == pre.CurrentTerm, "the entry at %d is of term %d: only entries of the own term are committed by counting", n, term),
		must(majority(c, func(id raft.NodeID) bool { return pre.holds(id, n) }), "%d is on no majority: matchIndex %s, own disk %v", n, matches(pre), pre.Durable.Log),
		unchanged(pre, post, "commitIndex"),
	)
}

// holds says whether a server is known to have the leader's entry at n.
func (s Server) holds(id raft.NodeID, n raft.Index) bool {
	if id != s.ID {
		p, _ := s.peer(id)
		return p.MatchIndex >= n
	}
	return s.Durable.has(n, s)
}

// Apply: "if commitIndex > lastApplied: increment lastApplied, apply log[lastApplied] to state
// machine" (Figure 2, all servers).
func Apply(pre, post Server) error {
	return all(
		must(post.LastApplied >= pre.LastApplied, "lastApplied goes from %d to %d", pre.LastApplied, post.LastApplied),
		must(post.LastApplied <= post.CommitIndex, "%d is applied, %d committed", post.LastApplied, post.CommitIndex),
		unchanged(pre, post, "lastApplied"),
	)
}
