package raft

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// The assertions stay on in production; here each is made to fail once.

func TestAssertionsStateTheTheorems(t *testing.T) {
	follower := func() *server { return newServer(t, 3, 1, 2, 2) }
	leader := func() *server { return leaderOf(t, 3) }
	for theorem, c := range map[string]struct {
		start  func() *server
		break_ func(*server)
	}{
		"second leader": {leader, func(s *server) { s.HandleAppendEntries(from(s.currentTerm, 0, 0)) }},
		"leaders \"n3\" and \"n2\" in term 2": {follower, func(s *server) {
			a := from(2, 0, 0)
			a.LeaderID = "n3"
			s.HandleAppendEntries(a)
			s.flush()
			s.HandleAppendEntries(from(2, 0, 0))
		}},
		"State Machine Safety": {follower, func(s *server) {
			a := from(2, 3, 2)
			a.LeaderCommit = 3
			s.HandleAppendEntries(a)
			s.HandleAppendEntries(from(3, 1, 1, 3))
		}},
		"currentTerm went back":     {follower, func(s *server) { s.currentTerm = 1 }},
		"commitIndex went back":     {leader, func(s *server) { s.commitIndex = 0 }},
		"lastApplied went back":     {leader, func(s *server) { s.lastApplied = 0; s.commitIndex = 0; s.shadow.commitIndex = 0 }},
		"vote of term 2 changed":    {leader, func(s *server) { s.votedFor = "n2" }},
		"became its candidate":      {leader, func(s *server) { s.state = Candidate }},
		"beyond the log's end":      {follower, func(s *server) { s.commitIndex = 9; s.lastApplied = 9 }},
		"beyond committed":          {follower, func(s *server) { s.lastApplied = 1 }},
		"durable 9 beyond":          {follower, func(s *server) { s.disk.savedIndex = 9 }},
		"leader's data":             {follower, func(s *server) { s.leader = &leaderState{} }},
		"candidate's data":          {follower, func(s *server) { s.candidate = &candidateState{} }},
		"is not beyond matchIndex":  {leader, func(s *server) { s.leader.peers["n2"].matchIndex = 9 }},
		"nextIndex 9 beyond":        {leader, func(s *server) { s.leader.peers["n2"].nextIndex = 9 }},
		"messages in flight":        {leader, func(s *server) { s.leader.peers["n2"].inflight = 9 }},
		"beyond applied":            {follower, func(s *server) { s.snapshot.Index = 1 }},
		"but the snapshot ends at":  {follower, func(s *server) { s.log.compact(1) }},
		"is not in the log":         {leader, func(s *server) { s.snapshot = snapshotAt(2, 1) }},
		"last entry of term 9":      {follower, func(s *server) { s.log.append(Entry{Index: 4, Term: 9}) }},
		"believes in leader":        {leader, func(s *server) { s.leaderID = nobody }},
		"but only 2 is applied":     {leader, func(s *server) { s.Compact(snapshotAt(3, 2)) }},
		"voted for \"n2\"":          {leader, func(s *server) { s.votedFor, s.shadow.vote = "n2", "n2" }},
		"cannot win an election":    {follower, func(s *server) { s.becomeLeader() }},
		"append of 9@2 after 3@2":   {follower, func(s *server) { s.log.append(Entry{Index: 9, Term: 2}) }},
		"append of 4@1 after 3@2":   {follower, func(s *server) { s.log.append(Entry{Index: 4, Term: 1}) }},
		"index 9 is not in the log": {follower, func(s *server) { s.log.entry(9) }},
		"[2, 9] is not in the log":  {follower, func(s *server) { s.log.between(2, 9) }},
	} {
		t.Run(theorem, func(t *testing.T) {
			s := c.start()
			require.PanicsWithError(t, "", func() {
				defer func() {
					require.Contains(t, recover(), theorem)
					panic(emptyError{})
				}()
				c.break_(s)
				s.flush()
			})
		})
	}
}

type emptyError struct{}

func (emptyError) Error() string { return "" }

func TestAServerThatCannotBeIsNotStarted(t *testing.T) {
	source := rand.New(rand.NewPCG(1, 1))
	for name, cfg := range map[string]Config{
		"no id":               {Rand: source},
		"no source":           {ID: "n1"},
		"heartbeats too slow": {ID: "n1", Rand: source, ElectionTicks: 5, HeartbeatTicks: 5},
		"negative bound":      {ID: "n1", Rand: source, MaxInflight: -1},
		"batch too large":     {ID: "n1", Rand: source, MaxBatchBytes: 2 << 20},
	} {
		require.Error(t, cfg.Validate(), name)
		require.Panics(t, func() { New(cfg, Restored{}) }, name)
	}
	for name, disk := range map[string]Restored{
		"a hole":                              {Term: 2, Entries: []Entry{{Index: 2, Term: 1}}},
		"a gap after the snapshot":            {Term: 2, Snapshot: snapshotAt(5, 1), Entries: []Entry{{Index: 7, Term: 1}}},
		"another term at the snapshot's end":  {Term: 2, Snapshot: snapshotAt(5, 2), Entries: []Entry{{Index: 5, Term: 1}}},
		"a log that ends before the snapshot": {Term: 2, Snapshot: snapshotAt(5, 1), Entries: []Entry{{Index: 3, Term: 1}, {Index: 4, Term: 1}}},
		"terms decrease":                      {Term: 2, Entries: []Entry{{Index: 1, Term: 2}, {Index: 2, Term: 1}}},
		"term too new":                        {Term: 1, Entries: []Entry{{Index: 1, Term: 2}}},
	} {
		require.Panics(t, func() { start(t, Config{}, disk) }, name)
	}
}
