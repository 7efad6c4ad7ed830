package sim

import (
	"bytes"
	"slices"

	"dbdb/kvstore"
	"dbdb/raft"
)

// appliedTo notes the state after a command. It is the same everywhere: "if a server has
// applied a log entry at a given index to its state machine, no other server will ever
// apply a different log entry for the same index" (Figure 3), and Apply is deterministic.
func (c *checker) appliedTo(n *node, i raft.Index) {
	for raft.Index(len(c.states)) < i-1 {
		c.states = append(c.states, c.lastState())
	}
	if hash := n.store.Hash(); i > raft.Index(len(c.states)) {
		c.states = append(c.states, hash)
	} else if c.states[i-1] != hash {
		violate("State Machine Safety", "n%d's state after %d is another one than n1's or whoever had it first", n.place+1, i)
	}
}

// commandTakesEffect: a set gives its key its value, with the index of its entry; a del leaves
// nothing. States that are alike everywhere may be wrong everywhere.
func (c *checker) commandTakesEffect(n *node, i raft.Index, cmd []byte) {
	op := c.w.clients.bySum[checksum(cmd)].op
	want := kept{op.value, i, true}
	if op.kind == opDel {
		want = kept{}
	}
	var is kept
	if is.value, is.at, is.found = n.store.Get(op.key); is != want {
		violate("A command takes effect", "n%d holds %v under %s after %d; it should be %v", n.place+1, is, op.key, i, want)
	}
}

// kept is what a state machine has under a key.
type kept struct {
	value string
	at    raft.Index
	found bool
}

// emptyState is the hash of a state machine that has applied no command.
var emptyState = kvstore.New().Hash()

func (c *checker) lastState() uint64 {
	if len(c.states) == 0 {
		return emptyState
	}
	return c.states[len(c.states)-1]
}

// stateAt is the hash of the state after an index that some server has applied.
func (c *checker) stateAt(i raft.Index) uint64 {
	switch {
	case i == 0:
		return emptyState
	case i <= raft.Index(len(c.states)):
		return c.states[i-1]
	}
	for k := raft.Index(len(c.states)); k < i; k++ {
		if c.committed[k].kind == raft.EntryCommand {
			violate("A snapshot is a state that was", "nobody has applied %d, and there is a state after %d", k+1, i)
		}
	}
	return c.lastState()
}

// stateIsRight: a state machine that was loaded from a snapshot, or has applied so far,
// is where all others were at that index.
func (c *checker) stateIsRight(n *node, i raft.Index) {
	if n.store.Hash() != c.stateAt(i) {
		violate("A snapshot is a state that was", "n%d's state is not what others had at %d", n.place+1, i)
	}
}

// payloadIsRight: what was written as a snapshot is the state at its index, although
// commands were applied while it was written (dragonboat 7d5dc73).
func (c *checker) payloadIsRight(n *node, m raft.Snapshot, state *watched) {
	if !bytes.Equal(state.now.Bytes(), state.written.Bytes()) {
		violate("A snapshot is a state that was", "n%d writes a snapshot through %d that is not the state at that index", n.place+1, m.Index)
	}
}

// snapshotIsTrue: a snapshot covers what is committed, and knows its last entry's term and
// the latest configuration up to it (thesis Figure 5.3).
func (c *checker) snapshotIsTrue(n *node, m raft.Snapshot) {
	if m.Index == 0 || m.Index > raft.Index(len(c.committed)) {
		violate("A snapshot covers what is committed", "n%d has one through %d; %d entries are committed", n.place+1, m.Index, len(c.committed))
	}
	if is := c.committed[m.Index-1]; is.term != m.Term {
		violate("A snapshot covers what is committed", "n%d has one through %d@%d; %d@%d was committed", n.place+1, m.Index, m.Term, m.Index, is.term)
	}
	confs := c.configurationsUpTo(m.Index)
	if latest := confs[len(confs)-1]; latest.index != m.ConfigurationIndex || !slices.Equal(latest.Members, m.Configuration.Members) {
		violate("A snapshot knows its configuration", "n%d has one through %d with %v of %d; the latest is %v of %d",
			n.place+1, m.Index, m.Configuration, m.ConfigurationIndex, latest.Configuration, latest.index)
	}
}

// installs looks at a server right after its core and its state machine have taken a
// leader's snapshot (Figure 13, rules 6 to 8). It brings the copy of the log up to date,
// for followLog only sees what messages with entries change.
func (c *checker) installs(n *node) {
	v, core := &n.view, n.replica.Raft()
	m, last := core.Snapshot(), core.Status().LastIndex
	c.snapshotIsTrue(n, m)
	c.stateIsRight(n, m.Index)
	if m.Index <= v.CommitIndex {
		violate("No snapshot goes back", "n%d, which has committed %d, installs one through %d", n.place+1, v.CommitIndex, m.Index)
	}
	retained := v.log.at(m.Index).term == m.Term
	switch {
	case retained && last != v.log.last():
		violate("InstallSnapshot rule 6", "n%d's log held %d@%d and went on to %d; now it ends at %d", n.place+1, m.Index, m.Term, v.log.last(), last)
	case retained && last > m.Index:
		c.w.marks.hit(markInstalledSuffix)
	case retained:
	case last != m.Index:
		violate("InstallSnapshot rule 7", "n%d's log did not hold %d@%d; now it ends at %d", n.place+1, m.Index, m.Term, last)
	case v.log.last() >= m.Index:
		c.w.marks.hit(markInstalledDivergent)
	}
	confs := c.configurationsUpTo(m.Index)
	if retained {
		for _, conf := range v.configurations {
			if conf.index > m.Index {
				confs = append(confs, conf)
			}
		}
	} else {
		for i := m.Index + 1; i <= v.log.last() && i <= raft.Index(len(c.committed)); i++ {
			if v.log.at(i) == c.committed[i-1].cell {
				violate("No committed entry is truncated", "n%d loses entry %d@%d to a snapshot through %d", n.place+1, i, v.log.at(i).term, m.Index)
			}
		}
		v.log.log = cellsOf(c.committed[:m.Index])
	}
	v.configurations, v.applied = confs, m.Index
}

// chunkLeaves: a leader sends only what is in force on its disk.
func (c *checker) chunkLeaves(n *node, a raft.InstallSnapshotArgs) {
	c.leaderIsDurable(n, a.Term)
	d := &n.lasting.durable
	if a.LastIncludedIndex > d.snapshot || c.committed[a.LastIncludedIndex-1].term != a.LastIncludedTerm {
		violate("Durable before it leaves", "n%d sends a snapshot through %d@%d; its disk holds %v", n.place+1, a.LastIncludedIndex, a.LastIncludedTerm, d)
	}
	if len(a.Data) == 0 && a.Offset < a.Size {
		violate("A chunk carries something", "n%d sends nothing at %d of %d", n.place+1, a.Offset, a.Size)
	}
}

// oneTransfer: a file is what one leader sent, from its beginning on (Figure 13, rules 2 and 3).
// Another leader's file may differ, although both hold the same state.
func (f *files) oneTransfer(offset uint64) {
	if offset == 0 {
		f.file = f.chunk
	}
	if f.chunk != f.file {
		violate("InstallSnapshot rules 2 and 3", "n%d stores a chunk of %v behind those of %v", f.n.place+1, f.chunk, f.file)
	}
}

// installationLeaves: a chunk that is acknowledged may be lost, for the leader will be
// asked to begin again. An installation may not: the leader counts it as a match.
func (c *checker) installationLeaves(n *node, a raft.InstallSnapshotArgs, rep raft.InstallSnapshotReply) {
	c.termLeaves(n, rep.Term)
	d := &n.lasting.durable
	if rep.Installed && d.at(a.LastIncludedIndex) != c.committed[a.LastIncludedIndex-1].cell {
		violate("Durable before it leaves", "n%d acknowledges a snapshot through %d@%d; its disk holds %v", n.place+1, a.LastIncludedIndex, a.LastIncludedTerm, d)
	}
	if a.Offset > 0 && rep.Offset < a.Offset && !rep.Installed && rep.Term == a.Term {
		c.w.marks.hit(markTransferAgain)
	}
}
