package raft

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A test for each sentence of Figure 13 (the InstallSnapshot RPC), and for those of §7
// that say what a server must do. Each quotes its sentence.

// leaderThatCompacted is a leader of three whose snapshot covers its whole log, of four
// entries. n2 has all of it; n3 did not answer yet, and is sent the snapshot's first chunk.
func leaderThatCompacted(t *testing.T) *server {
	s := newServer(t, 3, 1)
	s.elect()
	s.answer("n2")
	s.Propose([]byte("x"), []byte("y"))
	s.settle()
	s.answer("n2")
	s.takeSent()
	require.Equal(t, Index(4), s.compact().Index)
	return s
}

// --- Arguments ---

// "term: leader's term"; "leaderId: so follower can redirect clients";
// "lastIncludedIndex: the snapshot replaces all entries up through and including this
// index"; "lastIncludedTerm: term of lastIncludedIndex"; "offset: byte offset where chunk
// is positioned in the snapshot file". "data[]" and "done" come from the file, which the
// core does not see.
func TestWhatALeaderSaysOfItsSnapshot(t *testing.T) {
	s := leaderThatCompacted(t)
	a := chunksTo("n3", s.takeSent())
	require.Equal(t, []InstallSnapshotArgs{{
		Term: 2, LeaderID: "n1", LastIncludedIndex: 4, LastIncludedTerm: 2, Session: s.leader.peers["n3"].session,
	}}, a)
}

// "leaderId: so follower can redirect clients"
func TestAFollowerKnowsItsLeaderFromASnapshot(t *testing.T) {
	s := newServer(t, 3, 1)
	s.HandleInstallSnapshot(chunkOf(2, snapshotAt(5, 2), 0))
	require.Equal(t, NodeID("n2"), s.Leader())
}

// "Leaders always send chunks in order"
func TestChunksAreSentInOrderEachAfterTheAnswerToTheOneBefore(t *testing.T) {
	s := leaderThatCompacted(t)
	for offset := uint64(0); offset < 30; offset += chunkBytes {
		a := chunksTo("n3", s.takeSent())
		require.Len(t, a, 1)
		require.Equal(t, offset, a[0].Offset)
		s.Tick()
		s.settle()
		require.Empty(t, chunksTo("n3", s.sent), "one is under way")
		s.HandleInstallSnapshotReply("n3", filled(a[0], 30), InstallSnapshotReply{Term: 2, Offset: offset + chunkBytes})
		s.flush()
	}
}

// --- Results ---

// "term: currentTerm, for leader to update itself"
func TestInstallSnapshotRepliesWithCurrentTerm(t *testing.T) {
	s := newServer(t, 3, 1, 4)
	for _, c := range []struct{ sent, answered Term }{{3, 4}, {4, 4}, {6, 6}} {
		rep, _ := s.HandleInstallSnapshot(chunkOf(c.sent, snapshotAt(9, 3), 0))
		require.Equal(t, c.answered, rep.Term)
	}
}

func TestALeaderUpdatesItselfFromTheReplyToASnapshot(t *testing.T) {
	s := leaderThatCompacted(t)
	s.HandleInstallSnapshotReply("n3", chunksTo("n3", s.sent)[0], InstallSnapshotReply{Term: 7})
	require.Equal(t, Follower, s.state)
	require.Equal(t, Term(7), s.currentTerm)
}

// --- Receiver implementation ---

// "1. Reply immediately if term < currentTerm"
func TestASnapshotOfAnOldTermIsRefusedAndChangesNothing(t *testing.T) {
	s := newServer(t, 3, 1, 4)
	ticks(s, 3)
	before := *s.Raft
	rep, store := s.HandleInstallSnapshot(chunkOf(3, snapshotAt(9, 3), 0))
	require.Equal(t, InstallSnapshotReply{Term: 4}, rep)
	require.False(t, store)
	require.Equal(t, before, *s.Raft, "no leader, no timer, no file")
}

// "2. Create new snapshot file if first chunk (offset is 0)"
func TestTheFirstChunkBeginsANewFile(t *testing.T) {
	s := newServer(t, 3, 1)
	rep, store := s.HandleInstallSnapshot(chunkOf(2, snapshotAt(9, 2), chunkBytes))
	require.False(t, store, "there is no file that it could continue")
	require.Zero(t, rep.Offset)
	rep, store = s.HandleInstallSnapshot(chunkOf(2, snapshotAt(9, 2), 0))
	require.True(t, store)
	require.EqualValues(t, chunkBytes, rep.Offset)
}

// "3. Write data into snapshot file at given offset"
func TestAChunkIsStoredWhereTheFileEndsAndNowhereElse(t *testing.T) {
	s := newServer(t, 3, 1)
	m := snapshotAt(9, 2)
	for _, c := range []struct {
		name   string
		offset uint64
		store  bool
		next   uint64
	}{
		{"the first", 0, true, 10},
		{"the first again: its answer was lost", 0, false, 10},
		{"the third, which overtook the second", 20, false, 10},
		{"the second", 10, true, 20},
		{"the third", 20, true, 30},
		{"the third again, while the file is being installed", 20, false, 30},
	} {
		rep, store := s.HandleInstallSnapshot(chunkOf(2, m, c.offset))
		require.Equal(t, c.store, store, c.name)
		require.Equal(t, InstallSnapshotReply{Term: 2, Offset: c.next}, rep, c.name)
	}
}

// "4. Reply and wait for more data chunks if done is false"
func TestWithoutItsLastChunkASnapshotChangesNothing(t *testing.T) {
	s := newServer(t, 3, 1, 1)
	s.settle()
	s.HandleInstallSnapshot(chunkOf(1, snapshotAt(9, 1), 0))
	s.HandleInstallSnapshot(chunkOf(1, snapshotAt(9, 1), chunkBytes))
	require.Zero(t, s.commitIndex)
	require.Equal(t, []Term{1, 1}, s.terms())
	require.Zero(t, s.flush().Save)
}

// "5. Save snapshot file, discard any existing or partial snapshot with a smaller index"
func TestAReceivedSnapshotIsSavedInPlaceOfTheOneBefore(t *testing.T) {
	s := newServer(t, 3, 1, 1)
	for _, m := range []Snapshot{snapshotAt(5, 1), snapshotAt(9, 1)} {
		require.True(t, s.receive(1, m))
		require.Equal(t, m, s.flush().Save.Snapshot)
		s.settle()
		require.Equal(t, m.Index, s.disk.savedIndex, "as good as a log up to there")
	}
	require.Equal(t, snapshotAt(9, 1), s.durable.Snapshot)
	require.Equal(t, snapshotAt(9, 1), s.Snapshot())
}

// "…discard any existing or partial snapshot with a smaller index"
func TestANewerSnapshotReplacesOneThatIsNotComplete(t *testing.T) {
	s := newServer(t, 3, 1)
	old, newer := snapshotAt(5, 2), snapshotAt(9, 2)
	s.HandleInstallSnapshot(chunkOf(2, old, 0))
	_, store := s.HandleInstallSnapshot(chunkOf(2, newer, 0))
	require.True(t, store)
	_, store = s.HandleInstallSnapshot(chunkOf(2, old, chunkBytes))
	require.False(t, store, "a late chunk of the old one")
	_, store = s.HandleInstallSnapshot(chunkOf(2, old, 0))
	require.False(t, store, "which does not begin again either")
	_, store = s.HandleInstallSnapshot(chunkOf(2, newer, chunkBytes))
	require.True(t, store)
}

// "6. If existing log entry has same index and term as snapshot's last included entry,
// retain log entries following it and reply"
func TestEntriesThatFollowTheSnapshotStay(t *testing.T) {
	s := newServer(t, 3, 1, 1, 1, 2, 2)
	require.True(t, s.receive(2, snapshotAt(3, 1)))
	require.Equal(t, []Term{2, 2}, s.terms())
	require.Equal(t, Index(3), s.commitIndex)
	s.settle()
	require.Equal(t, []Term{2, 2}, s.restart().terms(), "on the disk as well")
	require.Equal(t, Index(5), s.restart().log.lastIndex())
}

// "7. Discard the entire log"
func TestOtherwiseTheEntireLogGoes(t *testing.T) {
	for name, c := range map[string]struct {
		last Snapshot
		log  []Term
	}{
		"the snapshot ends beyond the log":                    {snapshotAt(9, 2), []Term{1, 1, 2}},
		"a conflicting entry at its end (hashicorp/raft#697)": {snapshotAt(3, 2), []Term{1, 1, 1}},
		"…with a tail": {snapshotAt(3, 2), []Term{1, 1, 1, 1, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, 3, c.log...)
			require.True(t, s.receive(3, c.last))
			require.Empty(t, s.terms())
			require.Equal(t, c.last.Index, s.log.lastIndex())
			require.Equal(t, c.last.Term, s.log.lastTerm())
			s.settle()
			again := s.restart()
			require.Empty(t, again.terms())
			require.Equal(t, c.last.Index, again.log.lastIndex())
			require.True(t, again.HandleAppendEntries(from(3, c.last.Index, c.last.Term, 3)).Success, "the log continues the snapshot")
		})
	}
}

// "8. Reset state machine using snapshot contents…": the replica does, and what the
// snapshot covers is not applied on top of it.
func TestTheStateMachineGoesOnAfterTheSnapshot(t *testing.T) {
	s := newServer(t, 3, 1, 1, 1, 1)
	require.True(t, s.receive(1, snapshotAt(3, 1)))
	require.Equal(t, Index(3), s.lastApplied)
	a := from(1, 4, 1)
	a.LeaderCommit = 4
	s.HandleAppendEntries(a)
	s.settle()
	require.Len(t, s.applied, 1)
	require.Equal(t, Index(4), s.applied[0].Index)
}

// "…(and load snapshot's cluster configuration)"
func TestTheSnapshotsConfigurationIsInUse(t *testing.T) {
	s := newServer(t, 1, 1)
	m := Snapshot{Index: 9, Term: 2, Configuration: members(5), ConfigurationIndex: 7}
	require.True(t, s.receive(2, m))
	require.Equal(t, members(5), s.Configuration())
	require.Equal(t, Index(7), s.ConfigurationIndex())
	s.settle()
	require.Equal(t, members(5), s.restart().Configuration())
}

// …and whatever the discarded log held is not.
func TestAConfigurationInADiscardedLogIsForgotten(t *testing.T) {
	s := newServer(t, 3, 1, 1)
	s.HandleAppendEntries(configured(from(1, 2, 1, 1, 1), members(4))) // 4@1
	require.True(t, s.receive(2, snapshotAt(3, 2)))
	require.Empty(t, s.terms())
	require.Equal(t, members(3), s.Configuration())
}

// One that follows the snapshot in the log is in use before and after, and may be undone.
func TestAConfigurationAfterTheSnapshotStaysInUse(t *testing.T) {
	s := newServer(t, 3, 1, 1)
	s.HandleAppendEntries(configured(from(1, 2, 1, 1, 1), members(4)))
	require.True(t, s.receive(1, snapshotAt(2, 1)))
	require.Equal(t, members(4), s.Configuration())
	s.settle()
	again := s.restart()
	require.Equal(t, members(4), again.Configuration())
	again.HandleAppendEntries(from(2, 2, 1, 2))
	require.Equal(t, members(3), again.Configuration())
	require.Equal(t, Index(1), again.ConfigurationIndex())
}

// --- §7, Figure 12 and the text around it ---

// "Each server takes snapshots independently, covering just the committed entries in
// its log."
func TestASnapshotCoversWhatIsAppliedAndNothingElse(t *testing.T) {
	s := newServer(t, 3, 1, 1, 1, 1)
	_, _, ok := s.NextSnapshot()
	require.False(t, ok, "nothing is known to be committed")
	a := from(1, 4, 1)
	a.LeaderCommit = 3
	s.HandleAppendEntries(a)
	_, _, ok = s.NextSnapshot()
	require.False(t, ok, "nothing is applied")
	s.settle()
	m, _, ok := s.NextSnapshot()
	require.True(t, ok)
	require.Equal(t, snapshotAt(3, 1), m)
	require.Panics(t, func() { s.Compact(snapshotAt(4, 1)) }, "4 is not committed")
}

// A server with a long way to go applies in parts. What it knows to be committed may hold a
// newer configuration than what it has applied.
func TestNoSnapshotBetweenTwoConfigurations(t *testing.T) {
	s := newServer(t, 3, 1)
	a := configured(from(1, 1, 1, 1, 1, 1), members(4))
	a.Entries[0].Data, a.Entries[1].Data = make([]byte, maxApplyBytes), make([]byte, maxApplyBytes)
	a.LeaderCommit = 4
	s.HandleAppendEntries(a)
	s.flush()
	require.Equal(t, Index(1), s.lastApplied)
	require.Equal(t, Index(4), s.commitIndex)
	_, _, ok := s.NextSnapshot()
	require.False(t, ok)
	for s.MoreToApply() {
		s.flush()
	}
	m, _, ok := s.NextSnapshot()
	require.True(t, ok)
	require.Equal(t, Index(4), m.ConfigurationIndex)
}

// "the last included index is the index of the last entry in the log that the snapshot
// replaces (the last entry the state machine had applied), and the last included term is
// the term of this entry. These are preserved to support the AppendEntries consistency
// check for the first log entry following the snapshot"
func TestTheConsistencyCheckWorksAtTheSnapshotsEnd(t *testing.T) {
	s := newServer(t, 3, 1, 1, 2)
	a := from(2, 3, 2)
	a.LeaderCommit = 3
	s.HandleAppendEntries(a)
	s.settle()
	require.Equal(t, Term(2), s.compact().Term)
	require.False(t, s.HandleAppendEntries(from(4, 3, 1, 4)).Success, "3@2 is not 3@1")
	require.True(t, s.HandleAppendEntries(from(4, 3, 2, 4)).Success)
}

// "To enable cluster membership changes (Section 6), the snapshot also includes the
// latest configuration in the log as of last included index." Not a later one
// (async-raft#133).
func TestASnapshotIncludesTheConfigurationAsOfItsLastIndex(t *testing.T) {
	s := newServer(t, 3, 1, 1)
	a := from(1, 2, 1, 1, 1)
	a.Entries[1].Kind, a.Entries[1].Data = EntryConfiguration, members(4).Encode()
	a.LeaderCommit = 3
	s.HandleAppendEntries(a)
	s.settle()
	m, _, ok := s.NextSnapshot()
	require.True(t, ok)
	require.Equal(t, snapshotAt(3, 1), m, "the configuration at 4 is in use, but not part of it")
	s.compact()
	again := s.restart()
	require.Equal(t, members(4), again.Configuration(), "in use after a restart as well (NuRaft#67)")
	other := from(2, 3, 1, 2)
	again.HandleAppendEntries(other)
	require.Equal(t, members(3), again.Configuration(), "and undone with its entry")
}

// "Once a server completes writing a snapshot, it may delete all log entries up through
// the last included index, as well as any prior snapshot."
func TestOnceASnapshotIsCompleteTheLogBeforeItGoes(t *testing.T) {
	s := leaderOf(t, 1)
	s.Propose([]byte("x"))
	s.settle()
	m := s.compact()
	require.Equal(t, Index(3), m.Index)
	require.Empty(t, s.terms())
	require.Equal(t, Restored{Term: 2, VotedFor: "n1", Snapshot: m}, s.durable)
	again := s.restart()
	require.Equal(t, Index(3), again.commitIndex, "what a snapshot covers was committed")
	require.Equal(t, Index(3), again.lastApplied)
}

// "the leader must occasionally send snapshots to followers that lag behind. This
// happens when the leader has already discarded the next log entry that it needs to send
// to a follower."
func TestASnapshotIsSentOnlyIfTheNextEntryIsDiscarded(t *testing.T) {
	s := leaderThatCompacted(t)
	require.Len(t, chunksTo("n3", s.sent), 1)
	require.Empty(t, withEntries("n3", s.sent))
	require.Empty(t, chunksTo("n2", s.sent), "n2 has all of it")
	s.takeSent()
	s.Propose([]byte("z"))
	s.settle()
	require.Len(t, withEntries("n2", s.sent), 1, "n2 is sent entries")
	require.Empty(t, withEntries("n3", s.sent))
}

// Figure 13: "this gives the follower a sign of life with each chunk, so it can reset its
// election timer."
func TestEachChunkResetsTheElectionTimer(t *testing.T) {
	s := newServer(t, 3, 1)
	for _, offset := range []uint64{0, 10, 10, 20} {
		ticks(s, 5)
		s.HandleInstallSnapshot(chunkOf(1, snapshotAt(9, 1), offset))
		require.Zero(t, s.electionElapsed)
	}
}

// "If instead the follower receives a snapshot that describes a prefix of its log (due to
// retransmission or by mistake), then log entries covered by the snapshot are deleted but
// entries following the snapshot are still valid and must be retained." A committed prefix
// needs no snapshot at all: to install it would undo what is applied (camunda#6092).
func TestALateSnapshotUndoesNothing(t *testing.T) {
	s := newServer(t, 3, 1, 1, 1, 1)
	a := from(1, 4, 1)
	a.LeaderCommit = 3
	s.HandleAppendEntries(a)
	s.settle()
	rep, store := s.HandleInstallSnapshot(chunkOf(1, snapshotAt(2, 1), 0))
	require.Equal(t, InstallSnapshotReply{Term: 1, Installed: true}, rep)
	require.False(t, store)
	require.False(t, s.FinishSnapshot(snapshotAt(2, 1)))
	require.False(t, s.FinishSnapshot(snapshotAt(3, 1)))
	require.Equal(t, []Term{1, 1, 1, 1}, s.terms())
	require.Equal(t, Index(3), s.lastApplied)
	require.Zero(t, s.flush().Save)
}
