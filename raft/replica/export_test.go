package replica

// WaitingReads counts the reads that nobody was asked for yet.
func (p *Replica) WaitingReads() int { return len(p.reads.waiting) }
