package replica_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dbdb/kvstore"
	"dbdb/raft"
	"dbdb/raft/replica"
	"dbdb/raft/wal"
	"dbdb/rpc"
	"dbdb/tests/sim"
)

// FuzzAnyMessages plays a script of any bytes to a replica with a real log, real snapshot
// files and a real store: messages of other servers, as bytes of the wire; replies to its
// own, as bytes too; ticks, clients, and a disk that now and then has done what was asked.
// Whatever the messages say of indexes, terms and lengths, the decoders refuse it or the
// replica lives with it. In particular the disk refuses nothing that the replica wants
// to save: its process would end at that, and again after each restart.
//
// Who speaks the protocol may still lie: name itself the leader of a term that has one,
// or replace what is committed. No server can live with that, and to stop is right then:
// see liedTo. But also then, and at the end of every script, the disk holds a log with
// which the server can be started again.
func FuzzAnyMessages(f *testing.F) {
	for _, s := range honestScripts(f) {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, script []byte) {
		w := newFuzzWorld(t)
		w.play(script)
		w.restart()
	})
}

// What a script can have happen. An argument is a length of two bytes and its bytes.
const (
	stepTicks  = iota // argument: how many, in one byte
	stepDisk          // everything that was asked of the disk is done
	stepClient        // argument: what a client wants, in its first byte, and of whom
	stepFail          // the calls under way end without a reply

	// Requests of another server; the argument is the message.
	stepRequestVote
	stepAppendEntries
	stepInstallSnapshot
	stepTimeoutNow
	stepReadIndex

	// Replies to the oldest call of a kind; the argument is the message.
	stepRequestVoteReply
	stepAppendEntriesReply
	stepInstallSnapshotReply
	stepTimeoutNowReply
	stepReadIndexReply
	steps
)

// most bounds a script, as a fuzzer likes to make them long.
const most = 300

// fuzzWorld is n1 of three voters, whose log is at 1@1.
type fuzzWorld struct {
	*replica.Replica
	t       *testing.T
	disk    *sim.Disk
	dir     *wal.Dir
	pending []func() // what was asked of the disk, oldest first
	calls   transport
	store   *kvstore.Store
	lie     any // why the replica stopped, nil if it did not
}

var fuzzMembers = raft.Configuration{Members: []raft.Member{
	{ID: "n1", Role: raft.Voter, RaftAddr: "localhost:1"}, {ID: "n2", Role: raft.Voter}, {ID: "n3", Role: raft.Voter},
}}

func newFuzzWorld(t *testing.T) *fuzzWorld {
	w := &fuzzWorld{t: t, disk: sim.NewDisk(rand.New(rand.NewPCG(1, 2)))}
	w.open()
	first := raft.Entry{Index: 1, Term: 1, Kind: raft.EntryConfiguration, Data: fuzzMembers.Encode()}
	require.NoError(t, w.dir.Log().Save(raft.Save{Seq: 1, Term: 1, Entries: []raft.Entry{first}}))
	require.NoError(t, w.dir.Close())
	w.open()
	w.start()
	return w
}

func (w *fuzzWorld) open() {
	var err error
	options := wal.Options{Node: "n1", SegmentBytes: 4096, Random: rand.NewChaCha8([32]byte{7})}
	w.dir, err = wal.Open(w.disk, "data", options)
	require.NoError(w.t, err)
}

// start makes a replica of what the disk holds.
func (w *fuzzWorld) start() {
	restored := w.dir.Log().Restored()
	w.store = kvstore.New()
	if m := restored.Snapshot; m.Index != 0 {
		require.NoError(w.t, w.dir.Snapshots().Load(m, func(r io.Reader) error {
			install, err := w.store.Restore(r)
			if err == nil {
				install()
			}
			return err
		}))
	}
	w.Replica = replica.New(replica.Config{
		Raft: raft.Config{ID: "n1", Rand: rand.New(rand.NewPCG(1, 2)), TrailingBytes: 300},
		Disk: w, Snapshots: fuzzFiles{w}, Transport: &w.calls, StateMachine: w.store, SnapshotBytes: 600,
		Failed: func(err error) { require.NoError(w.t, err, "the disk refused what the replica saved") },
	}, restored)
}

// restart starts a replica again after a crash, and lets it live for a while.
func (w *fuzzWorld) restart() {
	if w.lie == nil {
		w.finishDisk()
	}
	w.disk.Crash(sim.LoseUnsynced)
	w.open()
	w.calls, w.pending = transport{}, nil
	w.start()
	for range 100 {
		w.Tick()
		w.flush()
		w.finishDisk()
	}
}

func (w *fuzzWorld) flush() {
	for w.Flush(); w.Raft().MoreToApply(); {
		w.Flush()
	}
}

// finishDisk does what the disk was asked for.
func (w *fuzzWorld) finishDisk() {
	for len(w.pending) > 0 {
		todo := w.pending
		w.pending = nil
		for _, do := range todo {
			do()
		}
		w.flush()
	}
}

// play carries out a script as far as it makes sense.
func (w *fuzzWorld) play(script []byte) {
	defer func() {
		if p := recover(); p != nil {
			w.lie = p
			if !liedTo(p) {
				panic(p)
			}
		}
	}()
	for n := 0; len(script) > 0 && n < most; n++ {
		var arg []byte
		step := script[0] % steps
		if script = script[1:]; step != stepDisk && step != stepFail {
			if len(script) < 2 {
				return
			}
			length := min(int(binary.BigEndian.Uint16(script)), len(script)-2)
			arg, script = script[2:2+length:2+length], script[2+length:]
		}
		w.step(step, arg)
		w.flush()
	}
}

// liedTo says whether a panic is the core's word that the other server broke Raft, and
// not an index out of bounds or a rule of its own that it broke.
func liedTo(p any) bool {
	text := fmt.Sprint(p)
	return strings.HasPrefix(text, "raft: Election Safety: ") || strings.HasPrefix(text, "raft: State Machine Safety: ")
}

func (w *fuzzWorld) step(step byte, arg []byte) {
	switch step {
	case stepTicks:
		for range first(arg) % 64 {
			w.Tick()
			w.flush()
		}
	case stepDisk:
		w.finishDisk()
	case stepClient:
		w.client(arg)
	case stepFail:
		w.fail()
	case stepRequestVote, stepAppendEntries, stepInstallSnapshot, stepTimeoutNow, stepReadIndex:
		w.request(step, arg)
	default:
		w.reply(step, arg)
	}
}

func first(b []byte) byte {
	if len(b) == 0 {
		return 0
	}
	return b[0]
}

// Nobody listens to the answers.
func (w *fuzzWorld) client(arg []byte) {
	id := raft.NodeID("n2")
	if len(arg) > 1 {
		id = raft.NodeID(arg[1:min(len(arg), raft.MaxNodeIDBytes)])
	}
	switch first(arg) % 5 {
	case 0:
		w.Propose(arg[min(1, len(arg)):], func(replica.Result, error) {})
	case 1:
		w.Read(func(error) {})
	case 2:
		w.AddLearner(raft.Member{ID: id}, func(error) {})
	case 3:
		w.RemoveServer(id, func(error) {})
	case 4:
		w.TransferLeadership(id, func(error) {})
	}
}

// request gives a message to the replica, if it decodes, as the transport would. A server
// under the replica's own name was refused when it said hello.
func (w *fuzzWorld) request(step byte, arg []byte) {
	switch step {
	case stepRequestVote:
		if a, err := rpc.DecodeRequestVoteArgs(arg); err == nil && a.CandidateID != "n1" {
			w.RequestVote(a, func(raft.RequestVoteReply) {})
		}
	case stepAppendEntries:
		if a, err := rpc.DecodeAppendEntriesArgs(arg); err == nil && a.LeaderID != "n1" {
			w.AppendEntries(a, func(raft.AppendEntriesReply) {})
		}
	case stepInstallSnapshot:
		if a, err := rpc.DecodeInstallSnapshotArgs(arg); err == nil && a.LeaderID != "n1" {
			w.InstallSnapshot(a, func(raft.InstallSnapshotReply) {})
		}
	case stepTimeoutNow:
		if a, err := rpc.DecodeTimeoutNowArgs(arg); err == nil && a.LeaderID != "n1" {
			w.TimeoutNow(a, func(raft.TimeoutNowReply) {})
		}
	case stepReadIndex:
		if a, err := rpc.DecodeReadIndexArgs(arg); err == nil && a.From != "n1" {
			w.ReadIndex(a, func(raft.ReadIndexReply) {})
		}
	}
}

// reply answers the oldest call of a kind, if there is one and the reply decodes.
func (w *fuzzWorld) reply(step byte, arg []byte) {
	c := &w.calls
	switch step {
	case stepRequestVoteReply:
		if r, err := rpc.DecodeRequestVoteReply(arg); err == nil && len(c.votes) > 0 {
			oldest(&c.votes)(r, nil)
		}
	case stepAppendEntriesReply:
		if r, err := rpc.DecodeAppendEntriesReply(arg); err == nil && len(c.appends) > 0 {
			oldest(&c.appends).done(r, nil)
		}
	case stepInstallSnapshotReply:
		if r, err := rpc.DecodeInstallSnapshotReply(arg); err == nil && len(c.chunks) > 0 {
			oldest(&c.chunks).done(r, nil)
		}
	case stepTimeoutNowReply:
		if r, err := rpc.DecodeTimeoutNowReply(arg); err == nil && len(c.timeouts) > 0 {
			oldest(&c.timeouts).done(r, nil)
		}
	case stepReadIndexReply:
		if r, err := rpc.DecodeReadIndexReply(arg); err == nil && len(c.reads) > 0 {
			oldest(&c.reads)(r, nil)
		}
	}
}

// oldest takes the first element of a queue.
func oldest[E any](queue *[]E) E {
	e := (*queue)[0]
	*queue = (*queue)[1:]
	return e
}

// fail ends all calls that are under way.
func (w *fuzzWorld) fail() {
	lost := errors.New("no reply")
	c := w.calls
	w.calls = transport{}
	for _, done := range c.votes {
		done(raft.RequestVoteReply{}, lost)
	}
	for _, call := range c.appends {
		call.done(raft.AppendEntriesReply{}, lost)
	}
	for _, call := range c.chunks {
		call.done(raft.InstallSnapshotReply{}, lost)
	}
	for _, call := range c.timeouts {
		call.done(raft.TimeoutNowReply{}, lost)
	}
	for _, done := range c.reads {
		done(raft.ReadIndexReply{}, lost)
	}
}

func (w *fuzzWorld) later(do func()) { w.pending = append(w.pending, do) }

// Save implements replica.Disk.
func (w *fuzzWorld) Save(s raft.Save, done func(error)) {
	w.later(func() { done(w.dir.Log().Save(s)) })
}

// fuzzFiles is the replica's Snapshots, on the same disk.
type fuzzFiles struct{ w *fuzzWorld }

func (f fuzzFiles) Write(m raft.Snapshot, state io.WriterTo, done func(error)) {
	f.w.later(func() { done(f.w.dir.Snapshots().Write(m, state)) })
}

func (f fuzzFiles) Read(index raft.Index, term raft.Term, offset uint64, done func([]byte, uint64, error)) {
	f.w.later(func() { done(f.w.dir.Snapshots().ReadAt(index, term, offset)) })
}

func (f fuzzFiles) Receive(offset uint64, chunk []byte, done func(error)) {
	f.w.later(func() { done(f.w.dir.Snapshots().Receive(offset, chunk)) })
}

func (f fuzzFiles) Received(restore func(io.Reader) (func(), error), done func(raft.Snapshot, func(), error)) {
	f.w.later(func() {
		var install func()
		m, err := f.w.dir.Snapshots().Received(func(r io.Reader) (err error) {
			install, err = restore(r)
			return err
		})
		done(m, install, err)
	})
}

// script is one that is being written.
type script struct{ bytes.Buffer }

func (s *script) add(step byte, arg []byte) {
	s.WriteByte(step)
	s.Write(binary.BigEndian.AppendUint16(nil, uint16(len(arg))))
	s.Write(arg)
}

func (s *script) sync() { s.WriteByte(stepDisk) }

func (s *script) appendEntries(a raft.AppendEntriesArgs) {
	s.add(stepAppendEntries, rpc.EncodeAppendEntriesArgs(nil, a))
	s.sync()
}

// elect has n1 win an election, in term 2.
func (s *script) elect() {
	s.add(stepTicks, []byte{40})
	s.add(stepRequestVoteReply, rpc.EncodeRequestVoteReply(nil, raft.RequestVoteReply{Term: 1, VoteGranted: true}))
	s.WriteByte(stepFail) // the other pre-vote
	s.sync()
	s.add(stepRequestVoteReply, rpc.EncodeRequestVoteReply(nil, raft.RequestVoteReply{Term: 2, VoteGranted: true}))
	s.sync()
}

// matched has n2 accept what was sent to it; with three servers, it commits.
func (s *script) matched(times int) {
	for range times {
		s.add(stepAppendEntriesReply, rpc.EncodeAppendEntriesReply(nil, raft.AppendEntriesReply{Term: 2, Success: true}))
	}
}

// install sends a snapshot's file in two chunks.
func (s *script) install(file []byte, a raft.InstallSnapshotArgs) {
	a.Size = uint64(len(file))
	for _, chunk := range [][]byte{file[:300], file[300:]} {
		a.Data, a.Done = chunk, a.Offset+uint64(len(chunk)) == a.Size
		s.add(stepInstallSnapshot, rpc.EncodeInstallSnapshotArgs(nil, a))
		s.sync()
		a.Offset += uint64(len(chunk))
	}
}

// honestScripts are what servers of a cluster really say: a follower's life, a
// leader's, and a snapshot's way to a follower.
func honestScripts(f testing.TB) [][]byte {
	set := func(key string) []byte {
		cmd, err := kvstore.Encode(kvstore.Command{Op: kvstore.Set, Key: []byte(key), Value: []byte("1")})
		require.NoError(f, err)
		return cmd
	}
	var follower, leader, snapshot script
	follower.add(stepRequestVote, rpc.EncodeRequestVoteArgs(nil, raft.RequestVoteArgs{Term: 2, CandidateID: "n2", LastLogIndex: 1, LastLogTerm: 1}))
	follower.appendEntries(entries(2, 1, 1, string(set("x")), string(set("y"))))
	commit := entries(2, 3, 2)
	commit.LeaderCommit = 3
	follower.appendEntries(commit)
	follower.appendEntries(entries(3, 3, 2, string(set("z"))))
	follower.appendEntries(entries(4, 3, 2, string(set("other"))))
	follower.add(stepClient, []byte{1})
	follower.add(stepReadIndexReply, rpc.EncodeReadIndexReply(nil, raft.ReadIndexReply{Success: true, Index: 3}))
	follower.add(stepTimeoutNow, rpc.EncodeTimeoutNowArgs(nil, raft.TimeoutNowArgs{Term: 4, LeaderID: "n2"}))

	leader.elect()
	for range 4 {
		leader.add(stepClient, append([]byte{0}, set("a key of some bytes")...))
	}
	leader.matched(8)
	leader.add(stepReadIndex, rpc.EncodeReadIndexArgs(nil, raft.ReadIndexArgs{From: "n3"}))
	leader.add(stepClient, []byte("\x02n4"))
	leader.add(stepClient, []byte("\x03n3"))
	leader.add(stepTicks, []byte{10})
	leader.sync()
	leader.matched(8)
	leader.add(stepClient, []byte("\x04n2"))
	leader.matched(4)

	snapshot.install(snapshotFile(f, 9, 2), raft.InstallSnapshotArgs{Term: 3, LeaderID: "n2", LastIncludedIndex: 9, LastIncludedTerm: 2})
	snapshot.appendEntries(entries(3, 9, 2, string(set("after"))))
	return [][]byte{follower.Bytes(), leader.Bytes(), snapshot.Bytes()}
}

// The fuzzer starts from these: were they refused half-way, it would not get far.
func TestTheHonestScriptsGetThrough(t *testing.T) {
	var worlds []*fuzzWorld
	for _, s := range honestScripts(t) {
		w := newFuzzWorld(t)
		w.play(s)
		require.Nil(t, w.lie)
		worlds = append(worlds, w)
	}
	follower, leader, snapshot := worlds[0].Raft(), worlds[1].Raft(), worlds[2].Raft()
	require.Equal(t, []any{raft.Candidate, raft.Term(5), raft.Index(3)}, []any{follower.State(), follower.Term(), follower.Status().CommitIndex})
	require.Equal(t, 2, worlds[0].store.Len())
	require.Equal(t, raft.Leader, leader.State())
	require.Equal(t, []raft.Index{6, 7, 8}, []raft.Index{leader.Snapshot().Index, leader.Status().CommitIndex, leader.ConfigurationIndex()})
	require.Equal(t, raft.Index(9), snapshot.Snapshot().Index)
	require.Equal(t, raft.Index(10), snapshot.Status().LastIndex)
}

// snapshotFile is an empty state as another server would send it.
func snapshotFile(f testing.TB, index raft.Index, term raft.Term) []byte {
	d, err := wal.Open(sim.NewDisk(rand.New(rand.NewPCG(1, 2))), "data", wal.Options{Node: "n2", SegmentBytes: 4096})
	require.NoError(f, err)
	m := raft.Snapshot{Index: index, Term: term, ConfigurationIndex: 1, Configuration: fuzzMembers}
	require.NoError(f, d.Snapshots().Write(m, kvstore.New().Snapshot()))
	require.NoError(f, d.Log().Save(raft.Save{Seq: 1, Term: term, Snapshot: m}))
	file, _, err := d.Snapshots().ReadAt(index, term, 0)
	require.NoError(f, err)
	return file
}
