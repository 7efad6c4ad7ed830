package httpapi

import (
	"fmt"

	"dbdb/raft"
)

// farBehind is how many entries a member must lack to count as catching up. One that
// follows a busy leader is always some entries behind.
const farBehind = 1000

// CatchingUp says how far a node is that lacks much of what the leader has.
type CatchingUp struct {
	Percent int    `json:"percent"` // 0 to 99
	Detail  string `json:"detail"`  // a sentence for people
}

// catchingUp is nil for a member that has nearly everything.
func (p Progress) catchingUp(last raft.Index) *CatchingUp {
	if c := ofSnapshot(p.Snapshot); c != nil {
		return c
	}
	if last-min(p.MatchIndex, last) <= farBehind {
		return nil
	}
	c := &CatchingUp{Percent: percent(uint64(p.MatchIndex), uint64(last))}
	c.Detail = fmt.Sprintf("%d %%: %d of %d entries", c.Percent, p.MatchIndex, last)
	return c
}

// ofSnapshot is nil when no snapshot is under way.
func ofSnapshot(t raft.Transferred) *CatchingUp {
	if t == (raft.Transferred{}) {
		return nil
	}
	c := &CatchingUp{Percent: percent(t.Offset, t.Size)}
	c.Detail = fmt.Sprintf("%d %%: %s of %s of a snapshot", c.Percent, megabytes(t.Offset), megabytes(t.Size))
	return c
}

// percent rounds down, and never to 100: who has everything is not catching up.
func percent(have, all uint64) int {
	if all == 0 {
		return 0
	}
	return int(min(99, float64(have)/float64(all)*100))
}

func megabytes(n uint64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }
