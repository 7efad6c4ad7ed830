package spec

import (
	"errors"
	"fmt"
	"slices"

	"dbdb/raft"
)

// must is one conjunct of a predicate.
func must(ok bool, format string, args ...any) error {
	if ok {
		return nil
	}
	return fmt.Errorf(format, args...)
}

// all is the first conjunct that does not hold.
func all(conjuncts ...error) error {
	for _, err := range conjuncts {
		if err != nil {
			return err
		}
	}
	return nil
}

// variable is one of a server's, as TLA+ has them.
type variable struct {
	name string
	same func(a, b Server) bool
	text func(Server) any
}

// Some variables are left out, as they are bound by rules of their own that hold after every
// step: Leader, InUse and NextIndex. See Sane.
var variables = []variable{
	{"currentTerm", func(a, b Server) bool { return a.CurrentTerm == b.CurrentTerm }, func(s Server) any { return s.CurrentTerm }},
	{"votedFor", func(a, b Server) bool { return a.VotedFor == b.VotedFor }, func(s Server) any { return fmt.Sprintf("%q", s.VotedFor) }},
	{"role", func(a, b Server) bool { return a.Role == b.Role }, func(s Server) any { return s.Role }},
	{"log", func(a, b Server) bool { return a.Log.Base == b.Log.Base && a.Log.same(b.Log) }, func(s Server) any { return s.Log }},
	{"snapshot", func(a, b Server) bool { return labelOf(a.Snapshot) == labelOf(b.Snapshot) }, func(s Server) any { return labelOf(s.Snapshot) }},
	{"commitIndex", func(a, b Server) bool { return a.CommitIndex == b.CommitIndex }, func(s Server) any { return s.CommitIndex }},
	{"lastApplied", func(a, b Server) bool { return a.LastApplied == b.LastApplied }, func(s Server) any { return s.LastApplied }},
	{"matchIndex", sameMatches, func(s Server) any { return matches(s) }},
	{"transfer", func(a, b Server) bool { return a.Transferring == b.Transferring }, func(s Server) any { return s.Transferring }},
}

func labelOf(s raft.Snapshot) Label { return Label{s.Index, s.Term} }

// String writes a label as an entry is written.
func (l Label) String() string { return fmt.Sprintf("%d@%d", l.Index, l.Term) }

// sameMatches compares what a leader believes of the others. It may let go of one that is no
// member any more: that one has the removal, or will not ask for it (thesis §4.1 leaves open
// how long a leader speaks to a server that was removed).
func sameMatches(a, b Server) bool {
	c, _ := b.Configuration()
	for _, p := range a.Peers {
		q, kept := b.peer(p.ID)
		if _, member := c.Member(p.ID); kept && q.MatchIndex != p.MatchIndex || !kept && member {
			return false
		}
	}
	return !slices.ContainsFunc(b.Peers, func(p Peer) bool {
		_, known := a.peer(p.ID)
		return !known
	})
}

func matches(s Server) string {
	text := ""
	for _, p := range s.Peers {
		text += fmt.Sprintf(" %s:%d", p.ID, p.MatchIndex)
	}
	return "{" + text + " }"
}

// unchanged is TLA+'s UNCHANGED: all variables but those that are named.
func unchanged(pre, post Server, but ...string) error {
	var errs []error
	for _, v := range variables {
		if !slices.Contains(but, v.name) && !v.same(pre, post) {
			errs = append(errs, fmt.Errorf("%s changes from %v to %v", v.name, v.text(pre), v.text(post)))
		}
	}
	return errors.Join(errs...)
}

// Changes says in words what is different.
func Changes(pre, post Server) string {
	if err := unchanged(pre, post); err != nil {
		return err.Error()
	}
	return "nothing changes"
}
