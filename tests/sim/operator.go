package sim

import (
	"errors"
	"slices"

	"dbdb/raft"
	"dbdb/raft/replica"
	"dbdb/tests/spec"
)

// The operator decides who is to belong to the cluster, in the middle of everything: adds
// servers and removes them, also the leader, also twice; adds them again, with their disk
// or without; hands the leadership over. What is wanted last is what must be so in the end.

// wanted are the servers that shall be members.
func (w *world) wanted() []*node {
	return slices.DeleteFunc(slices.Clone(w.nodes), func(n *node) bool { return !n.wanted })
}

// tend asks the leader for what is missing: a member that is wanted, or is not.
func (w *world) tend() {
	if w.core != nil {
		return // to remove who is outside would be another test
	}
	w.at(w.work.between(10, 100)*millisecond, w.tend)
	w.exchangeBroken()
	leader := w.leader()
	if leader == nil {
		return
	}
	isMember := func(n *node) bool {
		_, found := leader.view.Configuration.Member(n.id)
		return found
	}
	absent := slices.IndexFunc(w.nodes, func(n *node) bool { return n.wanted && !isMember(n) })
	present := slices.IndexFunc(w.nodes, func(n *node) bool { return !n.wanted && isMember(n) })
	switch {
	case absent >= 0:
		w.add(leader, w.nodes[absent])
	case present >= 0:
		w.remove(leader, w.nodes[present])
	case !w.calm && w.work.IntN(20) == 0:
		w.add(leader, w.wanted()[w.work.IntN(len(w.wanted()))]) // once more: it is a member already
	}
}

// meddle is the operator's next idea.
func (w *world) meddle() {
	n := w.leader()
	if n == nil || w.faults.IntN(10) == 0 {
		n = w.anyNode()
	}
	if !n.up {
		return
	}
	for range [...]int{1, 1, 1, 2, 3}[w.faults.IntN(5)] { // several at once have to wait for each other
		if n.up {
			w.oneIdea(n)
		}
	}
}

func (w *world) oneIdea(n *node) {
	switch k := w.faults.IntN(100); {
	case k < 20:
		w.handOver(n)
	case k < 25:
		w.ask(n, func(done func(error)) { n.replica.RemoveServer("nobody.1", done) }, func(err error) {
			if err == nil {
				violate("Answers", "n%d has removed a server that nobody knows", n.place+1)
			}
		})
	case k < 50:
		w.wantAgain(n)
	case k < 65:
		w.replace(n)
	default:
		w.wantNoMore(n)
	}
}

// wantAgain adds a server that was removed.
func (w *world) wantAgain(n *node) {
	out := slices.DeleteFunc(slices.Clone(w.nodes), func(n *node) bool { return n.wanted || n.gone || n.replaced })
	if len(out) == 0 {
		return
	}
	again := out[w.faults.IntN(len(out))]
	again.wanted = true
	w.add(n, again)
}

// wantNoMore removes a server, the leader often, and at times asks for it twice.
func (w *world) wantNoMore(n *node) {
	in := w.wanted()
	if len(in) < 2 || w.profile.decays > 0 {
		return
	}
	out := in[w.faults.IntN(len(in))]
	if n.wanted && w.faults.IntN(3) == 0 {
		out = n
	}
	out.wanted = false
	w.remove(n, out)
	if w.faults.IntN(4) == 0 && n.up {
		w.remove(n, out)
	}
}

// replace removes a server and, once it is known to be removed, wipes its machine, which
// comes back as a new server of the same name.
func (w *world) replace(n *node) {
	in := w.wanted()
	if len(in) < 2 || len(w.nodes) == w.profile.places() || w.profile.decays > 0 {
		return
	}
	out := in[w.faults.IntN(len(in))]
	out.wanted, out.replaced = false, true
	w.remove(n, out)
}

// wipe destroys the disk of a server that was removed, and starts the machine as another
// server. To do so before the removal is committed would cost the others a vote.
func (w *world) wipe(n *node) {
	if n.gone || w.calm && (!n.broken || w.core != nil) || len(w.nodes) == w.profile.places() {
		return
	}
	w.note(wiped, n, uint64(len(w.nodes)+1), 0, 0, 0)
	if n.up {
		n.crash(edgeAny)
	}
	w.rebirth(n)
}

// rebirth makes a new server of a machine whose disk is gone.
func (w *world) rebirth(n *node) {
	n.life++ // and its restart is void
	n.gone = true
	reborn := newNode(w, len(w.nodes), n.name)
	reborn.wanted = true
	w.nodes = append(w.nodes, reborn)
	w.clients.open = append(w.clients.open, nil)
	w.marks.hit(markWiped)
	reborn.start()
}

// ask gives a server a wish. It has one answer, if the server lives so long.
func (w *world) ask(n *node, wish func(done func(error)), judge func(error)) {
	answered := false
	n.wishes++
	n.input(spec.Wish{}, func() {
		wish(func(err error) {
			if answered {
				violate("One answer", "n%d answers the operator twice", n.place+1)
			}
			answered = true
			n.wishes--
			judge(err)
		})
	})
}

// notNow is what a server may say of any wish.
func notNow(err error) bool {
	return errors.Is(err, replica.ErrNotLeader) || errors.Is(err, replica.ErrConfigurationBusy) ||
		errors.Is(err, replica.ErrOutcomeUnknown) || errors.Is(err, replica.ErrStopped)
}

func (w *world) add(leader, n *node) {
	w.joins(n)
	w.trace.add(record{at: w.now, what: operatorAdds, node: place(leader), peer: place(n)})
	w.recorder.write("add n%d at n%d", n.place+1, leader.place+1)
	w.ask(leader, func(done func(error)) { leader.replica.AddLearner(n.member(), done) }, func(err error) {
		if err != nil && !notNow(err) {
			violate("Answers", "adding n%d ends in %v", n.place+1, err)
		}
	})
	w.waitsInQueue(leader)
}

func (w *world) remove(leader, n *node) {
	w.trace.add(record{at: w.now, what: operatorRemoves, node: place(leader), peer: place(n)})
	w.recorder.write("remove n%d at n%d", n.place+1, leader.place+1)
	w.ask(leader, func(done func(error)) { leader.replica.RemoveServer(n.id, done) }, func(err error) {
		w.removed(leader, n, err)
	})
	w.waitsInQueue(leader)
}

// removed judges the answer to a removal. "Done" and "not a member" are what an operator
// wipes a machine for, so both must be about what is committed.
func (w *world) removed(leader, n *node, err error) {
	switch {
	case err == nil, errors.Is(err, replica.ErrUnknownMember):
		w.check.step(leader) // what is committed may be so since a moment ago
		confs := w.check.configurationsUpTo(leader.replica.Raft().Status().CommitIndex)
		if len(confs) > 0 {
			if _, member := confs[len(confs)-1].Member(n.id); member {
				violate("Answers", "n%d says of the removal of n%d: %v; the configuration at %d, which is committed, has it", leader.place+1, n.place+1, err, confs[len(confs)-1].index)
			}
		}
		if n.replaced && !w.check.isMember(n.id) {
			w.at(w.faults.between(0, 200)*millisecond, func() { w.wipe(n) })
		}
	case !notNow(err) && !errors.Is(err, replica.ErrLastVoter):
		violate("Answers", "removing n%d ends in %v", n.place+1, err)
	}
}

// waitsInQueue notices a wish that waits for another.
func (w *world) waitsInQueue(n *node) {
	if n.up && n.wishes > 1 {
		w.marks.hit(markChangeWaits)
	}
}

// handOver asks for another leader: a voter, a learner, one that is down, nobody in
// particular, or the leader itself.
func (w *world) handOver(n *node) {
	to := raft.NodeID("")
	if w.faults.IntN(3) > 0 {
		to = w.anyNode().id
	}
	if other := slices.IndexFunc(w.nodes, func(n *node) bool { return n.id == to }); other >= 0 {
		w.recorder.write("transfer to n%d at n%d", other+1, n.place+1)
	}
	w.note(operatorTransfers, n, uint64(len(to)), 0, 0, 0)
	asked := n.ticks
	n.transfers = append(n.transfers, asked)
	w.ask(n, func(done func(error)) { n.replica.TransferLeadership(to, done) }, func(err error) {
		k := slices.Index(n.transfers, asked)
		n.transfers = slices.Delete(n.transfers, k, k+1)
		switch leads := n.replica.Raft().State() == raft.Leader; {
		case err == nil && leads && to != n.id:
			violate("Answers", "n%d says that it has handed over, and leads", n.place+1)
		case err == nil && !leads:
			w.marks.hit(markTransferDone)
		case err != nil && !notNow(err) && !errors.Is(err, replica.ErrNoTransfer) && !errors.Is(err, replica.ErrUnknownMember):
			violate("Answers", "a transfer ends in %v", err)
		}
	})
}

// maxTransferTicks is an election timeout, and what a batch of inputs may take.
const maxTransferTicks = electionTicks + 5

// transfersEnd: whoever asked for a transfer hears of its end (thesis §3.10).
func (n *node) transfersEnd() {
	if len(n.transfers) > 0 && n.ticks-n.transfers[0] > maxTransferTicks && !n.crowded() {
		violate("A transfer ends", "n%d does not answer after %d ticks", n.place+1, n.ticks-n.transfers[0])
	}
}
