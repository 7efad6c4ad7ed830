package replica_test

import (
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"dbdb/raft"
	"dbdb/raft/replica"
)

// The edges of a replica, moved by hand.

// disk keeps Saves until sync.
type disk struct{ queue []func(error) }

func (d *disk) Save(_ raft.Save, done func(error)) { d.queue = append(d.queue, done) }

// transport keeps calls.
type transport struct {
	configurations []raft.Configuration
	votes          []func(raft.RequestVoteReply, error)
	appends        []appendCall
	reads          []func(raft.ReadIndexReply, error)
	chunks         []chunkCall
	timeouts       []timeoutCall
}

type appendCall struct {
	to   raft.NodeID
	args raft.AppendEntriesArgs
	done func(raft.AppendEntriesReply, error)
}

type chunkCall struct {
	to   raft.NodeID
	args raft.InstallSnapshotArgs
	done func(raft.InstallSnapshotReply, error)
}

type timeoutCall struct {
	to   raft.NodeID
	done func(raft.TimeoutNowReply, error)
}

func (n *transport) Configure(c raft.Configuration) { n.configurations = append(n.configurations, c) }

func (n *transport) RequestVote(_ raft.NodeID, _ raft.RequestVoteArgs, done func(raft.RequestVoteReply, error)) {
	n.votes = append(n.votes, done)
}

func (n *transport) AppendEntries(to raft.NodeID, a raft.AppendEntriesArgs, done func(raft.AppendEntriesReply, error)) {
	n.appends = append(n.appends, appendCall{to, a, done})
}

func (n *transport) ReadIndex(_ raft.NodeID, _ raft.ReadIndexArgs, done func(raft.ReadIndexReply, error)) {
	n.reads = append(n.reads, done)
}

func (n *transport) InstallSnapshot(to raft.NodeID, a raft.InstallSnapshotArgs, done func(raft.InstallSnapshotReply, error)) {
	n.chunks = append(n.chunks, chunkCall{to, a, done})
}

func (n *transport) TimeoutNow(to raft.NodeID, _ raft.TimeoutNowArgs, done func(raft.TimeoutNowReply, error)) {
	n.timeouts = append(n.timeouts, timeoutCall{to, done})
}

// files keeps what was asked of the snapshot store. Each is answered by the test.
type files struct {
	writes   []writeCall
	reads    []readCall
	receives []receiveCall
	received []receivedCall
}

type writeCall struct {
	snapshot raft.Snapshot
	state    io.WriterTo
	done     func(error)
}

type readCall struct {
	index  raft.Index
	offset uint64
	done   func([]byte, uint64, error)
}

type receiveCall struct {
	offset uint64
	chunk  string
	done   func(error)
}

type receivedCall struct {
	restore func(io.Reader) (func(), error)
	done    func(raft.Snapshot, func(), error)
}

func (f *files) Write(m raft.Snapshot, state io.WriterTo, done func(error)) {
	f.writes = append(f.writes, writeCall{m, state, done})
}

func (f *files) Read(index raft.Index, _ raft.Term, offset uint64, done func([]byte, uint64, error)) {
	f.reads = append(f.reads, readCall{index, offset, done})
}

func (f *files) Receive(offset uint64, chunk []byte, done func(error)) {
	f.receives = append(f.receives, receiveCall{offset, string(chunk), done})
}

func (f *files) Received(restore func(io.Reader) (func(), error), done func(raft.Snapshot, func(), error)) {
	f.received = append(f.received, receivedCall{restore, done})
}

// machine remembers what was applied and answers with it.
type machine struct{ applied []string }

// Snapshot implements replica.StateMachine: the commands, joined. The cut is a copy.
func (m *machine) Snapshot() io.WriterTo { return strings.NewReader(strings.Join(m.applied, ",")) }

func (m *machine) Restore(r io.Reader) (func(), error) {
	b, err := io.ReadAll(r)
	return func() { m.applied = strings.Split(string(b), ",") }, err
}

func (m *machine) Apply(_ raft.Index, cmd []byte) []byte {
	m.applied = append(m.applied, string(cmd))
	return append([]byte("did "), cmd...)
}

type rig struct {
	*replica.Replica
	t         *testing.T
	disk      disk
	transport transport
	files     files
	machine   machine
	failed    error
}

// newRig starts n1 of a cluster of voters n1, n2, n3, whose log ends at 1@1.
func newRig(t *testing.T, voters int) *rig {
	return newRigWith(t, voters, replica.Config{})
}

// newRigWith does so with what cfg says beside the edges.
func newRigWith(t *testing.T, voters int, cfg replica.Config) *rig {
	r := &rig{t: t}
	var c raft.Configuration
	for k := range voters {
		c.Members = append(c.Members, raft.Member{ID: raft.NodeID("n" + string(rune('1'+k))), Role: raft.Voter})
	}
	entry := raft.Entry{Index: 1, Term: 1, Kind: raft.EntryConfiguration, Data: c.Encode()}
	cfg.Raft.ID, cfg.Raft.Rand = "n1", rand.New(rand.NewPCG(1, 2))
	cfg.Disk, cfg.Snapshots, cfg.Transport, cfg.StateMachine = &r.disk, &r.files, &r.transport, &r.machine
	cfg.Failed = func(err error) { r.failed = err }
	r.Replica = replica.New(cfg, raft.Restored{Term: 1, Entries: []raft.Entry{entry}})
	return r
}

// sync makes everything durable that was handed to the disk, and flushes.
func (r *rig) sync() {
	for len(r.disk.queue) > 0 {
		queue := r.disk.queue
		r.disk.queue = nil
		for _, done := range queue {
			done(nil)
		}
		r.Flush()
	}
}

// elect makes n1 the leader, in term 2; of a cluster of three, with n2's help.
func (r *rig) elect() {
	for r.Raft().State() != raft.Leader {
		r.Tick()
		r.Flush()
		r.sync()
		votes := r.transport.votes
		r.transport.votes = nil
		for _, done := range votes {
			done(raft.RequestVoteReply{Term: r.Raft().Term(), VoteGranted: true}, nil)
			r.Flush()
			r.sync()
		}
	}
}

// answer replies with success to all AppendEntries, until there are none.
func (r *rig) answer() {
	for len(r.transport.appends) > 0 {
		calls := r.transport.appends
		r.transport.appends = nil
		for _, c := range calls {
			c.done(raft.AppendEntriesReply{Term: c.args.Term, Success: true}, nil)
		}
		r.Flush()
		r.sync()
	}
}

func entries(term raft.Term, prev raft.Index, prevTerm raft.Term, cmds ...string) raft.AppendEntriesArgs {
	a := raft.AppendEntriesArgs{Term: term, LeaderID: "n2", PrevLogIndex: prev, PrevLogTerm: prevTerm}
	for k, cmd := range cmds {
		a.Entries = append(a.Entries, raft.Entry{Index: prev + raft.Index(k) + 1, Term: term, Kind: raft.EntryCommand, Data: []byte(cmd)})
	}
	return a
}

func (r *rig) appendEntries(a raft.AppendEntriesArgs) *raft.AppendEntriesReply {
	var got raft.AppendEntriesReply
	r.AppendEntries(a, func(rep raft.AppendEntriesReply) { got = rep })
	r.Flush()
	return &got
}
