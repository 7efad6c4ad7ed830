package sim

import (
	"errors"

	"dbdb/raft"
)

// beginFaults lets the trouble of the profile begin.
func (w *world) beginFaults() {
	p := &w.profile
	begin := int64(0)
	if p.growth != grown || p.changeEvery > 0 {
		w.beginTending()
	}
	if p.growth == growsCalmly {
		begin = 2 * second
	}
	w.at(begin, func() {
		w.repeat(p.partitionEvery, w.partition)
		w.repeat(p.parkEvery, w.park)
		w.repeat(p.swizzleEvery, w.swizzle)
		w.repeat(p.crashEvery, w.crashOne)
		w.repeat(p.allCrashEvery, w.crashAll)
		w.repeat(p.diskFailEvery, w.failDisk)
		w.repeat(p.pauseEvery, w.pause)
		w.repeat(p.decayEvery, w.decay)
		w.repeat(p.fullEvery, w.fill)
		w.repeat(p.slowEvery, w.slowDown)
		w.repeat(p.changeEvery, w.meddle)
		w.beginStorm()
	})
}

// repeat lets a kind of fault happen again and again, if it is on, with this mean
// time between.
func (w *world) repeat(mean int64, happen func()) {
	if mean == 0 {
		return
	}
	w.at(w.faults.exponential(mean), func() {
		if !w.calm {
			happen()
			w.repeat(mean, happen)
		}
	})
}

// whileItBurns ends a fault after some time, unless calm has come: then what is still there
// is there for ever.
func (w *world) whileItBurns(delay int64, end func()) {
	w.at(delay, func() {
		if !w.calm {
			end()
		}
	})
}

func (w *world) anyNode() *node { return w.nodes[w.faults.IntN(len(w.nodes))] }

// leader is the server that leads the highest term, if one does.
func (w *world) leader() *node {
	var leader *node
	for _, n := range w.nodes {
		if n.up && n.view.State == raft.Leader && (leader == nil || n.view.Term > leader.view.Term) {
			leader = n
		}
	}
	return leader
}

// partition cuts the network in one of the ways that have hurt others, and heals it
// later.
func (w *world) partition() {
	kind := w.faults.IntN(6)
	w.marks.hit(markPartition)
	w.note(networkFault, nil, uint64(kind), 0, 0, 0)
	if w.profile.rings && w.rare.IntN(3) == 0 && w.ring() {
		w.planMend()
		return
	}
	cut := func(from, to *node) {
		if from != to {
			w.network.cut[from.place][to.place] = true
		}
	}
	side := w.drawSides(kind)
	for _, a := range w.nodes {
		for _, b := range w.nodes {
			if side[a.place] != side[b.place] && side[a.place]*side[b.place] != 0 {
				cut(a, b)
				if kind == 5 { // one-way: the other direction stays open
					w.network.cut[max(a.place, b.place)][min(a.place, b.place)] = false
				}
			}
		}
	}
	if w.profile.asymmetric && kind != 5 {
		w.openOneWay(side)
	}
	w.planMend()
}

func (w *world) planMend() {
	w.whileItBurns(50*millisecond+w.faults.exponential(w.profile.partitionMean), func() {
		w.note(healed, nil, 0, 0, 0, 0)
		w.network.mend()
	})
}

// drawSides gives each server a side of the partition. Side 0 is a bridge: it
// reaches both others.
func (w *world) drawSides(kind int) []int {
	side := make([]int, len(w.nodes))
	for k := range side {
		side[k] = 1 + w.faults.IntN(2)
	}
	alone := w.anyNode()
	if leader := w.leader(); kind == 0 && leader != nil {
		alone = leader
	}
	switch kind {
	case 0, 1: // isolate the leader, or anyone
		for k := range side {
			side[k] = 1
		}
		side[alone.place] = 2
	case 2: // a bridge between two halves
		side[alone.place] = 0
	}
	return side
}

// mend ends partitions, and nothing else.
func (nw *network) mend() {
	for k := range nw.cut {
		clear(nw.cut[k])
	}
}

// park withholds one kind of message on one link until the next call.
func (w *world) park() {
	w.network.release()
	if len(w.nodes) < 2 || w.faults.IntN(3) == 0 {
		return
	}
	from, to := w.anyNode(), w.anyNode()
	if leader := w.leader(); leader != nil && w.faults.IntN(2) == 0 {
		to = leader // its acknowledgements
	}
	w.marks.hit(markParked)
	m := message(1 + w.faults.IntN(int(messageKinds)-1))
	w.network.parked = parked{active: true, from: from.place, to: to.place, message: m}
	w.trace.add(record{at: w.now, what: networkFault, message: m, node: place(from), peer: place(to), a: 100})
}

func (w *world) crashOne() {
	n := w.anyNode()
	if leader := w.leader(); leader != nil && w.faults.IntN(4) == 0 {
		n = leader
	}
	switch {
	case !n.up:
	case w.faults.perMille(w.profile.stops):
		n.stop()
	default:
		n.crash(edgeAny)
	}
}

func (w *world) crashAll() {
	w.marks.hit(markAllCrashed)
	for _, n := range w.nodes {
		if n.up {
			n.crash(edgeAny)
		}
	}
}

var errDisk = errors.New("input/output error")

// failDisk lets the next operation of a kind fail on one disk.
func (w *world) failDisk() {
	n := w.anyNode()
	if !n.up {
		return
	}
	n.diskBroken = true
	switch w.faults.IntN(6) {
	case 0, 1:
		n.disk.FailSync(errDisk)
	case 2:
		n.disk.ShortWrite(w.faults.IntN(600), errDisk)
	case 3:
		n.disk.FailAllocate(errDisk) // full, at the next segment
	case 4:
		n.disk.FailNext(OpRename, errDisk) // when a snapshot comes into force, or a segment is made
	case 5:
		n.disk.FailNext(OpRemove, errDisk) // when the log before it goes
	}
}

// pause stops a server for a while, as a hypervisor or a garbage collector does:
// it notices nothing, and then everything at once.
func (w *world) pause() {
	n := w.anyNode()
	if leader := w.leader(); leader != nil && w.faults.IntN(2) == 0 {
		n = leader
	}
	w.marks.hit(markPaused)
	// What was put off cannot be called back, so a pause ends before calm begins.
	n.pausedUntil = min(w.profile.faultTime, w.now+w.faults.exponential(w.profile.pauseMean))
	w.note(networkFault, n, 200, uint64(n.pausedUntil-w.now), 0, 0)
}
