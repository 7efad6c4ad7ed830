package sim

import (
	"slices"

	"dbdb/raft"
)

// variant is one of the entries that some log held at an index, and the term of
// the entry before it.
type variant struct {
	cell
	prev raft.Term
}

// commitment is what was first committed at an index, and in which term.
type commitment struct {
	cell
	inTerm raft.Term
}

// touched tells that a message with entries for this part of the log has reached
// the server in this step.
func (c *checker) touched(n *node, from, to raft.Index) {
	v := &n.view
	if v.changed == (span{}) {
		v.changed = span{from, to}
		return
	}
	v.changed = span{min(v.changed.from, from), max(v.changed.to, to)}
}

// followLog brings the checker's copy of a log up to date. Only what a message of
// this step could have touched is compared; final compares it all.
func (c *checker) followLog(n *node, st *raft.Status) {
	v := &n.view
	from := v.log.last() + 1
	if v.changed != (span{}) {
		from = min(from, c.firstDifference(n, st))
		v.changed = span{}
	}
	if st.LastIndex+1 < from {
		violate("Log truncated without a conflict", "n%d's log of %d entries ends at %d", n.place+1, v.log.last(), st.LastIndex)
	}
	if from > v.log.last() && st.LastIndex == v.log.last() {
		c.configurationInUse(n, st)
		return
	}
	c.forget(n, st, from)
	for _, e := range n.replica.Raft().LogEntries(from, st.LastIndex) {
		c.remember(n, e)
	}
	c.configurationInUse(n, st)
}

// firstDifference finds where the log differs from the copy. If the part that was
// touched is equal and the log is no shorter, so is the rest.
func (c *checker) firstDifference(n *node, st *raft.Status) raft.Index {
	v := &n.view
	to := min(v.changed.to, v.log.last(), st.LastIndex)
	if st.LastIndex < v.log.last() {
		to = st.LastIndex
	}
	for _, e := range n.replica.Raft().LogEntries(v.changed.from, to) {
		if v.log.at(e.Index).term != e.Term {
			return e.Index
		}
	}
	if st.LastIndex < v.log.last() {
		return st.LastIndex + 1
	}
	return v.log.last() + 1
}

// mustKeep says whether an entry of a server in this term may not be truncated: it is committed,
// and was so by then. The leader of an earlier term need not have it (Leader Completeness speaks of
// "the leaders for all higher-numbered terms"), and a server that has not heard of the later term
// may still follow that leader. It is none of those on whom the entry is committed.
func (c *checker) mustKeep(i raft.Index, e cell, term raft.Term) bool {
	is := &c.committed[i-1]
	return e == is.cell && term >= is.inTerm
}

// forget removes from the copy what was truncated.
func (c *checker) forget(n *node, st *raft.Status, from raft.Index) {
	v := &n.view
	if from > v.log.last() {
		return
	}
	if v.State == raft.Leader && st.State == raft.Leader && v.Term == st.Term {
		violate("Leader Append-Only", "n%d, leader of term %d, loses its entries from %d on", n.place+1, st.Term, from)
	}
	for i := from; i <= v.log.last() && i <= raft.Index(len(c.committed)); i++ {
		if c.mustKeep(i, v.log.at(i), v.Term) {
			violate("No committed entry is truncated", "n%d loses entry %d@%d", n.place+1, i, v.log.at(i).term)
		}
	}
	v.log.log = v.log.log[:from-1]
	for k := len(v.configurations); k > 0 && v.configurations[k-1].index >= from; k-- {
		v.configurations = v.configurations[:k-1]
	}
}

// remember adds an entry to the copy. Log Matching: "if two logs contain an entry
// with the same index and term, then the logs are identical in all entries up
// through the given index". That follows if an index and a term have one entry and
// one entry before it, everywhere and for ever.
func (c *checker) remember(n *node, e raft.Entry) {
	v := &n.view
	is := variant{cellOf(e), v.log.at(e.Index - 1).term}
	if e.Index != v.log.last()+1 {
		violate("Log Matching", "n%d has entry %v at position %d", n.place+1, e, v.log.last()+1)
	}
	for raft.Index(len(c.variants)) < e.Index {
		c.variants = append(c.variants, nil)
	}
	at := &c.variants[e.Index-1]
	k := slices.IndexFunc(*at, func(o variant) bool { return o.term == is.term })
	switch {
	case k < 0:
		*at = append(*at, is)
	case (*at)[k] != is:
		violate("Log Matching", "n%d's entry %v, after term %d, is another one than was seen before, after term %d", n.place+1, e, is.prev, (*at)[k].prev)
	}
	v.log.log = append(v.log.log, is.cell)
	switch e.Kind {
	case raft.EntryConfiguration:
		c.rememberConfiguration(n, e)
	case raft.EntryCommand:
		if v.transferring && v.Term == e.Term && n.replica.Raft().Transferring() {
			violate("No commands during a transfer", "n%d takes %v while it hands over", n.place+1, e)
		}
	}
}

// rememberConfiguration checks that a configuration differs from the one before it
// by one server: the majorities of the two share one then (thesis §4.1).
func (c *checker) rememberConfiguration(n *node, e raft.Entry) {
	v := &n.view
	conf, err := raft.DecodeConfiguration(e.Data)
	if err != nil {
		violate("Configuration", "n%d has an unreadable one at %v: %v", n.place+1, e, err)
	}
	if k := len(v.configurations); k > 0 {
		if old := v.configurations[k-1]; differences(old.Configuration, conf)+differences(conf, old.Configuration) > 2 ||
			abs(len(old.Members)-len(conf.Members)) > 1 {
			violate("Configuration", "n%d's at %v changes more than one server", n.place+1, e)
		}
	}
	c.mayChange(n, e, conf)
	v.configurations = append(v.configurations, configurationAt{e.Index, conf})
}

func abs(x int) int { return max(x, -x) }

// differences counts the members of a that are not the same in b.
func differences(a, b raft.Configuration) int {
	count := 0
	for _, m := range a.Members {
		if o, found := b.Member(m.ID); !found || o != m {
			count++
		}
	}
	return count
}

// configurationInUse: "a server always uses the latest configuration in its log,
// regardless of whether the entry is committed" (§6).
func (c *checker) configurationInUse(n *node, st *raft.Status) {
	last := configurationAt{}
	if k := len(n.view.configurations); k > 0 {
		last = n.view.configurations[k-1]
	}
	if st.ConfigurationIndex != last.index {
		violate("Configuration", "n%d uses the one at %d, the last in its log is at %d", n.place+1, st.ConfigurationIndex, last.index)
	}
	if st.ConfigurationIndex != n.view.ConfigurationIndex && !slices.Equal(st.Configuration.Members, last.Members) {
		violate("Configuration", "n%d uses %v, its log says %v", n.place+1, st.Configuration, last.Configuration)
	}
}

// followCommit: what is committed at an index is the same everywhere and for ever,
// and it was on the disks of a majority when it was first counted.
func (c *checker) followCommit(n *node, st *raft.Status) {
	v := &n.view
	for i := v.CommitIndex + 1; i <= st.CommitIndex; i++ {
		is := v.log.at(i)
		if i <= raft.Index(len(c.committed)) {
			if c.committed[i-1].cell != is {
				violate("State Machine Safety", "n%d commits %d@%d, but %d@%d was committed", n.place+1, i, is.term, i, c.committed[i-1].term)
			}
			continue
		}
		if st.State != raft.Leader && v.State != raft.Leader {
			violate("Only a leader commits first", "n%d, %v, commits %d@%d", n.place+1, st.State, i, is.term)
		}
		if !c.quorumHolds(v.Configuration, i, is) && !c.quorumHolds(st.Configuration, i, is) {
			violate("Committed is durable", "n%d commits %d@%d, which no majority has on its disks", n.place+1, i, is.term)
		}
		c.committed = append(c.committed, commitment{is, st.Term})
		if is.kind == raft.EntryConfiguration {
			c.configurationCommitted(n, i)
		}
		c.w.note(committed, n, uint64(i), uint64(is.term), is.sum, uint64(st.Term))
		if is.kind == raft.EntryCommand {
			c.w.clients.committed(is.sum, i)
		}
	}
}

func (c *checker) quorumHolds(conf raft.Configuration, i raft.Index, is cell) bool {
	holders := 0
	for _, m := range conf.Members {
		if m.Role == raft.Voter && c.w.find(m.ID).lasting.durable.at(i) == is {
			holders++
		}
	}
	return holders > conf.Voters()/2
}

// applies checks a command on its way to a state machine: committed, in order, none
// left out, none twice.
func (c *checker) applies(n *node, i raft.Index, cmd []byte) {
	if i > n.view.CommitIndex {
		c.step(n)
	}
	if i > n.view.CommitIndex || i > raft.Index(len(c.committed)) {
		violate("State Machine Safety", "n%d applies %d, which is not committed", n.place+1, i)
	}
	if is := c.committed[i-1]; is.kind != raft.EntryCommand || is.sum != checksum(cmd) {
		violate("State Machine Safety", "n%d applies another command at %d than was committed", n.place+1, i)
	}
	for k := n.view.applied + 1; k < i; k++ {
		if c.committed[k-1].kind == raft.EntryCommand {
			violate("State Machine Safety", "n%d applies %d and leaves out %d", n.place+1, i, k)
		}
	}
	if i <= n.view.applied {
		violate("State Machine Safety", "n%d applies %d after %d", n.place+1, i, n.view.applied)
	}
	n.view.applied = i
	c.w.note(applied, n, uint64(i), 0, 0, 0)
}
