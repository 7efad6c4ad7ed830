package sim

import "dbdb/raft"

// The fuzzer keeps an input if it runs code that no other did. All of a core as small as
// this one has run after a second; what differs from then on are the states. So each state,
// seen from far away, runs a line of its own here: which of these six is so at once. Model
// guided fuzzing (Gulcan et al., OOPSLA '25) found bugs this way that nothing else found.

// reached tells the fuzzer where the schedule has got to.
func (c *schedule) reached() {
	s := c.Stage
	if s.failure != nil {
		return
	}
	state := 0
	for bit, so := range []bool{s.leaders() > 1, s.leaders() > 0, s.termsDiffer(), s.logsDiverge(), s.changing(), s.snapshots()} {
		if so {
			state |= 1 << bit
		}
	}
	visit(state)
}

func (s *Stage) any(so func(n *node) bool) bool {
	for _, n := range s.w.nodes {
		if n.up && so(n) {
			return true
		}
	}
	return false
}

func (s *Stage) leaders() int {
	count := 0
	s.any(func(n *node) bool {
		if n.view.State == raft.Leader {
			count++
		}
		return false
	})
	return count
}

func (s *Stage) termsDiffer() bool {
	first := s.w.nodes[0].view.Term
	return s.any(func(n *node) bool { return n.view.Term != first })
}

// logsDiverge: some log holds what is not, and may never be, committed there.
func (s *Stage) logsDiverge() bool {
	committed := s.w.check.committed
	return s.any(func(n *node) bool {
		for i := n.view.log.last(); i > 0 && n.view.log.last()-i < 8; i-- {
			if int(i) <= len(committed) && n.view.log.at(i) != committed[i-1].cell {
				return true
			}
		}
		return false
	})
}

func (s *Stage) changing() bool {
	return s.any(func(n *node) bool { return n.view.ConfigurationIndex > n.view.CommitIndex })
}

func (s *Stage) snapshots() bool {
	return s.any(func(n *node) bool { return n.view.Receiving.Size > 0 })
}

// visited counts; what matters is that each case is a line of its own.
var visited [64]uint64

func visit(state int) {
	switch state {
	case 0:
		visited[0]++
	case 1:
		visited[1]++
	case 2:
		visited[2]++
	case 3:
		visited[3]++
	case 4:
		visited[4]++
	case 5:
		visited[5]++
	case 6:
		visited[6]++
	case 7:
		visited[7]++
	case 8:
		visited[8]++
	case 9:
		visited[9]++
	case 10:
		visited[10]++
	case 11:
		visited[11]++
	case 12:
		visited[12]++
	case 13:
		visited[13]++
	case 14:
		visited[14]++
	case 15:
		visited[15]++
	case 16:
		visited[16]++
	case 17:
		visited[17]++
	case 18:
		visited[18]++
	case 19:
		visited[19]++
	case 20:
		visited[20]++
	case 21:
		visited[21]++
	case 22:
		visited[22]++
	case 23:
		visited[23]++
	case 24:
		visited[24]++
	case 25:
		visited[25]++
	case 26:
		visited[26]++
	case 27:
		visited[27]++
	case 28:
		visited[28]++
	case 29:
		visited[29]++
	case 30:
		visited[30]++
	case 31:
		visited[31]++
	case 32:
		visited[32]++
	case 33:
		visited[33]++
	case 34:
		visited[34]++
	case 35:
		visited[35]++
	case 36:
		visited[36]++
	case 37:
		visited[37]++
	case 38:
		visited[38]++
	case 39:
		visited[39]++
	case 40:
		visited[40]++
	case 41:
		visited[41]++
	case 42:
		visited[42]++
	case 43:
		visited[43]++
	case 44:
		visited[44]++
	case 45:
		visited[45]++
	case 46:
		visited[46]++
	case 47:
		visited[47]++
	case 48:
		visited[48]++
	case 49:
		visited[49]++
	case 50:
		visited[50]++
	case 51:
		visited[51]++
	case 52:
		visited[52]++
	case 53:
		visited[53]++
	case 54:
		visited[54]++
	case 55:
		visited[55]++
	case 56:
		visited[56]++
	case 57:
		visited[57]++
	case 58:
		visited[58]++
	case 59:
		visited[59]++
	case 60:
		visited[60]++
	case 61:
		visited[61]++
	case 62:
		visited[62]++
	case 63:
		visited[63]++
	}
}
