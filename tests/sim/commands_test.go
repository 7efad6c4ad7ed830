package sim

import (
	"testing"

	"dbdb/raft"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// givenTwice is a write that its client has given to two servers.
func givenTwice() (c *clients, first, again *operation) {
	w := quietWorld()
	c, first = w.clients, &operation{kind: opSet, key: "k", node: w.nodes[0]}
	c.commandOf(first)
	again = &operation{kind: opSet, key: "k", value: first.value, data: first.data, sum: first.sum, node: w.nodes[1]}
	c.commandOf(again)
	return c, first, again
}

func commits(c *clients, op *operation, i raft.Index) func() {
	return func() { c.committed(op.sum, i) }
}

func TestAWriteMayBeCommittedAsOftenAsItWasGiven(t *testing.T) {
	c, first, again := givenTwice()
	require.Equal(t, first.sum, again.sum, "the very same command")
	require.Empty(t, broken(commits(c, first, 2)))
	require.Empty(t, broken(commits(c, first, 3)))
	assert.Equal(t, "Exactly once", broken(commits(c, first, 4)))
}

func TestAWriteThatWasRefusedOnceMayBeCommittedOnceLess(t *testing.T) {
	c, first, again := givenTwice()
	require.Empty(t, broken(func() { c.wasRefused(again) }))
	require.Empty(t, broken(commits(c, first, 2)))
	assert.Equal(t, "Exactly once", broken(commits(c, first, 3)))
}

func TestARefusalOfWhatWasCommittedIsSeen(t *testing.T) {
	c, first, again := givenTwice()
	require.Empty(t, broken(commits(c, first, 2)))
	require.Empty(t, broken(func() { c.wasRefused(first) }), "the other may be the one that was committed")
	assert.Equal(t, "Answers", broken(func() { c.wasRefused(again) }))
}

func TestACommandThatNobodyGaveIsSeen(t *testing.T) {
	c, _, _ := givenTwice()
	assert.Equal(t, "State Machine Safety", broken(func() { c.committed(4711, 2) }))
}

func TestAClientRepeatsOnlyWhatItDoesNotKnow(t *testing.T) {
	for name, is := range map[string]struct {
		op      operation
		repeats bool
	}{
		"unknown":                  {operation{kind: opSet, outcome: pending}, true},
		"done":                     {operation{kind: opSet, outcome: done}, false},
		"refused":                  {operation{kind: opSet, outcome: refused}, false},
		"refused when repeated":    {operation{kind: opSet, outcome: refused, tries: 1}, true},
		"repeated often enough":    {operation{kind: opSet, outcome: pending, tries: 2}, false},
		"a read without an answer": {operation{kind: opGet, outcome: pending}, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := stillWorld(3, extremes{repeats: 2})
			op := is.op
			op.key, op.node = "k", w.nodes[0]
			w.clients.commandOf(&op)
			w.clients.goOn(&op)
			for len(w.queue.events) > 0 && w.marks[markRepeated] == 0 && w.now < second {
				w.step()
			}
			assert.Equal(t, is.repeats, w.marks[markRepeated] == 1)
		})
	}
}
