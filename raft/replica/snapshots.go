package replica

import (
	"io"

	"dbdb/raft"
)

// snapshots is what a replica knows of the snapshots that it makes and receives.
type snapshots struct {
	writing bool
	size    int64 // of the newest own one
	limit   int64 // bytes of log that make the next one due; 0 until it is drawn
	retryAt int   // the tick at which a snapshot may be tried again, after one failed
}

// pinFactor bounds how much longer the log may grow while a snapshot is on its way to
// a follower. A new snapshot would take the file's place, and the follower would begin
// again; but a follower that is too slow must not fill the memory of the others.
const pinFactor = 4

// spread is the share of the limit by which servers differ at random: with the same
// log, all of a cluster would else write their snapshots at the same moment.
const spread = 3

// snapshotRetryTicks is how long a replica leaves its disk alone after a snapshot
// failed: it is probably full.
const snapshotRetryTicks = 500

// take begins a snapshot when the log has grown by SnapshotBytes since the last one, or
// by the size of that one, if it is larger: so the log takes no more memory than the
// state, and the disk has no more to do than a small multiple of writing the log. The
// state machine hands out a consistent cut and goes on.
func (s *snapshots) take(p *Replica) {
	if s.writing || p.now < s.retryAt {
		return
	}
	if s.limit == 0 {
		s.limit = max(int64(p.cfg.SnapshotBytes), s.size)
		s.limit -= int64(p.cfg.Raft.Rand.IntN(int(s.limit)/spread + 1))
	}
	m, logBytes, ok := p.raft.NextSnapshot()
	limit := s.limit
	if ok && p.raft.SendsSnapshot() {
		limit *= pinFactor
	}
	if !ok || int64(logBytes) < limit {
		return
	}
	s.writing = true
	state := &measured{state: p.cfg.StateMachine.Snapshot()}
	p.cfg.Snapshots.Write(m, state, func(err error) {
		s.writing = false
		switch {
		case p.closed:
		case err != nil:
			s.retryAt = p.now + snapshotRetryTicks
		default:
			s.size, s.limit = state.bytes, 0
			p.raft.Compact(m)
		}
	})
}

// measured counts what a state is when it is written.
type measured struct {
	state io.WriterTo
	bytes int64
}

// WriteTo implements io.WriterTo.
func (m *measured) WriteTo(w io.Writer) (n int64, err error) {
	m.bytes, err = m.state.WriteTo(w)
	return m.bytes, err
}

// InstallSnapshot answers another server's RPC. done is called when the answer may
// leave: after the chunk is stored, and after the Saves before it.
func (p *Replica) InstallSnapshot(a raft.InstallSnapshotArgs, done func(raft.InstallSnapshotReply)) {
	reply, store := p.raft.HandleInstallSnapshot(a)
	answer := func() { p.replies = append(p.replies, func() { done(reply) }) }
	if !store {
		answer()
		return
	}
	p.cfg.Snapshots.Receive(a.Offset, a.Data, func(err error) {
		if err != nil && !p.closed {
			p.raft.DropIncomingSnapshot()
			reply.Offset = 0
		}
		answer()
	})
	if a.Done {
		p.receiveSnapshot(a.LastIncludedIndex, a.LastIncludedTerm)
	}
}

// receiveSnapshot ends the file of a snapshot. What is verified is also what is
// restored, so the state machine has read it by the time that it comes into force;
// from then on the log continues it, and so does the next Apply.
func (p *Replica) receiveSnapshot(index raft.Index, term raft.Term) {
	p.cfg.Snapshots.Received(p.cfg.StateMachine.Restore, func(m raft.Snapshot, install func(), err error) {
		switch {
		case p.closed:
		case err != nil, m.Index != index, m.Term != term:
			p.raft.DropIncomingSnapshot()
		case p.raft.FinishSnapshot(m):
			install()
			p.lastApplied = m.Index
			p.waiters.passed(m.Index)
			p.reads.applied(m.Index)
		}
	})
}

// installSnapshot sends a chunk, after reading it.
func (p *Replica) installSnapshot(to raft.NodeID, a raft.InstallSnapshotArgs) {
	p.cfg.Snapshots.Read(a.LastIncludedIndex, a.LastIncludedTerm, a.Offset, func(chunk []byte, size uint64, err error) {
		switch {
		case p.closed:
		case err != nil:
			p.raft.HandleInstallSnapshotFailed(to, a)
		default:
			a.Data, a.Size = chunk, size
			a.Done = a.Offset+uint64(len(chunk)) == size
			p.sendChunk(to, a)
		}
	})
}

func (p *Replica) sendChunk(to raft.NodeID, a raft.InstallSnapshotArgs) {
	p.cfg.Transport.InstallSnapshot(to, a, func(rep raft.InstallSnapshotReply, err error) {
		switch {
		case p.closed:
		case err != nil:
			p.raft.HandleInstallSnapshotFailed(to, a)
		default:
			p.raft.HandleInstallSnapshotReply(to, a, rep)
		}
	})
}
