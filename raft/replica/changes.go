package replica

import "dbdb/raft"

// changes are the wishes to change the configuration, in the order in which they came.
// Only one change may be in flight (thesis §4.1), so the others wait for their turn: two
// servers that join in the same moment both get in.
type changes struct {
	queue []change
}

type change struct {
	try      func() (raft.Index, raft.Term, error)
	done     func(error)
	deadline int // a tick
}

// maxChanges bounds the wishes that wait; more get ErrConfigurationBusy.
const maxChanges = 64

// AddLearner asks for a server to be added to the cluster; see raft.AddLearner.
// done is called once the configuration with it is committed.
func (p *Replica) AddLearner(m raft.Member, done func(error)) {
	p.changeConfiguration(func() (raft.Index, raft.Term, error) { return p.raft.AddLearner(m) }, done)
}

// RemoveServer asks for a server to be removed from the cluster; see
// raft.RemoveServer. done is called once the configuration without it is committed.
func (p *Replica) RemoveServer(id raft.NodeID, done func(error)) {
	p.changeConfiguration(func() (raft.Index, raft.Term, error) { return p.raft.RemoveServer(id) }, done)
}

func (p *Replica) changeConfiguration(try func() (raft.Index, raft.Term, error), done func(error)) {
	switch {
	case p.closed:
		done(ErrStopped)
	case p.raft.State() != raft.Leader:
		done(ErrNotLeader)
	case len(p.changes.queue) >= maxChanges:
		done(ErrConfigurationBusy)
	default:
		p.changes.queue = append(p.changes.queue, change{try, done, p.now + p.cfg.ReadTimeoutTicks})
	}
}

// begin makes the changes that can be made. One that has to wait is tried again with
// every batch of inputs, until its time is over: then nothing was done.
func (q *changes) begin(p *Replica) {
	if len(q.queue) == 0 {
		return
	}
	p.noticeLeadership()
	for len(q.queue) > 0 {
		first := q.queue[0]
		index, term, err := first.try()
		if err == ErrConfigurationBusy && p.now < first.deadline {
			return
		}
		q.queue = q.queue[1:]
		if err != nil || index <= p.lastApplied {
			first.done(err)
			continue
		}
		p.waiters.add(index, term, func(_ Result, err error) { first.done(err) })
	}
}

// fail answers all that still wait; of these nothing was done.
func (q *changes) fail(err error) {
	queue := q.queue
	q.queue = nil
	for _, c := range queue {
		c.done(err)
	}
}
