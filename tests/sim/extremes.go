package sim

import "fmt"

// extremes are the faults of a run that were added to the others later, and are drawn from
// a source of their own. In the zero value all are off.
type extremes struct {
	linkCapacity int  // packets under way on a link; 0 if it holds all
	asymmetric   bool // links are cut and clogged in one direction
	rings        bool // some partitions let every server hear another majority
	swizzleEvery int64

	decayEvery int64
	decays     int // at most so many disks are damaged, each a server to exchange
	readErrors int // share of starts in which a read fails
	fullEvery  int64
	fullMean   int64
	slowEvery  int64
	slowMean   int64 // of a sync on a disk that is slow for a while

	branches branches

	copies bool // disks are damaged also by frames of other copies of the log
	crowds int  // share of inputs of candidates after which many come in one batch

	coreOnly bool // in the end only a quorum comes back, if it can

	repeats     int // of a write whose outcome its client does not know
	repeatDelay int64
	idleOn      int // share of operations that begin a quiet time of all clients
	idleOff     int // and that would end one
}

// places is how many servers a run may come to have.
func (p *profile) places() int { return p.nodes + p.spares + p.decays }

func (p *profile) drawExtremes(r chance) {
	p.drawLinks(r)
	p.drawDecay(r)
	p.branches.draw(r)
	p.drawHabits(r)
	p.coreOnly = r.IntN(2) == 0
}

// drawLatest draws what was added to all of that, again from a source of its own.
func (p *profile) drawLatest(r chance) {
	if r.IntN(8) == 0 {
		p.crowds = int(r.between(20, 300))
	}
	if r.IntN(8) == 0 && p.nodes >= 3 {
		p.copies = true
		if p.decays == 0 {
			p.decayEvery, p.decays = r.between(300, 3000)*millisecond, 1
		}
	}
}

func (p *profile) drawLinks(r chance) {
	if r.IntN(4) == 0 {
		p.linkCapacity = int(r.between(2, 20))
	}
	p.asymmetric = r.IntN(2) == 0
	p.rings = r.IntN(2) == 0
	if r.IntN(4) == 0 {
		p.swizzleEvery = r.between(500, 4000) * millisecond
	}
}

func (p *profile) drawDecay(r chance) {
	if r.IntN(4) == 0 && p.nodes >= 3 {
		p.decayEvery, p.decays = r.between(300, 3000)*millisecond, int(r.between(1, 4))
	}
	if r.IntN(4) == 0 {
		p.readErrors = int(r.between(20, 400))
	}
	if r.IntN(5) == 0 {
		p.fullEvery, p.fullMean = r.between(500, 6000)*millisecond, r.between(50, 2000)*millisecond
	}
	if r.IntN(5) == 0 {
		p.slowEvery, p.slowMean = r.between(500, 6000)*millisecond, r.between(20, 1000)*millisecond
	}
}

func (p *profile) drawHabits(r chance) {
	if r.IntN(2) == 0 {
		p.repeats, p.repeatDelay = int(r.between(1, 4)), r.between(0, 300)*millisecond
	}
	if r.IntN(2) == 0 {
		p.idleOn, p.idleOff = int(r.between(1, 200)), int(r.between(100, 200))
	}
}

func (e *extremes) String() string {
	s := ""
	for _, f := range []struct {
		on   bool
		text string
	}{
		{e.linkCapacity > 0, fmt.Sprintf("links of %d packets", e.linkCapacity)},
		{e.asymmetric, "one-way partitions"},
		{e.rings, "majority rings"},
		{e.swizzleEvery > 0, "swizzled links"},
		{e.decays > 0, fmt.Sprintf("%d damaged disks", e.decays)},
		{e.copies, "frames of other copies"},
		{e.readErrors > 0, fmt.Sprintf("starts with read errors %d‰", e.readErrors)},
		{e.fullEvery > 0, fmt.Sprintf("full disks for %d ms", e.fullMean/millisecond)},
		{e.slowEvery > 0, fmt.Sprintf("slow disks of %d ms", e.slowMean/millisecond)},
		{e.repeats > 0, fmt.Sprintf("writes repeated %d times", e.repeats)},
		{e.idleOn > 0, "idle clients"},
		{e.crowds > 0, fmt.Sprintf("crowded candidates %d‰", e.crowds)},
		{e.coreOnly, "only a core comes back"},
		{e.branches.earlyTimer > 0, fmt.Sprintf("early timers %d‰", e.branches.earlyTimer)},
		{e.branches.tickTwice > 0, fmt.Sprintf("double ticks %d‰", e.branches.tickTwice)},
		{e.branches.snapshotNow > 0, fmt.Sprintf("snapshots at any time %d‰", e.branches.snapshotNow)},
		{e.branches.lateNote > 0, fmt.Sprintf("late notes of syncs %d‰", e.branches.lateNote)},
		{e.branches.lateReply > 0, fmt.Sprintf("replies held %d‰", e.branches.lateReply)},
	} {
		if f.on {
			s += ", " + f.text
		}
	}
	return s
}

// sevenServers changes some of the rare sizes into one that was not drawn at first.
func (p *profile) sevenServers(r chance) {
	if rare := p.nodes != 3 && p.nodes != 5; rare && r.IntN(4) == 0 {
		p.nodes = 7 // one run in thirteen, as 1, 2 and 4 are
	}
}
