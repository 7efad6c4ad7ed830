package sim

import (
	"errors"
	"fmt"
	"runtime"
	"syscall"
	"testing"
	"time"

	"dbdb/raft"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The oracles of snapshots, members and transfers can speak too.

// committedWorld is a quiet world in which the configuration and a command are committed,
// both on the disk of n1.
func committedWorld() (*world, *node) {
	w := quietWorld()
	n := w.nodes[0]
	w.check.durable(n, raft.Save{Seq: 1, Term: 2, Entries: []raft.Entry{entry(2, 2, "a")}})
	w.check.committed = []commitment{{n.lasting.durable.at(1), 1}, {n.lasting.durable.at(2), 2}}
	w.check.configurations = []configurationAt{{1, n.view.Configuration}}
	n.lasting.handed = n.lasting.durable.clone()
	return w, n
}

func snapshotAt2(w *world) raft.Snapshot {
	return raft.Snapshot{Index: 2, Term: 2, Configuration: w.check.configurations[0].Configuration, ConfigurationIndex: 1}
}

func handOut(w *world, n *node, m raft.Snapshot) func() {
	n.lasting.seq = 0
	return func() { w.check.handedOut(n, raft.Save{Seq: 1, Term: 2, Snapshot: m, KeepFrom: m.Index + 1}) }
}

func TestASnapshotOfWhatIsNotCommittedIsSeen(t *testing.T) {
	w, n := committedWorld()
	m := snapshotAt2(w)
	require.Empty(t, broken(handOut(w, n, m)))
	w, n = committedWorld()
	m.Index = 3
	assert.Equal(t, "A snapshot covers what is committed", broken(handOut(w, n, m)))
	m.Index, m.Term = 2, 1
	assert.Equal(t, "A snapshot covers what is committed", broken(handOut(w, n, m)))
}

func TestASnapshotWithAnotherConfigurationIsSeen(t *testing.T) {
	w, n := committedWorld()
	m := snapshotAt2(w)
	m.Configuration.Members = m.Configuration.Members[1:]
	assert.Equal(t, "A snapshot knows its configuration", broken(handOut(w, n, m)))
}

func TestAnOlderSnapshotThatComesIntoForceIsSeen(t *testing.T) {
	w, n := committedWorld()
	n.lasting.handed.snapshot = 2
	assert.Equal(t, "A snapshot replaces an older one", broken(handOut(w, n, snapshotAt2(w))))
}

func TestACrashMayLeaveASnapshotInForceWithoutTheRestOfItsSave(t *testing.T) {
	w, n := committedWorld()
	m := snapshotAt2(w)
	n.lasting.unsure = stages(raft.Save{Seq: 2, Term: 3, Snapshot: m, KeepFrom: 3, Entries: []raft.Entry{entry(3, 3, "b")}})
	require.Empty(t, broken(func() { w.check.recovered(n, raft.Restored{Term: 3, Snapshot: m}) }))
	assert.Equal(t, raft.Index(2), n.lasting.durable.snapshot, "what was given back must now last")
	assert.Equal(t, "Recovery", broken(func() {
		w.check.recovered(n, raft.Restored{Term: 3, Entries: n.replica.Raft().LogEntries(1, 1)})
	}))
}

func TestALogWithAHoleAfterTheSnapshotIsSeen(t *testing.T) {
	w, n := committedWorld()
	m := snapshotAt2(w)
	assert.Equal(t, "Recovery", broken(func() {
		w.check.recovered(n, raft.Restored{Term: 2, Snapshot: m, Entries: []raft.Entry{entry(4, 2, "d")}})
	}))
}

func TestAStateThatNobodyHadIsSeen(t *testing.T) {
	w, n := committedWorld()
	assert.Empty(t, broken(func() { w.check.stateIsRight(n, 1) }))
	w.check.states = []uint64{emptyState, 4711}
	assert.Equal(t, "A snapshot is a state that was", broken(func() { w.check.stateIsRight(n, 2) }))
}

func TestALogThatFailsOnASoundDiskIsSeen(t *testing.T) {
	w, n := committedWorld()
	ends := func(err error) string { return broken(func() { w.check.logFails(n, err) }) }
	for _, err := range []error{errDisk, ErrPowerCut, syscall.ENOSPC} {
		assert.Empty(t, ends(fmt.Errorf("write-ahead log: %w", err)))
	}
	assert.Equal(t, "Saves fit the log", ends(errors.New("entry 7@3 follows index 5")))
}

func TestACommandThatDoesNotTakeEffectIsSeen(t *testing.T) {
	w := quietWorld()
	n := w.nodes[0]
	set := w.clients.commandOf(&operation{kind: opSet, key: "k", node: n})
	del := w.clients.commandOf(&operation{kind: opDel, key: "k", node: n})
	seen := func(i raft.Index, cmd []byte) string {
		return broken(func() { w.check.commandTakesEffect(n, i, cmd) })
	}
	assert.Equal(t, "A command takes effect", seen(2, set), "it was not applied")
	n.store.Apply(2, set)
	assert.Empty(t, seen(2, set))
	assert.Equal(t, "A command takes effect", seen(3, set), "the index is the one before")
	assert.Equal(t, "A command takes effect", seen(3, del))
	n.store.Apply(3, del)
	assert.Empty(t, seen(3, del))
}

func TestAnInstallationThatIsNotDurableIsSeen(t *testing.T) {
	w, _ := committedWorld()
	n := w.nodes[1]
	leave := func(installed bool) func() {
		return func() {
			w.check.installationLeaves(n, raft.InstallSnapshotArgs{Term: 1, LastIncludedIndex: 2, LastIncludedTerm: 2},
				raft.InstallSnapshotReply{Term: 1, Installed: installed})
		}
	}
	assert.Equal(t, "Durable before it leaves", broken(leave(true)))
	assert.Empty(t, broken(leave(false)), "chunks may be lost")
	w.check.durable(n, raft.Save{Seq: 1, Term: 2, Snapshot: snapshotAt2(w)})
	assert.Empty(t, broken(leave(true)))
}

func TestTimeoutNowToAServerThatLacksEntriesIsSeen(t *testing.T) {
	w, n := committedWorld()
	n.lasting.durable.votedFor = n.id
	n.view.log = n.lasting.durable.clone()
	leave := func() { w.check.hasWholeLog(n, w.nodes[1], 2) }
	assert.Equal(t, "TimeoutNow to whoever has the whole log", broken(leave))
	w.check.durable(w.nodes[1], raft.Save{Seq: 1, Term: 2, Entries: []raft.Entry{entry(2, 2, "a")}})
	assert.Empty(t, broken(leave))
}

func TestALeaderThatWasRemovedAndStaysIsSeen(t *testing.T) {
	w, n := committedWorld()
	n.view.State, n.view.Term, n.view.CommitIndex = raft.Leader, 2, 2
	n.view.log = n.lasting.durable.clone()
	without := raft.Configuration{Members: n.view.Configuration.Members[1:]}
	n.view.configurations = append(n.view.configurations, configurationAt{3, without})
	assert.Empty(t, broken(func() { w.check.removedLeaderIsGone(n) }), "not committed yet")
	n.view.configurations[1].index = 2
	assert.Equal(t, "A removed leader steps down", broken(func() { w.check.removedLeaderIsGone(n) }))
	n.view.Term = 3
	assert.Empty(t, broken(func() { w.check.removedLeaderIsGone(n) }), "elected, and nothing of its own term is committed")
}

func TestALeaderThatLeavesBeforeItsRemovalIsCommittedIsSeen(t *testing.T) {
	w, n := committedWorld()
	assert.Empty(t, broken(func() { w.check.leavesWhenCommitted(n, 2, 2) }))
	assert.Equal(t, "A removed leader waits for the commit", broken(func() { w.check.leavesWhenCommitted(n, 3, 2) }))
}

func TestARemovedServerThatCampaignsIsSeen(t *testing.T) {
	w, n := committedWorld()
	quiet := func(state raft.State, at raft.Index) func() {
		return func() { w.check.removedStaysQuiet(n, &raft.Status{State: state, RemovedAt: at}) }
	}
	assert.Empty(t, broken(quiet(raft.PreCandidate, 0)))
	assert.Empty(t, broken(quiet(raft.Follower, 3)))
	assert.Equal(t, "A removed server is quiet", broken(quiet(raft.PreCandidate, 3)))
}

func TestALeaderWhoseMajorityMissesACommittedOneIsSeen(t *testing.T) {
	w, n := committedWorld()
	of := func(ids ...raft.NodeID) (c raft.Configuration) {
		for _, id := range ids {
			c.Members = append(c.Members, raft.Member{ID: id, Role: raft.Voter})
		}
		return c
	}
	lead := func(term raft.Term, c raft.Configuration) func() {
		return func() { w.check.quorumsMeet(n, &raft.Status{Term: term, Configuration: c}) }
	}
	assert.Empty(t, broken(lead(2, of("n1", "n2", "n3", "n4"))))
	assert.Empty(t, broken(lead(2, of("n1", "n2"))))
	assert.Equal(t, "Quorums meet", broken(lead(2, of("n1"))))
	assert.Equal(t, "Quorums meet", broken(lead(2, of("n1", "n2", "n3", "n4", "n5"))))
	assert.Empty(t, broken(lead(1, of("n1"))), "the configuration was committed in a later term than this")
}

func TestASnapshotThatIsGoneIsSeen(t *testing.T) {
	_, n := committedWorld()
	n.view.SnapshotIndex = 1
	assert.Equal(t, "Monotone indexes", broken(func() { n.w.check.step(n) }), "it was at 1 and is gone")
}

func TestARunLeavesNoCoroutine(t *testing.T) {
	before := runtime.NumGoroutine()
	for seed := range uint64(20) {
		Run(Options{Seed: seed})
	}
	// porcupine's own end a moment after they have answered; a coroutine that was left stays.
	for end := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	assert.LessOrEqual(t, runtime.NumGoroutine(), before) // one of an earlier test may have ended
}

func TestACommittedConfigurationThatChangesTwoServersIsSeen(t *testing.T) {
	w, n := committedWorld()
	two := raft.Configuration{Members: n.view.Configuration.Members[2:]}
	n.view.configurations = append(n.view.configurations, configurationAt{2, two})
	assert.Equal(t, "Configuration", broken(func() { w.check.configurationCommitted(n, 2) }))
}
