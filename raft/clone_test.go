package raft

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// A field that is added to Raft, or to what hangs on it, is found here by reflection, and
// has to be either in AppendState's encoding or in this list. It names places as
// fieldsOf does.
var leftOut = map[string]string{
	"cfg":                         "does not change, but for the ID, which is written",
	"leaderCommit":                "is only told",
	"tookPart":                    "is only told",
	"electionElapsed":             "a timer: only whether a leader counts as heard is written",
	"electionTimeout":             "a timer",
	"lostElections":               "makes timeouts longer",
	"shadow":                      "the same again, to compare with",
	"effects":                     "is empty between two batches",
	"leader.sessions":             "a number",
	"leader.receivers[].Role":     "follows from the configuration and leaving",
	"leader.receivers[].RaftAddr": "follows from them, too",
	"leader.receivers[].HTTPAddr": "follows from them, too",
	"leader.heartbeatElapsed":     "a timer",
	"leader.quorumElapsed":        "a timer",
	"leader.matches":              "scratch space",
	"leader.peers[].session":      "a number; see AppendState",
	"leader.peers[].heartbeats":   "to send no more of them is like losing them",
	"leader.peers[].sentCommit":   "decides only when a heartbeat leaves",
	"leader.peers[].ackedCommit":  "only whether who is leaving knows is written",
}

// everything is a server in which no field is empty: a state that cannot be reached.
func everything() *Raft {
	c := members(3).with(Member{ID: "n4", Role: Learner})
	s := Snapshot{Index: 2, Term: 1, Configuration: c, ConfigurationIndex: 1}
	call := Call{To: "n2", RequestVote: &RequestVoteArgs{Term: 3}}
	r := &Raft{
		cfg:         Config{ID: "n1", Rand: rand.New(rand.NewPCG(1, 1)), ElectionTicks: 20, HeartbeatTicks: 5},
		currentTerm: 3, votedFor: "n1", snapshot: s, appliedBytes: 1, commitIndex: 4, lastApplied: 3,
		log: log{base: 2, baseTerm: 1, unsavedFrom: 5, truncateFrom: 4, entries: []Entry{
			{Index: 3, Term: 2, Kind: EntryConfiguration, Data: c.Encode()}, {Index: 4, Term: 3, Kind: EntryCommand, Data: []byte("a")},
		}},
		state: PreCandidate, leaderID: "n2", leaderCommit: 4,
		candidate:       &candidateState{votes: map[NodeID]bool{"n1": true}},
		configurations:  []configurationAt{{1, members(3)}, {3, c}},
		electionElapsed: 5, electionTimeout: 20,
		incoming:  incomingSnapshot{term: 3, index: 5, offset: 1, size: 2},
		removedAt: 1, wasMember: true, tookPart: true, lostElections: 1,
		disk:   diskState{seq: 5, handedTerm: 3, handedVote: "n1", handedSnapshot: 2, savedTerm: 2, savedSnapshot: 2, savedIndex: 3, truncationSeq: 4},
		shadow: shadow{term: 3, vote: "n1", state: PreCandidate, leaderID: "n2", commitIndex: 4, lastApplied: 3},
		effects: Effects{
			Send: []Call{call}, Save: Save{Seq: 5, Term: 3, VotedFor: "n1"}, SendAfter: []Call{call},
			Apply: []Entry{{Index: 3, Term: 2}}, Reads: []ReadState{{1, 4}},
		},
		leader: &leaderState{
			peers: map[NodeID]*progress{}, sessions: 7,
			leaving:  []leaving{{Member: Member{ID: "n5", Role: Voter, RaftAddr: "r", HTTPAddr: "h"}, index: 3, ticks: 1}},
			transfer: &transfer{to: "n2", ticks: 1, asked: true}, toldToLead: true,
			heartbeatElapsed: 1, quorumElapsed: 1, uncommittedBytes: 1, matches: []Index{1},
			reads: readRounds{waiting: []uint64{8}, round: 2, index: 3, reads: []uint64{7}, active: true},
		},
	}
	for _, id := range []NodeID{"n2", "n3", "n4", "n5"} {
		r.leader.receivers = append(r.leader.receivers, Member{ID: id, Role: Voter, RaftAddr: "r", HTTPAddr: "h"})
		r.leader.peers[id] = &progress{
			nextIndex: 5, matchIndex: 4, session: 3, probing: true, inflight: 1, paused: true, overdue: true,
			batchBytes: 9, heartbeats: 2, recentlyActive: true, activeBefore: true, ackedRound: 1,
			sentCommit: 1, ackedCommit: 2, roundTarget: 3, roundTicks: 1, caughtUp: true,
			snapshot: &outgoingSnapshot{index: 2, offset: 1, size: 2, setbacks: 1, skip: 1},
		}
	}
	return r
}

func same(id NodeID) NodeID { return id }

// eachField calls f with every field of a value and of what hangs on it, as it may be
// changed, and with its place. Of a map or a slice it takes the first element: of a leader's
// peers the learner, of whom all is written.
func eachField(place string, v reflect.Value, f func(place string, v reflect.Value)) {
	switch v.Kind() {
	case reflect.Struct:
		for k := range v.NumField() {
			field := v.Field(k)
			field = reflect.NewAt(field.Type(), unsafe.Pointer(field.UnsafeAddr())).Elem()
			eachField(strings.TrimPrefix(place+"."+v.Type().Field(k).Name, "."), field, f)
		}
	case reflect.Pointer:
		f(place, v)
		if !v.IsNil() {
			eachField(place, v.Elem(), f)
		}
	case reflect.Slice:
		f(place, v)
		if v.Len() > 0 {
			eachField(place+"[]", v.Index(0), f)
		}
	case reflect.Map:
		f(place, v)
		if p := v.MapIndex(reflect.ValueOf(NodeID("n4"))); p.IsValid() {
			eachField(place+"[]", p, f)
		}
	default:
		f(place, v)
	}
}

func isLeftOut(place string) bool {
	if place == "cfg.ID" {
		return false
	}
	for ; place != ""; place = place[:max(0, strings.LastIndexByte(place, '.'))] {
		if leftOut[strings.TrimSuffix(place, "[]")] != "" {
			return true
		}
	}
	return false
}

// change makes another value of it, or says that it is of a kind that only holds others.
func change(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int:
		v.SetInt(v.Int() + 1)
	case reflect.Uint8, reflect.Uint64:
		v.SetUint(v.Uint() + 1)
	case reflect.String:
		v.SetString("n4") // a peer, where it names one
	default:
		return false
	}
	return true
}

// Every field that counts is in the encoding: to change it changes that. And every field
// that was left out on purpose is left out.
func TestAFieldCannotBeForgottenInTheEncoding(t *testing.T) {
	before := everything().AppendState(nil, same)
	seen := 0
	var places []string
	eachField("", reflect.ValueOf(everything()).Elem(), func(place string, _ reflect.Value) { places = append(places, place) })
	for k, place := range places {
		r, at := everything(), 0
		eachField("", reflect.ValueOf(r).Elem(), func(_ string, v reflect.Value) {
			if at++; at != k+1 {
				return
			}
			if v.Kind() == reflect.Pointer || v.Kind() == reflect.Slice || v.Kind() == reflect.Map {
				require.False(t, v.IsZero() && !isLeftOut(place), "%s is empty in everything(), so this test sees nothing of it", place)
			}
			switch {
			case !change(v), strings.HasPrefix(place, "cfg.") && isLeftOut(place): // nothing changes it
			case isLeftOut(place):
				require.True(t, bytes.Equal(before, r.AppendState(nil, same)), "%s is said to be left out, and is not", place)
			default:
				seen++
				require.False(t, bytes.Equal(before, r.AppendState(nil, same)), "%s may have any value: write it, or say in leftOut why not", place)
			}
		})
	}
	require.Greater(t, seen, 60)
}

// The election timer decides one thing more than when it runs out.
func TestWhetherALeaderCountsAsHeardIsWritten(t *testing.T) {
	r, late := everything(), everything()
	late.electionElapsed = late.cfg.ElectionTicks
	require.NotEqual(t, r.AppendState(nil, same), late.AppendState(nil, same))
	r.cfg.NoCheckQuorum, late.cfg.NoCheckQuorum = true, true // nobody asks then
	require.Equal(t, r.AppendState(nil, same), late.AppendState(nil, same))
}

// shared is what a clone has in common with its original: it never changes.
var shared = []string{
	"cfg.Rand", "cfg.Tracer", "log.entries", "log.entries[].Data", "snapshot.Configuration.Members", "configurations[].Configuration.Members",
	"effects.Send[].RequestVote", "effects.SendAfter[].RequestVote", "effects.Apply",
}

// A clone has all that the original has, and nothing of it is the same piece of memory, but
// for what is shared on purpose.
func TestAFieldCannotBeForgottenInAClone(t *testing.T) {
	r := everything()
	c := r.Clone()
	require.Nil(t, c.leader.matches)
	c.leader.matches = slices.Clone(r.leader.matches)
	require.Equal(t, r, c)
	memory := map[string]unsafe.Pointer{}
	eachField("", reflect.ValueOf(r).Elem(), func(place string, v reflect.Value) {
		if k := v.Kind(); (k == reflect.Pointer || k == reflect.Slice || k == reflect.Map) && !v.IsNil() {
			memory[place] = v.UnsafePointer()
		}
	})
	require.Greater(t, len(memory), 15)
	eachField("", reflect.ValueOf(c).Elem(), func(place string, v reflect.Value) {
		if at, known := memory[place]; known && !slices.Contains(shared, place) {
			require.NotEqual(t, at, v.UnsafePointer(), "%s is the original's", place)
		}
	})
	require.Equal(t, len(c.log.entries), cap(c.log.entries), "what the original appends would be overwritten")
}

// What is written does not depend on who is who, once they are renamed.
func TestTheEncodingKnowsServersByTheirNewNames(t *testing.T) {
	swap := func(id NodeID) NodeID {
		return map[NodeID]NodeID{"n1": "n2", "n2": "n1", "n3": "n3"}[id]
	}
	lead := func(id, other NodeID, rename func(NodeID) NodeID) []byte {
		c := Configuration{}
		for _, n := range []NodeID{"n1", "n2", "n3"} {
			c = c.with(Member{ID: n, Role: Voter})
		}
		s := start(t, Config{ID: id, NoPreVote: true}, Restored{Term: 1, Entries: logOf(c, 1)})
		s.ElectionTimeout()
		s.saveAll()
		s.HandleRequestVoteReply(other, RequestVoteArgs{Term: 2, CandidateID: id}, RequestVoteReply{Term: 2, VoteGranted: true})
		s.saveAll()
		require.Equal(t, Leader, s.State())
		return s.AppendState(nil, rename)
	}
	require.Equal(t, lead("n1", "n2", same), lead("n2", "n1", swap))
	require.Equal(t, lead("n1", "n3", same), lead("n2", "n3", swap))
	require.NotEqual(t, lead("n1", "n2", same), lead("n2", "n1", same))
}

// saveAll makes durable what was handed out, until nothing more is.
func (s *server) saveAll() {
	s.flush()
	for len(s.pending) > 0 {
		save := s.pending[0]
		s.pending = s.pending[1:]
		s.Saved(save)
		s.flush()
	}
}

// life gives a server inputs drawn by chance, and tells all that it asks for.
func life(r *Raft, rnd *rand.Rand, saves *[]Save, inputs int) (told string) {
	reply := func(peer NodeID, c Call) {
		switch {
		case c.RequestVote != nil:
			r.HandleRequestVoteReply(peer, *c.RequestVote, RequestVoteReply{Term: c.RequestVote.Term, VoteGranted: true})
		case c.AppendEntries != nil && rnd.IntN(4) == 0:
			r.HandleAppendEntriesFailed(peer, *c.AppendEntries)
		case c.AppendEntries != nil:
			r.HandleAppendEntriesReply(peer, *c.AppendEntries, AppendEntriesReply{Term: c.AppendEntries.Term, Success: true})
		}
	}
	for range inputs {
		switch rnd.IntN(9) {
		case 0:
			r.ElectionTimeout()
		case 1:
			r.HeartbeatTimeout()
		case 2, 3:
			told += fmt.Sprintln(r.Propose([]byte{byte(rnd.IntN(256))}))
		case 4:
			told += fmt.Sprintln(r.AddLearner(Member{ID: "n4"}))
		case 5:
			told += fmt.Sprintln(r.RemoveServer("n4"))
		case 6:
			a := AppendEntriesArgs{Term: r.Term() + 1, LeaderID: "n2", PrevLogIndex: 1, PrevLogTerm: 1}
			a.Entries = []Entry{{Index: 2, Term: a.Term, Kind: EntryCommand, Data: []byte("b")}}
			if r.Status().CommitIndex < 2 {
				told += fmt.Sprintln(r.HandleAppendEntries(a))
			}
		default:
			for len(*saves) > 0 {
				r.Saved((*saves)[0])
				*saves = (*saves)[1:]
			}
		}
		e := r.Effects()
		if e.Save.Seq > 0 {
			*saves = append(*saves, e.Save)
		}
		told += fmt.Sprintf("%+v %+v %+v\n", e.Save, e.Apply, e.Reads)
		for _, c := range append(e.Send, e.SendAfter...) {
			told += fmt.Sprintf("%s %+v %+v\n", c.To, c.RequestVote, c.AppendEntries)
			reply(c.To, c)
		}
	}
	return told + fmt.Sprintf("%x", r.AppendState(nil, same))
}

// A clone and its original do the same with the same inputs, and neither sees what happens
// to the other meanwhile.
func TestACloneAndItsOriginalGoOnAlikeAndApart(t *testing.T) {
	leaders := 0
	for seed := range uint64(200) {
		s := newServer(t, 3, 1)
		s.cfg.NoPreVote = true
		var saves []Save
		life(s.Raft, rand.New(rand.NewPCG(seed, 1)), &saves, 30)
		before := s.AppendState(nil, same)
		clones := []*Raft{s.Clone(), s.Clone(), s.Clone()}
		var first string
		for k, r := range append(clones, s.Raft) {
			require.Equal(t, before, r.AppendState(nil, same), "seed %d: what happened to another one is seen", seed)
			left := slices.Clone(saves)
			r.cfg.Rand = rand.New(rand.NewPCG(7, 7))
			told := life(r, rand.New(rand.NewPCG(seed, 2)), &left, 30)
			if k == 0 {
				first = told
			}
			require.Equal(t, first, told, "seed %d: clone %d does something else", seed, k)
		}
		if s.State() == Leader {
			leaders++
		}
	}
	require.Greater(t, leaders, 20)
}
