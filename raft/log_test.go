package raft

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A message in flight keeps the entries that it was made with, whatever happens to
// the log (etcd-io/raft PR #34).
func TestEntriesHandedOutSurviveATruncation(t *testing.T) {
	l := newLog(Snapshot{}, logOf(members(1), 1, 1, 1, 1))
	sent := l.between(2, 4)
	l.truncate(3)
	l.append(Entry{Index: 3, Term: 2}, Entry{Index: 4, Term: 2})
	require.Equal(t, []Term{1, 1, 1}, []Term{sent[0].Term, sent[1].Term, sent[2].Term})
}

func TestALogAboveABase(t *testing.T) {
	l := log{base: 10, baseTerm: 3, entries: []Entry{{Index: 11, Term: 3}, {Index: 12, Term: 4}}}
	require.Equal(t, Index(12), l.lastIndex())
	require.Equal(t, Term(3), l.term(10))
	require.True(t, l.matches(10, 3))
	require.False(t, l.matches(9, 3), "unknown is not 0 (etcd-io/raft 76f1249)")
	require.False(t, l.matches(13, 4))
	require.Panics(t, func() { l.term(9) })
	require.Equal(t, Index(11), l.firstOfTerm(11))
	require.Equal(t, Index(10), l.lastIndexOf(2, 12))
}

func TestTruncationReachesTheDiskOnlyForWhatWasHandedOut(t *testing.T) {
	l := newLog(Snapshot{}, logOf(members(1), 1, 1))
	l.append(Entry{Index: 3, Term: 1}, Entry{Index: 4, Term: 1})
	l.truncate(4)
	require.Zero(t, l.truncateFrom)
	l.truncate(2)
	l.append(Entry{Index: 2, Term: 2})
	require.Equal(t, Index(2), l.truncateFrom)
	require.Equal(t, Index(2), l.unsavedFrom)
	l.truncate(1)
	require.Equal(t, Index(1), l.truncateFrom, "the lowest counts")
}

func TestNothingBetweenBackwardsIndexes(t *testing.T) {
	l := newLog(Snapshot{}, nil)
	require.Empty(t, l.between(1, 0))
	require.True(t, l.matches(0, 0))
}

func TestALogIsCompactedForwardOnly(t *testing.T) {
	l := newLog(Snapshot{}, logOf(members(1), 1, 1, 1, 1, 1))
	l.compact(4)
	l.compact(3)
	require.Equal(t, Index(4), l.base, "what is gone is gone")
	l.reset(20, 3)
	require.Equal(t, Index(20), l.lastIndex())
	require.Equal(t, Term(3), l.lastTerm())
}

// What a message in flight holds stays; what nobody holds may go.
func TestCompactionMovesWhatStaysToAnArrayOfItsOwn(t *testing.T) {
	l := newLog(Snapshot{}, logOf(members(1), 1, 1, 1, 1))
	sent := l.between(2, 4)
	l.compact(2)
	require.NotSame(t, &sent[1], &l.entries[0], "or the array would keep 1 and 2 for ever")
	l.truncate(3)
	l.append(Entry{Index: 3, Term: 2})
	require.Equal(t, []Term{1, 1, 1}, []Term{sent[0].Term, sent[1].Term, sent[2].Term})
	require.Equal(t, Term(1), l.term(2), "the base keeps its term")
	require.Equal(t, Index(3), l.truncateFrom)
}

// What no Save has carried, and a snapshot covers, need not be saved any more.
func TestWhatASnapshotTakesThePlaceOfIsNotSavedAnyMore(t *testing.T) {
	l := newLog(Snapshot{}, nil)
	l.append(logOf(members(1), 1, 1, 1, 1)...)
	l.compact(3)
	require.Equal(t, Index(4), l.unsavedFrom)
	l.reset(9, 2)
	require.Equal(t, Index(10), l.unsavedFrom)
	require.Zero(t, l.truncateFrom)
}

func TestEntriesThatAreAskedForOutsideTheLogAreLeftOut(t *testing.T) {
	s := leaderOf(t, 1)
	s.Propose([]byte("x"))
	require.Len(t, s.LogEntries(0, 99), 3)
	s.settle()
	s.compact()
	require.Empty(t, s.LogEntries(0, 99))
	require.Empty(t, s.LogEntries(2, 1))
}
