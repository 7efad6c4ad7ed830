package replica

import (
	"slices"

	"dbdb/raft"
)

// reads takes linearizable reads through their stages: waiting for a leader to be
// asked, asked for a read index, waiting for the state machine to apply it. Every
// server serves reads from its own state machine; only the question goes to the
// leader (thesis §6.4).
type reads struct {
	waiting []*read
	asked   map[uint64]*readBatch // the own core, by the id it was given
	lastID  uint64
	asking  *readBatch   // the leader, by RPC: one question at a time, so that reads gather
	indexed []*readBatch // have an index, and wait for it to be applied
	all     []*read      // that are not answered, oldest first, to time them out
	askAt   int          // the tick at which the leader may be asked again
}

// read is one client's read. done is nil once it is answered.
type read struct {
	done     func(error)
	deadline int // a tick
}

// readBatch is the reads that were asked for together. Either reads are this
// server's own, or reply answers another server's.
type readBatch struct {
	reads []*read
	reply func(raft.ReadIndexReply)
	index raft.Index
}

func (b *readBatch) finish(err error) {
	for _, rd := range b.reads {
		rd.finish(err)
	}
}

func (rd *read) finish(err error) {
	if done := rd.done; done != nil {
		rd.done = nil
		done(err)
	}
}

// Read asks for a moment at which the state machine holds every write that was
// acknowledged before this call; done(nil) is that moment. On a server that does
// not lead, the leader is asked.
func (p *Replica) Read(done func(error)) {
	q := &p.reads
	switch {
	case p.closed:
		done(ErrStopped)
	case len(q.all) >= p.cfg.MaxReads:
		done(ErrBusy)
	default:
		rd := &read{done: done, deadline: p.now + p.cfg.ReadTimeoutTicks}
		q.waiting, q.all = append(q.waiting, rd), append(q.all, rd)
	}
}

// ReadIndex answers another server's question. A server that does not lead says so;
// one that stops leading before it could confirm says so then. The answer promises
// nothing about this server's disk, so it waits for none.
func (p *Replica) ReadIndex(_ raft.ReadIndexArgs, done func(raft.ReadIndexReply)) {
	p.noticeLeadership()
	if p.closed || p.raft.State() != raft.Leader {
		done(raft.ReadIndexReply{})
		return
	}
	p.reads.askCore(p, &readBatch{reply: done})
}

// ask sends the reads that wait to whoever leads. Reads that come while the leader
// is being asked wait for the next question: the answer to this one may be older
// than they are.
func (q *reads) ask(p *Replica) {
	if len(q.waiting) == 0 {
		return
	}
	leader := p.raft.Leader()
	switch {
	case p.raft.State() == raft.Leader:
		q.askCore(p, &readBatch{reads: q.take()})
	case leader != "" && q.asking == nil && q.askAt <= p.now:
		q.askLeader(p, leader, &readBatch{reads: q.take()})
	}
}

func (q *reads) take() []*read {
	taken := q.waiting
	q.waiting = nil
	return taken
}

func (q *reads) askCore(p *Replica, b *readBatch) {
	q.lastID++
	if err := p.raft.ReadIndex(q.lastID); err != nil {
		panic("replica: a leader refused a read: " + err.Error())
	}
	if q.asked == nil {
		q.asked = map[uint64]*readBatch{}
	}
	q.asked[q.lastID] = b
}

func (q *reads) askLeader(p *Replica, leader raft.NodeID, b *readBatch) {
	q.asking = b
	p.cfg.Transport.ReadIndex(leader, raft.ReadIndexArgs{From: p.cfg.Raft.ID}, func(rep raft.ReadIndexReply, err error) {
		if p.closed {
			return
		}
		q.asking = nil
		if err != nil || !rep.Success {
			// Back to the queue. Not asked again before the next tick: a leader that is down
			// would refuse again at once.
			q.waiting = append(b.reads, q.waiting...)
			q.askAt = p.now + 1
			return
		}
		b.index = rep.Index
		q.indexed = append(q.indexed, b)
		q.applied(p.lastApplied)
	})
}

// confirmed takes the core's answers: those to other servers leave, the own reads
// wait for the state machine.
func (q *reads) confirmed(p *Replica, states []raft.ReadState) {
	for _, s := range states {
		b := q.asked[s.ID]
		if b == nil {
			continue // confirmed, and the leadership lost, in one batch: see leadershipLost
		}
		delete(q.asked, s.ID)
		if b.reply != nil {
			b.reply(raft.ReadIndexReply{Success: true, Index: s.Index})
			continue
		}
		b.index = s.Index
		q.indexed = append(q.indexed, b)
	}
	if len(states) > 0 {
		q.applied(p.lastApplied)
	}
}

// applied serves the reads whose index the state machine has reached.
func (q *reads) applied(through raft.Index) {
	indexed := q.indexed
	q.indexed = nil
	for _, b := range indexed {
		if b.index <= through {
			b.finish(nil)
		} else {
			q.indexed = append(q.indexed, b)
		}
	}
}

// leadershipLost sends the reads that the own core did not confirm back to the
// queue, and tells the other servers that theirs were not.
func (q *reads) leadershipLost() {
	for id := q.lastID - uint64(len(q.asked)) + 1; len(q.asked) > 0; id++ {
		b := q.asked[id]
		delete(q.asked, id)
		if b.reply != nil {
			b.reply(raft.ReadIndexReply{})
			continue
		}
		q.waiting = append(q.waiting, b.reads...)
	}
}

// tick times out the reads that no leader confirmed in time.
func (q *reads) tick(now int) {
	done := 0
	for done < len(q.all) && (q.all[done].done == nil || q.all[done].deadline <= now) {
		q.all[done].finish(ErrNoLeader)
		done++
	}
	if q.all = q.all[done:]; done > 0 {
		// Without a leader nobody else takes them out of the queue.
		q.waiting = slices.DeleteFunc(q.waiting, func(rd *read) bool { return rd.done == nil })
	}
}

func (q *reads) fail(err error) {
	for _, rd := range q.all {
		rd.finish(err)
	}
	*q = reads{}
}
