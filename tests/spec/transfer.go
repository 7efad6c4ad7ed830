package spec

import "dbdb/raft"

// BeginTransfer: "the prior leader stops accepting new client requests" (thesis §3.10).
func BeginTransfer(pre, post Server) error {
	return all(
		must(pre.Role == raft.Leader, "only a leader hands over"),
		must(post.Transferring, "it hands nothing over"),
		unchanged(pre, post, "transfer"),
	)
}

// EndTransfer: "if leadership transfer does not complete after about an election timeout, the
// prior leader aborts the transfer and resumes accepting client requests" (thesis §3.10).
func EndTransfer(pre, post Server) error {
	return all(
		must(pre.Transferring && !post.Transferring, "there is no transfer that ends"),
		unchanged(pre, post, "transfer"),
	)
}

// TimeoutNow is what a leader may send: to a voter whose log is its own, that is: whose
// matchIndex is its last index (thesis §3.10). A leader that is removed hands over in the
// step in which it steps down, so the state before that step may be the one to look at.
func TimeoutNow(s Server, to raft.NodeID, a raft.TimeoutNowArgs) error {
	p, _ := s.peer(to)
	c, _ := s.Configuration()
	return all(
		must(s.Role == raft.Leader && a.Term == s.CurrentTerm && a.LeaderID == s.ID, "it does not lead term %d", a.Term),
		must(isVoter(c, to), "%s is no voter", to),
		must(p.MatchIndex == s.Log.Last(), "%s has the log up to %d, not to %d", to, p.MatchIndex, s.Log.Last()),
	)
}
