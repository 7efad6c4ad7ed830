package raft

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// Snapshots on a network that loses, repeats and delays, and logs that begin in the middle.

// carry takes a leader's chunk to n3, and the answer back. What n3 stores it gets.
func carry(t *testing.T, leader, n3 *server) (rep InstallSnapshotReply, stored bool) {
	t.Helper()
	a := chunksTo("n3", leader.takeSent())
	require.Len(t, a, 1)
	full := filled(a[0], 30)
	require.NoError(t, full.Validate())
	rep, stored = n3.HandleInstallSnapshot(full)
	leader.HandleInstallSnapshotReply("n3", full, rep)
	leader.flush()
	return rep, stored
}

// n3 is the follower that lacks what the leader has compacted.
func startN3(t *testing.T) *server {
	return start(t, Config{ID: "n3"}, Restored{Term: 1, Entries: logOf(members(3), 1)})
}

// --- The whole way ---

func TestAFollowerThatLagsBehindCatchesUpBySnapshotAndGoesOnWithEntries(t *testing.T) {
	s, n3 := leaderThatCompacted(t), startN3(t)
	for range 3 {
		_, stored := carry(t, s, n3)
		require.True(t, stored)
	}
	require.Equal(t, Transferred{30, 30}, s.Status().Peers[1].Snapshot)
	require.Equal(t, "100 %", n3.Status().Receiving.String())
	require.Zero(t, Transferred{}.Percent())
	require.Empty(t, chunksTo("n3", s.sent), "n3 is busy with the file")

	s.HeartbeatTimeout()
	s.flush()
	rep, stored := carry(t, s, n3)
	require.Equal(t, InstallSnapshotReply{Term: 2, Offset: 30}, rep, "still busy")
	require.False(t, stored)
	require.Empty(t, chunksTo("n3", s.sent))

	require.True(t, n3.FinishSnapshot(s.Snapshot()))
	n3.settle()
	s.Propose([]byte("z"))
	s.HeartbeatTimeout()
	s.settle()
	rep, _ = carry(t, s, n3)
	require.True(t, rep.Installed)
	require.Equal(t, Index(4), s.leader.peers["n3"].matchIndex)
	a := withEntries("n3", s.sent)
	require.Len(t, a, 1)
	require.Equal(t, Index(4), a[0].PrevLogIndex)
	require.True(t, n3.HandleAppendEntries(a[0]).Success)
	require.Equal(t, s.log.lastIndex(), n3.log.lastIndex())
}

// What a peer has installed it holds: it counts like an acknowledgement.
func TestAnInstalledSnapshotCountsForCommitment(t *testing.T) {
	s := newServer(t, 5, 1)
	s.elect()
	s.answer("n2")
	s.answer("n3")
	s.compact()
	_, _, err := s.Propose([]byte("x"))
	require.NoError(t, err)
	s.settle()
	s.answer("n2")
	s.installed("n4", s.leader.peers["n4"], InstallSnapshotArgs{LastIncludedIndex: 3})
	require.Equal(t, Index(3), s.commitIndex)
}

func TestALearnerThatASnapshotBroughtUpToDateBecomesAVoter(t *testing.T) {
	s := leaderOf(t, 1)
	s.AddLearner(n9)
	s.settle()
	s.Propose([]byte("x"))
	s.settle()
	s.takeSent()
	s.compact()
	s.HandleInstallSnapshotReply("n9", filled(chunksTo("n9", s.sent)[0], 30), InstallSnapshotReply{Term: 2, Installed: true})
	s.flush()
	require.True(t, s.Configuration().IsVoter("n9"))
}

// --- A network that loses, repeats and delays ---

func TestALostChunkIsSentAgainWithTheNextHeartbeat(t *testing.T) {
	s, n3 := leaderThatCompacted(t), startN3(t)
	a := chunksTo("n3", s.takeSent())[0]
	s.HandleInstallSnapshotFailed("n3", a)
	s.settle()
	require.Empty(t, chunksTo("n3", s.sent), "not at once: a server that is down would fail again")
	s.HeartbeatTimeout()
	s.flush()
	require.Equal(t, a, chunksTo("n3", s.sent)[0])
	carry(t, s, n3)
	require.EqualValues(t, 10, chunksTo("n3", s.sent)[0].Offset)
}

func TestAfterALostAnswerTheLeaderGoesOnWhereTheFollowerIs(t *testing.T) {
	s, n3 := leaderThatCompacted(t), startN3(t)
	a := chunksTo("n3", s.takeSent())[0]
	n3.HandleInstallSnapshot(filled(a, 30))
	s.HandleInstallSnapshotFailed("n3", a)
	s.HeartbeatTimeout()
	s.flush()
	_, stored := carry(t, s, n3)
	require.False(t, stored)
	require.EqualValues(t, 10, chunksTo("n3", s.sent)[0].Offset)
}

func TestAnAnswerToAnEarlierTransferMovesNothing(t *testing.T) {
	s := leaderThatCompacted(t)
	a := filled(chunksTo("n3", s.takeSent())[0], 30)
	s.Propose([]byte("z"))
	s.settle()
	s.answer("n2")
	s.compact()
	before := *s.leader.peers["n3"].snapshot
	s.HandleInstallSnapshotReply("n3", a, InstallSnapshotReply{Term: 2, Offset: 10})
	s.HandleInstallSnapshotFailed("n3", a)
	require.Equal(t, before, *s.leader.peers["n3"].snapshot)
	require.Equal(t, 1, s.leader.peers["n3"].inflight, "the newer one's first chunk")

	s.observeTerm(9)
	s.HandleInstallSnapshotFailed("n3", a)
	s.HandleInstallSnapshotReply("n3", a, InstallSnapshotReply{Term: 2, Installed: true})
	require.Equal(t, Follower, s.state)
	s.elect()
	s.HandleInstallSnapshotReply("n3", a, InstallSnapshotReply{Term: 2, Installed: true})
	s.HandleInstallSnapshotReply("n7", InstallSnapshotArgs{Term: s.currentTerm}, InstallSnapshotReply{Term: s.currentTerm, Installed: true})
	require.Zero(t, s.leader.peers["n3"].matchIndex)
}

// "Damaged" and "could not be stored" are one thing to the core.
func TestAFileThatIsDamagedIsSentAgainFromItsBeginning(t *testing.T) {
	s, n3 := leaderThatCompacted(t), startN3(t)
	for range 3 {
		carry(t, s, n3)
	}
	n3.DropIncomingSnapshot()
	s.HeartbeatTimeout()
	s.flush()
	rep, _ := carry(t, s, n3)
	require.Zero(t, rep.Offset)
	require.Empty(t, chunksTo("n3", s.sent), "not at once: its disk may be full")
	s.HeartbeatTimeout()
	s.flush()
	_, stored := carry(t, s, n3)
	require.True(t, stored)
	require.EqualValues(t, 10, chunksTo("n3", s.sent)[0].Offset)
}

// With a disk that is too small the same would happen for ever, at the speed of the network.
func TestAFollowerThatLosesWhatItIsSentAgainAndAgainIsLeftAloneForLongerAndLonger(t *testing.T) {
	s, n3 := leaderThatCompacted(t), startN3(t)
	var waited []int
	for range 10 {
		for range 3 {
			_, stored := carry(t, s, n3)
			require.True(t, stored)
		}
		n3.DropIncomingSnapshot()
		s.HeartbeatTimeout()
		s.flush()
		carry(t, s, n3) // it has nothing any more
		heartbeats := 0
		for len(chunksTo("n3", s.sent)) == 0 {
			s.HeartbeatTimeout()
			s.flush()
			heartbeats++
		}
		waited = append(waited, heartbeats)
	}
	require.Equal(t, []int{1, 2, 4, 8, 16, 32, 64, 128, 128, 128}, waited)
}

func TestAFollowerThatRestartsInTheMiddleBeginsAgain(t *testing.T) {
	s, n3 := leaderThatCompacted(t), startN3(t)
	carry(t, s, n3)
	carry(t, s, n3)
	n3 = n3.restart()
	carry(t, s, n3)
	s.HeartbeatTimeout()
	s.flush()
	for range 3 {
		_, stored := carry(t, s, n3)
		require.True(t, stored)
	}
}

func TestALeaderWithANewerSnapshotBeginsAgainWithIt(t *testing.T) {
	s, n3 := leaderThatCompacted(t), startN3(t)
	carry(t, s, n3)
	s.Propose([]byte("z"))
	s.settle()
	s.answer("n2")
	s.takeSent()
	require.Equal(t, Index(5), s.compact().Index)
	a := chunksTo("n3", s.sent)
	require.Len(t, a, 1)
	require.Equal(t, Index(5), a[0].LastIncludedIndex)
	require.Zero(t, a[0].Offset)
	_, stored := carry(t, s, n3)
	require.True(t, stored)
	require.Equal(t, Index(5), n3.incoming.index)
}

// Until the Save that names it is durable, the file may not be where it is looked for.
func TestASnapshotIsSentWhenItsFileIsInForce(t *testing.T) {
	s := leaderOf(t, 3)
	s.leader.peers["n3"].nextIndex, s.leader.peers["n3"].matchIndex = 2, 1
	s.cfg.TrailingBytes = -1
	m, _, _ := s.NextSnapshot()
	require.True(t, s.Compact(m))
	s.flush()
	s.flush()
	require.Empty(t, chunksTo("n3", s.sent))
	s.settle()
	require.Len(t, chunksTo("n3", s.sent), 1)
}

// Two leaders' files for one index may differ, and must not mix (camunda#8381).
func TestChunksOfTwoLeadersDoNotMix(t *testing.T) {
	n3, m := startN3(t), snapshotAt(9, 1)
	n3.HandleInstallSnapshot(chunkOf(2, m, 0))
	other := chunkOf(3, m, chunkBytes)
	other.LeaderID = "n1"
	rep, store := n3.HandleInstallSnapshot(other)
	require.False(t, store)
	require.Zero(t, rep.Offset, "the new leader begins at the beginning")
	other = chunkOf(3, m, 0)
	other.LeaderID = "n1"
	_, store = n3.HandleInstallSnapshot(other)
	require.True(t, store)
	rep, store = n3.HandleInstallSnapshot(chunkOf(2, m, chunkBytes))
	require.False(t, store)
	require.Equal(t, Term(3), rep.Term)
	require.Equal(t, uint64(chunkBytes), n3.incoming.offset)
}

func TestAChunkOfAFileOfAnotherSizeIsNotTaken(t *testing.T) {
	n3, m := startN3(t), snapshotAt(9, 1)
	n3.HandleInstallSnapshot(chunkOf(2, m, 0))
	a := chunkOf(2, m, chunkBytes)
	a.Size++
	_, store := n3.HandleInstallSnapshot(a)
	require.False(t, store)
}

func TestTheFirstCompleteSnapshotDoesNotEndTheTransferOfTheNext(t *testing.T) {
	n3 := startN3(t)
	for _, offset := range []uint64{0, 10, 20} {
		n3.HandleInstallSnapshot(chunkOf(2, snapshotAt(5, 1), offset))
	}
	n3.HandleInstallSnapshot(chunkOf(2, snapshotAt(9, 1), 0))
	require.True(t, n3.FinishSnapshot(snapshotAt(5, 1)), "verified only now")
	_, store := n3.HandleInstallSnapshot(chunkOf(2, snapshotAt(9, 1), chunkBytes))
	require.True(t, store)
}

// --- What may happen meanwhile ---

// Of two snapshots the one that reaches further wins, whichever is ready first
// (hashicorp/raft#248).
func TestAnOwnSnapshotThatIsReadyAfterAReceivedOneIsForgotten(t *testing.T) {
	s := newServer(t, 3, 1, 1)
	a := from(1, 2, 1)
	a.LeaderCommit = 2
	s.HandleAppendEntries(a)
	s.settle()
	own, _, _ := s.NextSnapshot()
	require.True(t, s.receive(1, snapshotAt(9, 1)))
	require.False(t, s.Compact(own))
	require.Equal(t, Index(9), s.Snapshot().Index)
	_, _, ok := s.NextSnapshot()
	require.False(t, ok, "nothing is applied since")
}

func TestALeaderDoesNotInstallWhatItReceivedBefore(t *testing.T) {
	s := newServer(t, 3, 1)
	for _, offset := range []uint64{0, 10, 20} {
		s.HandleInstallSnapshot(chunkOf(1, snapshotAt(9, 1), offset))
	}
	s.elect()
	require.False(t, s.FinishSnapshot(snapshotAt(9, 1)))
	require.Equal(t, Index(2), s.log.lastIndex())
	require.Zero(t, s.incoming)
}

// No leader of such a term was heard.
func TestASnapshotOfATermYetToComeIsNotInstalled(t *testing.T) {
	s := newServer(t, 3, 1)
	require.False(t, s.FinishSnapshot(snapshotAt(9, 2)))
	require.Equal(t, Index(1), s.log.lastIndex())
}

// It asked for votes with a log that is gone.
func TestACandidateWhoseLogIsDiscardedStopsItsElection(t *testing.T) {
	for _, c := range []struct {
		name string
		at   Snapshot
		want State
	}{{"its log is discarded", snapshotAt(9, 1), Follower}, {"its log stays", snapshotAt(1, 1), Candidate}} {
		s := newServer(t, 3, 1)
		s.campaign()
		require.True(t, s.FinishSnapshot(c.at))
		require.Equal(t, c.want, s.state, c.name)
		s.grant("n2", false)
		s.settle()
	}
}

// It asked for votes as its removal was not committed, for all that it knew. The snapshot knows.
func TestACandidateThatHearsOfItsRemovalFromASnapshotStopsItsElection(t *testing.T) {
	s := newServer(t, 3, 1)
	s.HandleAppendEntries(configured(from(1, 1, 1, 1), outOf(3, "n1")))
	s.settle()
	s.campaign()
	require.Equal(t, Candidate, s.state)
	m := Snapshot{Index: 2, Term: 1, Configuration: outOf(3, "n1"), ConfigurationIndex: 2}
	require.True(t, s.FinishSnapshot(m))
	require.Equal(t, Index(2), s.RemovedAt())
	require.Equal(t, Follower, s.state)
	s.settle()
}

// What nobody sends any more is not on its way: an earlier leader's, or what the log has
// overtaken. To say so for ever would have people wait for it.
func TestATransferThatIsOverIsNotReportedAsReceiving(t *testing.T) {
	for name, over := range map[string]func(*server){
		"another leader sends entries": func(s *server) { s.HandleAppendEntries(from(3, 1, 1, 3)) },
		"entries reached its end": func(s *server) {
			a := from(2, 1, 1, 2, 2, 2, 2)
			a.LeaderCommit = 5
			s.HandleAppendEntries(a)
		},
		"the leader is silent": func(s *server) { ticks(s, s.electionTimeout) },
		"this server leads":    (*server).elect,
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, 3, 1)
			s.HandleInstallSnapshot(chunkOf(2, snapshotAt(5, 2), 0))
			require.Equal(t, Transferred{10, 30}, s.Status().Receiving)
			over(s)
			require.Zero(t, s.Status().Receiving)
		})
	}
}

// A follower that reads a large file answers heartbeats all the while. Each read of a
// client is a heartbeat: that many questions would keep both servers busy.
func TestAFollowerThatIsBusyIsAskedInTheHeartbeatsRhythm(t *testing.T) {
	s, n3 := leaderThatCompacted(t), startN3(t)
	for range 3 {
		carry(t, s, n3)
	}
	for id := range uint64(10) {
		s.ReadIndex(id)
		s.flush()
		s.answer("n3")
	}
	require.Len(t, s.reads, 10)
	require.Empty(t, chunksTo("n3", s.sent))
	s.HeartbeatTimeout()
	s.flush()
	require.Len(t, chunksTo("n3", s.sent), 1)
}

// A new snapshot takes the file's place, so a leader asks before it makes one. The check of
// the quorum begins to count anew in the middle of it.
func TestASnapshotOnItsWayIsKnownAsLongAsThePeerAnswers(t *testing.T) {
	s := leaderThatCompacted(t)
	require.True(t, s.SendsSnapshot())
	heartbeat := func(peers ...NodeID) {
		for _, peer := range peers {
			s.HandleAppendEntriesReply(peer, AppendEntriesArgs{Term: 2}, AppendEntriesReply{Term: 2, Success: true})
		}
	}
	for range 5 * s.cfg.ElectionTicks {
		heartbeat("n2", "n3")
		s.Tick()
		require.True(t, s.SendsSnapshot())
	}
	for range 2 * s.cfg.ElectionTicks {
		heartbeat("n2")
		s.Tick()
	}
	require.False(t, s.SendsSnapshot(), "n3 is down; who knows for how long")
	s.observeTerm(9)
	require.False(t, s.SendsSnapshot())
}

// --- A log that begins in the middle ---

// Compacted to its very last entry, a log still has a term there (logcabin e333046).
func TestALeaderWithAnEmptyLogReadsReplicatesAndIsElected(t *testing.T) {
	s := leaderOf(t, 3)
	s.compact()
	require.Empty(t, s.terms())
	require.NoError(t, s.ReadIndex(1))
	s.flush()
	s.answer("n2")
	require.Equal(t, []ReadState{{ID: 1, Index: 2}}, s.reads)
	_, _, err := s.AddLearner(n9)
	require.NoError(t, err, "an entry of its term is committed")
	s.settle()
	s.answer("n2")
	require.Equal(t, Index(3), s.commitIndex)

	again := s.restart()
	again.elect()
	require.Equal(t, Index(4), again.log.lastIndex())
	require.Empty(t, chunksTo("n2", again.sent), "that it does not know n2 yet is no reason for a snapshot")
	again.answer("n2")
	require.Equal(t, Index(4), again.commitIndex)
}

func TestAVoterWithAnEmptyLogKnowsItsLastTerm(t *testing.T) {
	s := newServer(t, 3, 1)
	require.True(t, s.receive(3, snapshotAt(9, 3)))
	require.False(t, s.HandleRequestVote(vote(4, 20, 2)).VoteGranted, "9@3 is newer than 20@2")
	require.True(t, s.HandleRequestVote(vote(4, 9, 3)).VoteGranted)
}

// To refuse what is covered would send the leader back for ever (scylladb#9552).
func TestEntriesThatASnapshotCoversAreAccepted(t *testing.T) {
	for _, c := range []struct {
		name    string
		a       AppendEntriesArgs
		success bool
		last    Index
	}{
		{"all of them covered", from(2, 1, 1, 1, 1), true, 5},
		{"up to the end exactly", from(2, 1, 1, 1, 1, 2, 2), true, 5},
		{"some beyond the end", from(2, 3, 1, 2, 2, 2), true, 6},
		{"a heartbeat below the base", from(2, 2, 1), true, 5},
		{"a heartbeat at the base", from(2, 5, 2), true, 5},
		{"a heartbeat at 0", from(2, 0, 0), true, 5},
		{"another term at the base", from(2, 5, 1), false, 5},
		{"beyond the log", from(2, 7, 2), false, 5},
	} {
		s := newServer(t, 3, 1)
		require.True(t, s.receive(2, snapshotAt(5, 2)))
		c.a.LeaderCommit = 9
		require.Equal(t, c.success, s.HandleAppendEntries(c.a).Success, c.name)
		require.Equal(t, c.last, s.log.lastIndex(), c.name)
		require.Equal(t, c.last, s.commitIndex, "%s: what is new is committed", c.name)
		s.settle()
	}
}

// The place where the logs are known to agree is no longer in the log: it has no term here.
func TestAPeerFarBehindIsSentHeartbeatsAtIndexZero(t *testing.T) {
	s := leaderThatCompacted(t)
	s.takeSent()
	s.leader.peers["n3"].matchIndex = 2
	s.HeartbeatTimeout()
	s.flush()
	a := appendsTo("n3", s.sent)
	require.Len(t, a, 1)
	require.Zero(t, a[0].PrevLogIndex)
	require.Zero(t, a[0].PrevLogTerm)
	require.NoError(t, a[0].Validate())
	require.True(t, startN3(t).HandleAppendEntries(a[0]).Success)
}

func TestARefusalBelowTheBaseAsksForASnapshot(t *testing.T) {
	for name, rep := range map[string]AppendEntriesReply{
		"the log is too short":       {Term: 3, ConflictIndex: 2},
		"it ends with an older term": {Term: 3, ConflictIndex: 2, ConflictTerm: 1},
		"it is empty":                {Term: 3, ConflictIndex: 1},
	} {
		for at, tail := range map[Index][]Entry{8: nil, 9: {{Index: 9, Term: 2}}} {
			s := start(t, Config{}, Restored{Term: 2, Snapshot: snapshotAt(8, 2), Entries: tail})
			s.elect()
			a := withEntries("n3", s.takeSent())[0]
			require.Equal(t, at, a.PrevLogIndex)
			s.HandleAppendEntriesReply("n3", a, rep)
			s.settle()
			require.Len(t, chunksTo("n3", s.sent), 1, name)
		}
	}
}

// A new leader probes with its newest entry. Were a lost probe to send it back to the
// beginning, every peer that is slow for a moment would get a snapshot.
func TestALostProbeIsNoReasonForASnapshot(t *testing.T) {
	s := start(t, Config{}, Restored{Term: 2, Snapshot: snapshotAt(8, 2)})
	s.elect()
	for range 3 {
		a := withEntries("n3", s.takeSent())
		require.Len(t, a, 1)
		s.HandleAppendEntriesFailed("n3", a[0])
		s.HeartbeatTimeout()
		s.settle()
		require.Empty(t, chunksTo("n3", s.sent))
	}
}

// --- The own disk ---

// The note about a Save from before the snapshot speaks of entries that are gone.
func TestANoteAboutADiscardedLogIsNotAboutWhatFollows(t *testing.T) {
	s := newServer(t, 3, 1)
	s.HandleAppendEntries(from(2, 1, 1, 2, 2, 2, 2)) // up to 5@2
	s.flush()
	require.True(t, s.receive(3, snapshotAt(3, 3)))
	s.HandleAppendEntries(from(3, 3, 3, 3)) // 4@3
	s.flush()
	s.syncOne()
	require.Zero(t, s.disk.savedIndex, "5@2 is durable, and gone")
	require.Equal(t, []Term{1, 2, 2, 2, 2}, s.restart().terms())
	s.syncOne()
	require.Equal(t, Index(4), s.disk.savedIndex)
	require.Equal(t, []Term{3}, s.restart().terms())
}

// In one Save: first the truncation, then the snapshot, then the entries after it.
func TestOneSaveTruncatesSwitchesAndAppends(t *testing.T) {
	s := newServer(t, 3, 1, 1, 1)
	s.HandleAppendEntries(from(2, 1, 1, 2, 2, 2))
	require.True(t, s.receive(2, snapshotAt(3, 2)))
	save := s.flush().Save
	require.Equal(t, Index(2), save.TruncateFrom)
	require.Equal(t, snapshotAt(3, 2), save.Snapshot)
	require.Equal(t, Index(4), save.KeepFrom)
	require.Equal(t, []Entry{s.log.entry(4)}, save.Entries)
	s.syncOne()
	require.Equal(t, Index(4), s.disk.savedIndex)
	require.Equal(t, Index(4), s.restart().log.lastIndex())
}

func TestASnapshotIsSavedOnce(t *testing.T) {
	s := leaderOf(t, 1)
	m := s.compact()
	s.Propose([]byte("x"))
	require.Zero(t, s.flush().Save.Snapshot)
	require.Equal(t, m, s.durable.Snapshot)
}

// Followers that are a little behind then need no snapshot.
func TestTheEndOfTheLogStaysAlthoughASnapshotCoversIt(t *testing.T) {
	s := leaderOf(t, 1)
	s.cfg.TrailingBytes = 2 * (1 + entryOverhead)
	s.Propose([]byte("x"), []byte("y"), []byte("z"))
	s.settle()
	m, _, _ := s.NextSnapshot()
	require.True(t, s.Compact(m))
	require.Equal(t, Index(3), s.log.base, "y and z stay")
	require.Equal(t, Index(4), s.flush().Save.KeepFrom)
	s.Propose([]byte("w"))
	s.settle()

	again := s.restart()
	require.Equal(t, m, again.Snapshot())
	require.Equal(t, Index(4), again.log.base, "nobody knows the term before the first entry")
	require.Equal(t, Index(6), again.log.lastIndex())
	require.Equal(t, m.Index, again.lastApplied)
}

// Whoever decides when to take a snapshot wants to know how much log it would replace: not
// what is yet to be applied, and not what the last one has.
func TestASnapshotIsWorthWhatWasAppliedSinceTheLastOne(t *testing.T) {
	worth := func(s *server) int {
		_, bytes, _ := s.NextSnapshot()
		return bytes
	}
	const one = 1 + entryOverhead
	s := newServer(t, 3, 1, 1, 1, 1, 1) // 2 to 5 have a byte each
	s.HandleAppendEntries(commits(1, 1))
	s.settle()
	config := s.log.entry(1)
	require.Equal(t, config.size(), worth(s), "the rest is not known to be committed")
	a := from(1, 5, 1)
	a.LeaderCommit = 3
	s.HandleAppendEntries(a)
	s.settle()
	require.Equal(t, config.size()+2*one, worth(s))
	m, _, _ := s.NextSnapshot()
	s.HandleAppendEntries(commits(5, 1))
	s.settle()
	require.True(t, s.Compact(m))
	require.Equal(t, 2*one, worth(s), "4 and 5 came while it was written")
	require.True(t, s.receive(1, snapshotAt(9, 1)))
	a = from(1, 9, 1, 1)
	a.LeaderCommit = 10
	s.HandleAppendEntries(a)
	s.settle()
	require.Equal(t, 2+entryOverhead, worth(s))
}

// To go on with entries of the message that come after such a one would be to build on
// what another leader committed.
func TestAnEntryThatContradictsTheSnapshotStopsTheServer(t *testing.T) {
	for name, a := range map[string]AppendEntriesArgs{
		"older": from(5, 2, 1, 1, 1),
		"newer": from(5, 2, 1, 4, 4),
	} {
		s := newServer(t, 3, 1)
		require.True(t, s.receive(5, snapshotAt(3, 3)))
		s.settle()
		require.PanicsWithValue(t, fmt.Sprintf("raft: State Machine Safety: entry %v contradicts a snapshot, in which it is of term 3", a.Entries[0]),
			func() { s.HandleAppendEntries(a) }, name)
		require.True(t, s.HandleAppendEntries(from(5, 2, 1, 3, 5)).Success)
	}
}
