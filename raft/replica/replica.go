// Package replica carries out what the core of package raft asks for, on a disk, a
// transport and a state machine that it is given. It has no goroutines, locks or
// clock: the same code runs in production, owned by the loop of package node, and
// in the simulator.
//
// One idea is all there is to it. Figure 2 says of the persistent state: "updated
// on stable storage before responding to RPCs". The core answers at once, with a
// plain value; the replica holds that answer back until the disk has what it
// promises. Replies that wait look like a slow network, and replies that a crash
// destroys look like a lossy one: both are what Raft is made for. See Flush.
package replica

import (
	"errors"
	"slices"

	"dbdb/raft"
)

var (
	// ErrNotLeader: this server does not lead. Nothing was done.
	ErrNotLeader = raft.ErrNotLeader
	// ErrBusy: too much is waiting already. Nothing was done.
	ErrBusy = raft.ErrBusy
	// ErrConfigurationBusy: another change of the configuration is under way, or this
	// leader is too new to make one. Nothing was done.
	ErrConfigurationBusy = raft.ErrConfigurationBusy
	// ErrBadMember: this server cannot be added. Nothing was done.
	ErrBadMember = raft.ErrBadMember
	// ErrUnknownMember: no such server is a member. Nothing was done.
	ErrUnknownMember = raft.ErrUnknownMember
	// ErrLastVoter: a cluster cannot lose its only voter. Nothing was done.
	ErrLastVoter = raft.ErrLastVoter
	// ErrNoTransfer: the leadership was not handed over and will not be.
	ErrNoTransfer = raft.ErrNoTransfer
	// ErrNoLeader: no leader confirmed the read in time. A read changes nothing, so
	// it may be tried again.
	ErrNoLeader = errors.New("replica: no leader")
	// ErrOutcomeUnknown: the command is in the log of a server that stopped leading.
	// A later leader may commit it or drop it; nobody can say which. To call this a
	// failure would make clients repeat what was done (thesis §6.3).
	ErrOutcomeUnknown = errors.New("replica: outcome unknown")
	// ErrStopped: the server is closing. Nothing was done.
	ErrStopped = errors.New("replica: stopped")
)

// Config is what a Replica is made of.
type Config struct {
	Raft         raft.Config
	Disk         Disk
	Snapshots    Snapshots
	Transport    Transport
	StateMachine StateMachine
	// ReadTimeoutTicks is how long a read waits for a leader to confirm it before it
	// gets ErrNoLeader. Default 200.
	ReadTimeoutTicks int
	// MaxReads bounds the reads that wait; more get ErrBusy. Default 65,536.
	MaxReads int
	// SnapshotBytes is how much the log grows, at least, before the state machine's next
	// snapshot takes its place. Default 16 MiB.
	SnapshotBytes int
	// Failed is told of a disk error. The process must end: nothing may be
	// promised from a disk that may have forgotten.
	Failed func(error)
}

// Result is what became of a command.
type Result struct {
	Index raft.Index // where it is in the log
	Term  raft.Term
	Value []byte // what the state machine returned
}

// Replica is one server: the core, and its disk, transport and state machine.
// Inputs may be given in batches; Flush ends a batch. Not safe for concurrent use.
type Replica struct {
	cfg  Config
	raft *raft.Raft
	now  int // ticks since the start

	replies []func() // to the RPCs of this batch, not yet released
	saves   []*save  // handed to the disk, not yet durable, oldest first

	lastApplied  raft.Index
	waiters      waiters
	reads        reads
	changes      changes
	transfers    []func(error) // who asked for the one under way
	transferTerm raft.Term     // the term that it is to end
	snapshots    snapshots

	ledTerm    raft.Term          // the term this server leads, or 0
	configured raft.Configuration // what the transport was told
	closed     bool
}

// save is a Save on its way to the disk, and what waits for it.
type save struct {
	raft.Save
	replies   []func()
	sendAfter []raft.Call
}

// New starts a replica from what its disk gave back. The state machine must hold the
// state of disk.Snapshot already. It panics on an invalid Config, as raft.New does.
func New(cfg Config, disk raft.Restored) *Replica {
	if cfg.ReadTimeoutTicks == 0 {
		cfg.ReadTimeoutTicks = 200
	}
	if cfg.MaxReads == 0 {
		cfg.MaxReads = 1 << 16
	}
	if cfg.SnapshotBytes == 0 {
		cfg.SnapshotBytes = 16 << 20
	}
	p := &Replica{cfg: cfg, raft: raft.New(cfg.Raft, disk), lastApplied: disk.Snapshot.Index}
	p.tellTransport()
	return p
}

// Raft gives access to the core, to look at.
func (p *Replica) Raft() *raft.Raft { return p.raft }

// LastApplied is the index up to which the state machine has applied.
func (p *Replica) LastApplied() raft.Index { return p.lastApplied }

// Tick is the passing of one unit of time.
func (p *Replica) Tick() {
	p.now++
	p.raft.Tick()
	p.reads.tick(p.now)
}

// Propose asks for a command to be replicated and applied. done gets the result
// once it is, or an error; see the errors for what each means.
func (p *Replica) Propose(cmd []byte, done func(Result, error)) {
	if p.closed {
		done(Result{}, ErrStopped)
		return
	}
	p.noticeLeadership()
	index, term, err := p.raft.Propose(cmd)
	if err != nil {
		done(Result{}, err)
		return
	}
	p.waiters.add(index, term, done)
}

// RequestVote answers another server's RPC. done is called when the answer may
// leave.
func (p *Replica) RequestVote(a raft.RequestVoteArgs, done func(raft.RequestVoteReply)) {
	reply := p.raft.HandleRequestVote(a)
	p.replies = append(p.replies, func() { done(reply) })
}

// AppendEntries answers another server's RPC. done is called when the answer may
// leave.
func (p *Replica) AppendEntries(a raft.AppendEntriesArgs, done func(raft.AppendEntriesReply)) {
	reply := p.raft.HandleAppendEntries(a)
	if p.raft.MayReplyAtOnce(a, reply) {
		done(reply)
		return
	}
	p.replies = append(p.replies, func() { done(reply) })
}

// Flush ends a batch of inputs: it carries out what they asked for. This is the one
// place that knows "durable before it leaves".
//
// Calls in Send leave at once. The Save goes to the disk; the batch's replies and
// the calls in SendAfter leave when it is durable. A batch without a Save queues
// behind the last one that is not durable yet: a repeated AppendEntries changes
// nothing, but its success promises what an earlier batch is still writing.
func (p *Replica) Flush() {
	if p.closed {
		return
	}
	p.reads.ask(p)
	p.changes.begin(p)
	e := p.raft.Effects()
	p.tellTransport()
	p.send(e.Send)
	p.save(e.Save, e.SendAfter)
	p.apply(e.Apply)
	p.reads.confirmed(p, e.Reads)
	p.noticeLeadership()
	p.noticeTransfer()
	p.snapshots.take(p)
}

func (p *Replica) save(s raft.Save, sendAfter []raft.Call) {
	replies := p.replies
	p.replies = nil
	if s.Seq != 0 {
		held := &save{Save: s, replies: replies, sendAfter: sendAfter}
		p.saves = append(p.saves, held)
		p.cfg.Disk.Save(s, func(err error) { p.saved(held, err) })
		return
	}
	if n := len(p.saves); n > 0 {
		last := p.saves[n-1]
		last.replies = append(last.replies, replies...)
		last.sendAfter = append(last.sendAfter, sendAfter...)
		return
	}
	p.release(replies, sendAfter)
}

// saved is the disk's word that a Save is durable. It is an input: a Flush follows.
func (p *Replica) saved(s *save, err error) {
	if p.closed {
		return
	}
	if err != nil {
		p.Close()
		p.cfg.Failed(err)
		return
	}
	if p.saves[0] != s {
		panic("replica: the disk reordered Saves")
	}
	p.saves = p.saves[1:]
	p.raft.Saved(s.Save)
	p.release(s.replies, s.sendAfter)
}

func (p *Replica) release(replies []func(), calls []raft.Call) {
	for _, reply := range replies {
		reply()
	}
	p.send(calls)
}

func (p *Replica) send(calls []raft.Call) {
	for _, c := range calls {
		switch {
		case c.RequestVote != nil:
			a := *c.RequestVote
			p.cfg.Transport.RequestVote(c.To, a, func(rep raft.RequestVoteReply, err error) {
				if err == nil && !p.closed {
					p.raft.HandleRequestVoteReply(c.To, a, rep)
				}
			})
		case c.AppendEntries != nil:
			p.appendEntries(c.To, *c.AppendEntries)
		case c.InstallSnapshot != nil:
			p.installSnapshot(c.To, *c.InstallSnapshot)
		case c.TimeoutNow != nil:
			p.timeoutNow(c.To, *c.TimeoutNow)
		}
	}
}

func (p *Replica) appendEntries(to raft.NodeID, a raft.AppendEntriesArgs) {
	p.cfg.Transport.AppendEntries(to, a, func(rep raft.AppendEntriesReply, err error) {
		switch {
		case p.closed:
		case err != nil:
			p.raft.HandleAppendEntriesFailed(to, a)
		default:
			p.raft.HandleAppendEntriesReply(to, a, rep)
		}
	})
}

func (p *Replica) apply(entries []raft.Entry) {
	for _, e := range entries {
		var value []byte
		if e.Kind == raft.EntryCommand {
			value = p.cfg.StateMachine.Apply(e.Index, e.Data)
		}
		p.lastApplied = e.Index
		p.waiters.applied(e, value)
	}
	if len(entries) > 0 {
		p.reads.applied(p.lastApplied)
	}
}

// noticeLeadership answers everybody who waited for this server's leadership when
// it ends. In Flush it runs after apply, so that what is known by then is told as
// known; before a new waiter is added it runs too, so that one who came in an
// earlier leadership never hides behind a later one.
func (p *Replica) noticeLeadership() {
	led := raft.Term(0)
	if p.raft.State() == raft.Leader {
		led = p.raft.Term()
	}
	if p.ledTerm != 0 && led != p.ledTerm {
		p.waiters.fail(ErrOutcomeUnknown)
		p.changes.fail(ErrNotLeader)
		p.reads.leadershipLost()
	}
	p.ledTerm = led
}

func (p *Replica) tellTransport() {
	// Not the index of the configuration: a new leader may have put another one there.
	if c := p.raft.Contacts(); !slices.Equal(c.Members, p.configured.Members) {
		p.configured = c
		p.cfg.Transport.Configure(c)
	}
}

// Close answers everybody who still waits. Replies to RPCs that wait for the disk
// are dropped, as a crash would.
func (p *Replica) Close() {
	if p.closed {
		return
	}
	p.closed = true
	p.replies, p.saves = nil, nil
	p.waiters.fail(ErrOutcomeUnknown)
	p.changes.fail(ErrStopped)
	if p.raft.MayStillHandOver() {
		p.answerTransfers(ErrOutcomeUnknown)
	}
	p.answerTransfers(ErrStopped)
	p.reads.fail(ErrStopped)
}
