package sim

import (
	"slices"

	"dbdb/raft"
)

// In some runs not everybody comes back in phase 2: only a core does, a quorum of the
// voters. All others keep a fault for ever, and the core must do without them. Many a
// cluster recovers only when its last server does, or is kept from working by
// one that half works (Cloudflare, 2020: a server that was heard and did not hear).

// lastingFault is what happens to a server outside the core, for ever.
type lastingFault uint8

const (
	staysDown lastingFault = iota
	staysCut               // from everybody
	staysPaused
	staysMute // it hears, and nobody in the core hears it
	staysDeaf // it speaks, and hears nobody in the core: it asks for votes again and again
	lastingFaults
)

// drawCore chooses a quorum at random, nil if there is none to choose: somebody must be
// left outside, and no change of the configuration may be under way that would make the
// core too small. Members that do not vote may be made voters by a leader that has heard of
// them enough, so the core is a majority of all members.
func (w *world) drawCore() []*node {
	confs := w.check.configurations
	if len(confs) == 0 || slices.ContainsFunc(w.nodes, func(n *node) bool { return n.up && n.wishes > 0 }) {
		return nil
	}
	newest := confs[len(confs)-1]
	var sound []*node
	others := 0
	for _, n := range w.nodes {
		switch {
		case n.gone:
		case newest.IsVoter(n.id) && n.damaged == nil:
			sound = append(sound, n)
		default:
			others++
		}
	}
	size := len(newest.Members)/2 + 1
	if len(sound) < size || len(sound)+others == size {
		return nil
	}
	if w.rare.IntN(3) == 0 && others > 0 {
		size += w.rare.IntN(len(sound) - size + 1)
	}
	w.rare.Shuffle(len(sound), func(i, j int) { sound[i], sound[j] = sound[j], sound[i] })
	core := sound[:size]
	if slices.ContainsFunc(w.nodes, func(n *node) bool { return !n.gone && !w.fits(n, core) }) {
		return nil
	}
	return core
}

// fits says that a core is a majority, and all of it votes, by every configuration in a
// server's log that is not committed.
func (w *world) fits(n *node, core []*node) bool {
	return !w.hasOpen(n, func(c raft.Configuration) bool { return !governs(core, c) })
}

// hasOpen says that a server's log has a configuration that is not committed and of which
// something is so. What a server that is down has of the Saves that were under way is not
// known: all that it may have counts.
func (w *world) hasOpen(n *node, so func(raft.Configuration) bool) bool {
	after := raft.Index(len(w.check.committed))
	if !n.up {
		d := &n.lasting.durable
		open := slices.Clone(d.log[min(after, d.last()):])
		for _, s := range n.lasting.unsure {
			open = append(open, entriesOf(s)...)
		}
		return slices.ContainsFunc(open, func(c cell) bool { return c.kind == raft.EntryConfiguration })
	}
	return slices.ContainsFunc(n.view.configurations, func(c configurationAt) bool {
		return c.index > after && so(c.Configuration)
	})
}

func entriesOf(s raft.Save) (cells []cell) {
	for _, e := range s.Entries {
		cells = append(cells, cellOf(e))
	}
	return cells
}

// governs says that all of a core vote and that it is a majority of all members.
func governs(core []*node, c raft.Configuration) bool {
	return len(core) > len(c.Members)/2 && !slices.ContainsFunc(core, func(n *node) bool { return !c.IsVoter(n.id) })
}

// members are those who must be well in phase 2: all that the operator wants, or the core.
func (w *world) members() []*node {
	if w.core != nil {
		return w.core
	}
	return w.wanted()
}

// isOutside says that a server keeps its fault for ever.
func (w *world) isOutside(n *node) bool { return w.core != nil && !slices.Contains(w.core, n) }

// keepFault gives a server outside the core what it shall have for ever. Only with pre-votes
// and the check of the quorum is a core safe from a server that asks for votes and hears no
// answer (thesis §4.2.3, §9.6).
func (w *world) keepFault(n *node) {
	fault := lastingFault(w.rare.IntN(int(lastingFaults)))
	if p := &w.profile.raft; fault == staysDeaf && (p.NoPreVote || p.NoCheckQuorum) || n.damaged != nil {
		fault = staysDown
	}
	w.note(networkFault, n, 600, uint64(fault), 0, 0)
	w.marks.hit(markStaysDown + mark(fault))
	switch {
	case fault == staysDown && n.up:
		n.crash(edgeAny)
		fallthrough
	case fault == staysDown:
		n.life++ // no restart is planned that would count
		return
	case !n.up:
		n.start()
	}
	for _, o := range w.nodes {
		if inCore := !w.isOutside(o); o != n {
			if fault == staysCut || fault == staysMute && inCore {
				w.network.cut[n.place][o.place] = true
			}
			if fault == staysCut || fault == staysDeaf && inCore {
				w.network.cut[o.place][n.place] = true // another one's cuts stay
			}
		}
	}
	if fault == staysPaused {
		n.pausedUntil = forever
	}
}

// forever is later than any run.
const forever = 1 << 62
