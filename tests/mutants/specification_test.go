package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const rejectedText = `--- FAIL: TestScripts (0.06s)
    --- FAIL: TestScripts/01-a/01-x (0.00s)
        player_test.go:56: 01-a/01-x.txt:49: at 0.000000 s: Leader Completeness: n1 leads
    --- FAIL: TestScripts/01-a/02-y (0.00s)
        player_test.go:56: 01-a/02-y.txt:4: at 0.000000 s: Specification: n1: time passes; in term 2, leader: nothing changes
              LeaderLeaves: it leads
    --- FAIL: TestScripts/01-a/03-z (0.00s)
        player_test.go:56: 01-a/03-z.txt:4: at 0.000000 s: Specification: n2: time passes; in term 2, leader: nothing changes
              GrantVote: it is late
`

// A script that an oracle ended before is nothing that the specification found.
func TestTheFirstScriptIsToldThatTheSpecificationItselfRejected(t *testing.T) {
	v := rejectedScript(outcome{failed: true, text: rejectedText})
	assert.Equal(t, "01-a/02-y: LeaderLeaves: it leads", v.what)
	assert.Contains(t, v.text, "Specification: n1")
	assert.NotContains(t, v.text, "03-z.txt")
	assert.False(t, rejectedScript(outcome{failed: true, text: "--- FAIL: TestScripts/01-a/01-x (0.00s)\n at 1.000000 s: Liveness: no leader\n"}).killed())
}

func TestOneEngineCanBeNamed(t *testing.T) {
	all := engines
	defer func() { engines = all }()
	require.NoError(t, keep(""))
	assert.Len(t, engines, len(all))
	require.ErrorContains(t, keep("luck"), `no engine "luck"`)
	require.NoError(t, keep("specification"))
	require.Len(t, engines, 1)
	assert.Equal(t, "specification", engines[0].name)
}

func TestALongLineIsCut(t *testing.T) {
	assert.Equal(t, "short", shorter("short"))
	assert.Len(t, []rune(shorter(rejectedText)), 101)
}
