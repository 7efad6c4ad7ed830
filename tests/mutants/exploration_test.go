package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dbdb/tests/explore"
)

// What the explorer prints of a broken promise is found, also where its detail has the signs
// that separate the parts.
func TestABrokenLevelIsRead(t *testing.T) {
	v := verdict{}.explored(outcome{failed: true, text: "  disks: depth 3, frontier 4\n" +
		"disks: 3 nodes, slow disks: BROKEN: Durable before it leaves: n1 speaks in term 3; its disk has term 2; 1,015 states, 37 transitions, depth 2\n"})
	require.Equal(t, "Durable before it leaves (disks after 1,015 states)", v.what)
	require.False(t, verdict{}.explored(outcome{text: "disks: complete"}).killed())
	require.Equal(t, "panic: oh", verdict{}.explored(outcome{failed: true, text: "panic: oh\nmore"}).what)
}

// On a stage every level must have its turn, however many do not end.
func TestAPatchOutsideOfTheCoreIsExploredOnAStage(t *testing.T) {
	require.Equal(t, []string{"-test.run=^TestExplore$", "-workers=1", "-budget=1m0s"}, explorerArgs([]string{"raft"}, 8*time.Minute))
	budget := time.Duration(2*len(explore.Levels)) * time.Second
	for _, packages := range [][]string{{"raft/wal"}, {"raft", "rpc"}} {
		require.Equal(t, []string{"-test.run=^TestExplore$", "-workers=1", "-stage", "-budget=1s"}, explorerArgs(packages, budget))
	}
}
