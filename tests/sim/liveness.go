package sim

import (
	"fmt"

	"dbdb/raft"
)

// recuperate is phase 2. All faults end, everybody comes back, and within a bounded
// time the cluster must be whole again: one leader, a write and a read on every
// server, the same state everywhere. Many a bug leaves all promises unbroken
// and just stops (databendlabs/openraft#1796 and #2080).
func (w *world) recuperate() {
	w.heal()
	limit := w.now + w.patience()
	w.await(limit, "every server is a voter and one leads", func() bool { return w.leads() != nil && w.complete() })
	w.mustSucceed(limit, opSet, w.nodes[w.work.IntN(len(w.nodes))])
	for _, n := range w.nodes {
		w.mustSucceed(limit, opGet, n)
	}
	w.await(limit, "all servers have applied the same", w.converged)
	w.staysQuiet()
}

// heal ends phase 1.
func (w *world) heal() {
	w.calm = true
	w.note(healed, nil, 1, 0, 0, 0)
	w.profile.soothe()
	w.network.heal()
	for _, n := range w.nodes {
		n.pausedUntil, n.period = 0, tickPeriod
		switch {
		case !n.up:
			n.start()
		case len(n.saver.batch) > 0:
			n.saver.planSync()
		}
	}
}

// patience is ten election timeouts, what a call under way may take to be given up, and
// the time to send a log of this length in the smallest batches.
func (w *world) patience() int64 {
	longest := 2 * electionTicks * tickPeriod
	return 10*longest + 4*second + int64(len(w.check.variants))*10*millisecond
}

// await lets time pass until something is so.
func (w *world) await(limit int64, goal string, so func() bool) {
	for !so() {
		if w.now >= limit {
			violate("Liveness", "not within %d s of calm: %s; %s", w.patience()/second, goal, w.describe())
		}
		w.runUntil(w.now + tickPeriod)
	}
}

func (w *world) describe() string {
	s := ""
	for _, n := range w.nodes {
		v := &n.view
		s += string(n.id) + " " + v.State.String() + " " + raft.Entry{Index: v.LastIndex, Term: v.Term}.String() +
			fmt.Sprintf(" of %d voters", v.Configuration.Voters()) + " commit " + raft.Entry{Index: v.CommitIndex, Term: v.log.at(v.CommitIndex).term}.String() + "; "
	}
	return s
}

// leads is the only leader, if all servers are in its term.
func (w *world) leads() *node {
	leader := w.leader()
	for _, n := range w.nodes {
		if leader == nil || !n.up || n.view.Term != leader.view.Term || n != leader && n.view.State == raft.Leader {
			return nil
		}
	}
	return leader
}

// complete says that everybody who was to join is a voter, and everybody knows it.
func (w *world) complete() bool {
	for _, n := range w.nodes {
		if n.view.Configuration.Voters() != len(w.nodes) {
			return false
		}
	}
	return true
}

func (w *world) converged() bool {
	leader := w.leads()
	if leader == nil {
		return false
	}
	for _, n := range w.nodes {
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
		if leader := w.leader(); kind == opSet && leader != nil {
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

// staysQuiet: a healthy cluster elects nobody and sends little.
func (w *world) staysQuiet() {
	term, calls, asked := w.leads().view.Term, w.network.calls, w.network.asked
	span := 5 * electionTicks * tickPeriod
	w.runUntil(w.now + span)
	if leader := w.leads(); leader == nil || leader.view.Term != term {
		violate("Liveness", "a calm cluster changes its leader: %s", w.describe())
	}
	// The leader calls each other server every five ticks, and for each late packet
	// that asks for a read. More than twice as often is a storm.
	rounds := int(span/tickPeriod)/5 + 1 + w.network.asked - asked
	if sent := w.network.calls - calls; sent > 2*rounds*(len(w.nodes)-1) {
		violate("Liveness", "a calm cluster of %d is busy: %d calls in %d ms", len(w.nodes), sent, span/millisecond)
	}
	if !w.converged() {
		violate("Liveness", "a calm cluster diverges: %s", w.describe())
	}
}
