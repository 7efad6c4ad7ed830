package sim

import (
	"testing"

	"dbdb/raft"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestNotesOfSyncsThatComeLateKeepTheirOrder(t *testing.T) {
	w := quietWorld()
	s := w.nodes[0].saver
	var told []uint64
	saves := func(seqs ...uint64) (batch []pendingSave) {
		for _, seq := range seqs {
			batch = append(batch, pendingSave{raft.Save{Seq: seq}, func(error) { told = append(told, seq) }})
		}
		return batch
	}
	w.profile.branches.lateNote = 1000
	require.True(t, s.told(saves(1, 2)))
	w.profile.branches.lateNote = 0
	require.True(t, s.told(saves(3)))
	assert.Empty(t, told, "a note waits for those before it")
	w.runUntil(maxLate)
	assert.Equal(t, []uint64{1, 2, 3}, told)
	require.True(t, s.told(saves(4)))
	assert.Equal(t, []uint64{1, 2, 3, 4}, told, "at once, when nothing is late")
}

func TestAServerThatCrashesSendsNothingThatItHeldBack(t *testing.T) {
	w := quietWorld()
	n, sent := w.nodes[0], 0
	w.profile.branches.lateReply = 1000
	n.soonerOrLater(func() { sent++ })
	n.soonerOrLater(func() { sent++ })
	require.Zero(t, sent)
	n.crash(edgeAny)
	w.runUntil(maxLate)
	assert.Zero(t, sent)
}

func TestRareBranchesAreLegal(t *testing.T) {
	for name, is := range map[string]struct {
		branches branches
		seen     mark
	}{
		"a timer fires early":       {branches{earlyTimer: 50}, markEarlyElection},
		"a tick is taken twice":     {branches{tickTwice: 50}, markTickedTwice},
		"a snapshot of a small log": {branches{snapshotNow: 50}, markSnapshotNow},
		"a note comes late":         {branches{lateNote: 50}, markLateNote},
		"a reply leaves late":       {branches{lateReply: 50}, markLateReply},
	} {
		t.Run(name, func(t *testing.T) {
			w, _ := busyWorld(t, 1, 3)
			w.profile.branches = is.branches
			w.runUntil(5 * second)
			assert.Positive(t, w.marks[is.seen])
			require.Empty(t, broken(w.recuperate))
			w.check.final()
			w.clients.checkHistory()
		})
	}
}
