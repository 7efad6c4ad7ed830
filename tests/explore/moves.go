package explore

import (
	"slices"

	"dbdb/raft"
)

// move is one step of the world: what happened to whom, and what became of the messages
// that left.
type move struct {
	input
	place int
	// unanswered says that the answer to the request that arrives is lost.
	unanswered bool
	fates      []fate
}

// fate is what becomes of a message that leaves, in the order in which they do.
type fate struct {
	message uint32
	is      uint8
}

const (
	underWay uint8 = iota
	lost
	arrives // in the same step
)

// mover finds all worlds that one may become in a step.
type mover struct {
	*space
	from  *world
	emit  func(w *world, m *move, err *broken)
	m     move
	moves uint64
	// fresh says that the step has an outcome that no step had before.
	fresh bool
}

// outcome notes which outcomes steps have.
func (v *mover) outcome(place int, n uint32, in input) *outcome {
	o := v.space.outcome(place, n, in)
	if !o.taken.Load() && o.taken.CompareAndSwap(false, true) {
		v.fresh = true
	}
	return o
}

// all calls emit with each of them. The world is emit's only until it returns.
func (v *mover) all(w *world) {
	v.from = w
	l := &v.level
	if l.Atomic && w.bag.n > 0 { // first everything arrives
		v.allArrivals()
		return
	}
	for place := range l.nodes() {
		s := v.at(w, place)
		if s.State == raft.Leader {
			v.leader(place, s)
		} else {
			if may(l.Campaigning, place) {
				v.try(w, place, input{what: timeout})
			}
			if l.CheckQuorum {
				v.try(w, place, input{what: silence})
			}
		}
		if len(s.saves) > 0 {
			v.try(w, place, input{what: synced})
		}
		if int(w.used.restarts) < l.Restarts && may(l.Restarting, place) {
			after := *w
			after.used.restarts++
			v.try(&after, place, input{what: restart})
		}
	}
	v.allArrivals()
}

func (v *mover) allArrivals() {
	w := v.from
	for k, n := range w.bag.all() {
		if k == 0 || w.bag.of[k-1] != n { // else the same message twice
			v.arrivals(k, v.message(n), n)
		}
	}
}

func (v *mover) leader(place int, s *server) {
	l, w := &v.level, v.from
	v.try(w, place, input{what: heartbeat})
	if l.CheckQuorum {
		v.try(w, place, input{what: quorum})
	}
	n := v.entries(w, s)
	if n < l.Log {
		v.try(w, place, input{what: command})
	}
	if n < l.Log && int(w.used.changes) < l.Changes {
		after := *w
		after.used.changes++
		for other := range l.nodes() {
			if _, isMember := s.Configuration.Member(idOf(other)); !isMember {
				v.try(&after, place, input{add, uint32(other)})
			} else if may(l.Removable, other) {
				v.try(&after, place, input{remove, uint32(other)})
			}
		}
	}
	if int(w.used.wishes) < l.Wishes {
		after := *w
		after.used.wishes++
		for other := range l.nodes() {
			v.try(&after, place, input{transfer, uint32(other)})
		}
	}
}

// entries counts those of a log that are bounded: all but the first and the no-ops.
func (v *mover) entries(w *world, s *server) int {
	n := -1
	for k, c := range v.ghosts.at(w.ghost).committed {
		if raft.Index(k+1) <= s.log.base && c.kind != raft.EntryNoop {
			n++
		}
	}
	for _, c := range s.log.all {
		if c.kind != raft.EntryNoop {
			n++
		}
	}
	return n
}

// arrivals are what may become of a message under way.
func (v *mover) arrivals(k int, m *message, n uint32) {
	l, w := &v.level, v.from
	after := *w
	after.bag.remove(k)
	v.try(&after, m.to, input{deliver, n})
	if l.SlowDisks && !m.isReply && !m.orphan {
		v.unanswered(&after, m, n)
	}
	if l.Late && !m.isReply && m.matters() {
		after := after
		after.bag.insert(v.variant(n, false, true))
		v.try(&after, m.from, input{expire, n})
	}
}

// unanswered lets a request arrive whose answer will be lost. If it is held back, it would
// take the place of another message until it leaves.
func (v *mover) unanswered(w *world, m *message, n uint32) {
	v.m = move{input: input{deliver, n}, place: m.to, unanswered: true, fates: v.m.fates[:0]}
	o := v.outcome(m.to, w.servers[m.to], input{deliver, v.variant(n, false, true)})
	after := *w
	if !v.became(&after, m.to, o) {
		return
	}
	if !m.matters() {
		v.leave(&after, v.sends(o))
	} else if failed, ok := v.fails(&after, m, n); ok {
		v.leave(&after, v.then(v.sends(o), m.from, failed))
	}
}

// held counts the replies that wait for disks. They are under way, too.
func (v *mover) held(w *world) (n int) {
	if v.level.SlowDisks {
		for place := range v.level.nodes() {
			n += len(v.at(w, place).held)
		}
	}
	return n
}

// try lets something happen to a server, in a world from which the message that arrives was
// taken.
func (v *mover) try(w *world, place int, in input) {
	o := v.outcome(place, w.servers[place], in)
	if o.next == 0 && o.broken == nil {
		return
	}
	v.m = move{input: in, place: place, fates: v.m.fates[:0]}
	after := *w
	if v.became(&after, place, o) {
		v.leave(&after, v.sends(o))
	}
}

// became puts an outcome into the world. It says whether the step goes on: no promise is
// broken, and no bound.
func (v *mover) became(w *world, place int, o *outcome) bool {
	if o.broken != nil {
		v.moves++
		v.emit(w, &v.m, o.broken)
		return false
	}
	before, next := v.at(w, place), v.server(o.next)
	if next.Term > v.level.maxTerm() {
		return false
	}
	if before != next {
		g, err := v.follow(w, place, before, next, o.covered)
		w.servers[place], w.ghost = o.next, g
		if err != nil {
			v.moves++
			v.emit(w, &v.m, err)
			return false
		}
	}
	if o.stale != 0 {
		v.endSessions(w, place, o.stale, v.m.what == restart)
	}
	v.bury(w)
	v.forget(w)
	return true
}

// endSessions takes messages, under way or held back, out of sessions that ended. After a
// crash, replies go nowhere.
func (v *mover) endSessions(w *world, caller int, stale uint8, crashed bool) {
	var kept bag
	for _, n := range w.bag.all() {
		m := v.message(n)
		switch {
		case m.caller() != caller:
		case crashed && m.isReply:
			continue
		case crashed:
			n = v.variant(n, false, true)
		case m.current && stale>>m.peer()&1 == 1:
			n = v.variant(n, false, m.orphan)
		}
		kept.insert(n)
	}
	w.bag = kept
	for peer := range v.level.nodes() {
		holds := v.at(w, peer).holds[caller]
		if stale>>peer&1 == 0 || holds == 0 || !crashed && holds&holdsCurrent == 0 {
			continue
		}
		in := input{unheard, uint32(caller)}
		if crashed {
			in.what = gone
		}
		w.servers[peer] = v.outcome(peer, w.servers[peer], in).next
	}
}

// leave decides for each message that leaves whether it will arrive. To be lost later is to
// be lost now, as nobody notices; so only what will arrive is under way.
func (v *mover) leave(w *world, sent []uint32) {
	if len(sent) == 0 {
		v.moves++
		v.emit(w, &v.m, nil)
		return
	}
	n, m := sent[0], v.message(sent[0])
	sent = sent[1:]
	fates := len(v.m.fates)
	switch {
	case v.isDead(m, n, w): // to arrive is to be lost
	case v.level.Atomic && m.isReply:
		v.m.fates = append(v.m.fates, fate{n, arrives})
		after := *w
		if o := v.outcome(m.to, w.servers[m.to], input{deliver, n}); v.became(&after, m.to, o) {
			v.leave(&after, v.then(sent, m.to, o))
		}
	case w.bag.n+v.held(w) < v.level.InFlight:
		v.m.fates = append(v.m.fates, fate{n, underWay})
		after := *w
		after.bag.insert(n)
		v.leave(&after, sent)
	}
	v.m.fates = append(v.m.fates[:fates], fate{n, lost})
	after := *w
	if !m.matters() {
		v.leave(&after, sent)
	} else if o, ok := v.fails(&after, m, n); ok {
		v.leave(&after, v.then(sent, m.caller(), o))
	}
	v.m.fates = v.m.fates[:fates]
}

// fails tells a caller at once that no reply will come. It sends no more entries until its
// next heartbeat, so later would make no difference but to itself.
func (v *mover) fails(w *world, m *message, n uint32) (*outcome, bool) {
	caller := m.caller()
	o := v.outcome(caller, w.servers[caller], input{expire, n})
	return o, v.became(w, caller, o)
}

// then is what is left to leave when an outcome has come in between: it may have ended
// sessions, and there is more.
func (v *mover) then(sent []uint32, caller int, o *outcome) []uint32 {
	if o.stale == 0 && len(o.sent) == 0 {
		return sent
	}
	all := make([]uint32, 0, len(sent)+len(o.sent))
	for _, n := range sent {
		if m := v.message(n); m.current && m.caller() == caller && o.stale>>m.peer()&1 == 1 {
			n = v.variant(n, false, m.orphan)
		}
		all = append(all, n)
	}
	return append(all, v.sends(o)...)
}

// sends are an outcome's messages: with atomic RPCs, the reply comes last.
func (v *mover) sends(o *outcome) []uint32 {
	isRequest := func(n uint32) bool { return !v.message(n).isReply }
	if k := len(o.sent) - 1; !v.level.Atomic || k < 1 || !slices.ContainsFunc(o.sent[1:], isRequest) {
		return o.sent
	}
	var requests, replies []uint32
	for _, n := range o.sent {
		if isRequest(n) {
			requests = append(requests, n)
		} else {
			replies = append(replies, n)
		}
	}
	return append(requests, replies...)
}
