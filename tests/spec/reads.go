package spec

import (
	"slices"

	"dbdb/raft"
)

// Reads is what a server knows of the reads that wait for it (thesis §6.4): its clients', and
// other servers' that ask it as the leader.
type Reads struct {
	Waiting []Read
	Asked   int    // questions to a leader that have left
	Round   uint64 // the newest round that has left, of this leadership
	Acked   []Ack  // of this leadership
}

// Ack is the newest round that a server has answered.
type Ack struct {
	ID    raft.NodeID
	Round uint64
}

// Read is one that waits.
type Read struct {
	ID     uint64
	Commit raft.Index // commitIndex when it came
	Term   raft.Term  // that the server led then; 0 if it did not lead
	After  uint64     // the newest round that had left then
	Asked  int        // the newest question that had left then

	// Confirmed is the term of the leader that it is safe to read from, and Index is from
	// where: either may be known.
	Confirmed raft.Term
	Index     raft.Index
	Told      bool // by the leader
}

// reads follows the rounds and the questions.
func (s Server) reads(in Input, out Output, post Server) Reads {
	r := s.Reads
	if post.Role != raft.Leader || post.CurrentTerm != s.CurrentTerm {
		r.Round, r.Acked = 0, nil
	}
	r.Waiting = slices.Clone(r.Waiting)
	switch is := in.(type) {
	case ClientRead:
		r.Waiting = append(r.Waiting, r.comes(is.ID, post))
	case Received:
		if _, ok := is.Args.(raft.ReadIndexArgs); ok {
			r.Waiting = append(r.Waiting, r.comes(is.ID, post))
		}
	case Answered:
		r.answered(is, post)
	}
	for _, m := range out.Sent {
		switch a := m.Args.(type) {
		case raft.AppendEntriesArgs:
			r.Round = max(r.Round, a.ReadRound)
		case raft.ReadIndexArgs:
			r.Asked++
		}
	}
	for k := range r.Waiting {
		if r.Waiting[k].Confirmed == 0 && ConfirmRead(post, r, r.Waiting[k]) == nil {
			r.Waiting[k].Confirmed = post.CurrentTerm
		}
	}
	return r
}

func (r Reads) comes(id uint64, s Server) Read {
	read := Read{ID: id, Commit: s.CommitIndex, Asked: r.Asked}
	if s.Role == raft.Leader {
		read.Term, read.After = s.CurrentTerm, r.Round
	}
	return read
}

// answered notes who has answered a round of this leadership; or the leader's answer, which is
// one to the reads that came before the question left: there is one under way at a time.
func (r *Reads) answered(in Answered, s Server) {
	switch a := in.Args.(type) {
	case raft.AppendEntriesArgs:
		if rep, _ := in.Reply.(raft.AppendEntriesReply); a.Term == s.CurrentTerm && rep.Term == a.Term && s.Role == raft.Leader {
			r.Acked = acknowledge(r.Acked, Ack{in.From, a.ReadRound})
		}
	case raft.ReadIndexArgs:
		rep, _ := in.Reply.(raft.ReadIndexReply)
		for k := range r.Waiting {
			if read := &r.Waiting[k]; rep.Success && read.Asked < r.Asked && !read.Told {
				read.Told, read.Index = true, rep.Index
			}
		}
	}
}

func acknowledge(acked []Ack, is Ack) []Ack {
	acked = slices.Clone(acked)
	for k := range acked {
		if acked[k].ID == is.ID {
			acked[k].Round = max(acked[k].Round, is.Round)
			return acked
		}
	}
	return append(acked, is)
}

// ConfirmRead: "if the leader has not yet marked an entry from its current term committed, it
// waits until it has done so. It issues a new round of heartbeats, and waits for their
// acknowledgments from a majority of the cluster" (thesis §6.4, steps 1 and 3). A round that
// had left when the read came says nothing to it; one of a later leadership does.
func ConfirmRead(s Server, r Reads, read Read) error {
	c, _ := s.Configuration()
	own, _ := s.Term(s.CommitIndex)
	after := read.After
	if read.Term != s.CurrentTerm {
		after = 0
	}
	return all(
		must(s.Role == raft.Leader, "it does not lead"),
		must(own == s.CurrentTerm, "no entry of term %d is committed", s.CurrentTerm),
		must(majority(c, func(id raft.NodeID) bool { return id == s.ID || r.acked(id) > after }), "no majority has answered a round after %d: %v", after, r.Acked),
	)
}

func (r Reads) acked(id raft.NodeID) uint64 {
	for _, a := range r.Acked {
		if a.ID == id {
			return a.Round
		}
	}
	return 0
}

func (r Reads) find(id uint64) (Read, bool) {
	k := slices.IndexFunc(r.Waiting, func(r Read) bool { return r.ID == id })
	if k < 0 {
		return Read{}, false
	}
	return r.Waiting[k], true
}

// readLeaves: the leader answers with "its current commit index" of the time when the round
// began (thesis §6.4, step 2): of after the question, and with an entry of its own term before
// it.
func (s Server) readLeaves(id uint64, rep raft.ReadIndexReply) error {
	if !rep.Success {
		return nil
	}
	read, _ := s.Reads.find(id)
	term, known := s.Term(rep.Index)
	return all(
		must(read.Confirmed > 0, "it is not confirmed: %v", ConfirmRead(s, s.Reads, read)),
		must(rep.Index >= read.Commit && rep.Index <= s.CommitIndex, "commitIndex was %d, and is %d", read.Commit, s.CommitIndex),
		must(!known || term >= read.Confirmed, "the entry at %d is of term %d, before the leader's own", rep.Index, term),
	)
}

// ServeRead: "the leader waits for its state machine to advance at least as far as the read
// index" (thesis §6.4, step 4), and so does a follower that was told one.
func ServeRead(s Server, id uint64) error {
	read, asked := s.Reads.find(id)
	term, known := s.Term(s.LastApplied)
	if err := must(asked, "nobody has asked for that"); err != nil || read.Told && s.LastApplied >= read.Index {
		return err
	}
	return all(
		must(read.Confirmed > 0, "%d is applied, the leader has told of %d: %v; and it is not confirmed here: %v", s.LastApplied, read.Index, read.Told, ConfirmRead(s, s.Reads, read)),
		must(s.LastApplied >= read.Commit, "%d is applied, and %d was committed", s.LastApplied, read.Commit),
		must(!known || term >= read.Confirmed, "what is applied is of term %d, before the leader's own", term),
	)
}
