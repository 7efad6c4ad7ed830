package httpapi

import (
	"encoding/json"
	"testing"

	"dbdb/raft"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestProgressIsAPercentageAndASentence(t *testing.T) {
	half := &CatchingUp{50, "50 %: 10.0 MB of 20.0 MB of a snapshot"}
	for _, tc := range []struct {
		p    Progress
		last raft.Index
		want *CatchingUp
	}{
		{Progress{MatchIndex: 1000}, 2000, nil}, // at the edge of farBehind
		{Progress{MatchIndex: 999}, 2000, &CatchingUp{49, "49 %: 999 of 2000 entries"}},
		{Progress{MatchIndex: 6300}, 10000, &CatchingUp{63, "63 %: 6300 of 10000 entries"}},
		{Progress{}, 2000, &CatchingUp{0, "0 %: 0 of 2000 entries"}},
		{Progress{MatchIndex: 999_998_000}, 1_000_000_000, &CatchingUp{99, "99 %: 999998000 of 1000000000 entries"}},
		{Progress{MatchIndex: 5}, 3, nil}, // the two were read at different moments
		{Progress{Snapshot: raft.Transferred{Offset: 10e6, Size: 20e6}}, 2000, half},
		{Progress{MatchIndex: 2000, Snapshot: raft.Transferred{Offset: 10e6, Size: 20e6}}, 2000, half},
		{Progress{Snapshot: raft.Transferred{Offset: 20e6, Size: 20e6}}, 2000, &CatchingUp{99, "99 %: 20.0 MB of 20.0 MB of a snapshot"}},
		{Progress{Snapshot: raft.Transferred{Offset: 1}}, 2000, &CatchingUp{0, "0 %: 0.0 MB of 0.0 MB of a snapshot"}},
	} {
		assert.Equal(t, tc.want, tc.p.catchingUp(tc.last), "%+v", tc.p)
	}
}

func TestALeaderTellsWhichMembersAreCatchingUp(t *testing.T) {
	s, f := leaderServer(t)
	f.change(func(i *Info) { i.CommitIndex, i.AppliedIndex, i.LastIndex, i.SnapshotIndex = 10000, 10000, 10000, 9000 })
	f.progress = []Progress{{ID: node2.ID, MatchIndex: 6300, NextIndex: 6301}}
	var st Status
	require.NoError(t, json.Unmarshal(send(s, "GET", "/v1/status", "").Body.Bytes(), &st))
	assert.Nil(t, st.Members[0].CatchingUp)
	assert.Equal(t, &CatchingUp{63, "63 %: 6300 of 10000 entries"}, st.Members[1].CatchingUp)
	assert.Equal(t, raft.Index(9000), st.SnapshotIndex)
	assert.Nil(t, st.CatchingUp)
}

func TestANodeThatReceivesASnapshotIsNotReadyAndSaysHowFarItIs(t *testing.T) {
	f := newFake(node2, node1)
	f.info.Receiving = raft.Transferred{Offset: 12_600_000, Size: 20_000_000}
	s := newServer(t, f)
	w := send(s, "GET", "/readyz", "")
	assert.Equal(t, 503, w.Code)
	assert.Contains(t, w.Body.String(), "[-]applied failed: this node is catching up: 63 %: 12.6 MB of 20.0 MB of a snapshot\n")
	assert.Contains(t, send(s, "GET", "/v1/status", "").Body.String(),
		`"ready":false,"members":`)
	assert.Contains(t, send(s, "GET", "/v1/status", "").Body.String(),
		`"catchingUp":{"percent":63,"detail":"63 %: 12.6 MB of 20.0 MB of a snapshot"}`)
}
