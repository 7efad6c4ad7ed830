package raft

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
)

// trio are three servers whose disks and network take no time: what is left is the core.
type trio map[NodeID]*Raft

func newTrio(b *testing.B) trio {
	t := trio{}
	for _, m := range members(3).Members {
		t[m.ID] = New(Config{ID: m.ID, Rand: rand.New(rand.NewPCG(1, 1))}, Restored{Term: 1, Entries: logOf(members(3), 1)})
	}
	t["n1"].ElectionTimeout()
	t.settle()
	if t["n1"].State() != Leader {
		b.Fatal("n1 does not lead")
	}
	return t
}

// settle carries out all effects, until nobody wants anything any more.
func (t trio) settle() {
	for moved := true; moved; {
		moved = false
		for _, id := range []NodeID{"n1", "n2", "n3"} {
			for _, c := range t.flush(id) {
				t.deliver(id, c)
				moved = true
			}
		}
	}
}

// flush makes everything durable and returns what is to be sent.
func (t trio) flush(id NodeID) (sent []Call) {
	for {
		e := t[id].Effects()
		sent = append(append(sent, e.Send...), e.SendAfter...)
		if e.Save.Seq == 0 {
			return sent
		}
		t[id].Saved(e.Save)
	}
}

// deliver makes one call. The reply leaves when what it promises is durable; beside it, one
// who is called sends nothing.
func (t trio) deliver(from NodeID, c Call) {
	to := t[c.To]
	switch {
	case c.AppendEntries != nil:
		rep := to.HandleAppendEntries(*c.AppendEntries)
		t.flush(c.To)
		t[from].HandleAppendEntriesReply(c.To, *c.AppendEntries, rep)
	case c.RequestVote != nil:
		rep := to.HandleRequestVote(*c.RequestVote)
		t.flush(c.To)
		t[from].HandleRequestVoteReply(c.To, *c.RequestVote, rep)
	}
}

// BenchmarkReplicate takes commands from the proposal until all three have applied them.
func BenchmarkReplicate(b *testing.B) {
	const logBytes = 16 << 20 // before it is compacted, as in a server
	cmd := bytes.Repeat([]byte{'x'}, 128)
	for _, n := range []int{1, 64} {
		b.Run(fmt.Sprintf("commands=%d", n), func(b *testing.B) {
			t := newTrio(b)
			cmds := make([][]byte, n)
			for k := range cmds {
				cmds[k] = cmd
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := t["n1"].Propose(cmds...); err != nil {
					b.Fatal(err)
				}
				t.settle()
				for _, r := range t {
					if s, size, ok := r.NextSnapshot(); ok && size > logBytes {
						r.Compact(s)
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/command")
			if st := t["n1"].Status(); st.CommitIndex != st.LastIndex {
				b.Fatalf("committed up to %d of %d", st.CommitIndex, st.LastIndex)
			}
		})
	}
}

// BenchmarkReadIndex takes a read from the question until the leader may serve it.
func BenchmarkReadIndex(b *testing.B) {
	t := newTrio(b)
	b.ReportAllocs()
	for id := uint64(1); b.Loop(); id++ {
		if err := t["n1"].ReadIndex(id); err != nil {
			b.Fatal(err)
		}
		t.settle()
	}
}
