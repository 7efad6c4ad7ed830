package sim

// openOneWay lets one side of a partition be heard by the other, which it does not hear.
func (w *world) openOneWay(side []int) {
	heard := 1 + w.rare.IntN(2)
	for _, from := range w.nodes {
		if side[from.place] == heard {
			clear(w.network.cut[from.place])
		}
	}
	w.marks.hit(markOneWay)
}

// ring cuts the network so that every server hears a majority and no two hear the same one
// (Jepsen's majorities-ring). Servers stand in a ring in random order. Where links are cut
// in both directions each keeps its neighbours on both sides, which takes four servers;
// else it hears those that come after it.
func (w *world) ring() bool {
	order := w.wanted()
	n := len(order)
	if n < 3 {
		return false
	}
	w.rare.Shuffle(n, func(i, j int) { order[i], order[j] = order[j], order[i] })
	near := (n/2 + 1) / 2 // neighbours on each side that make a majority with oneself, or more
	oneWay := w.profile.asymmetric || n == 3
	for i, from := range order {
		for j, to := range order {
			away := (i - j + n) % n // from this many places after the one who hears
			if oneWay && away > n/2 || !oneWay && min(away, n-away) > near {
				w.network.cut[from.place][to.place] = true
			}
		}
	}
	w.marks.hit(markRing)
	return true
}

// swizzle stops links one after the other and lets them go on in another random order
// (FoundationDB's swizzle-clog): what was sent meanwhile waits, and arrives with what was
// sent long after it.
func (w *world) swizzle() {
	var links [][2]int
	for a := range w.nodes {
		for b := range a {
			if w.rare.IntN(2) == 0 {
				links = append(links, [2]int{a, b})
			}
			if w.profile.asymmetric && w.rare.IntN(2) == 0 {
				links = append(links, [2]int{b, a})
			}
		}
	}
	if len(links) == 0 {
		return
	}
	w.marks.hit(markSwizzle)
	w.note(networkFault, nil, 500, uint64(len(links)), 0, 0)
	step := w.rare.between(10, 1500) * millisecond / int64(len(links))
	w.rare.Shuffle(len(links), func(i, j int) { links[i], links[j] = links[j], links[i] })
	begin := w.now
	back := func(k int) int64 { return begin + int64(len(links)+k)*step }
	for k, place := range w.rare.Perm(len(links)) {
		w.at(int64(k)*step, func() {
			if !w.calm {
				w.clog(links[place], back(place))
			}
		})
	}
}

// clog holds back what is sent on a link until then, and in the other direction if the run
// is symmetric.
func (w *world) clog(l [2]int, until int64) {
	hold := func(from, to int) {
		w.network.clogs[from][to] = max(w.network.clogs[from][to], until)
	}
	hold(l[0], l[1])
	if !w.profile.asymmetric {
		hold(l[1], l[0])
	}
}
