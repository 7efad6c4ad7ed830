package raft

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A test for each sentence of Figure 2, in its order. Each quotes its sentence.

// --- State ---

// "currentTerm: latest term server has seen (initialized to 0 on first boot,
// increases monotonically)"
func TestCurrentTermStartsAtZeroAndOnlyRises(t *testing.T) {
	s := newServer(t, 0)
	require.Equal(t, Term(0), s.currentTerm)
	s.HandleAppendEntries(from(7, 0, 0))
	require.Equal(t, Term(7), s.currentTerm)
	s.HandleAppendEntries(from(3, 0, 0))
	s.HandleRequestVote(vote(5, 0, 0))
	require.Equal(t, Term(7), s.currentTerm)
}

// "votedFor: candidateId that received vote in current term (or null if none)"
func TestVotedForBelongsToTheCurrentTerm(t *testing.T) {
	s := newServer(t, 3, 1)
	require.Equal(t, nobody, s.votedFor)
	s.HandleRequestVote(vote(2, 1, 1))
	require.Equal(t, NodeID("n2"), s.votedFor)
	s.observeTerm(3)
	require.Equal(t, nobody, s.votedFor)
}

// "log[]: log entries; each entry contains command for state machine, and term when
// entry was received by leader (first index is 1)"
func TestFirstIndexIsOne(t *testing.T) {
	s := newServer(t, 0)
	s.HandleAppendEntries(from(4, 0, 0, 4))
	require.Equal(t, Index(1), s.log.lastIndex())
	require.Equal(t, Entry{Index: 1, Term: 4, Kind: EntryCommand, Data: []byte("n2")}, s.log.entry(1))
}

// "Persistent state on all servers: (Updated on stable storage before responding to
// RPCs)". Here: the same batch of effects that follows the request has the Save;
// package replica holds the reply until it is durable.
func TestWhatAReplyPromisesIsInTheSaveOfItsBatch(t *testing.T) {
	s := newServer(t, 3, 1)
	s.HandleRequestVote(vote(2, 1, 1))
	require.Equal(t, Save{Seq: 1, Term: 2, VotedFor: "n2"}, s.flush().Save)

	s.HandleAppendEntries(from(2, 1, 1, 2, 2))
	save := s.flush().Save
	require.Equal(t, uint64(2), save.Seq)
	require.Equal(t, from(2, 1, 1, 2, 2).Entries, save.Entries)
	require.Zero(t, s.flush().Save, "nothing changed, so nothing is saved again")
}

// "commitIndex: index of highest log entry known to be committed (initialized to 0,
// increases monotonically)"; "lastApplied: … (initialized to 0, increases
// monotonically)"
func TestCommitIndexAndLastAppliedStartAtZeroAndOnlyRise(t *testing.T) {
	s := newServer(t, 3, 1, 1, 1)
	require.Zero(t, s.commitIndex)
	require.Zero(t, s.lastApplied)
	for _, commit := range []Index{2, 1, 0, 3} {
		a := from(1, 3, 1)
		a.LeaderCommit = commit
		before := s.commitIndex
		s.HandleAppendEntries(a)
		s.flush()
		require.Equal(t, max(before, commit), s.commitIndex)
		require.Equal(t, s.commitIndex, s.lastApplied)
	}
}

// "nextIndex[]: for each server, index of the next log entry to send to that server
// (initialized to leader last log index + 1)"; "matchIndex[]: … (initialized to 0)"
func TestNextIndexStartsAfterTheLogAndMatchIndexAtZero(t *testing.T) {
	s := newServer(t, 3, 1, 1, 1)
	s.campaign()
	s.takeSent()
	s.grant("n2", false)
	for _, p := range s.Status().Peers {
		require.Equal(t, Index(4), p.NextIndex, "the log ended at 3; 4 is the new leader's own first entry")
		require.Zero(t, p.MatchIndex)
	}
}

// "(Reinitialized after election)"
func TestLeaderStateIsReinitializedAfterElection(t *testing.T) {
	s := newServer(t, 3, 1)
	s.elect()
	s.answer("n2")
	require.Equal(t, Index(2), s.leader.peers["n2"].matchIndex)
	s.observeTerm(9)
	require.Nil(t, s.leader)
	s.elect()
	require.Zero(t, s.leader.peers["n2"].matchIndex)
}

// --- AppendEntries RPC ---

// Results: "term: currentTerm, for leader to update itself"
func TestAppendEntriesRepliesWithCurrentTerm(t *testing.T) {
	s := newServer(t, 3, 1, 4)
	require.Equal(t, Term(4), s.HandleAppendEntries(from(2, 0, 0)).Term)
	require.Equal(t, Term(6), s.HandleAppendEntries(from(6, 0, 0)).Term)
	require.Equal(t, Term(6), s.HandleAppendEntries(from(6, 9, 6)).Term)
}

// "1. Reply false if term < currentTerm (§5.1)"
func TestAppendEntriesOfAnOldTermIsRefusedAndChangesNothing(t *testing.T) {
	s := newServer(t, 3, 1, 4)
	ticks(s, 3)
	before := *s.Raft
	require.False(t, s.HandleAppendEntries(from(3, 1, 1, 3)).Success)
	require.Equal(t, before, *s.Raft, "no entry, no commit, no leader, no timer")
}

// "2. Reply false if log doesn't contain an entry at prevLogIndex whose term matches
// prevLogTerm (§5.3)"
func TestAppendEntriesIsRefusedWithoutAMatchingPreviousEntry(t *testing.T) {
	for _, c := range []struct {
		name     string
		prev     Index
		prevTerm Term
		success  bool
	}{
		{"the entry is there", 3, 2, true},
		{"the log is too short", 4, 2, false},
		{"another term is there", 3, 3, false},
		{"before the log", 0, 0, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newServer(t, 3, 1, 2, 2)
			a := from(5, c.prev, c.prevTerm)
			a.LeaderCommit = 3
			require.Equal(t, c.success, s.HandleAppendEntries(a).Success)
			if !c.success {
				require.Zero(t, s.commitIndex, "a refused request commits nothing")
			}
		})
	}
}

// "3. If an existing entry conflicts with a new one (same index but different
// terms), delete the existing entry and all that follow it (§5.3)"
func TestAConflictingEntryIsDeletedWithAllThatFollow(t *testing.T) {
	s := newServer(t, 3, 1, 2, 2, 2, 2)
	require.True(t, s.HandleAppendEntries(from(3, 2, 2, 3)).Success)
	require.Equal(t, []Term{1, 2, 3}, s.terms())
	require.Equal(t, Index(3), s.flush().Save.TruncateFrom)
}

// The other half of rule 3: without a conflict nothing is deleted. An old request
// that arrives late is a prefix of what is there.
func TestAnOldRequestThatArrivesLateDeletesNothing(t *testing.T) {
	s := newServer(t, 3, 1)
	s.HandleAppendEntries(from(2, 1, 1, 2, 2, 2))
	require.True(t, s.HandleAppendEntries(from(2, 1, 1, 2)).Success)
	require.True(t, s.HandleAppendEntries(from(2, 2, 2)).Success)
	require.Equal(t, []Term{1, 2, 2, 2}, s.terms())
}

// "4. Append any new entries not already in the log"
func TestOnlyEntriesNotAlreadyThereAreAppended(t *testing.T) {
	s := newServer(t, 3, 1, 2)
	s.HandleAppendEntries(from(2, 1, 1, 2, 2, 2))
	require.Equal(t, []Term{1, 2, 2, 2}, s.terms())
	require.Equal(t, []byte("b"), s.log.entry(2).Data, "the entry that was there stayed")
	require.Len(t, s.flush().Save.Entries, 2)
}

// "5. If leaderCommit > commitIndex, set commitIndex = min(leaderCommit, index of
// last new entry)"
func TestAFollowerCommitsUpToTheLastNewEntryOnly(t *testing.T) {
	for _, c := range []struct {
		name         string
		leaderCommit Index
		entries      []Term
		want         Index
	}{
		{"the leader's commit index is lower", 2, []Term{3}, 2},
		{"the last new entry is lower", 9, []Term{3}, 3},
		{"a heartbeat vouches for nothing after its previous entry", 9, nil, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newServer(t, 3, 1, 1, 2, 2) // 3 and 4 are a stale tail
			a := from(3, 2, 1, c.entries...)
			a.LeaderCommit = c.leaderCommit
			require.True(t, s.HandleAppendEntries(a).Success)
			require.Equal(t, c.want, s.commitIndex)
		})
	}
}

// --- RequestVote RPC ---

// Results: "term: currentTerm, for candidate to update itself"
func TestRequestVoteRepliesWithCurrentTerm(t *testing.T) {
	s := newServer(t, 3, 1, 4)
	require.Equal(t, Term(4), s.HandleRequestVote(vote(2, 0, 0)).Term)
	require.Equal(t, Term(6), s.HandleRequestVote(vote(6, 0, 0)).Term)
}

// "1. Reply false if term < currentTerm (§5.1)"
func TestRequestVoteOfAnOldTermIsRefused(t *testing.T) {
	s := newServer(t, 3, 1, 4)
	require.False(t, s.HandleRequestVote(vote(3, 9, 3)).VoteGranted)
	require.Equal(t, nobody, s.votedFor)
}

// "2. If votedFor is null or candidateId, …grant vote (§5.2, §5.4)"
func TestOneVotePerTermAndTheSameAnswerAgain(t *testing.T) {
	s := newServer(t, 3, 1)
	require.True(t, s.HandleRequestVote(vote(2, 1, 1)).VoteGranted)
	require.True(t, s.HandleRequestVote(vote(2, 1, 1)).VoteGranted, "its reply may have been lost")
	other := vote(2, 1, 1)
	other.CandidateID = "n3"
	require.False(t, s.HandleRequestVote(other).VoteGranted)
}

// "…and candidate's log is at least as up-to-date as receiver's log, grant vote"
func TestVoteOnlyForALogThatIsAtLeastAsUpToDate(t *testing.T) {
	for _, c := range []struct {
		name     string
		last     Index
		lastTerm Term
		granted  bool
	}{
		{"same", 3, 2, true},
		{"longer", 4, 2, true},
		{"shorter", 2, 2, false},
		{"longer with an older last term", 9, 1, false},
		{"shorter with a newer last term", 2, 3, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newServer(t, 3, 1, 1, 2)
			require.Equal(t, c.granted, s.HandleRequestVote(vote(4, c.last, c.lastTerm)).VoteGranted)
			require.Equal(t, Term(4), s.currentTerm, "the term is adopted either way")
		})
	}
}

// --- Rules for Servers: all servers ---

// "If commitIndex > lastApplied: increment lastApplied, apply log[lastApplied] to
// state machine (§5.3)"
func TestCommittedEntriesAreAppliedOnceAndInOrder(t *testing.T) {
	s := newServer(t, 3, 1, 1, 1, 1)
	for _, commit := range []Index{2, 2, 4} {
		a := from(1, 4, 1)
		a.LeaderCommit = commit
		s.HandleAppendEntries(a)
		s.flush()
	}
	require.Equal(t, s.log.entries, s.applied)
}

// "If RPC request or response contains term T > currentTerm: set currentTerm = T,
// convert to follower (§5.1)"
func TestANewerTermMakesAnyServerAFollower(t *testing.T) {
	for name, newer := range map[string]func(*server){
		"AppendEntries": func(s *server) { s.HandleAppendEntries(from(9, 0, 0)) },
		"RequestVote":   func(s *server) { s.HandleRequestVote(vote(9, 0, 0)) },
		"reply to AppendEntries": func(s *server) {
			s.HandleAppendEntriesReply("n2", AppendEntriesArgs{Term: s.currentTerm}, AppendEntriesReply{Term: 9})
		},
		"reply to RequestVote": func(s *server) {
			s.HandleRequestVoteReply("n2", vote(s.currentTerm, 0, 0), RequestVoteReply{Term: 9})
		},
	} {
		for role, become := range map[string]func(*server){
			"follower":  func(*server) {},
			"candidate": (*server).campaign,
			"leader":    (*server).elect,
		} {
			t.Run(name+" to a "+role, func(t *testing.T) {
				s := newServer(t, 3, 1)
				become(s)
				s.cfg.NoCheckQuorum = true // thesis §4.2.3 has a leader ignore candidates
				newer(s)
				require.Equal(t, Follower, s.state)
				require.Equal(t, Term(9), s.currentTerm)
			})
		}
	}
}

// --- Followers (§5.2) ---

// "Respond to RPCs from candidates and leaders": TestAppendEntries… and
// TestRequestVote… above. "If election timeout elapses without receiving
// AppendEntries RPC from current leader or granting vote to candidate: convert to
// candidate"
func TestTheElectionTimerIsResetByTheCurrentLeaderAndByGrantedVotesOnly(t *testing.T) {
	for _, c := range []struct {
		name  string
		input func(*server)
		reset bool
	}{
		{"AppendEntries of the current leader", func(s *server) { s.HandleAppendEntries(from(2, 2, 2)) }, true},
		{"…even one that does not fit", func(s *server) { s.HandleAppendEntries(from(2, 9, 2)) }, true},
		{"AppendEntries of a deposed leader", func(s *server) { s.HandleAppendEntries(from(1, 0, 0)) }, false},
		{"a granted vote", func(s *server) { s.HandleRequestVote(vote(3, 2, 2)) }, true},
		{"a refused vote", func(s *server) { s.HandleRequestVote(vote(3, 1, 1)) }, false},
		{"a granted pre-vote", func(s *server) {
			a := vote(3, 2, 2)
			a.PreVote = true
			require.True(s.t, s.HandleRequestVote(a).VoteGranted)
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newServer(t, 3, 1, 2)
			ticks(s, 5)
			c.input(s)
			if c.reset {
				require.Zero(t, s.electionElapsed)
			} else {
				require.Equal(t, 5, s.electionElapsed)
			}
		})
	}
}

func TestAFollowerThatHearsNothingConvertsToCandidate(t *testing.T) {
	s := newServer(t, 3, 1)
	s.cfg.NoPreVote = true
	ticks(s, s.electionTimeout-1)
	require.Equal(t, Follower, s.state)
	s.Tick()
	require.Equal(t, Candidate, s.state)
}

// --- Candidates (§5.2) ---

// "On conversion to candidate, start election: increment currentTerm; vote for self;
// reset election timer; send RequestVote RPCs to all other servers"
func TestOnConversionToCandidateAnElectionStarts(t *testing.T) {
	s := newServer(t, 3, 1, 2)
	s.cfg.NoPreVote = true
	s.electionElapsed = 7
	s.ElectionTimeout()
	require.Equal(t, Term(3), s.currentTerm)
	require.Equal(t, NodeID("n1"), s.votedFor)
	require.Zero(t, s.electionElapsed)
	e := s.flush()
	require.Empty(t, e.Send, "the requests speak of a vote that is not durable yet")
	want := &RequestVoteArgs{Term: 3, CandidateID: "n1", LastLogIndex: 2, LastLogTerm: 2}
	require.Equal(t, []Call{{To: "n2", RequestVote: want}, {To: "n3", RequestVote: want}}, e.SendAfter)
	require.Equal(t, Save{Seq: 1, Term: 3, VotedFor: "n1"}, e.Save)
}

// "If votes received from majority of servers: become leader"
func TestVotesOfAMajorityMakeALeader(t *testing.T) {
	s := newServer(t, 5, 1)
	s.campaign()
	s.grant("n2", false)
	s.grant("n2", false)
	require.Equal(t, Candidate, s.state, "one voter twice is one vote")
	s.grant("n3", false)
	require.Equal(t, Leader, s.state)
}

// "If AppendEntries RPC received from new leader: convert to follower"
func TestACandidateThatHearsTheLeaderOfItsTermFollowsAndKeepsItsVote(t *testing.T) {
	s := newServer(t, 3, 1)
	s.campaign()
	s.HandleAppendEntries(from(2, 1, 1))
	require.Equal(t, Follower, s.state)
	require.Equal(t, NodeID("n2"), s.leaderID)
	require.Equal(t, NodeID("n1"), s.votedFor, "or it could vote twice in the term")
}

// "If election timeout elapses: start new election"
func TestACandidateWhoseElectionFailsStartsANewOne(t *testing.T) {
	s := newServer(t, 3, 1)
	s.cfg.NoPreVote = true
	s.ElectionTimeout()
	s.settle()
	ticks(s, s.electionTimeout)
	require.Equal(t, Candidate, s.state)
	require.Equal(t, Term(3), s.currentTerm)
}

// --- Leaders ---

// "Upon election: send initial empty AppendEntries RPCs (heartbeat) to each server"
func TestUponElectionEachServerHearsOfIt(t *testing.T) {
	s := newServer(t, 3, 1)
	s.campaign()
	s.takeSent()
	s.grant("n2", false)
	sent := s.flush().Send
	for _, peer := range []NodeID{"n2", "n3"} {
		require.Empty(t, appendsTo(peer, sent)[0].Entries)
	}
}

// "repeat during idle periods to prevent election timeouts (§5.2)"
func TestHeartbeatsRepeatDuringIdlePeriods(t *testing.T) {
	s := newServer(t, 3, 1)
	s.elect()
	s.answer("n2")
	s.answer("n3")
	s.HeartbeatTimeout()
	s.flush()
	s.takeSent()
	for range 3 {
		ticks(s, s.cfg.HeartbeatTicks)
		s.flush()
		require.Len(t, appendsTo("n2", s.takeSent()), 1)
	}
}

// "If command received from client: append entry to local log, respond after entry
// applied to state machine (§5.3)". Here: it is applied only once it is committed;
// package replica responds then.
func TestACommandIsAppendedThenAppliedOnceCommitted(t *testing.T) {
	s := newServer(t, 3, 1)
	s.elect()
	s.answer("n2")
	s.takeSent()
	s.applied = nil
	index, term, err := s.Propose([]byte("x"), []byte("y"))
	require.NoError(t, err)
	require.Equal(t, Index(3), index)
	require.Equal(t, s.currentTerm, term)
	s.settle()
	require.Empty(t, s.applied)
	s.answer("n2")
	require.Len(t, s.applied, 2)
	require.Equal(t, []byte("x"), s.applied[0].Data)
}

// "If last log index >= nextIndex for a follower: send AppendEntries RPC with log
// entries starting at nextIndex"
func TestEntriesAreSentStartingAtNextIndex(t *testing.T) {
	s := newServer(t, 3, 1)
	s.elect()
	s.answer("n2")
	s.takeSent()
	s.Propose([]byte("x"), []byte("y"))
	s.flush()
	a := withEntries("n2", s.sent)
	require.Len(t, a, 1)
	require.Equal(t, Index(2), a[0].PrevLogIndex)
	require.Equal(t, s.log.between(3, 4), a[0].Entries)
	require.Equal(t, Index(5), s.leader.peers["n2"].nextIndex)
}

// "If successful: update nextIndex and matchIndex for follower (§5.3)"
func TestSuccessRaisesNextIndexAndMatchIndexAndNothingLowersThem(t *testing.T) {
	s := newServer(t, 3, 1)
	s.elect()
	s.answer("n2")
	s.takeSent()
	s.Propose([]byte("x"))
	s.flush()
	s.Propose([]byte("y"))
	s.Tick()
	s.flush()
	a := withEntries("n2", s.sent)
	require.Len(t, a, 2, "sent ahead of the answer")
	p := s.leader.peers["n2"]
	ok := AppendEntriesReply{Term: s.currentTerm, Success: true}
	s.HandleAppendEntriesReply("n2", a[1], ok)
	require.Equal(t, Index(4), p.matchIndex)
	s.HandleAppendEntriesReply("n2", a[0], ok)
	require.Equal(t, Index(4), p.matchIndex, "answers may overtake each other")
	require.Equal(t, Index(5), p.nextIndex)
	require.Zero(t, p.inflight)
}

// "If AppendEntries fails because of log inconsistency: decrement nextIndex and
// retry (§5.3)"
func TestAnInconsistencyLowersNextIndexUntilTheLogsMeet(t *testing.T) {
	leader := newServer(t, 3, 1, 1, 1, 4, 4, 5, 5, 6, 6)
	follower := newServer(t, 3, 1, 1, 1, 2, 2, 2, 3, 3, 3, 3) // Figure 7 (f)
	leader.elect()
	for range 20 {
		sent := appendsTo("n2", leader.takeSent())
		for _, a := range sent {
			leader.HandleAppendEntriesReply("n2", a, follower.HandleAppendEntries(a))
		}
		leader.settle()
	}
	require.Equal(t, leader.terms(), follower.terms())
	require.Equal(t, leader.log.lastIndex(), leader.leader.peers["n2"].matchIndex)
}

// "If there exists an N such that N > commitIndex, a majority of matchIndex[i] >= N,
// and log[N].term == currentTerm: set commitIndex = N (§5.3, §5.4)"
func TestCommitNeedsAMajorityAndAnEntryOfTheOwnTerm(t *testing.T) {
	s := newServer(t, 5, 1, 2) // 2@2 is of an older term
	s.elect()
	s.takeSent()
	ok := AppendEntriesReply{Term: s.currentTerm, Success: true}
	old := AppendEntriesArgs{Term: s.currentTerm, PrevLogIndex: 1, PrevLogTerm: 1, Entries: s.log.between(2, 2)}
	own := AppendEntriesArgs{Term: s.currentTerm, PrevLogIndex: 2, PrevLogTerm: 2, Entries: s.log.between(3, 3)}
	replied := func(from NodeID, a AppendEntriesArgs) {
		a.Session = s.leader.peers[from].session
		s.leader.peers[from].inflight = 1
		s.HandleAppendEntriesReply(from, a, ok)
	}
	for _, peer := range []NodeID{"n2", "n3", "n4", "n5"} {
		replied(peer, old)
		require.Zero(t, s.commitIndex, "2@2 is on a majority, but Figure 8 could still undo it")
	}
	replied("n2", own)
	require.Zero(t, s.commitIndex, "two of five")
	replied("n3", own)
	require.Equal(t, Index(3), s.commitIndex, "and 2@2 is committed with it")
}
