package sim

import "fmt"

// extremes are the faults of a run that were added to the others later, and are drawn from
// a source of their own. In the zero value all are off.
type extremes struct {
	linkCapacity int  // packets under way on a link; 0 if it holds all
	asymmetric   bool // links are cut and clogged in one direction
	rings        bool // some partitions let every server hear another majority
	swizzleEvery int64
}

func (p *profile) drawExtremes(r chance) {
	p.drawLinks(r)
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
