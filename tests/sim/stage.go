package sim

import (
	"fmt"
	"slices"

	"dbdb/raft"
	"dbdb/tests/spec"
)

// Stage is a world that is played by hand: nothing happens by chance, and nothing by
// itself. Messages lie in a bag until somebody delivers or loses them, no clock ticks,
// no server restarts. Disks write at once, unless they are made slow. Everything else is
// as in every run: the real core, replica, log, codec and store, and all oracles after
// every step. Scripts are played on it, and the fuzzer's schedules.
//
// Servers have numbers, 1 to n. What happens is told line by line.
type Stage struct {
	w      *world
	watch  func(Happening) // nil if nobody does
	bag    []*parcel       // under way, in the order in which they were sent
	calls  []*parcel       // requests whose callers may still give them up
	held   []Select        // what Settle leaves alone
	losing CrashPolicy
	wanted map[*node][]*want // asked, never walked

	arriving func(Select) // hears what is about to arrive, if somebody wants to know
	failure  *Failure
}

// StageOptions chooses what a Stage begins with.
type StageOptions struct {
	Voters int // in the first entry of every log
	Spares int // servers that belong to nothing yet

	PreVote     bool // thesis §9.6
	CheckQuorum bool // thesis §6.2, and "a leader is heard" of §4.2.3
	MaxInflight int
	BatchBytes  int // the most that the entries of one message take

	// Compacting are the servers that take a snapshot whenever they have applied
	// something, and keep no log before it.
	Compacting []int
	ChunkBytes int // of a snapshot in one message

	// Term, if not 0, is every voter's currentTerm, and Logs the terms of the entries in
	// the log of some of them, from index 1 on. The first entry is the configuration, the
	// others are commands.
	Term raft.Term
	Logs map[int][]raft.Term

	Spec  bool              // hold every step to the specification
	Tell  func(line string) // each thing that happens, as a line of a transcript
	Watch func(Happening)   // the same, taken apart
}

// NewStage makes the servers, with their first Save on their disks, and starts the voters.
func NewStage(o StageOptions) *Stage {
	p := profile{
		nodes: o.Voters + o.Spares, spares: o.Voters + o.Spares, founders: o.Voters, slowDisk: nowhere,
		raft: raft.Config{
			ElectionTicks: electionTicks, HeartbeatTicks: 5, NoPreVote: !o.PreVote, NoCheckQuorum: !o.CheckQuorum,
			MaxInflight: o.MaxInflight, MaxBatchBytes: o.BatchBytes, TrailingBytes: -1,
		},
		segmentBytes: 8 << 10, readTimeoutTicks: 200, callDeadline: 200 * millisecond, clientTimeout: second,
		snapshotBytes: noSnapshots, chunkBytes: o.ChunkBytes, clients: 1, keys: 1, think: second,
	}
	if p.chunkBytes == 0 {
		p.chunkBytes = raft.MaxChunkBytes
	}
	s := &Stage{w: newWorld(Options{Spec: o.Spec}, p), watch: o.watcher(), wanted: map[*node][]*want{}}
	s.w.stage, s.w.trace.told = s, s.traced
	for _, n := range o.Compacting {
		s.node(n).snapshotBytes = 1
	}
	s.do(func() {
		s.found(o)
		for _, n := range s.w.nodes {
			n.wanted = n.place < o.Voters
			n.start()
		}
	})
	return s
}

// watcher is told everything. With nobody who listens, nothing is put into words.
func (o *StageOptions) watcher() func(Happening) {
	switch tell, watch := o.Tell, o.Watch; {
	case tell == nil:
		return watch
	case watch == nil:
		return func(h Happening) { tell(h.String()) }
	default:
		return func(h Happening) { tell(h.String()); watch(h) }
	}
}

// found writes the first Save of every voter.
func (s *Stage) found(o StageOptions) {
	s.w.format()
	for place := range o.Voters {
		n := s.w.nodes[place]
		save := raft.Save{Seq: 2, Term: max(o.Term, 1)}
		for k, term := range o.Logs[place+1] {
			if k > 0 { // the first entry is there
				save.Entries = append(save.Entries, s.prepared(raft.Index(k+1), term))
			}
		}
		if o.Term > 0 {
			n.format(save)
		}
	}
}

// prepared is a command that was in the log before the play begins. The same index and
// term give the same command: Log Matching holds from the start.
func (s *Stage) prepared(i raft.Index, term raft.Term) raft.Entry {
	c := s.w.clients
	value := fmt.Sprintf("%d@%d", i, term)
	for _, op := range c.history {
		if op.value == value {
			return raft.Entry{Index: i, Term: term, Kind: raft.EntryCommand, Data: c.encode(op)}
		}
	}
	op := &operation{kind: opSet, key: "k", value: value, node: s.w.nodes[0]}
	c.history = append(c.history, op)
	return raft.Entry{Index: i, Term: term, Kind: raft.EntryCommand, Data: c.commandOf(op)}
}

// do lets something happen and all that follows of it at once. A broken promise ends
// the play: nothing happens after it.
func (s *Stage) do(happen func()) {
	if s.failure != nil {
		return
	}
	defer func() {
		if caught := recover(); caught != nil {
			s.failure = s.w.failure(caught)
			s.say(Broken, nil, "BROKEN PROMISE: %s: %s", s.failure.Oracle, s.failure.Detail)
		}
	}()
	happen()
	s.w.runUntil(s.w.now)
}

// say puts into words what happened to a server, or to nobody in particular.
func (s *Stage) say(kind HappeningKind, n *node, format string, args ...any) {
	if s.watch == nil {
		return
	}
	h := Happening{Kind: kind, Text: fmt.Sprintf(format, args...)}
	if n != nil {
		h.At = placeOf(n)
	}
	s.watch(h)
}

// Failure is the promise that was broken, or nil.
func (s *Stage) Failure() *Failure { return s.failure }

func (s *Stage) node(number int) *node { return s.w.nodes[number-1] }

// Servers is how many there are, those that were wiped included.
func (s *Stage) Servers() int { return len(s.w.nodes) }

// Up says whether a server runs.
func (s *Stage) Up(n int) bool { return s.node(n).up }

// running lets something happen to a server that runs.
func (s *Stage) running(number int, happen func(n *node)) {
	n := s.node(number)
	if !n.up {
		s.say(Noted, n, "%s is down", name(n))
		return
	}
	s.do(func() { happen(n) })
}

// input is one thing that happens to a server that runs.
func (s *Stage) input(number int, what spec.Input, happen func(n *node)) {
	s.running(number, func(n *node) { n.input(what, func() { happen(n) }) })
}

// Timeout lets a server's election timer run out.
func (s *Stage) Timeout(n int) {
	s.input(n, spec.ElectionTimer{}, func(n *node) { n.replica.Raft().ElectionTimeout() })
}

// Heartbeat lets a leader's heartbeat timer run out.
func (s *Stage) Heartbeat(n int) {
	s.input(n, spec.HeartbeatTimer{}, func(n *node) { n.replica.Raft().HeartbeatTimeout() })
}

// Tick lets time pass for one server: a tick is 10 ms.
func (s *Stage) Tick(n, ticks int) {
	for range ticks {
		s.running(n, func(n *node) { n.tick() })
	}
}

// Slow makes a disk write the log, or snapshots' files, only when it is told to.
func (s *Stage) Slow(n int, log, files bool) { s.node(n).slowLog, s.node(n).slowFiles = log, files }

// SlowOwn makes a disk write the server's own snapshot only when it is told to, and others
// as ever.
func (s *Stage) SlowOwn(n int) { s.node(n).slowOwn = true }

// Write lets a slow disk write the Saves that wait, without a sync.
func (s *Stage) Write(n int) {
	if s.write(n) {
		s.say(Noted, s.node(n), "%s's disk has written, without a sync", name(s.node(n)))
	}
}

func (s *Stage) write(n int) (wrote bool) {
	s.do(func() {
		if v := s.node(n).saver; s.node(n).up && len(v.queue) > 0 && !v.busy {
			v.busy, wrote = true, true
			v.write()
		}
	})
	return wrote
}

// Sync lets a slow disk make durable what it has written, after writing what waits if
// nothing is under way.
func (s *Stage) Sync(n int) {
	s.write(n)
	s.do(func() {
		if v := s.node(n).saver; s.node(n).up && len(v.batch) > 0 {
			s.say(Noted, s.node(n), "%s's disk has synced", name(s.node(n)))
			v.round++
			v.sync()
		}
	})
}

// Fast ends the slowness of a disk: what waits is carried out.
func (s *Stage) Fast(n int) {
	s.do(func() { s.node(n).hurry() })
}

// hurry lets the disk go on with all that waits.
func (n *node) hurry() {
	n.slowLog, n.slowFiles, n.slowOwn = false, false, false
	if !n.up {
		return
	}
	for _, k := range []*work{&n.files.own, &n.files.incoming, &n.files.outgoing} {
		if goOn := k.waiting; goOn != nil {
			k.waiting = nil
			goOn()
		}
	}
	if len(n.saver.batch) > 0 {
		n.saver.planSync()
		return
	}
	n.saver.next()
}

// Crash ends a server's process; policy says what its disk keeps of what was not synced.
func (s *Stage) Crash(n int, policy CrashPolicy) {
	s.losing = policy
	s.do(func() {
		if s.node(n).up {
			s.node(n).crash(edgeAny)
		}
	})
	s.bag = slices.DeleteFunc(s.bag, func(p *parcel) bool { return p.isReply && p.to == s.node(n) })
}

// Start starts a server that is down.
func (s *Stage) Start(n int) {
	s.do(func() {
		if !s.node(n).up && !s.node(n).gone {
			s.node(n).start()
		}
	})
}

// Finish ends the play as every run ends: all faults stop, and within a bound of virtual
// time the cluster must be whole again; then the clients' history is judged.
func (s *Stage) Finish() *Failure {
	s.watch = nil
	s.do(func() {
		s.w.recuperate()
		s.w.check.final()
		s.w.clients.checkHistory()
	})
	s.Abandon()
	return s.failure
}

// Abandon ends a play in the middle: what is being done to files has to end too.
func (s *Stage) Abandon() {
	for _, n := range s.w.nodes {
		if n.files != nil {
			n.endFiles()
		}
	}
}

// leave hands the world over to chance: what is under way arrives, calls end in time,
// clocks tick.
func (s *Stage) leave() {
	w, bag := s.w, s.bag
	s.bag, w.trace.told = nil, nil
	for _, p := range bag {
		w.atNode(w.network.delay(noMessage), p.to, func() {
			if p.to.up {
				p.arrive()
			}
		})
	}
	w.at(w.profile.callDeadline, func() {
		for _, p := range s.calls {
			p.expire()
		}
	})
	for _, n := range w.nodes {
		n.hurry()
		if n.up {
			n.planTick(w.faults.between(1, tickPeriod))
		}
	}
}
