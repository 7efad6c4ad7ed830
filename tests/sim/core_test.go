package sim

import (
	"slices"
	"testing"

	"dbdb/raft"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// foundedWorld is a world of which only the first configuration is committed.
func foundedWorld(nodes int) *world {
	w := stillWorld(nodes, extremes{coreOnly: true})
	w.check.configurations = []configurationAt{{1, w.founding()}}
	return w
}

func TestACoreIsAQuorumThatLeavesSomebodyOutside(t *testing.T) {
	for nodes, least := range map[int]int{3: 2, 4: 3, 5: 3, 7: 4} {
		w := foundedWorld(nodes)
		core := w.drawCore()
		assert.GreaterOrEqual(t, len(core), least)
		assert.Less(t, len(core), nodes)
	}
	for nodes := 1; nodes <= 2; nodes++ {
		assert.Nil(t, foundedWorld(nodes).drawCore(), "nobody can be missed")
	}
}

func TestNobodyWithADamagedDiskIsInACore(t *testing.T) {
	w := foundedWorld(3)
	w.nodes[1].damaged = []string{"some file"}
	core := w.drawCore()
	require.Len(t, core, 2)
	assert.NotContains(t, core, w.nodes[1])
}

func TestNoCoreIsDrawnIfAConfigurationUnderWayCouldSpoilIt(t *testing.T) {
	entry := raft.Entry{Index: 1, Term: 2, Kind: raft.EntryConfiguration}
	w := foundedWorld(3)
	w.nodes[2].lasting.unsure = []raft.Save{{Seq: 1, Entries: []raft.Entry{entry}}}
	assert.Nil(t, w.drawCore(), "a server that is down may have it")
	w = foundedWorld(3)
	n := w.nodes[2]
	n.up = true
	n.view.configurations = []configurationAt{{2, raft.Configuration{Members: w.founding().Members[:1]}}}
	assert.Nil(t, w.drawCore(), "two of the three are no voters in it")
}

func TestASaveUnderWayWithoutAConfigurationSpoilsNoCore(t *testing.T) {
	w := foundedWorld(3)
	n := w.nodes[2]
	n.lasting.durable.log = []cell{{kind: raft.EntryConfiguration, term: 1}}
	w.check.committed = []commitment{{n.lasting.durable.log[0], 1}}
	n.lasting.unsure = []raft.Save{{Seq: 1, Entries: []raft.Entry{entry(2, 2, "a")}}}
	assert.NotNil(t, w.drawCore())
}

// Without pre-votes, who does not know of a member can keep it from ever being elected.
func TestWhereServersDoNotKnowEachOtherPreVotesAreSwitchedOn(t *testing.T) {
	w, _ := busyWorld(t, 1, 3)
	require.Empty(t, broken(w.recuperate))
	confs := w.check.configurations
	behind := w.nodes[1]
	behind.lasting.durable.log = behind.lasting.durable.log[:confs[len(confs)-1].index-1]
	w.profile.raft.NoPreVote = true
	assert.False(t, w.mayStandOff(), "everybody comes back")
	w.core = w.nodes[:2]
	assert.True(t, w.mayStandOff())
	w.core = []*node{w.nodes[0], w.nodes[2]}
	assert.False(t, w.mayStandOff(), "whoever comes back knows the newest configuration")
	w.core, w.nodes[2].damaged = nil, []string{"some file"}
	assert.True(t, w.mayStandOff())
	w.profile.raft.NoPreVote = false
	assert.False(t, w.mayStandOff())
}

// Nor does whoever has not heard of a promotion ask the one that was promoted.
func TestWhereOneServerAloneKnowsOfAPromotionPreVotesAreSwitchedOn(t *testing.T) {
	w, _ := busyWorld(t, 1, 3)
	require.Empty(t, broken(w.recuperate))
	w.profile.raft.NoPreVote = true
	w.nodes[2].damaged = []string{"some file"}
	require.False(t, w.mayStandOff())
	promotion := slices.Clone(w.nodes[0].view.Configuration.Members)
	promotion = append(promotion, raft.Member{ID: "n4", Role: raft.Voter})
	open := configurationAt{raft.Index(len(w.check.committed)) + 1, raft.Configuration{Members: promotion}}
	w.nodes[0].view.configurations = append(w.nodes[0].view.configurations, open)
	assert.True(t, w.mayStandOff())
}

func TestWhoIsCutOffFromEverybodyStaysSo(t *testing.T) {
	for seed := range uint64(20) {
		w, _ := busyWorld(t, seed, 7)
		w.calm, w.core = true, w.nodes[:4]
		for _, n := range w.nodes[4:] {
			w.keepFault(n)
		}
		for _, n := range w.nodes[4:] {
			hearsOrIsHeard := func(o *node) bool {
				return o != n && !(w.network.cut[n.place][o.place] && w.network.cut[o.place][n.place])
			}
			if !slices.ContainsFunc(w.core, hearsOrIsHeard) {
				assert.False(t, slices.ContainsFunc(w.nodes, hearsOrIsHeard), "seed %d: n%d", seed, n.place+1)
			}
		}
	}
}
