package spec

import (
	"slices"

	"dbdb/raft"
)

// ChangeConfiguration is AddServer, Promote and RemoveServer: the leader "appends the new
// configuration to its log" (thesis §4.1), one server at a time, when the last change is
// committed (thesis §4.1) and so is an entry of its own term (Ongaro's correction of 2015).
// A server is added as a learner, and a learner becomes a voter (thesis §4.2.1). While the
// leader hands over, or when it is no voter, the change is the next leader's.
func ChangeConfiguration(pre, post Server) error {
	old, at := pre.Configuration()
	now, index := post.Configuration()
	own, _ := pre.Term(pre.CommitIndex)
	last, appended := post.Log.At(pre.Log.Last() + 1)
	return all(
		must(pre.Role == raft.Leader, "only a leader changes the configuration"),
		must(at <= pre.CommitIndex, "the last change, at %d, is not committed", at),
		must(own == pre.CurrentTerm, "no entry of term %d is committed", pre.CurrentTerm),
		must(!pre.Transferring, "it hands over"),
		must(isVoter(old, pre.ID), "it is no voter"),
		must(appended && last.Term == pre.CurrentTerm && last.Kind == raft.EntryConfiguration && index == last.Index, "no configuration of term %d is appended", pre.CurrentTerm),
		must(post.Log.Base == pre.Log.Base && post.Log.same(pre.Log.and(last)), "the log becomes %v", post.Log),
		oneServer(old, now),
		newPeers(pre, post, old, now),
		unchanged(pre, post, "log", "matchIndex"),
	)
}

// oneServer: "Raft restricts the types of changes that are allowed: only one server can be
// added or removed from the cluster at once" (thesis §4.1).
func oneServer(old, now raft.Configuration) error {
	changed, voters := 0, 0
	for _, m := range now.Members {
		was, member := old.Member(m.ID)
		if m.Role == raft.Voter {
			voters++
		}
		if was != m {
			changed++
		}
		if err := all(
			must(member || m.Role == raft.Learner, "%s is added as a voter", m.ID),
			must(!member || was.Role == m.Role || m.Role == raft.Voter, "%s is a voter no more", m.ID),
		); err != nil {
			return err
		}
	}
	for _, m := range old.Members {
		if _, stays := now.Member(m.ID); !stays {
			changed++
		}
	}
	return all(must(changed == 1, "%d servers change at once", changed), must(voters > 0, "no voter is left"))
}

// newPeers: of a server that is added, also again, the leader knows nothing.
func newPeers(pre, post Server, old, now raft.Configuration) error {
	for _, m := range now.Members {
		if m.ID == pre.ID {
			continue
		}
		p, known := post.peer(m.ID)
		was, _ := pre.peer(m.ID)
		if _, member := old.Member(m.ID); !member {
			was = Peer{}
		}
		if err := all(
			must(known, "it knows nothing of %s", m.ID),
			must(p.MatchIndex == was.MatchIndex, "matchIndex of %s becomes %d, not %d", m.ID, p.MatchIndex, was.MatchIndex),
		); err != nil {
			return err
		}
	}
	return nil
}

// afterChange is the server with what ChangeConfiguration appends, and the peers that come. One
// that has stepped down since has forgotten them.
func (s Server) afterChange(post Server) Server {
	e, _ := post.Log.At(s.Log.Last() + 1)
	s.Log = s.Log.and(e)
	if post.Role == raft.Leader {
		s.Peers = post.Peers
		return s
	}
	c, _ := s.Configuration()
	for _, m := range c.Members {
		if _, known := s.peer(m.ID); !known && m.ID != s.ID {
			s.Peers = append(slices.Clip(s.Peers), Peer{ID: m.ID})
		}
	}
	return s
}

// LeaderIsRemoved: a leader that removes itself "steps down once the new configuration is
// committed" (thesis §4.2.2), and not before. So does a learner that was elected, as its log was
// needed, when its first entry is committed: until then, it still is.
func LeaderIsRemoved(pre, post Server) error {
	return all(
		must(pre.removedItself(), "no configuration without it as a voter is committed"),
		StepDown(pre, post),
	)
}

func (s Server) removedItself() bool {
	c, at := s.Configuration()
	own, _ := s.Term(s.CommitIndex)
	return s.Role == raft.Leader && at <= s.CommitIndex && own == s.CurrentTerm && !isVoter(c, s.ID)
}

// QuorumIsLost: "a leader steps down if an election timeout elapses without a successful round
// of heartbeats to a majority of its cluster" (thesis §6.2).
func QuorumIsLost(pre, post Server, in Input) error {
	_, tick := in.(Tick)
	return all(
		must(tick && pre.Options.CheckQuorum, "no election timeout is over"),
		StepDown(pre, post),
	)
}

// StepDown: the term, and the vote in it, stay.
func StepDown(pre, post Server) error {
	return all(
		must(pre.Role == raft.Leader && post.Role == raft.Follower, "it goes from %v to %v", pre.Role, post.Role),
		unchanged(pre.asFollower(), post),
	)
}

// LeaderLeaves: whoever is removed and knows that it is committed leads no longer than the
// step in which that is so (thesis §4.2.2).
func LeaderLeaves(s Server) error {
	return must(!s.removedItself(), "it leads, and a configuration without it as a voter is committed")
}
