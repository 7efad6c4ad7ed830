package sim

import "dbdb/raft"

// storm is a directed kind of trouble: a story that random faults tell too seldom.
type storm uint8

const (
	noStorm    storm = iota
	elections        // leaders are cut off soon after they are elected
	deposed          // leaders are cut off in one direction, and asked to read
	firstNode        // node 1 crashes again and again while it is alone or nearly so
	powerCuts        // servers crash right after they promised something
	laggards         // a server is cut off, the others go on and forget the log that it needs
	upheaval         // members come and go all the time, and leaders too
	promotions       // whoever was made a voter does not know it; see promotions.go
)

func (s storm) String() string {
	return [...]string{"no storm", "elections", "deposed leaders", "first node", "power cuts", "laggards", "upheaval", "promotions"}[s]
}

// drawStorm bends the profile towards one story.
func (p *profile) drawStorm(r chance) {
	p.storm = [...]storm{elections, deposed, firstNode, powerCuts, laggards, laggards, laggards, upheaval}[r.IntN(8)]
	switch p.storm {
	case elections:
		p.drawElections(r)
	case deposed:
		p.nodes = max(p.nodes, 3)
		p.clockSkew, p.readShare = false, 600
		p.raft.NoCheckQuorum = r.IntN(2) == 0
		p.callDeadline = 3 * second
		p.delayMean = min(p.delayMean, 5*millisecond)
		p.loss = min(p.loss, 20)
	case firstNode:
		p.growth, p.founders = growsInFire, 1
		p.nodes = max(p.nodes, 2)
		p.diskMean = r.between(5, 60) * millisecond
		p.downMean = r.between(1, 50) * millisecond
	case powerCuts:
		p.crashAtEdge = int(r.between(5, 25))
		p.diskMean = r.between(5, 60) * millisecond
		p.downMean = r.between(1, 100) * millisecond
	case laggards:
		p.drawLaggards(r)
	case upheaval:
		p.nodes = max(p.nodes, 2)
		p.changeEvery, p.spares = r.between(50, 500)*millisecond, r.IntN(4)
		p.delayMean = min(p.delayMean, 10*millisecond)
		p.loss = min(p.loss, 50)
		p.holdReplies = false
	}
}

// drawLaggards lets snapshots meet logs that have gone another way.
func (p *profile) drawLaggards(r chance) {
	p.nodes = max(p.nodes, 3)
	p.snapshotBytes, p.raft.TrailingBytes = [...]int{1, 400}[r.IntN(2)], [...]int{-1, 60}[r.IntN(2)]
	p.partitionEvery, p.holdReplies = 0, false
	p.delayMin, p.delayMean = 2*millisecond, min(p.delayMean, 10*millisecond)
	p.loss = min(p.loss, 50)
	p.raft.MaxInflight = 16
	p.readShare, p.removeShare = 200, 300
	p.think = int64(p.clients) * r.between(3, 20) * millisecond
}

// drawElections has two moods. With slow disks, leaders come back while their disk
// is still busy with what they wrote. With one entry in a message and one message at
// a time, a leader is cut off between the entries of the term before and its own: the
// story of Figure 8.
func (p *profile) drawElections(r chance) {
	p.nodes = max(p.nodes, 3)
	p.growth = grown
	if r.IntN(4) == 0 { // two changes of one configuration, by two leaders
		p.nodes, p.founders, p.growth = 6, 4, growsInFire
	}
	p.partitionEvery = 0
	p.delayMean = min(p.delayMean, 10*millisecond)
	p.loss = min(p.loss, 50)
	p.holdReplies = false
	if r.IntN(2) == 0 {
		p.diskMean = r.between(10, 150) * millisecond
		return
	}
	p.raft.MaxBatchBytes, p.raft.MaxInflight = 1, 1
	p.diskMin, p.diskMean = 100, min(p.diskMean, 3*millisecond)
}

// beginStorm plays the profile's story again and again. That of elections is told by
// the elections themselves.
func (w *world) beginStorm() {
	switch w.profile.storm {
	case deposed:
		w.repeat(second, w.deposeReader)
	case laggards:
		w.repeat(500*millisecond, w.leaveBehind)
	case firstNode:
		w.repeat(150*millisecond, func() {
			if n := w.nodes[0]; n.up {
				n.crash(edgeAny)
			}
		})
	}
}

// leaveBehind makes a server need a snapshot. It is cut off, alone or with a companion; or
// it hears everything and nobody hears it, so that it has the entries which the others
// have to think that it lacks.
func (w *world) leaveBehind() {
	n, leader := w.anyNode(), w.leader()
	if w.faults.IntN(3) == 0 {
		w.mute(n)
		return
	}
	if leader != nil && w.faults.IntN(3) > 0 {
		n = leader // its uncommitted entries are the log that went another way
	}
	w.cutOff(n)
	if other := w.anyNode(); other != n && w.faults.IntN(2) == 0 {
		w.cutOff(other)
		w.network.cut[n.place][other.place], w.network.cut[other.place][n.place] = false, false
	}
}

// tookSnapshot cuts one follower off for a moment, right when the leader forgets what that
// follower has not acknowledged: it may hold all of it, and more, and not know that it is
// committed.
func (w *world) tookSnapshot(leader *node) {
	if w.profile.storm != laggards || w.calm || leader.view.State != raft.Leader {
		return
	}
	w.at(0, func() {
		n := w.anyNode()
		if n == leader || w.calm {
			return
		}
		w.cutOffFor(n, w.faults.between(20, 300)*millisecond)
	})
}

// mute lets nothing through that a server says.
func (w *world) mute(n *node) {
	w.marks.hit(markPartition)
	w.note(networkFault, n, 301, 0, 0, 0)
	for k := range w.nodes {
		w.network.cut[n.place][k] = true
	}
	w.whileItBurns(w.faults.between(100, 1200)*millisecond, func() {
		for k := range w.nodes {
			w.network.cut[n.place][k] = false
		}
	})
}

// wasElected lets a new leader have little time.
func (w *world) wasElected(leader *node) {
	w.leadsAfter(leader)
	if w.profile.storm != elections || w.calm {
		return
	}
	round := w.profile.delayMin + w.profile.delayMean + w.profile.diskMean
	w.inLife(w.faults.between(0, 6*round), leader, func() {
		if w.calm {
			return
		}
		if w.faults.IntN(3) == 0 {
			leader.crash(edgeAny)
			return
		}
		w.cutOff(leader)
	})
}

// cutOff leaves a leader with nothing but its own disk, or with a companion, until the
// others have elected another; then it comes back and is overwritten, or is elected once more.
func (w *world) cutOff(leader *node) {
	w.cutOffFor(leader, w.faults.between(100, 1200)*millisecond)
}

func (w *world) cutOffFor(leader *node, time int64) {
	w.isolate(leader)
	w.whileItBurns(time, func() {
		for _, n := range w.nodes {
			w.connect(leader, n)
		}
	})
}

// isolate lets nobody hear a server, nor it anybody.
func (w *world) isolate(n *node) {
	w.marks.hit(markPartition)
	w.note(networkFault, n, 300, 0, 0, 0)
	for k := range w.nodes {
		w.network.cut[n.place][k], w.network.cut[k][n.place] = true, true
	}
}

// connect lets two servers hear each other again.
func (w *world) connect(a, b *node) {
	w.network.cut[a.place][b.place], w.network.cut[b.place][a.place] = false, false
}

// deposeReader cuts a leader off in one direction: the others hear nothing and elect
// another, which carries out writes. The old one is slow to notice. Its clients go
// on reading there, and the answers to its last messages come late: if any of
// them counts for a read that began after it, the read is stale.
func (w *world) deposeReader() {
	leader := w.leader()
	if leader == nil {
		return
	}
	w.marks.hit(markDeposedReader)
	w.note(networkFault, leader, 400, 0, 0, 0)
	last := w.now + w.faults.between(200, 900)*millisecond
	for k, n := range w.nodes {
		n.period = tickPeriod / 2
		if k != leader.place {
			w.network.cut[leader.place][k] = true
			w.network.clogs[k][leader.place] = w.now + w.faults.between(100, 700)*millisecond
		}
	}
	leader.period = 2 * tickPeriod
	for range 20 {
		w.at(w.faults.between(0, last-w.now), func() { w.askOne(opGet, leader) })
		w.at(w.faults.between(0, last-w.now), func() { w.askOne(opSet, w.leader()) })
	}
	w.whileItBurns(last-w.now, func() {
		for k, n := range w.nodes {
			n.period = tickPeriod
			w.network.cut[leader.place][k] = false
		}
	})
}

// askOne is a client that asks once.
func (w *world) askOne(kind operationKind, n *node) {
	if n != nil && n.up && !w.calm {
		w.clients.ask(&operation{kind: kind, key: w.clients.drawKey(), node: n}, func(*operation) {})
	}
}
