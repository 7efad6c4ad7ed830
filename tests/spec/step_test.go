package spec

import (
	"math/rand/v2"
	"testing"

	"dbdb/raft"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// play is a real core that is held to the specification, as an explorer drives it.
type play struct {
	t     *testing.T
	core  *raft.Raft
	is    Server
	saves []raft.Save // not durable yet
	later []Sent      // leave when they are
	asked uint64
}

func begin(t *testing.T, id raft.NodeID, o Options, disk raft.Restored) *play {
	p := &play{t: t}
	p.core = raft.New(raft.Config{ID: id, Rand: rand.New(rand.NewPCG(1, 1)), NoPreVote: !o.PreVote, NoCheckQuorum: !o.CheckQuorum, ElectionTicks: o.ElectionTicks}, disk)
	var err error
	p.is, err = Begin(o, disk, p.core)
	require.NoError(t, err)
	return p
}

func (p *play) step(in Input, out Output) {
	p.t.Helper()
	var err error
	p.is, err = p.is.Step(in, out, p.core)
	require.NoError(p.t, err)
}

// flush takes what the core asks for. What may not overtake the disk waits.
func (p *play) flush() (sent []Sent) {
	p.t.Helper()
	e := p.core.Effects()
	sent = calls(e.Send)
	out := Output{Sent: sent}
	if p.later = append(p.later, calls(e.SendAfter)...); e.Save.Seq != 0 {
		p.saves = append(p.saves, e.Save)
		out.Saves = []raft.Save{e.Save}
	}
	if len(p.saves) == 0 {
		out.Sent = append(out.Sent, p.later...)
		p.later = nil
	}
	p.step(Flush{}, out)
	return out.Sent
}

// sync lets the disk finish the oldest Save.
func (p *play) sync(replies ...Replied) (sent []Sent) {
	p.t.Helper()
	save := p.saves[0]
	p.saves = p.saves[1:]
	p.core.Saved(save)
	out := Output{Sent: p.later, Replies: replies}
	p.later = nil
	p.step(Saved{save}, out)
	return append(out.Sent, p.flush()...)
}

func calls(cs []raft.Call) (sent []Sent) {
	for _, c := range cs {
		switch {
		case c.RequestVote != nil:
			sent = append(sent, Sent{c.To, *c.RequestVote})
		case c.AppendEntries != nil:
			sent = append(sent, Sent{c.To, *c.AppendEntries})
		case c.TimeoutNow != nil:
			sent = append(sent, Sent{c.To, *c.TimeoutNow})
		}
	}
	return sent
}

// entriesIn is the first message that carries entries, and who gets it.
func entriesIn(sent []Sent) (raft.NodeID, raft.AppendEntriesArgs) {
	for _, m := range sent {
		if a, ok := m.Args.(raft.AppendEntriesArgs); ok && len(a.Entries) > 0 {
			return m.To, a
		}
	}
	return "", raft.AppendEntriesArgs{}
}

func (p *play) request(args any) Received {
	p.asked++
	return Received{ID: p.asked, From: "n2", Args: args}
}

var threeOnDisk = raft.Restored{Term: 1, Entries: []raft.Entry{configuration(1, 1, cluster("n1", "n2", "n3"))}}

// elected is n1, which leads term 2 by the vote of n2.
func elected(t *testing.T) *play {
	p := begin(t, "n1", Options{}, threeOnDisk)
	p.core.ElectionTimeout()
	p.step(ElectionTimer{}, Output{})
	p.flush()
	asked := p.sync()
	require.Len(t, asked, 2)
	a := asked[0].Args.(raft.RequestVoteArgs)
	yes := raft.RequestVoteReply{Term: 2, VoteGranted: true}
	p.core.HandleRequestVoteReply("n2", a, yes)
	p.step(Answered{"n2", a, yes}, Output{})
	require.Equal(t, raft.Leader, p.is.Role)
	return p
}

func TestARealElectionAndAWriteAreActions(t *testing.T) {
	p := elected(t)
	to, a := entriesIn(p.flush())
	p.sync()
	ok := raft.AppendEntriesReply{Term: 2, Success: true}
	p.core.HandleAppendEntriesReply(to, a, ok)
	p.step(Answered{to, a, ok}, Output{})
	p.flush()
	assert.Equal(t, raft.Index(2), p.is.CommitIndex)
	_, _, err := p.core.Propose([]byte("x"))
	require.NoError(t, err)
	p.step(Command{[]byte("x")}, Output{})
	p.flush()
	assert.Equal(t, raft.Index(3), p.is.Log.Last())
	assert.Equal(t, raft.Index(2), p.is.Durable.Log.Last(), "the command is on its way to the disk")
}

func TestARealFollowerAnswersWhenItsDiskHasIt(t *testing.T) {
	p := begin(t, "n1", Options{}, threeOnDisk)
	a := raft.AppendEntriesArgs{Term: 2, LeaderID: "n2", PrevLogIndex: 1, PrevLogTerm: 1, Entries: entries(2, 2)}
	in := p.request(a)
	rep := p.core.HandleAppendEntries(a)
	p.step(in, Output{})
	p.flush()
	early, err := p.is.Check(Other{"too early"}, Output{Replies: []Replied{{in.ID, rep}}}, p.is)
	assert.ErrorContains(t, err, "that term is not durable")
	assert.Empty(t, early.Owed)
	p.sync(Replied{in.ID, rep})
	_, err = p.is.Check(Other{"again"}, Output{Replies: []Replied{{in.ID, rep}}}, p.is)
	assert.ErrorContains(t, err, "to nothing that was asked")
}

func TestARejectionNamesServerInputChangeAndRules(t *testing.T) {
	pre := follower(2, 2)
	_, err := pre.Check(Received{1, "n2", raft.RequestVoteArgs{Term: 3, CandidateID: "n2", LastLogIndex: 1, LastLogTerm: 1}}, Output{},
		but(pre, func(s *Server) { s.CurrentTerm, s.VotedFor = 3, "n2" }))
	for _, words := range []string{
		"n1: n2 asks raft.RequestVoteArgs{Term:3", "in term 2, follower: currentTerm changes from 2 to 3, votedFor changes",
		"UpdateTerm; GrantVote: the candidate's log ends at 1@1, the own one at 2@2", "UpdateTerm; RefuseVote: votedFor changes", "IgnoreCandidate: it hears no leader",
	} {
		assert.ErrorContains(t, err, words)
	}
}

// What no action allows to leave is rejected, although nothing of the state is wrong.
func TestWhatLeavesMustBeAllowed(t *testing.T) {
	p := elected(t)
	to, good := entriesIn(p.flush())
	for words, change := range map[string]func(a *raft.AppendEntriesArgs){
		"it does not lead term 3":       func(a *raft.AppendEntriesArgs) { a.Term = 3 },
		"the entry at 1 is of term 1":   func(a *raft.AppendEntriesArgs) { a.PrevLogTerm = 2 },
		"are not those of its log":      func(a *raft.AppendEntriesArgs) { a.Entries = entries(2, 2) },
		"leaderCommit is 2":             func(a *raft.AppendEntriesArgs) { a.LeaderCommit = 2 },
		"the session of replication is": func(a *raft.AppendEntriesArgs) { a.Session = 77 },
		"there is no entry at 9":        func(a *raft.AppendEntriesArgs) { a.PrevLogIndex = 9 },
	} {
		a := good
		change(&a)
		_, err := p.is.Check(Flush{}, Output{Sent: []Sent{{to, a}}}, p.is)
		assert.ErrorContains(t, err, words)
	}
	_, err := p.is.Check(Flush{}, Output{Sent: []Sent{{"n9", good}}}, p.is)
	assert.ErrorContains(t, err, "n9 is nobody to replicate to")
	_, err = p.is.Check(Flush{}, Output{Sent: []Sent{{"n2", raft.RequestVoteArgs{Term: 3, CandidateID: "n1", LastLogIndex: 2, LastLogTerm: 2}}}}, p.is)
	assert.ErrorContains(t, err, "it was no candidate of term 3")
	_, err = p.is.Check(Flush{}, Output{Sent: []Sent{{"n2", raft.RequestVoteArgs{Term: 2, CandidateID: "n1", LastLogIndex: 1, LastLogTerm: 1, PreVote: true}}}}, p.is)
	assert.ErrorContains(t, err, "it did not ask")
}

func TestAVoteDoesNotAskBeforeItIsDurable(t *testing.T) {
	p := begin(t, "n1", Options{}, threeOnDisk)
	p.core.ElectionTimeout()
	p.step(ElectionTimer{}, Output{})
	p.flush()
	_, err := p.is.Check(Flush{}, Output{Sent: p.later}, p.is)
	assert.ErrorContains(t, err, "its own vote of term 2 is not durable")
}

// Two actions that are each allowed in time are no composition, if something has to happen
// between them.
func TestALeaderIsNotMadeInTheStepThatBeginsItsElection(t *testing.T) {
	pre := follower(4)
	post := but(leader(5), func(s *Server) {
		s.Memory, s.Peers = pre.Memory, []Peer{{ID: "n2", NextIndex: 2}, {ID: "n3", NextIndex: 2}}
		s.Log = s.Log.and(raft.Entry{Index: 2, Term: 5})
	})
	_, err := pre.Check(Tick{}, Output{}, post)
	assert.ErrorContains(t, err, "Timeout; BecomeLeader: its own vote of term 5 is not durable")
}

func TestASnapshotIsLabelledWithWhatItCovers(t *testing.T) {
	s := but(follower(4, 2, 3), func(s *Server) { s.CommitIndex, s.LastApplied = 2, 2 })
	_, err := s.Check(Flush{}, Output{Begun: []raft.Snapshot{snapshot(2, 2)}}, s)
	assert.NoError(t, err)
	_, err = s.Check(Flush{}, Output{Begun: []raft.Snapshot{snapshot(3, 3)}}, s)
	assert.ErrorContains(t, err, "LabelSnapshot: 3 is not applied")
}

// A leader that removes itself goes when that is committed, not when it is asked to.
func TestALeaderDoesNotLeaveWithTheChangeThatRemovesIt(t *testing.T) {
	pre := but(leader(4, 4), func(s *Server) { s.CommitIndex = 2 })
	post := changed(pre, cluster("n2", "n3")).asFollower()
	post.InUse = cluster("n2", "n3")
	_, err := pre.Check(Flush{}, Output{}, post)
	assert.ErrorContains(t, err, "ChangeConfiguration; LeaderIsRemoved: no configuration without it as a voter is committed")
}

func TestTheConfigurationInUseIsTheLatestInTheLog(t *testing.T) {
	s := follower(2, 2)
	assert.NoError(t, Sane(s))
	assert.ErrorContains(t, Sane(but(s, func(s *Server) { s.InUse = cluster("n1") })), "it uses the configuration")
	assert.ErrorContains(t, Sane(but(s, func(s *Server) { s.CommitIndex = 3 })), "commitIndex 3, last entry 2")
	assert.ErrorContains(t, Sane(but(leader(2, 2), func(s *Server) { s.Peers[0].NextIndex = 4 })), "nextIndex of n2 is 4")
	_, err := s.Check(Flush{}, Output{}, but(s, func(s *Server) { s.Leader = "n3" }))
	assert.ErrorContains(t, err, `it believes in leader n3, after ""`)
}

func TestAServerStartsAgainWithWhatItsDiskHas(t *testing.T) {
	p := begin(t, "n1", Options{}, threeOnDisk)
	again := raft.Restored{Term: 2, VotedFor: "n1", Entries: threeOnDisk.Entries}
	core := begin(t, "n1", Options{}, again).core
	_, err := p.is.Restart(again, core)
	assert.ErrorContains(t, err, "n1 starts again: the disk gives back")
	p.core.ElectionTimeout()
	p.step(ElectionTimer{}, Output{})
	p.flush()
	_, err = p.is.Restart(again, core)
	assert.NoError(t, err, "the Save was under way")
}
