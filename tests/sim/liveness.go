package sim

import (
	"fmt"
	"slices"

	"dbdb/raft"
)

// recuperate is phase 2. All faults end, everybody comes back, and within a bounded
// time the cluster must be whole again: the members that the operator wants, one leader, a
// write and a read on every member, the same state everywhere; who was removed knows it,
// and is idle. Many a bug leaves all promises unbroken and just stops
// (databendlabs/openraft#1796 and #2080). Where only a core comes back, it must do all that
// with its members as they are.
func (w *world) recuperate() {
	if w.profile.coreOnly {
		w.core = w.drawCore()
	}
	w.heal()
	limit := w.now + w.patience()
	w.beginTending()
	w.await(limit, "everybody who is wanted is a voter, nobody else is a member, and one leads", func() bool { return w.leads() != nil && w.complete() })
	members := w.members()
	w.mustSucceed(limit, opSet, members[w.work.IntN(len(members))])
	for _, n := range members {
		w.mustSucceed(limit, opGet, n)
	}
	w.await(limit, "all members have applied the same", w.converged)
	w.await(limit, "all that were removed know it, and everybody who asked is answered", w.restful)
	w.staysQuiet()
	w.handsOver()
}

// heal ends phase 1.
func (w *world) heal() {
	w.calm = true
	w.note(healed, nil, 1, 0, 0, 0)
	w.profile.soothe()
	w.network.heal()
	if w.stage != nil {
		w.stage.leave()
	}
	if w.core != nil {
		w.marks.hit(markCore)
		w.network.epoch++ // a configuration that is nowhere in a log any more may be under way
	}
	standOff := w.mayStandOff()
	w.profile.raft.NoPreVote = w.profile.raft.NoPreVote && !standOff
	for _, n := range w.nodes {
		n.pausedUntil, n.slowUntil, n.crowdUntil, n.period = 0, 0, 0, tickPeriod
		n.disk.full = hasRoom
		n.disk.disarmAll()
		if standOff && n.up {
			n.stop() // and starts again, with pre-votes
		}
		switch {
		case n.gone, n.broken:
		case w.isOutside(n):
			w.keepFault(n)
		case !n.up:
			n.start()
		case len(n.saver.batch) > 0:
			n.saver.planSync()
		}
	}
}

// mayStandOff says that Raft without pre-votes need not come to an end: not everybody comes
// back, and a member has an older configuration than the newest committed one, or another one
// has made a voter of somebody who is none in that. It asks all but those of whom it does not
// know that they vote, again and again. Each time raises a term that such a server, whose log
// may be the only one that can win, hears of in answers alone, when it is overtaken already, or
// finds given away in its own term (thesis §9.6). An operator would switch pre-votes on, as
// dbdb does.
func (w *world) mayStandOff() bool {
	confs := w.check.configurations
	missing := func(n *node) bool { return n.damaged != nil || w.isOutside(n) }
	if !w.profile.raft.NoPreVote || len(confs) == 0 || !slices.ContainsFunc(w.nodes, missing) {
		return false
	}
	newest := confs[len(confs)-1]
	isBehind := func(n *node) bool {
		return newest.IsVoter(n.id) && n.lasting.durable.at(newest.index) != w.check.committed[newest.index-1].cell
	}
	promotes := func(c raft.Configuration) bool {
		return slices.ContainsFunc(c.Members, func(m raft.Member) bool { return m.Role == raft.Voter && !newest.IsVoter(m.ID) })
	}
	return slices.ContainsFunc(w.nodes, func(n *node) bool {
		return !n.gone && !missing(n) && (isBehind(n) || w.hasOpen(n, promotes))
	})
}

// longest is the longest election timeout.
const longest = 2 * electionTicks * tickPeriod

// patience is ten election timeouts, what a call under way may take to be given up, the
// time to send a log of this length in the smallest batches, and as much again for each
// server that has to come or go.
func (w *world) patience() int64 {
	servers := int64(len(w.nodes))
	for _, n := range w.nodes {
		if n.damaged != nil && !n.gone {
			servers++ // somebody will come in its place
		}
	}
	return 10*longest + 4*second + int64(len(w.check.variants))*10*millisecond + servers*second
}

// await lets time pass until something is so.
func (w *world) await(limit int64, goal string, so func() bool) {
	for !so() {
		if w.now >= limit {
			violate("Liveness", "still not so in a calm world: %s; %s", goal, w.describe())
		}
		w.runUntil(w.now + tickPeriod)
	}
}

func (w *world) describe() string {
	s := ""
	for _, n := range w.nodes {
		v := &n.view
		if n.gone {
			continue
		}
		if !n.wanted {
			s += "removed "
		}
		if n.wishes > 0 {
			s += fmt.Sprintf("(%d wishes) ", n.wishes)
		}
		if v.State == raft.Leader {
			s += fmt.Sprintf("(%d peers) ", len(v.Peers))
		}
		s += string(n.id) + " " + v.State.String() + " " + raft.Entry{Index: v.LastIndex, Term: v.Term}.String() +
			fmt.Sprintf(" of %d voters", v.Configuration.Voters()) + " commit " + raft.Entry{Index: v.CommitIndex, Term: v.log.at(v.CommitIndex).term}.String() + "; "
	}
	return s
}

// leads is the only leader, if all members are in its term.
func (w *world) leads() *node {
	leader := w.leader()
	if leader != nil && w.isOutside(leader) {
		return nil
	}
	for _, n := range w.members() {
		if leader == nil || !n.up || n.view.Term != leader.view.Term || n != leader && n.view.State == raft.Leader {
			return nil
		}
	}
	return leader
}

// complete says that everybody who is wanted is a voter, that nobody else is a member, and
// that all of them know it; and that somebody is there for everyone whose disk was damaged.
func (w *world) complete() bool {
	if w.core != nil {
		return true
	}
	if slices.ContainsFunc(w.nodes, func(n *node) bool { return n.broken && !n.gone }) {
		return false
	}
	wanted := w.wanted()
	for _, n := range wanted {
		c := n.view.Configuration
		if len(c.Members) != len(wanted) || slices.ContainsFunc(wanted, func(o *node) bool { return !c.IsVoter(o.id) }) {
			return false
		}
	}
	return true
}

// restful says that servers that are no members know it, that the leader has stopped
// speaking to them, and that nobody waits for an answer. One that was removed while it was
// away asks, until it is told.
func (w *world) restful() bool {
	if slices.ContainsFunc(w.members(), w.clients.waits) {
		return false
	}
	leader := w.leads()
	if leader == nil || len(leader.view.Peers) != len(leader.view.Configuration.Members)-1 {
		return false
	}
	if w.core != nil {
		return !slices.ContainsFunc(w.core, func(n *node) bool { return n.wishes > 0 })
	}
	for _, n := range w.nodes {
		if n.gone {
			continue
		}
		if n.wishes > 0 || !n.wanted && w.canBeTold(n) && n.view.RemovedAt == 0 {
			return false
		}
	}
	return true
}

// canBeTold says that a server that was removed while it was away knows a member whom it
// can ask for a vote. One that slept through the exchange of all its peers asks servers
// that are no more; it is alone, and disturbs nobody.
func (w *world) canBeTold(n *node) bool {
	return slices.ContainsFunc(w.wanted(), func(m *node) bool { return n.view.Configuration.IsVoter(m.id) })
}

func (w *world) converged() bool {
	leader := w.leads()
	if leader == nil {
		return false
	}
	for _, n := range w.members() {
		v := &n.view
		if v.LastApplied != leader.view.LastIndex || v.LastIndex != leader.view.LastIndex || n.lasting.durable.last() != v.LastIndex {
			return false
		}
	}
	return true
}

// mustSucceed repeats an operation until it succeeds.
func (w *world) mustSucceed(limit int64, kind operationKind, n *node) {
	succeeded := false
	var try func()
	try = func() {
		op := &operation{kind: kind, key: w.clients.drawKey(), node: n}
		if leader := w.leads(); kind == opSet && leader != nil {
			op.node = leader
		}
		w.clients.ask(op, func(op *operation) {
			if succeeded = op.outcome == done; !succeeded {
				w.at(tickPeriod, try)
			}
		})
	}
	try()
	goal := "a write succeeds"
	if kind == opGet {
		goal = "a read succeeds on " + string(n.id)
	}
	w.await(limit, goal, func() bool { return succeeded })
}

// staysQuiet asks that the cluster is quiet, and once more if something old disturbed it: a
// request of phase 1 that reaches a server of a later term only now has an answer that ends
// the leader's term (Figure 2, "All servers"), and no rule of Raft can know how old it is. What
// is under way is finite, so that this ends.
func (w *world) staysQuiet() {
	for !w.quiet() {
		w.await(w.now+w.patience(), "one leads again after an old packet, and all have applied the same", w.converged)
	}
}

// quiet: a healthy cluster elects nobody and sends little, and those that were removed
// send nothing. A leader's old message that comes late may wake one of them up: it takes
// the sender for a leader, asks it for what its clients want to read, and looks for another
// when it hears no more.
func (w *world) quiet() bool {
	term, asked := w.leads().view.Term, w.network.asked
	before, members := make([]int, len(w.nodes)), w.members()
	for k, n := range w.nodes {
		before[k] = n.calls
		if n.files != nil { // chunks on their way from the disk leave, whoever leads by then
			before[k] += n.files.outgoing.unfinished()
		}
	}
	began := w.now
	span := 5 * electionTicks * tickPeriod
	w.runUntil(w.now + span)
	if leader := w.leads(); leader == nil || leader.view.Term != term {
		if w.network.lateAt >= began-2*tickPeriod {
			return false
		}
		violate("Liveness", "a calm cluster changes its leader: %s", w.describe())
	}
	// The leader calls each other server every five ticks, and for each late packet
	// that asks for a read. More than twice as often is a storm.
	rounds, sent, peers := int(span/tickPeriod)/5+1+w.network.asked-asked, 0, len(w.leads().view.Peers)
	for k, n := range w.nodes {
		switch calls := n.calls - before[k]; {
		case w.isOutside(n):
		case slices.Contains(members, n):
			sent += calls
		case !n.gone && calls > 0 && w.canBeTold(n) && n.heard < began-longest:
			violate("Liveness", "n%d, which was removed, makes %d calls", n.place+1, calls)
		}
	}
	if sent > 2*rounds*peers {
		violate("Liveness", "a calm cluster of %d is busy: %d calls in %d ms", peers+1, sent, span/millisecond)
	}
	if !w.converged() {
		violate("Liveness", "a calm cluster diverges: %s", w.describe())
	}
	return true
}

// handsOver: where all is well, a leader that is asked to hand over has done so within an
// election timeout (thesis §3.10). The other servers hear from the leader all the time: only
// because the candidate says who wants the election do they vote.
func (w *world) handsOver() {
	members, leader := w.members(), w.leads()
	to := members[w.work.IntN(len(members))]
	if to == leader {
		return
	}
	w.note(operatorTransfers, leader, uint64(to.place), 0, 0, 0)
	w.ask(leader, func(done func(error)) { leader.replica.TransferLeadership(to.id, done) }, func(err error) {
		if err != nil {
			violate("Liveness", "n%d does not hand over to n%d: %v", leader.place+1, to.place+1, err)
		}
	})
	w.await(w.now+electionTicks*tickPeriod, "the one who was asked to leads", func() bool { return w.leads() == to && leader.wishes == 0 })
	w.await(w.now+second, "all members have applied the new leader's first entry", w.converged)
}
