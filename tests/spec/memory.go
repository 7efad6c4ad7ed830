package spec

import (
	"slices"

	"dbdb/raft"
)

// remember is what a server remembers after a step.
func (s Server) remember(w found, in Input, out Output, post Server) Memory {
	m := s.Memory
	m.Votes, m.PreVotes = countVotes(s, post, in)
	if post.Role == raft.Leader && !slices.Contains(m.Led, post.CurrentTerm) {
		m.Led = append(slices.Clip(m.Led), post.CurrentTerm)
	}
	if l := labelOf(post.Snapshot); !slices.Contains(m.Labels, l) {
		m.Labels = append(slices.Clip(m.Labels), l)
	}
	if saved, ok := in.(Saved); ok {
		after := s.afterPersist(saved.Save)
		m.Durable, m.Written = after.Durable, after.Written
	}
	for _, save := range out.Saves {
		m.Handed = m.Handed.after(save)
		m.Written = append(slices.Clip(m.Written), save)
	}
	m.Reads = s.reads(in, out, post)
	m.Incoming, m.Complete = s.incoming(in, out)
	post.Incoming = m.Incoming
	m.Needed = s.needed(in)
	if rec, ok := in.(Received); ok {
		m.Owed = append(slices.Clip(m.Owed), owes(w, rec, post))
	}
	return m
}

// asked are the requests for votes that may still leave. A pre-vote is for the next term; a
// server that may not campaign asks like that whether it was removed, too (thesis §4.2.3).
// When nothing is on its way to the disk after a Flush, all have left but for those of an
// election that goes on.
func (m Memory) asked(w found, in Input, post Server) []raft.RequestVoteArgs {
	asked := m.Asked
	is := raft.RequestVoteArgs{Term: post.CurrentTerm, CandidateID: post.ID, LastLogIndex: post.Log.Last(), LastLogTerm: post.LastTerm()}
	if w.has("Timeout") {
		rec, _ := in.(Received)
		_, is.LeadershipTransfer = rec.Args.(raft.TimeoutNowArgs)
		return append(slices.Clip(asked), is)
	}
	is.Term, is.PreVote = post.CurrentTerm+1, true
	if _, flush := in.(Flush); flush && len(m.Written) == 0 {
		asked = slices.DeleteFunc(slices.Clone(asked), func(a raft.RequestVoteArgs) bool {
			return post.Role != raft.Candidate || a.Term != post.CurrentTerm
		})
	}
	if post.Role != raft.Leader && !slices.Contains(asked, is) {
		asked = append(slices.Clip(asked), is)
	}
	return asked
}

// incoming follows Figure 13's file. One that is complete is verified while the next may come.
func (s Server) incoming(in Input, out Output) (Incoming, []Label) {
	switch is := in.(type) {
	case Received:
		a, ok := is.Args.(raft.InstallSnapshotArgs)
		if !ok || !out.Stored {
			break
		}
		file := s.afterChunk(a)
		if a.Done {
			return file, append(slices.Clip(s.Complete), file.Label)
		}
		return file, s.Complete
	case ChunkLost:
		return Incoming{}, s.Complete
	case SnapshotReceived:
		complete := slices.Clone(s.Complete)
		if k := slices.Index(complete, labelOf(is.Snapshot)); k >= 0 {
			complete = slices.Delete(complete, k, k+1)
		}
		return s.Incoming, complete
	}
	return s.Incoming, s.Complete
}

// afterStep forgets what has left.
func (s Server) afterStep(w found, in Input, out Output, post Server) Memory {
	m := post.Memory
	m.Asked = m.asked(w, in, post)
	if _, flush := in.(Flush); flush {
		m.Since = nil
	} else {
		was := s
		was.Memory = Memory{}
		m.Since = append(slices.Clip(m.Since), was)
	}
	for _, rep := range out.Replies {
		m.Owed = slices.DeleteFunc(slices.Clone(m.Owed), func(o Owed) bool { return o.ID == rep.To })
		m.Reads.Waiting = without(m.Reads.Waiting, rep.To)
	}
	for _, id := range slices.Concat(out.Served, out.GaveUp) {
		m.Reads.Waiting = without(m.Reads.Waiting, id)
	}
	return m
}

func without(waiting []Read, id uint64) []Read {
	return slices.DeleteFunc(slices.Clone(waiting), func(r Read) bool { return r.ID == id })
}
