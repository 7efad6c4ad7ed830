package sim

import (
	"fmt"
	"slices"
	"strings"

	"dbdb/raft"
)

// parcel is a message under way.
type parcel struct {
	described
	from, to *node
	arrive   func()
	expire   func() // of a request: its caller gives it up
}

// Select says which messages are meant. Zero fields mean any.
type Select struct {
	Label    string // AppendEntries, AppendEntriesReply, Heartbeat, RequestVote, PreVote, …
	From, To int    // numbers of servers
	Term     raft.Term
	Index    raft.Index // see described
	With     string     // is part of what the message says
	Nth      int        // only that one of them, counted from 1
}

func (s Select) matches(p *parcel) bool {
	return (s.Label == "" || s.Label == p.label) &&
		(s.From == 0 || s.From == p.from.place+1) && (s.To == 0 || s.To == p.to.place+1) &&
		(s.Term == 0 || s.Term == p.term) && (s.Index == 0 || s.Index == p.index) &&
		strings.Contains(p.text, s.With)
}

func (s Select) in(bag []*parcel) []*parcel {
	chosen := slices.DeleteFunc(slices.Clone(bag), func(p *parcel) bool { return !s.matches(p) })
	switch {
	case s.Nth == 0:
		return chosen
	case s.Nth > len(chosen):
		return nil
	}
	return chosen[s.Nth-1 : s.Nth]
}

// selects is the selection of one message by what it is, and not by where it lies: a script
// that was shortened still means the same one.
func selects(p *parcel, among []*parcel) Select {
	which := Select{Label: p.label, From: p.from.place + 1, To: p.to.place + 1, Term: p.term, Index: p.index}
	if same := which.in(among); len(same) > 1 {
		which.Nth = slices.Index(same, p) + 1
	}
	return which
}

// String is a selection in the words of a script.
func (s Select) String() string {
	var words []string
	add := func(so bool, format string, args ...any) {
		if so {
			words = append(words, fmt.Sprintf(format, args...))
		}
	}
	end := func(server int) string { return choose(server == 0, "", fmt.Sprintf("n%d", server)) }
	add(s.Label != "", "%s", s.Label)
	add(s.From != 0 || s.To != 0, "%s->%s", end(s.From), end(s.To))
	add(s.Term != 0, "term=%d", s.Term)
	add(s.Index != 0, "index=%d", s.Index)
	add(s.With != "", "with=(%s)", s.With)
	add(s.Nth != 0, "nth=%d", s.Nth)
	return strings.Join(words, " ")
}

// put takes a message that a server has sent. Across a cut it is lost.
func (s *Stage) put(from, to *node, d described, arrive func()) *parcel {
	p := &parcel{described: d, from: from, to: to, arrive: arrive}
	if s.w.network.cut[from.place][to.place] {
		s.passes(Lost, p)
		return p
	}
	s.passes(Sent, p)
	s.bag = append(s.bag, p)
	return p
}

// call is put for a request, which its caller may give up.
func (s *Stage) call(from, to *node, d described, arrive, expire func()) {
	p := s.put(from, to, d, arrive)
	p.expire = expire
	s.calls = append(s.calls, p)
}

// passes tells what becomes of a message.
func (s *Stage) passes(kind HappeningKind, p *parcel) {
	if s.watch == nil {
		return
	}
	h := Happening{Kind: kind, At: placeOf(p.from), Peer: placeOf(p.to), Label: p.label, Text: p.text}
	if kind == Received {
		h.At, h.Peer = h.Peer, h.At
	}
	s.watch(h)
}

// takes takes a message to let it arrive.
func (s *Stage) takes(p *parcel) {
	if s.arriving != nil {
		s.arriving(selects(p, s.bag))
	}
	s.take(p)
}

func (s *Stage) take(p *parcel) {
	if k := slices.Index(s.bag, p); k >= 0 {
		s.bag = slices.Delete(s.bag, k, k+1)
	}
}

// arrive lets a message arrive. Whoever is down, or cut off meanwhile, misses it.
func (s *Stage) arrive(p *parcel) {
	if !p.to.up || s.w.network.cut[p.from.place][p.to.place] {
		s.passes(Lost, p)
		return
	}
	s.passes(Received, p)
	s.do(p.arrive)
}

// Deliver lets the chosen messages arrive, not those that follow from them. It says how
// many there were.
func (s *Stage) Deliver(which Select) int {
	chosen := which.in(s.bag)
	for _, p := range chosen {
		if s.failure == nil {
			s.takes(p)
			s.arrive(p)
		}
	}
	return len(chosen)
}

// Repeat lets them arrive, and stay under way all the same: they will arrive again.
func (s *Stage) Repeat(which Select) int {
	chosen := which.in(s.bag)
	for _, p := range chosen {
		s.arrive(p)
	}
	return len(chosen)
}

// Lose lets them vanish. Their senders learn nothing of it; see Expire.
func (s *Stage) Lose(which Select) int {
	chosen := which.in(s.bag)
	for _, p := range chosen {
		s.take(p)
		s.passes(Lost, p)
	}
	return len(chosen)
}

// Expire lets callers give up the requests that they have made, delivered or not. A
// request that is under way may still arrive.
func (s *Stage) Expire(which Select) int {
	chosen := which.in(s.calls)
	for _, p := range chosen {
		k := slices.Index(s.calls, p)
		s.calls = slices.Delete(s.calls, k, k+1)
		s.do(p.expire)
	}
	return len(chosen)
}

// Hold lets Settle leave messages alone, those of now and those to come, until Release.
func (s *Stage) Hold(which Select) { s.held = append(s.held, which) }

// Release ends all holds.
func (s *Stage) Release() { s.held = nil }

// settlement is more messages than any script has to wait for.
const settlement = 10_000

// Settle delivers everything, and what follows from it, until nothing is under way but
// what is held.
func (s *Stage) Settle() {
	for range settlement {
		k := slices.IndexFunc(s.bag, func(p *parcel) bool { return !s.isHeld(p) })
		if k < 0 || s.failure != nil {
			return
		}
		p := s.bag[k]
		s.takes(p)
		s.arrive(p)
	}
	s.do(func() { violate("Liveness", "the servers never come to rest: %d messages and no end", settlement) })
}

func (s *Stage) isHeld(p *parcel) bool {
	return slices.ContainsFunc(s.held, func(h Select) bool { return h.matches(p) })
}

// Cut lets nothing through from one server to another. The other direction stays open.
func (s *Stage) Cut(from, to int) { s.w.network.cut[from-1][to-1] = true }

// Heal ends all cuts. What was lost stays lost.
func (s *Stage) Heal() { s.w.network.mend() }
