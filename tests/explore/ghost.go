package explore

import (
	"slices"

	"dbdb/raft"
)

// ghost is what nobody inside the world can know: who led which term, and what was ever
// committed. It never changes; the next one takes its place.
type ghost struct {
	leaders   []int        // [term]: place, from 1
	committed []commitment // [index-1]
	hash      []uint64
}

// commitment is what was first committed at an index, and in which term.
type commitment struct {
	cell
	inTerm raft.Term
	// configuration is the newest one up to here.
	configuration raft.Configuration
}

func (e *encoder) ghost(g *ghost) {
	for _, place := range g.leaders {
		if place > 0 {
			place = e.names[place-1] + 1
		}
		e.numbers(uint64(place))
	}
	for _, c := range g.committed {
		e.numbers(uint64(c.term), uint64(c.inTerm), uint64(c.kind))
		if c.kind == raft.EntryConfiguration {
			e.configuration(c.configuration)
			continue
		}
		e.numbers(c.what)
	}
}

// follow compares a world in which one server has moved with what it was. It returns the
// ghost after it.
func (x *space) follow(w *world, place int, before, next *server, covered []raft.Entry) (g uint32, err *broken) {
	defer func() {
		switch caught := recover().(type) {
		case nil:
		case *broken:
			err = caught
		default:
			panic(caught)
		}
	}()
	if before.LastIndex != next.LastIndex || before.disk.Term != next.disk.Term || !slices.Equal(before.log.all, next.log.all) || len(before.durable.all) != len(next.durable.all) {
		x.logMatches(w, place, next)
	}
	g = w.ghost
	if next.State == raft.Leader && (before.State != raft.Leader || before.Term != next.Term) {
		g = x.elected(w, g, place, next)
	}
	if next.CommitIndex > before.CommitIndex {
		g = x.committed(w, g, place, before, next, covered)
	}
	x.keepsCommitted(g, place, before, next)
	if next.State == raft.Leader {
		x.matchIsDurable(w, place, before, next)
	}
	return g, nil
}

// forget takes a leader out of the ghost when its term is over: nobody can win it any more.
// Worlds that differ in nothing else go on alike.
func (x *space) forget(w *world) {
	g := x.ghosts.at(w.ghost)
	if len(g.leaders) == 0 {
		return
	}
	open := raft.Term(len(g.leaders))
	for place := range x.level.nodes() {
		s := x.at(w, place)
		if open = min(open, s.disk.Term+1); s.State == raft.Candidate {
			open = min(open, s.Term)
		}
	}
	if !slices.ContainsFunc(g.leaders[:open], func(place int) bool { return place > 0 }) {
		return
	}
	leaders := slices.Clone(g.leaders)
	clear(leaders[:open])
	w.ghost = x.ghostNumber(&ghost{leaders: leaders, committed: g.committed})
}

func (x *space) at(w *world, place int) *server { return x.server(w.servers[place]) }

// logMatches: "if two logs contain an entry with the same index and term, then the logs are
// identical in all entries up through the given index".
func (x *space) logMatches(w *world, place int, next *server) {
	for other := range x.level.nodes() {
		if other == place {
			continue
		}
		o := x.at(w, other)
		from := max(o.log.base, next.log.base)
		same := false
		for i := min(o.log.last(), next.log.last()); i > from; i-- {
			a, b := next.log.all[i-next.log.base-1], o.log.all[i-o.log.base-1]
			same = same || a.term == b.term
			if same && a != b {
				violate("Log Matching", "%s and %s differ at %d, and agree on the term of a later entry", idOf(place), idOf(other), i)
			}
		}
	}
}

// elected: at most one leader in a term, with the durable votes of a majority, and it has
// all that was committed in earlier terms.
func (x *space) elected(w *world, n uint32, place int, s *server) uint32 {
	g := x.ghosts.at(n)
	who, term := idOf(place), s.Term
	if int(term) < len(g.leaders) && g.leaders[term] > 0 {
		violate("Election Safety", "%s leads term %d, which %s has led", who, term, idOf(g.leaders[term]-1))
	}
	votes := 0
	for _, m := range s.Configuration.Members {
		peer := &x.at(w, placeOf(m.ID)).disk
		if placeOf(m.ID) == place {
			peer = &s.disk
		}
		if m.Role == raft.Voter && (peer.Term > term || peer.Term == term && peer.VotedFor == who) {
			votes++
		}
	}
	if votes < majorityOf(s.Configuration) {
		violate("Election Safety", "%s leads term %d with %d durable votes of %d voters", who, term, votes, s.Configuration.Voters())
	}
	for k, c := range g.committed {
		if c.inTerm < term && !s.log.holds(raft.Index(k+1), c.cell) {
			violate("Leader Completeness", "%s leads term %d without entry %d@%d, committed in term %d", who, term, k+1, c.term, c.inTerm)
		}
	}
	quorumsMeet(who, g, s)
	leaders := make([]int, max(len(g.leaders), int(term)+1))
	copy(leaders, g.leaders)
	leaders[term] = place + 1
	return x.ghostNumber(&ghost{leaders: leaders, committed: g.committed})
}

func majorityOf(c raft.Configuration) int { return c.Voters()/2 + 1 }

// quorumsMeet: each majority of a new leader's configuration shares a server with each of the
// newest one that was committed in an earlier term.
func quorumsMeet(who raft.NodeID, g *ghost, s *server) {
	for k := len(g.committed) - 1; k >= 0; k-- {
		c := g.committed[k]
		if c.inTerm >= s.Term || c.kind != raft.EntryConfiguration {
			continue
		}
		if mayBeApart(c.configuration, s.Configuration) {
			violate("Quorums meet", "%s leads term %d with %v; the configuration at %d, which is committed, has majorities apart from it", who, s.Term, s.Configuration, k+1)
		}
		return
	}
}

// mayBeApart says whether a majority of a and one of b can be without a common server.
func mayBeApart(a, b raft.Configuration) bool {
	both := 0
	for _, m := range a.Members {
		if m.Role == raft.Voter && b.IsVoter(m.ID) {
			both++
		}
	}
	fewest := func(c raft.Configuration) int { return max(0, majorityOf(c)-(c.Voters()-both)) }
	return fewest(a)+fewest(b) <= both
}

// committed: what a server takes for committed is what was committed first, or it is durable
// on a majority.
func (x *space) committed(w *world, n uint32, place int, before, next *server, covered []raft.Entry) uint32 {
	g := x.ghosts.at(n)
	all := g.committed
	for i := before.CommitIndex + 1; i <= next.CommitIndex; i++ {
		e, found := entryOf(next, covered, i)
		switch {
		case !found: // a leader's snapshot covers it
			if int(next.log.base) > len(all) || all[next.log.base-1].term != next.core.Snapshot().Term {
				violate("State Machine Safety", "%s has a snapshot through %d, which was not committed so", idOf(place), next.log.base)
			}
			continue
		case int(i) <= len(all):
			if is := cellOf(e); all[i-1].cell != is {
				violate("State Machine Safety", "%s commits %d@%d; committed was %d@%d", idOf(place), i, is.term, i, all[i-1].term)
			}
			continue
		}
		c := commitment{cell: cellOf(e), inTerm: next.Term}
		if len(all) > 0 {
			c.configuration = all[len(all)-1].configuration
		}
		if e.Kind == raft.EntryConfiguration {
			c.configuration, _ = raft.DecodeConfiguration(e.Data)
		}
		x.isOnAQuorum(w, place, before, next, i, c.cell)
		all = append(all[:len(all):len(all)], c)
	}
	if len(all) == len(g.committed) {
		return n
	}
	return x.ghostNumber(&ghost{leaders: g.leaders, committed: all})
}

// entryOf is an entry of a server's log, or one that its own snapshot has just covered.
func entryOf(s *server, covered []raft.Entry, i raft.Index) (raft.Entry, bool) {
	for _, e := range covered {
		if e.Index == i {
			return e, true
		}
	}
	if i <= s.log.base {
		return raft.Entry{}, false
	}
	return s.core.LogEntries(i, i)[0], true
}

// isOnAQuorum: committed is durable on a majority of the voters of the configuration that
// was in use: a change may follow in the same step.
func (x *space) isOnAQuorum(w *world, place int, before, next *server, i raft.Index, is cell) {
	var holders []raft.NodeID
	for other := range x.level.nodes() {
		s := x.at(w, other)
		if other == place {
			s = next
		}
		if s.durable.holds(i, is) {
			holders = append(holders, idOf(other))
		}
		if s.State == raft.Leader && s.Term > next.Term && !s.log.holds(i, is) {
			violate("Leader Completeness", "%s commits %d@%d in term %d; %s leads term %d without it", idOf(place), i, is.term, next.Term, idOf(other), s.Term)
		}
	}
	if !isMajority(holders, before.Configuration) && !isMajority(holders, next.Configuration) {
		violate("Committed is durable on a quorum", "%s commits %d@%d in term %d; it is on the disks of %v only", idOf(place), i, is.term, next.Term, holders)
	}
}

func isMajority(who []raft.NodeID, c raft.Configuration) bool {
	n := 0
	for _, id := range who {
		if c.IsVoter(id) {
			n++
		}
	}
	return n >= majorityOf(c)
}

// keepsCommitted: nobody loses a committed entry that its disk or its log holds. What a crash
// loses was not durable. Who is still in an earlier term may lose it to that term's leader.
func (x *space) keepsCommitted(n uint32, place int, before, next *server) {
	if len(next.log.all) >= len(before.log.all) && len(next.durable.all) >= len(before.durable.all) && next.Term == before.Term && next.log.base == before.log.base {
		if slices.Equal(before.log.all, next.log.all[:len(before.log.all)]) && slices.Equal(before.durable.all, next.durable.all[:len(before.durable.all)]) {
			return
		}
	}
	for k, c := range x.ghosts.at(n).committed {
		i := raft.Index(k + 1)
		if before.Term >= c.inTerm && before.durable.holds(i, c.cell) && !next.durable.holds(i, c.cell) {
			violate("No committed entry is truncated", "%s loses entry %d@%d from its disk", idOf(place), i, c.term)
		}
		if i <= next.CommitIndex && !next.log.holds(i, c.cell) {
			violate("State Machine Safety", "%s has committed %d, and holds another entry there than was committed first", idOf(place), i)
		}
	}
}

// matchIsDurable: while a peer's durable term is the leader's, its disk holds what the
// leader believes it to hold.
func (x *space) matchIsDurable(w *world, place int, before, next *server) {
	for _, p := range next.Peers {
		i := p.MatchIndex
		if i <= next.log.base || i == matchOf(before, p.ID) {
			continue
		}
		peer := x.at(w, placeOf(p.ID))
		if is := next.log.all[i-next.log.base-1]; peer.disk.Term < next.Term || peer.disk.Term == next.Term && !peer.durable.holds(i, is) {
			violate("matchIndex is durable", "%s, leader of term %d, believes that %s holds %d@%d; its disk does not", idOf(place), next.Term, p.ID, i, is.term)
		}
	}
}

func matchOf(s *server, id raft.NodeID) raft.Index {
	for _, p := range s.Peers {
		if p.ID == id {
			return p.MatchIndex
		}
	}
	return 0
}
