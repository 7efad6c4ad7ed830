package sim

import (
	"strings"
	"testing"

	"dbdb/raft"

	"github.com/stretchr/testify/assert"
)

// TestAWorldIsWrittenDown: to write a run down changes nothing in it. Played by hand, sound
// code breaks no promise, and goes the way of the world: somebody is elected, and entries are
// committed.
func TestAWorldIsWrittenDown(t *testing.T) {
	won, committed := 0, 0
	for seed := uint64(1); seed <= 3; seed++ {
		plain, written := Run(Options{Seed: seed}), Run(Options{Seed: seed, Record: true})
		assert.Equal(t, plain.Hash, written.Hash)
		assert.Empty(t, plain.Script)
		p := &Player{Watch: func(h Happening) {
			switch h.Event.Rule {
			case raft.RuleWonElection:
				won++
			case raft.RuleCommit:
				committed++
			}
		}}
		written.Script[:min(len(written.Script), 2000)].adapted().perform(p)
		assert.Nil(t, p.end(true))
		assert.Nil(t, written.Played(), "the run kept all promises")
	}
	assert.Positive(t, won)
	assert.Positive(t, committed)
}

// TestAScriptGoesOnWhereItIsNotWhatHappened: the vote is of another term than was written
// down, and arrives all the same.
func TestAScriptGoesOnWhereItIsNotWhatHappened(t *testing.T) {
	s := Script{"cluster 3", "timeout n1", "deliver one RequestVote n1->n2 term=7 index=1", "deliver one AppendEntriesReply n2->n1 term=7", "deliver one Heartbeat n3->n2"}
	assert.Equal(t, "cluster 3|timeout n1|deliver one RequestVote n1->n2|deliver one n2->n1", strings.Join(s.adapted(), "|"))
}
