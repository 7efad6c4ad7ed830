package sim

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"dbdb/raft"
	"dbdb/raft/replica"
)

// What clients and the operator do on a stage.

// Set asks a server to write.
func (s *Stage) Set(n int, key, value string) {
	s.client(&operation{kind: opSet, key: key, value: value, node: s.node(n)}, fmt.Sprintf("set %s=%s", key, value))
}

// Del asks a server to remove a key.
func (s *Stage) Del(n int, key string) {
	s.client(&operation{kind: opDel, key: key, node: s.node(n)}, "del "+key)
}

// Get asks a server to read.
func (s *Stage) Get(n int, key string) {
	s.client(&operation{kind: opGet, key: key, node: s.node(n)}, "get "+key)
}

func (s *Stage) client(op *operation, text string) {
	if !op.node.up {
		s.say(Noted, op.node, "%s is down", name(op.node))
		return
	}
	s.do(func() {
		s.w.clients.ask(op, func(op *operation) {
			s.say(Told, op.node, "client: %s at %s: %s", text, name(op.node), op.answer())
		})
	})
}

// answer is what the client was told.
func (op *operation) answer() string {
	switch {
	case op.outcome == refused:
		return "not done"
	case op.outcome == pending && op.unknown:
		return "outcome unknown"
	case op.outcome == pending:
		return "no answer"
	case op.kind == opGet:
		return choose(op.value == "", "nothing there", op.value)
	}
	return fmt.Sprintf("done at %d", op.doneAt)
}

// wish asks a server for something in the operator's name.
func (s *Stage) wish(at int, text string, wish func(n *node, done func(error)), judge func(n *node, err error)) {
	n := s.node(at)
	if !n.up {
		s.say(Noted, n, "%s is down", name(n))
		return
	}
	s.do(func() {
		s.w.ask(n, func(done func(error)) { wish(n, done) }, func(err error) {
			s.say(Told, n, "operator: %s at %s: %s", text, name(n), operatorHears(err))
			judge(n, err)
		})
	})
}

func operatorHears(err error) string {
	if err == nil {
		return "done"
	}
	return strings.TrimPrefix(strings.TrimPrefix(err.Error(), "raft: "), "replica: ")
}

// want is what the operator wants of a server, since some wish was made.
type want struct{ member bool }

// wants notes a wish. It returns what to do if the wish turns out to have changed nothing:
// then what counts is what was wanted before, or after, by those that were not refused.
func (s *Stage) wants(m *node, member bool) (refused func()) {
	if s.wanted[m] == nil {
		s.wanted[m] = []*want{{m.wanted}}
	}
	this := &want{member}
	s.wanted[m] = append(s.wanted[m], this)
	m.wanted = member
	return func() {
		rest := slices.DeleteFunc(s.wanted[m], func(w *want) bool { return w == this })
		s.wanted[m], m.wanted = rest, rest[len(rest)-1].member
	}
}

// Add asks a server to add another one. What nobody hears, or what is refused, changes nothing
// in what the operator wants; but what is not answered when the play ends is still wanted then,
// and asked for again.
func (s *Stage) Add(at, member int) {
	m, refused := s.node(member), func() {}
	s.wish(at, "add "+name(m), func(n *node, done func(error)) {
		refused = s.wants(m, true)
		n.replica.AddLearner(m.member(), done)
	}, func(_ *node, err error) {
		if s.w.played() && nothingDone(err) {
			refused()
		}
	})
}

// Remove asks a server to remove another one, or itself.
func (s *Stage) Remove(at, member int) {
	m, refused := s.node(member), func() {}
	s.wish(at, "remove "+name(m), func(n *node, done func(error)) {
		refused = s.wants(m, false)
		n.replica.RemoveServer(m.id, done)
	}, func(n *node, err error) {
		if s.w.played() && nothingDone(err) && !errors.Is(err, replica.ErrUnknownMember) {
			refused()
		}
		s.w.removed(n, m, err)
	})
}

// nothingDone says that a wish was refused: at the end of the play nobody waits for it to
// come true.
func nothingDone(err error) bool {
	return err != nil && !errors.Is(err, replica.ErrOutcomeUnknown)
}

// Transfer asks a server to hand its leadership over.
func (s *Stage) Transfer(at, to int) {
	t := s.node(to)
	s.wish(at, "transfer to "+name(t), func(n *node, done func(error)) { n.replica.TransferLeadership(t.id, done) }, func(*node, error) {})
}

// Wipe destroys a server's disk. Its machine comes back as a new server, with the next number.
// There are as many such numbers as servers in the beginning.
func (s *Stage) Wipe(n int) {
	if p := &s.w.profile; s.node(n).gone || s.Servers() == p.nodes+p.spares {
		s.say(Noted, s.node(n), "%s cannot be wiped", name(s.node(n)))
		return
	}
	s.do(func() {
		old := s.node(n)
		if old.up {
			old.crash(edgeAny)
		}
		s.w.rebirth(old)
	})
}

// Messages lists what is under way.
func (s *Stage) Messages() string {
	var b strings.Builder
	for _, p := range s.bag {
		fmt.Fprintf(&b, "%s → %s  %s %s\n", name(p.from), name(p.to), p.label, p.text)
	}
	return choose(b.Len() == 0, "none\n", b.String())
}

// Status has a line for each server: role, term and vote, and how far it is.
func (s *Stage) Status() string {
	var b strings.Builder
	for _, n := range s.w.nodes {
		switch {
		case n.gone:
		case !n.up:
			d := &n.lasting.durable
			fmt.Fprintf(&b, "%s down; durable: term %d, vote %s, last %s\n", name(n), d.term, vote(d.votedFor), at(d.last(), d.at(d.last()).term))
		default:
			st := n.replica.Raft().Status()
			fmt.Fprintf(&b, "%s@%d %v, vote %s, last %s, commit %d, applied %d", name(n), st.Term, st.State, vote(st.VotedFor), at(st.LastIndex, n.view.log.at(st.LastIndex).term), st.CommitIndex, st.LastApplied)
			if st.SnapshotIndex > 0 {
				fmt.Fprintf(&b, ", snapshot %d", st.SnapshotIndex)
			}
			if st.RemovedAt > 0 {
				fmt.Fprintf(&b, ", removed at %d", st.RemovedAt)
			}
			fmt.Fprintf(&b, ", %s\n", membersText(st.Configuration))
		}
	}
	return b.String()
}

func vote(id raft.NodeID) string { return choose(id == "", "none", string(id)) }

// membersText writes a configuration: voters, and learners in brackets.
func membersText(c raft.Configuration) string {
	var ids []string
	for _, m := range c.Members {
		ids = append(ids, choose(m.Role == raft.Voter, string(m.ID), "("+string(m.ID)+")"))
	}
	return choose(len(ids) == 0, "no members known", "members "+strings.Join(ids, " "))
}

// Progress is what a leader knows of the others.
func (s *Stage) Progress(n int) string {
	if !s.Up(n) || len(s.node(n).replica.Raft().Status().Peers) == 0 {
		return "it has none\n"
	}
	var b strings.Builder
	for _, p := range s.node(n).replica.Raft().Status().Peers {
		fmt.Fprintf(&b, "%s: matchIndex %d, nextIndex %d\n", p.ID, p.MatchIndex, p.NextIndex)
	}
	return b.String()
}

// Logs draws the logs as the paper's figures do: the terms of the entries, one below the
// other. An entry that its server knows to be committed is followed by a stop, and one
// that a snapshot has taken the place of is in brackets.
func (s *Stage) Logs() string {
	last, width := raft.Index(0), 0
	for _, n := range s.w.nodes {
		last, width = max(last, n.view.log.last()), max(width, len(name(n)))
	}
	var b strings.Builder
	header := fmt.Sprintf("%-*s  ", width+4, "")
	for i := raft.Index(1); i <= last; i++ {
		header += fmt.Sprintf("%3d ", i)
	}
	fmt.Fprintf(&b, "%s\n", strings.TrimRight(header, " "))
	for _, n := range s.w.nodes {
		if n.gone {
			continue
		}
		line := fmt.Sprintf("%-*s  ", width+4, fmt.Sprintf("%s@%d", name(n), n.view.Term))
		for i := raft.Index(1); i <= n.view.log.last(); i++ {
			line += s.cell(n, i)
		}
		fmt.Fprintf(&b, "%s\n", strings.TrimRight(line, " "))
	}
	return b.String()
}

func (s *Stage) cell(n *node, i raft.Index) string {
	term := fmt.Sprint(n.view.log.at(i).term)
	switch {
	case i <= n.view.SnapshotIndex:
		return fmt.Sprintf("%4s", "["+term+"]")
	case i <= n.view.CommitIndex:
		return fmt.Sprintf("%4s", term+".")
	}
	return fmt.Sprintf("%3s ", term)
}
