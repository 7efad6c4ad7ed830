package replica

import "dbdb/raft"

// TransferLeadership asks for another server to lead; see raft.TransferLeadership.
// done(nil) is called when another server has begun a term of its own; ErrOutcomeUnknown
// means that one still may.
func (p *Replica) TransferLeadership(to raft.NodeID, done func(error)) {
	if p.closed {
		done(ErrStopped)
		return
	}
	p.noticeLeadership()
	p.noticeTransfer() // or those who asked for one that was given up would wait for this one's end
	if err := p.raft.TransferLeadership(to); err != nil || !p.raft.Transferring() {
		done(err)
		return
	}
	p.transferTerm = p.raft.Term()
	p.transfers = append(p.transfers, done)
}

// noticeTransfer answers those who asked for a transfer when it is over.
func (p *Replica) noticeTransfer() {
	if len(p.transfers) == 0 || p.raft.Transferring() {
		return
	}
	switch {
	case p.raft.State() != raft.Leader && p.raft.Term() > p.transferTerm:
		p.answerTransfers(nil)
	case p.raft.State() != raft.Leader, p.raft.MayStillHandOver():
		p.answerTransfers(ErrOutcomeUnknown) // it lost its quorum, or the other one was told and is late
	default:
		p.answerTransfers(ErrNoTransfer)
	}
}

func (p *Replica) answerTransfers(err error) {
	transfers := p.transfers
	p.transfers = nil
	for _, done := range transfers {
		done(err)
	}
}

// TimeoutNow answers another server's RPC. done is called when the answer may leave.
func (p *Replica) TimeoutNow(a raft.TimeoutNowArgs, done func(raft.TimeoutNowReply)) {
	reply := p.raft.HandleTimeoutNow(a)
	p.replies = append(p.replies, func() { done(reply) })
}

func (p *Replica) timeoutNow(to raft.NodeID, a raft.TimeoutNowArgs) {
	p.cfg.Transport.TimeoutNow(to, a, func(rep raft.TimeoutNowReply, err error) {
		// Without an answer the next heartbeat asks again, if there is still time.
		if err == nil && !p.closed {
			p.raft.HandleTimeoutNowReply(to, a, rep)
		}
	})
}
