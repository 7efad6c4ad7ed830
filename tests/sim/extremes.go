package sim

// sevenServers changes some of the rare sizes into one that was not drawn at first.
func (p *profile) sevenServers(r chance) {
	if rare := p.nodes != 3 && p.nodes != 5; rare && r.IntN(4) == 0 {
		p.nodes = 7 // one run in thirteen, as 1, 2 and 4 are
	}
}
