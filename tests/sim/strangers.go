package sim

import (
	"dbdb/raft"
	"dbdb/rpc"
)

// A configuration names addresses, and an address may be another server's by now: a machine
// was wiped, or another cluster has it. So servers introduce themselves, as they do when they
// open a connection, and whoever is not meant has nothing to do with the call (rule 7 of
// DESIGN.md). What is not refused is carried out, and shows in what comes of it.

// thisCluster and anotherCluster are the IDs of two clusters.
const (
	thisCluster    = "this cluster"
	anotherCluster = "another cluster"
)

// meeting is of a caller that looks for a server and the one that it finds.
type meeting struct {
	from, to raft.NodeID
	found    *node
}

func (n *node) identity() rpc.Identity { return rpc.Identity{Cluster: thisCluster, Self: n.id} }

// dial finds whom a call reaches: the server that it is for, or the one that has its address now
// and welcomes the caller all the same.
func (nw *network) dial(from *node, to raft.NodeID) *node {
	dest := nw.w.find(to)
	found := nw.atAddress(dest)
	m := meeting{from.id, to, found}
	welcome, known := nw.met[m]
	if !known {
		err := rpc.Meet(from.identity(), found.identity(), to)
		if welcome = err == nil; !welcome && found == dest {
			violate("A member is welcome", "n%d refuses n%d: %v", found.place+1, from.place+1, err)
		}
		nw.met[m] = welcome
	}
	if !welcome {
		nw.w.marks.hit(markTakenAddress)
		return dest // which is gone: nobody answers
	}
	return found
}

// atAddress is the server that has a server's address now.
func (nw *network) atAddress(n *node) *node {
	for _, o := range nw.w.nodes {
		if n.gone && !o.gone && o.name == n.name {
			return o
		}
	}
	return n
}

// beginStrangers lets a leader of another cluster, which has our server's address for that of
// its own of the same name, call now and then.
func (w *world) beginStrangers() {
	r := stream(w.options.Seed, streamStrangers)
	var next func()
	next = func() {
		if w.calm {
			return
		}
		if n := w.nodes[r.IntN(len(w.nodes))]; n.up {
			w.strangerCalls(n)
		}
		w.at(r.exponential(second), next)
	}
	w.at(r.exponential(second), next)
}

// strangerCalls: the stranger leads a later term, and its log has nothing of ours.
func (w *world) strangerCalls(n *node) {
	stranger := rpc.Identity{Cluster: anotherCluster, Self: "stranger.1"}
	if rpc.Meet(stranger, n.identity(), n.id) != nil {
		return
	}
	a := raft.AppendEntriesArgs{Term: n.view.Term + 1, LeaderID: stranger.Self}
	for i := range n.view.log.last() + 1 {
		a.Entries = append(a.Entries, raft.Entry{Index: i + 1, Term: a.Term, Kind: raft.EntryNoop})
	}
	w.check.touched(n, 1, a.Entries[len(a.Entries)-1].Index)
	n.input(n.received(stranger.Self, a), func() { n.replica.AppendEntries(a, func(raft.AppendEntriesReply) {}) })
}
