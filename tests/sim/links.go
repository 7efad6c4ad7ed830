package sim

// link is what is under way from one server to another, oldest first, in runs in which a
// link holds only so much.
type link []*packet

// packet is one that is under way. It may be lost to make room for a newer one.
type packet struct{ lost bool }

// enter puts a packet on its link. A link that is full loses its oldest packet: a queue in
// the network or in the kernel is short, and what waits in it longest is worth least.
func (nw *network) enter(from, to *node) *packet {
	capacity := nw.w.profile.linkCapacity
	if capacity == 0 || nw.w.calm {
		return nil
	}
	l := &nw.links[from.place][to.place]
	if len(*l) >= capacity {
		nw.w.marks.hit(markLinkFull)
		(*l)[0].lost = true
		*l = (*l)[1:]
	}
	p := &packet{}
	*l = append(*l, p)
	return p
}

// leave takes a packet off its link; it says whether it is still there to arrive.
func (nw *network) leave(from, to *node, p *packet) bool {
	if p == nil {
		return true
	}
	l := &nw.links[from.place][to.place]
	for k, o := range *l {
		if o == p {
			*l = append((*l)[:k], (*l)[k+1:]...)
			break
		}
	}
	return !p.lost
}
