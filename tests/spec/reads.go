package spec

import (
	"slices"

	"dbdb/raft"
)

// Reads is what a leader knows of its reads (thesis §6.4).
type Reads struct {
	Round   uint64 // the newest round that has left
	Acked   []Ack
	Waiting []Read
}

// Ack is the newest round that a server has answered.
type Ack struct {
	ID    raft.NodeID
	Round uint64
}

// Read is another server's question from which index it may read.
type Read struct {
	ID     uint64
	After  uint64     // the newest round that had left when it came
	Commit raft.Index // commitIndex then
}

// reads follows the rounds.
func (s Server) reads(in Input, out Output, post Server) Reads {
	if post.Role != raft.Leader {
		return Reads{}
	}
	r := s.Reads
	switch is := in.(type) {
	case Received:
		if _, ok := is.Args.(raft.ReadIndexArgs); ok {
			r.Waiting = append(slices.Clip(r.Waiting), Read{is.ID, r.Round, post.CommitIndex})
		}
	case Answered:
		a, ok := is.Args.(raft.AppendEntriesArgs)
		if rep, _ := is.Reply.(raft.AppendEntriesReply); ok && a.Term == post.CurrentTerm && rep.Term == a.Term {
			r.Acked = acknowledge(r.Acked, Ack{is.From, a.ReadRound})
		}
	}
	for _, m := range out.Sent {
		if a, ok := m.Args.(raft.AppendEntriesArgs); ok {
			r.Round = max(r.Round, a.ReadRound)
		}
	}
	return r
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

// readLeaves: "if the leader has not yet marked an entry from its current term committed, it
// waits until it has done so. The leader saves its current commit index. It issues a new round
// of heartbeats, and waits for their acknowledgments from a majority of the cluster" (thesis
// §6.4, steps 1 to 3). A round that had begun when the read came says nothing to it.
func (s Server) readLeaves(id uint64, rep raft.ReadIndexReply) error {
	if !rep.Success {
		return nil
	}
	k := slices.IndexFunc(s.Reads.Waiting, func(r Read) bool { return r.ID == id })
	if err := must(k >= 0 && s.Role == raft.Leader, "it has not led since it was asked"); err != nil {
		return err
	}
	read := s.Reads.Waiting[k]
	c, _ := s.Configuration()
	term, known := s.Term(rep.Index)
	return all(
		must(rep.Index >= read.Commit && rep.Index <= s.CommitIndex, "commitIndex was %d, and is %d", read.Commit, s.CommitIndex),
		must(!known || term == s.CurrentTerm, "the entry at %d is of term %d: it does not know yet what is committed", rep.Index, term),
		must(majority(c, func(id raft.NodeID) bool { return id == s.ID || s.Reads.acked(id) > read.After }), "no majority has answered a round after %d: %v", read.After, s.Reads.Acked),
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
