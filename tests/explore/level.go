package explore

import (
	"fmt"
	"slices"
	"strings"

	"dbdb/raft"
)

// Level is a bounded world: who is there, what may happen, and how much of it. All that can
// happen within the bounds is explored.
type Level struct {
	Name   string
	Voters int // in the first entry of every log
	Spares int // servers that belong to nothing yet

	Terms    int // the newest; the cluster is made in term 1, so the first election is of term 2
	Log      int // entries of a log beyond the first one and the no-ops
	InFlight int // messages under way; all others are lost when they are sent
	Restarts int // crashes, each of which a start follows at once
	Changes  int // of the configuration that are asked for
	Wishes   int // hand-overs that are asked for

	// Atomic lets a request, its handling, what is saved of it and the answer be one step.
	Atomic bool
	// SlowDisks lets Saves become durable later, or never.
	SlowDisks bool
	// Late lets the caller of a request give it up while it is under way.
	Late bool

	PreVote     bool
	CheckQuorum bool

	// Who may do what, by number from 1; nil means everybody.
	Campaigning, Restarting, Removable []int
	// Compacting are the servers that take a snapshot whenever they have applied something.
	Compacting []int
	Chunks     int // of a snapshot; 0 means 1
}

// String is the bound, in words.
func (l Level) String() string {
	b := fmt.Sprintf("%d nodes", l.Voters)
	if l.Spares > 0 {
		b = fmt.Sprintf("%d nodes (%d voters)", l.Voters+l.Spares, l.Voters)
	}
	say := func(n int, format string, args ...any) {
		if n > 0 {
			b += fmt.Sprintf(", "+format, args...)
		}
	}
	b += fmt.Sprintf(", terms ≤ %d, log ≤ %d, %d in flight", l.Terms, l.Log, l.InFlight)
	say(l.Restarts, "%d %s", l.Restarts, choose(l.Restarts == 1, "restart", "restarts"))
	say(l.Changes, "%d %s of the configuration", l.Changes, choose(l.Changes == 1, "change", "changes"))
	say(l.Wishes, "%d %s", l.Wishes, choose(l.Wishes == 1, "hand-over", "hand-overs"))
	say(len(l.Compacting), "snapshots of %d %s at %s", max(l.Chunks, 1), choose(l.Chunks > 1, "chunks", "chunk"), names(l.Compacting))
	say(len(l.Campaigning), "only %s campaign", names(l.Campaigning))
	say(len(l.Restarting), "only %s restart", names(l.Restarting))
	say(len(l.Removable), "only %s removed", names(l.Removable))
	for _, w := range []struct {
		is   bool
		word string
	}{{l.Atomic, "atomic RPCs"}, {!l.Atomic, "asynchronous messages"}, {l.SlowDisks, "slow disks"}, {l.Late, "callers give up"}, {l.PreVote, "pre-vote"}, {l.CheckQuorum, "check-quorum"}} {
		if w.is {
			b += ", " + w.word
		}
	}
	return b
}

func names(numbers []int) string {
	var all []string
	for _, n := range numbers {
		all = append(all, fmt.Sprintf("n%d", n))
	}
	return strings.Join(all, " ")
}

func choose(yes bool, a, b string) string {
	if yes {
		return a
	}
	return b
}

func (l Level) nodes() int { return l.Voters + l.Spares }

// maxTerm is the newest term. The cluster is made in term 1, and elections begin in term 2.
func (l Level) maxTerm() raft.Term { return raft.Term(l.Terms) }

// may says whether a place is among those that are named, or nobody is.
func may(who []int, place int) bool { return who == nil || slices.Contains(who, place+1) }

// isA says whether a place is among those that are named.
func isA(who []int, place int) bool { return slices.Contains(who, place+1) }

// config is what each server is told.
func (l Level) config(place int) raft.Config {
	return raft.Config{
		ID: idOf(place), Rand: largest{}, NoPreVote: !l.PreVote, NoCheckQuorum: !l.CheckQuorum,
		MaxBatchBytes: 16 << 10, // smaller than this, it does not shrink when messages fail
		MaxInflight:   2, TrailingBytes: -1,
	}
}

// largest draws the longest timeout: that the timer may run out now is an action of its own.
type largest struct{}

func (largest) IntN(n int) int { return n - 1 }

func idOf(place int) raft.NodeID { return ids[place] }

const maxNodes = 5

var ids = [maxNodes]raft.NodeID{"n1", "n2", "n3", "n4", "n5"}

func placeOf(id raft.NodeID) int { return int(id[1] - '1') }

// symmetries are the ways to rename the servers such that the world begins as before.
func (l Level) symmetries() [][]int {
	class := func(place int) string {
		return fmt.Sprint(place < l.Voters, may(l.Campaigning, place), may(l.Restarting, place), may(l.Removable, place), isA(l.Compacting, place))
	}
	var all [][]int
	var extend func(names []int)
	extend = func(names []int) {
		if len(names) == l.nodes() {
			all = append(all, slices.Clone(names))
			return
		}
		for name := range l.nodes() {
			if !slices.Contains(names, name) && class(len(names)) == class(name) {
				extend(append(names, name))
			}
		}
	}
	extend(nil)
	return all
}
