package raft

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// What the simulator found: each test is the shortest way to what a seed ran into.

func TestWhetherAServerIsAMemberIsSaidOfCommittedConfigurationsOnly(t *testing.T) {
	s := leaderOf(t, 3)
	_, _, err := s.RemoveServer("n3")
	require.NoError(t, err)
	s.settle()
	_, _, err = s.RemoveServer("n3")
	require.ErrorIs(t, err, ErrConfigurationBusy, "its removal may still be undone")
	s.answer("n2")
	_, _, err = s.RemoveServer("n3")
	require.ErrorIs(t, err, ErrUnknownMember)
}
