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
	c := &CatchingUp{Percent: percent(raft.Transferred{Offset: uint64(p.MatchIndex), Size: uint64(last)})}
	c.Detail = fmt.Sprintf("%d %%: %d of %d entries", c.Percent, p.MatchIndex, last)
	return c
}

// ofSnapshot is nil when no snapshot is under way.
func ofSnapshot(t raft.Transferred) *CatchingUp {
	if t == (raft.Transferred{}) {
		return nil
	}
	c := &CatchingUp{Percent: percent(t)}
	c.Detail = fmt.Sprintf("%d %%: %s of %s of a snapshot", c.Percent, megabytes(t.Offset), megabytes(t.Size))
	return c
}

// percent is never 100: who has everything is not catching up.
func percent(t raft.Transferred) int { return min(99, t.Percent()) }

func megabytes(n uint64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }
