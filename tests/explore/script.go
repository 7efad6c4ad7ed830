package explore

import (
	"fmt"
	"slices"
	"strings"

	"dbdb/raft"
	"dbdb/tests/sim"
)

// Script is how a state is reached, in the language of tests/scripts. It was played on a
// stage: on real replicas, with logs on disks, and all the simulator's oracles.
type Script struct {
	Lines []string
	// Failure is what the stage's oracles objected to; nil if nothing.
	Failure *sim.Failure
	// Different is how a server on the stage was not what the search took it for.
	Different string
}

// String is ready to become a file of tests/scripts, after a line that says what it shows;
// -rewrite fills in what happens.
func (s *Script) String() string {
	var b strings.Builder
	for _, line := range s.Lines {
		fmt.Fprintf(&b, "%s\n----\n\n", line)
	}
	return b.String()
}

// player plays what the search did on a stage.
type player struct {
	*space
	stage  *sim.Stage
	script *Script
	bag    []parcel // the stage's, in its order
	world  world
}

// parcel is a message on the stage. Its number is 0 until it is known which one it is.
type parcel struct {
	label, text string
	from, to    int // places
	number      uint32
}

func newPlayer(x *space) *player {
	l := x.level
	p := &player{space: x, script: &Script{}, world: *x.begin()}
	o := sim.StageOptions{
		Voters: l.Voters, Spares: l.Spares, PreVote: l.PreVote, CheckQuorum: l.CheckQuorum,
		MaxInflight: l.config(0).MaxInflight, BatchBytes: l.config(0).MaxBatchBytes, Compacting: l.Compacting, Spec: x.spec,
	}
	p.stage = sim.NewStage(o)
	line := fmt.Sprintf("cluster %d inflight=%d batch=%d", l.Voters, o.MaxInflight, o.BatchBytes)
	if l.Spares > 0 {
		line += fmt.Sprintf(" spares=%d", l.Spares)
	}
	if len(l.Compacting) > 0 {
		line += fmt.Sprintf(" compacting=(%s)", strings.ReplaceAll(names(l.Compacting), " ", ", "))
	}
	p.script.Lines = append(p.script.Lines, line+choose(l.PreVote, " pre-vote", "")+choose(l.CheckQuorum, " check-quorum", ""))
	for place := range l.nodes() {
		p.slow(place)
	}
	return p
}

func (p *player) slow(place int) {
	if p.level.SlowDisks {
		p.do(func() { p.stage.Slow(place+1, true, false) }, "slow n%d log", place+1)
	}
}

// do lets something happen on the stage, and notes what has been sent.
func (p *player) do(happen func(), format string, args ...any) {
	if p.stage.Failure() != nil {
		return // nothing happens after it
	}
	p.script.Lines = append(p.script.Lines, fmt.Sprintf(format, args...))
	happen()
	known := len(p.bag)
	for k, line := range strings.Split(strings.TrimSuffix(p.stage.Messages(), "\n"), "\n") {
		words := strings.Fields(line)
		if k < known || len(words) < 4 {
			continue
		}
		o := parcel{label: words[3], from: placeOf(raft.NodeID(words[0])), to: placeOf(raft.NodeID(words[2]))}
		_, o.text, _ = strings.Cut(line, o.label+" ")
		p.bag = append(p.bag, o)
	}
}

// known is a message's number, whatever has become of its session.
func (p *player) known(n uint32) uint32 { return p.variant(n, false, p.message(n).orphan) }

// abandon notes that the caller of a request waits no more.
func (p *player) abandon(o *parcel) {
	if o.number != 0 {
		o.number = p.variant(o.number, false, true)
	}
}

// find is where in the stage's bag a message is, by number; or the first unknown one that
// looks like it.
func (p *player) find(n uint32, number uint32) int {
	m := p.message(n)
	return slices.IndexFunc(p.bag, func(o parcel) bool {
		return o.number == number && o.label == m.label() && o.from == m.from && o.to == m.to && strings.HasPrefix(o.text, m.text())
	})
}

// text is how the stage's words for a message begin. Replies that a disk lets out together may
// differ in nothing else.
func (m *message) text() string {
	switch c := m.call; {
	case m.isReply && c.RequestVote != nil:
		return fmt.Sprintf("term %d, %s", m.vote.Term, choose(m.vote.VoteGranted, "granted", "refused"))
	case m.isReply && c.AppendEntries != nil:
		a, r := c.AppendEntries, m.entries
		switch {
		case r.Success:
			return fmt.Sprintf("term %d, success up to %d", r.Term, a.PrevLogIndex+raft.Index(len(a.Entries)))
		case r.Term > a.Term:
			return fmt.Sprintf("term %d, refused", r.Term)
		}
		return fmt.Sprintf("term %d, refused: conflict %d@%d", r.Term, r.ConflictIndex, r.ConflictTerm)
	}
	return "term "
}

// take selects a message as a script does, and takes it from the bag.
func (p *player) take(k int) (words string, which sim.Select) {
	o, nth := p.bag[k], 1
	for _, other := range p.bag[:k] {
		if other.label == o.label && other.from == o.from && other.to == o.to {
			nth++
		}
	}
	p.bag = slices.Delete(p.bag, k, k+1)
	which = sim.Select{Label: o.label, From: o.from + 1, To: o.to + 1, Nth: nth}
	return fmt.Sprintf("nth=%d %s n%d->n%d", nth, o.label, o.from+1, o.to+1), which
}

func (p *player) deliver(k int) {
	words, which := p.take(k)
	p.do(func() { p.stage.Deliver(which) }, "deliver %s", words)
}

func (p *player) lose(k int) {
	words, which := p.take(k)
	p.do(func() { p.stage.Lose(which) }, "lose %s", words)
}

// expire lets a caller give up.
func (p *player) expire(m *message) {
	label := strings.TrimSuffix(m.label(), "Reply")
	which := sim.Select{Label: label, From: m.caller() + 1, To: m.peer() + 1}
	p.do(func() { p.stage.Expire(which) }, "expire %s n%d->n%d", label, which.From, which.To)
}

// step plays one step of the search.
func (p *player) step(m *move, next *world) {
	p.happen(m)
	for _, f := range m.fates {
		k := p.find(f.message, 0)
		if k < 0 {
			continue
		}
		switch f.is {
		case underWay:
			p.bag[k].number = p.known(f.message)
		case arrives:
			p.deliver(k)
		case lost:
			p.lose(k)
			if m := p.message(f.message); m.matters() {
				p.expire(m)
			}
		}
	}
	p.world = *next
	p.tidy()
}

// tidy loses what nobody waits for any more.
func (p *player) tidy() {
	var left []uint32
	for _, n := range p.world.bag.all() {
		left = append(left, p.known(n))
	}
	for k := 0; k < len(p.bag) && p.stage.Failure() == nil; {
		if i := slices.Index(left, p.bag[k].number); i >= 0 {
			left = slices.Delete(left, i, i+1)
			k++
			continue
		}
		p.lose(k)
	}
}

func (p *player) happen(m *move) {
	s, n := p.stage, m.place+1
	switch m.what {
	case timeout:
		p.do(func() { s.Timeout(n) }, "timeout n%d", n)
	case heartbeat:
		p.do(func() { s.Heartbeat(n) }, "heartbeat n%d", n)
	case silence, quorum:
		p.do(func() { s.Tick(n, electionTicks) }, "tick n%d %d", n, electionTicks)
	case command:
		p.do(func() { s.Set(n, "x", fmt.Sprint(len(p.script.Lines))) }, "set n%d x=%d", n, len(p.script.Lines))
	case synced:
		p.do(func() { s.Sync(n) }, "sync n%d", n)
	case restart:
		p.bag = slices.DeleteFunc(p.bag, func(o parcel) bool { return strings.HasSuffix(o.label, "Reply") && o.to == m.place })
		for k := range p.bag {
			if o := &p.bag[k]; o.from == m.place && !strings.HasSuffix(o.label, "Reply") {
				p.abandon(o)
			}
		}
		p.do(func() { s.Crash(n, sim.LoseUnsynced) }, "crash n%d", n)
		p.do(func() { s.Start(n) }, "start n%d", n)
		p.slow(m.place)
	case add:
		p.do(func() { s.Add(n, int(m.of)+1) }, "add n%d at n%d", m.of+1, n)
	case remove:
		p.do(func() { s.Remove(n, int(m.of)+1) }, "remove n%d at n%d", m.of+1, n)
	case transfer:
		p.do(func() { s.Transfer(n, int(m.of)+1) }, "transfer to n%d at n%d", m.of+1, n)
	case expire:
		if k := p.find(m.of, p.known(m.of)); k >= 0 {
			p.abandon(&p.bag[k])
		}
		p.expire(p.message(m.of))
	case deliver:
		if k := p.find(m.of, p.known(m.of)); k >= 0 {
			p.deliver(k)
		}
		if n := p.message(m.of); m.unanswered && n.matters() {
			p.expire(n)
		}
	}
}

// faithful says whether a stage can do exactly what the search does. Where the search lets an
// election timeout pass at its shortest, a stage may have drawn just that. And a stage takes
// its next snapshot when the log has grown by as much as the last one, the search at once.
func (l Level) faithful() bool { return !l.CheckQuorum && len(l.Compacting) == 0 }

// compare looks whether the servers on the stage are what the search takes them for.
func (p *player) compare() {
	if p.stage.Failure() != nil || !p.level.faithful() {
		return
	}
	want := ""
	for place := range p.level.nodes() {
		want += statusText(p.at(&p.world, place)) + "\n"
	}
	if got := p.stage.Status(); got != want {
		p.script.Different = fmt.Sprintf("the search has\n%sthe stage has\n%s", want, got)
	}
}

// statusText is a server in the words of Stage.Status.
func statusText(s *server) string {
	vote := choose(s.VotedFor == "", "none", string(s.VotedFor))
	last := raft.Entry{Index: s.LastIndex, Term: termAt(s, s.LastIndex)}
	text := fmt.Sprintf("%s@%d %v, vote %s, last %v, commit %d, applied %d", s.ID, s.Term, s.State, vote, last, s.CommitIndex, s.LastApplied)
	if s.SnapshotIndex > 0 {
		text += fmt.Sprintf(", snapshot %d", s.SnapshotIndex)
	}
	if s.RemovedAt > 0 {
		text += fmt.Sprintf(", removed at %d", s.RemovedAt)
	}
	var members []string
	for _, m := range s.Configuration.Members {
		members = append(members, choose(m.Role == raft.Voter, string(m.ID), "("+string(m.ID)+")"))
	}
	return text + ", " + choose(len(members) == 0, "no members known", "members "+strings.Join(members, " "))
}

// play makes the script of a path of steps.
func (x *space) play(steps []uint16) *Script {
	p := newPlayer(x)
	var (
		next  world
		made  move
		taken uint16
		count uint16
	)
	v := &mover{space: x, emit: func(w *world, m *move, _ *broken) {
		if count == taken {
			next, made = *w, *m
			made.fates = slices.Clone(m.fates)
		}
		count++
	}}
	for _, taken = range steps {
		count = 0
		from := p.world
		v.all(&from)
		if count <= taken {
			panic("the same world has other steps than before")
		}
		p.step(&made, &next)
	}
	p.compare()
	p.script.Failure = p.stage.Failure()
	if end := p.stage.Finish(); p.script.Failure == nil {
		p.script.Failure = end
	}
	return p.script
}
