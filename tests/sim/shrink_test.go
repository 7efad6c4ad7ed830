package sim

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// twoLead is an oracle for these tests: nobody promises that no two servers lead at once, in
// different terms, so it is soon broken.
func twoLead(s Script, _ bool) bool {
	p := &Player{}
	defer func() { p.end(false) }()
	for _, line := range s {
		if p.Do(line); p.Stage != nil && p.Stage.leaders() > 1 {
			return true
		}
	}
	return false
}

// longSchedule is one of bytes, in whose course two servers lead.
func longSchedule(t *testing.T) Script {
	for seed := uint64(1); seed < 200; seed++ {
		picks := make([]byte, 400)
		_, _ = stream(seed, streamSchedule).Read(picks)
		c := newSchedule([]byte{2, 0, 0})
		require.Nil(t, c.play(picks))
		if twoLead(c.script, false) {
			return c.script
		}
	}
	t.Fatal("no schedule in which two lead")
	return nil
}

func shrinkTwoLead(s Script) Script {
	k := &shrinker{script: s, breaks: twoLead}
	k.shrink()
	return k.script
}

// TestAScheduleShrinksToTheShortestScript: two elections, each with the one vote that makes a
// majority of three, and nothing that is not needed.
func TestAScheduleShrinksToTheShortestScript(t *testing.T) {
	long := longSchedule(t)
	short := shrinkTwoLead(long)
	require.LessOrEqual(t, len(short), 8, "of %d commands:\n%s", len(long), short)
	assert.Equal(t, "cluster 3", short[0])
	for k := 1; k < len(short); k++ {
		assert.False(t, twoLead(slices.Delete(slices.Clone(short), k, k+1), false), "%q is not needed", short[k])
	}
	assert.Equal(t, short, shrinkTwoLead(long), "the same schedule shrinks to the same script")
}

// TestAScriptThatBreaksNoPromiseStaysAsItIs: there is nothing to shrink it by.
func TestAScriptThatBreaksNoPromiseStaysAsItIs(t *testing.T) {
	s := Script{"cluster 3", "timeout n1", "settle"}
	short, failure := s.Shrink()
	assert.Nil(t, failure)
	assert.Equal(t, s, short)
}

// TestACommandMeansTheSameInAShorterScript: a message is named by what it is, so to leave out
// what came before it changes nothing in what is meant.
func TestACommandMeansTheSameInAShorterScript(t *testing.T) {
	s := Script{"cluster 3", "timeout n1", "timeout n1", "deliver RequestVote n1->n2 term=3 index=1", "deliver RequestVoteReply n2->n1 term=3"}
	p := &Player{}
	s.perform(p)
	assert.Equal(t, 1, p.Stage.leaders())
	assert.Nil(t, p.end(true))
	p = &Player{}
	slices.Delete(slices.Clone(s), 2, 3).perform(p)
	assert.Equal(t, 0, p.Stage.leaders(), "the request of term 3 was never made, and that of term 2 is another")
	assert.Nil(t, p.end(true))
}

func TestServersLeaveAScript(t *testing.T) {
	s := Script{"cluster 3 spares=1 compacting=(n2, n4) chunk=64", "timeout n2", "deliver RequestVote n2->n3", "timeout n4"}
	assert.Equal(t, Script{"cluster 2 spares=1 compacting=(n3) chunk=64", "timeout n3"}, s.withoutServer(2, nobodyElse))
	assert.Equal(t, Script{"cluster 2 spares=1 compacting=(n3) chunk=64", "timeout n1", "deliver RequestVote n1->n2", "timeout n3"}, s.withoutServer(2, 1))
	assert.Equal(t, Script{"cluster 3 compacting=(n2) chunk=64", "timeout n2", "deliver RequestVote n2->n3"}, s.withoutServer(4, nobodyElse))
	assert.Nil(t, Script{"cluster 1", "timeout n1"}.withoutServer(1, nobodyElse))
}

func TestAScriptIsReadAsItWasWritten(t *testing.T) {
	s := Script{"cluster 3 spares=1", "timeout n1", "deliver RequestVote n1->n2 term=2 index=1"}
	assert.Equal(t, s, ParseScript(s.File("Found by chance.", &Failure{Oracle: "Some", Detail: "words\nand a stack"})))
	assert.Equal(t, Script{"cluster 3", "timeout n1", "settle"}, ParseScript("# It begins.\ncluster 3\n----\nn1@1 1\n\nquietly\ntimeout n1\nsettle quietly\n----\nok\n\nlogs\n----\n    1\n"))
}
