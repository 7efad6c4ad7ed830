package sim

import (
	"slices"
	"testing"

	"dbdb/raft"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// An oracle that never speaks proves nothing. Each test here breaks one promise in
// a world that is otherwise in order.

// quietWorld is a world of three servers in which nothing has happened yet.
func quietWorld() *world {
	w := newWorld(Options{Seed: 1}, profile{
		nodes: 3, founders: 3, slowDisk: nowhere, segmentBytes: 4 << 10, clients: 1, keys: 1,
		raft: raft.Config{ElectionTicks: electionTicks, HeartbeatTicks: 5},
	})
	w.format()
	for _, n := range w.nodes {
		n.start()
	}
	return w
}

// broken returns the name of the promise that do breaks, "" if it breaks none.
func broken(do func()) (oracle string) {
	defer func() {
		if caught := recover(); caught != nil {
			oracle = caught.(violation).oracle
		}
	}()
	do()
	return ""
}

func entry(i raft.Index, t raft.Term, value string) raft.Entry {
	return raft.Entry{Index: i, Term: t, Kind: raft.EntryCommand, Data: []byte(value)}
}

func TestTwoVotesInOneTermAreSeenOnTheDisk(t *testing.T) {
	w := quietWorld()
	n := w.nodes[0]
	w.check.durable(n, raft.Save{Seq: 1, Term: 2, VotedFor: "n1"})
	assert.Equal(t, "One vote per term", broken(func() { w.check.durable(n, raft.Save{Seq: 2, Term: 2, VotedFor: "n2"}) }))
}

func TestADurableTermThatFallsIsSeen(t *testing.T) {
	w := quietWorld()
	n := w.nodes[0]
	w.check.durable(n, raft.Save{Seq: 1, Term: 3})
	assert.Equal(t, "Durable term is monotone", broken(func() { w.check.durable(n, raft.Save{Seq: 2, Term: 2}) }))
}

func TestACommittedEntryThatADiskLosesIsSeen(t *testing.T) {
	assert.Equal(t, "No committed entry is truncated", losesACommittedEntry(2, 2))
}

// The leader of an earlier term need not have what was committed since: its followers may lose it.
func TestACommittedEntryMayBeLostInAnEarlierTerm(t *testing.T) {
	assert.Empty(t, losesACommittedEntry(3, 4))
}

// losesACommittedEntry is what is said when a disk in a term loses an entry to a leader of term 3.
func losesACommittedEntry(term, committedIn raft.Term) string {
	w := quietWorld()
	n := w.nodes[0]
	w.check.durable(n, raft.Save{Seq: 1, Term: term, Entries: []raft.Entry{entry(2, 2, "a")}})
	w.check.committed = []commitment{{n.lasting.durable.at(1), 1}, {n.lasting.durable.at(2), committedIn}}
	truncation := raft.Save{Seq: 2, Term: 3, TruncateFrom: 2, Entries: []raft.Entry{entry(2, 3, "b")}}
	return broken(func() { w.check.durable(n, truncation) })
}

func TestAnAcknowledgementThatIsNotDurableIsSeen(t *testing.T) {
	w := quietWorld()
	n := w.nodes[0]
	w.check.durable(n, raft.Save{Seq: 1, Term: 2})
	promised := promise{term: 2, last: 2, lastTerm: 2}
	leave := func() { w.check.acknowledgementLeaves(n, promised, raft.AppendEntriesReply{Term: 2, Success: true}) }
	assert.Equal(t, "Durable before it leaves", broken(leave))
	w.check.durable(n, raft.Save{Seq: 2, Term: 2, Entries: []raft.Entry{entry(2, 2, "a")}})
	assert.Empty(t, broken(leave))
}

func TestANewerDurableTermExcusesAnOldAcknowledgement(t *testing.T) {
	w := quietWorld()
	n := w.nodes[0]
	w.check.durable(n, raft.Save{Seq: 1, Term: 3})
	assert.Empty(t, broken(func() {
		w.check.acknowledgementLeaves(n, promise{term: 2, last: 2, lastTerm: 2}, raft.AppendEntriesReply{Term: 2, Success: true})
	}))
}

func TestAVoteThatIsNotDurableIsSeen(t *testing.T) {
	w := quietWorld()
	n := w.nodes[0]
	a := raft.RequestVoteArgs{Term: 2, CandidateID: "n2"}
	leave := func() { w.check.voteLeaves(n, a, raft.RequestVoteReply{Term: 2, VoteGranted: true}) }
	w.check.durable(n, raft.Save{Seq: 1, Term: 2, VotedFor: "n3"})
	assert.Equal(t, "Durable before it leaves", broken(leave))
}

func TestALateLeaderOfAnOldTermNeedsNotWhatNewerTermsCommitted(t *testing.T) {
	w := quietWorld()
	n := w.nodes[0]
	w.check.committed = []commitment{{n.lasting.durable.at(1), 1}, {cellOf(entry(2, 5, "a")), 5}}
	lead := func(term raft.Term) func() {
		return func() { w.check.leaderCompleteness(n, &raft.Status{Term: term}) }
	}
	assert.Empty(t, broken(lead(4)))
	assert.Empty(t, broken(lead(5)))
	assert.Equal(t, "Leader Completeness", broken(lead(6)))
}

func TestAnElectionWithoutAMajorityOfDurableVotesIsSeen(t *testing.T) {
	w := quietWorld()
	n := w.nodes[0]
	w.check.durable(n, raft.Save{Seq: 1, Term: 2, VotedFor: "n1"})
	elected := func() { w.check.electedByQuorum(n, &raft.Status{Term: 2}) }
	assert.Equal(t, "Election Safety", broken(elected))
	w.check.durable(w.nodes[1], raft.Save{Seq: 1, Term: 2, VotedFor: "n1"})
	assert.Empty(t, broken(elected))
}

func TestTwoEntriesOfOneIndexAndTermAreSeen(t *testing.T) {
	w := quietWorld()
	w.check.remember(w.nodes[0], entry(2, 2, "a"))
	assert.Equal(t, "Log Matching", broken(func() { w.check.remember(w.nodes[1], entry(2, 2, "b")) }))
}

// underWay is a server whose disk crashed while two Saves were under way.
func underWay() (*world, *node, []raft.Entry) {
	w := quietWorld()
	n := w.nodes[0]
	n.lasting.unsure = []raft.Save{
		{Seq: 1, Term: 2, Entries: []raft.Entry{entry(2, 2, "a")}},
		{Seq: 2, Term: 2, Entries: []raft.Entry{entry(3, 2, "b")}},
	}
	return w, n, slices.Clone(n.replica.Raft().LogEntries(1, 1))
}

func TestRecoveryMayGiveBackABeginningOfWhatWasNotSynced(t *testing.T) {
	w, n, entries := underWay()
	found := raft.Restored{Term: 2, Entries: append(entries, entry(2, 2, "a"))}
	require.Empty(t, broken(func() { w.check.recovered(n, found) }))
	assert.Equal(t, raft.Index(2), n.lasting.durable.last(), "what was given back must now last")
}

func TestRecoveryMayNotGiveBackAnythingElse(t *testing.T) {
	for name, found := range map[string]func([]raft.Entry) raft.Restored{
		"less than was synced": func([]raft.Entry) raft.Restored { return raft.Restored{Term: 1} },
		"an entry nobody wrote": func(e []raft.Entry) raft.Restored {
			return raft.Restored{Term: 2, Entries: append(e, entry(2, 2, "c"))}
		},
		"entries without their term": func(e []raft.Entry) raft.Restored {
			return raft.Restored{Term: 1, Entries: append(e, entry(2, 2, "a"))}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, n, entries := underWay()
			assert.Equal(t, "Recovery", broken(func() { w.check.recovered(n, found(entries)) }))
		})
	}
}

// told is a history on one key: a write of "new" that is committed between two reads.
func told(first, second string) *clients {
	w := quietWorld()
	c := w.clients
	set := &operation{kind: opSet, key: "k", value: "new"}
	c.effects = []effect{{index: 2, op: set, at: 10}}
	c.history = []*operation{
		{kind: opGet, key: "k", value: first, call: 5, ret: 15, outcome: done},
		{kind: opGet, key: "k", value: second, call: 20, ret: 25, outcome: done},
	}
	return c
}

func TestAReadDuringAWriteMaySeeEitherValue(t *testing.T) {
	assert.Empty(t, broken(told("", "new").checkHistory))
	assert.Empty(t, broken(told("new", "new").checkHistory))
}

func TestAReadAfterAWriteMustSeeIt(t *testing.T) {
	assert.Equal(t, "Linearizability", broken(told("", "").checkHistory))
	assert.Equal(t, "Linearizability", broken(told("new", "").checkHistory))
}

func TestEventsComeInTheOrderOfTimeAndThenOfPlanning(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		times := rapid.SliceOf(rapid.Int64Range(0, 5)).Draw(t, "times")
		var q queue
		var planned []event
		for _, at := range times {
			q.push(event{at: at})
			planned = append(planned, event{at: at, seq: q.seq})
		}
		slices.SortStableFunc(planned, func(a, b event) int { return int(a.at - b.at) })
		for _, want := range planned {
			got := q.pop()
			require.Equal(t, want.at, got.at)
			require.Equal(t, want.seq, got.seq)
		}
		require.Empty(t, q.events)
	})
}

func TestExponentialDrawsHaveTheirMean(t *testing.T) {
	const draws, mean = 20000, 10000
	r, sum := stream(1, 1), int64(0)
	for range draws {
		sum += r.exponential(mean)
	}
	assert.InDelta(t, mean, sum/draws, mean/10)
}
