package replica_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dbdb/raft"
	"dbdb/raft/replica"
)

// Snapshots: made when the log is long, sent to those who need them, installed in order.

// small takes a snapshot whenever the log has grown by ten commands or so, and keeps
// nothing that it covers.
func small(t *testing.T, voters int) *rig {
	return newRigWith(t, voters, replica.Config{SnapshotBytes: 640, Raft: raft.Config{TrailingBytes: -1}})
}

// write replicates a few commands to n2, and applies them.
func (r *rig) write(cmds ...string) {
	r.t.Helper()
	for _, cmd := range cmds {
		r.Propose([]byte(cmd), func(_ replica.Result, err error) { require.NoError(r.t, err) })
	}
	r.Flush()
	r.sync()
	r.answerFrom("n2")
}

// answerFrom replies with success to all AppendEntries to one server. The others' stay.
func (r *rig) answerFrom(peer raft.NodeID) {
	for again := true; again; r.sync() {
		calls := r.transport.appends
		r.transport.appends, again = nil, false
		for _, c := range calls {
			if c.to != peer {
				r.transport.appends = append(r.transport.appends, c)
				continue
			}
			again = true
			c.done(raft.AppendEntriesReply{Term: c.args.Term, Success: true}, nil)
		}
		r.Flush()
	}
}

// tick lets time pass, in which n2 answers.
func (r *rig) tick(n int) {
	for range n {
		r.Tick()
		r.Flush()
		r.answerFrom("n2")
	}
}

var ten = strings.Split("a b c d e f g h i j", " ")

// snapshotAt is a snapshot of n2's, of a cluster of three.
func snapshotAt(i raft.Index, t raft.Term) raft.Snapshot {
	var c raft.Configuration
	for _, id := range []raft.NodeID{"n1", "n2", "n3"} {
		c.Members = append(c.Members, raft.Member{ID: id, Role: raft.Voter})
	}
	return raft.Snapshot{Index: i, Term: t, Configuration: c, ConfigurationIndex: 1}
}

// chunk delivers one of a snapshot's chunks, whose file has size bytes.
func (r *rig) chunk(term raft.Term, m raft.Snapshot, offset uint64, data string, size uint64) *raft.InstallSnapshotReply {
	a := raft.InstallSnapshotArgs{
		Term: term, LeaderID: "n2", LastIncludedIndex: m.Index, LastIncludedTerm: m.Term,
		Offset: offset, Data: []byte(data), Size: size, Done: offset+uint64(len(data)) == size,
	}
	require.NoError(r.t, a.Validate())
	got := &raft.InstallSnapshotReply{}
	r.InstallSnapshot(a, func(rep raft.InstallSnapshotReply) { *got = rep })
	r.Flush()
	return got
}

// stored is the store's word about the oldest chunk.
func (r *rig) stored(err error) {
	c := r.files.receives[0]
	r.files.receives = r.files.receives[1:]
	c.done(err)
	r.Flush()
}

// verified is the store's word about a received file with this state.
func (r *rig) verified(m raft.Snapshot, state string) {
	c := r.files.received[0]
	r.files.received = r.files.received[1:]
	install, err := c.restore(strings.NewReader(state))
	c.done(m, install, err)
	r.Flush()
}

// --- Made ---

func TestASnapshotIsMadeWhenTheLogIsLongAndThenTheLogGoes(t *testing.T) {
	r := small(t, 1)
	r.elect()
	r.write(ten[:5]...)
	require.Empty(t, r.files.writes)
	r.write(ten...)
	require.Len(t, r.files.writes, 1)
	w := r.files.writes[0]
	require.Equal(t, raft.Index(17), w.snapshot.Index)
	var state bytes.Buffer
	r.write("later")
	_, err := w.state.WriteTo(&state)
	require.NoError(t, err)
	require.Equal(t, strings.Join(append(ten[:5:5], ten...), ","), state.String(), "as it was then")

	require.NotEmpty(t, r.Raft().LogEntries(1, 17), "its file is not complete")
	w.done(nil)
	r.Flush()
	require.Empty(t, r.Raft().LogEntries(1, 17))
	require.Len(t, r.Raft().LogEntries(18, 18), 1)
	require.Equal(t, raft.Index(17), r.Raft().Snapshot().Index)
}

func TestOneSnapshotIsMadeAtATime(t *testing.T) {
	r := small(t, 1)
	r.elect()
	for range 5 {
		r.write(ten...)
	}
	require.Len(t, r.files.writes, 1)
	r.files.writes[0].done(nil)
	r.Flush()
	require.Len(t, r.files.writes, 2, "the log has grown enough meanwhile")
}

// To write a large state each time that the log grows by a little would be most of what
// the disk does.
func TestALargeSnapshotIsFollowedByALargeLog(t *testing.T) {
	r := small(t, 1)
	r.elect()
	r.write(strings.Repeat("x", 3000))
	w := r.files.writes[0]
	_, err := w.state.WriteTo(&bytes.Buffer{})
	require.NoError(t, err)
	w.done(nil)
	r.write(ten...)
	r.write(ten...)
	require.Len(t, r.files.writes, 1)
	for range 5 {
		r.write(ten...)
	}
	require.Len(t, r.files.writes, 2)
}

// Its disk is probably full. The log goes on meanwhile.
func TestASnapshotThatFailedIsTriedAgainLater(t *testing.T) {
	r := small(t, 1)
	r.elect()
	r.write(ten...)
	r.files.writes[0].done(errors.New("disk full"))
	r.write(ten...)
	r.tick(499)
	require.Len(t, r.files.writes, 1)
	require.Zero(t, r.Raft().Snapshot().Index)
	require.NoError(t, r.failed, "that costs the snapshot, not the process")
	r.tick(1)
	require.Len(t, r.files.writes, 2)
}

// A new snapshot takes the file's place, and the follower would begin again.
func TestNoSnapshotIsMadeWhileOneIsOnItsWay(t *testing.T) {
	r := sending(t)
	r.write(ten...)
	r.write(ten...)
	for range 100 { // several checks of the quorum
		r.Tick()
		r.Flush()
		r.answer() // n3 too, but to heartbeats alone
		require.Len(t, r.files.writes, 1)
	}
	r.write(ten...)
	r.write(ten...)
	r.write(ten...)
	require.Len(t, r.files.writes, 2, "but not for ever: the memory of the others is not for one slow follower")
}

func TestNothingBecomesOfASnapshotThatIsReadyAfterTheEnd(t *testing.T) {
	r := small(t, 1)
	r.elect()
	r.write(ten...)
	r.Close()
	r.files.writes[0].done(nil)
	require.Zero(t, r.Raft().Snapshot().Index)
}

// --- Sent ---

// sending is a leader that is about to send n3 the first chunk of a snapshot through 12.
func sending(t *testing.T) *rig {
	r := small(t, 3)
	r.elect()
	r.answerFrom("n2")
	r.write(ten...)
	r.files.writes[0].done(nil)
	r.Flush()
	r.sync()
	require.Equal(t, raft.Index(12), r.Raft().Snapshot().Index)
	require.Len(t, r.files.reads, 1)
	return r
}

func TestChunksAreReadThenSent(t *testing.T) {
	r := sending(t)
	read := r.files.reads[0]
	require.Equal(t, raft.Index(12), read.index)
	require.Zero(t, read.offset)
	require.Empty(t, r.transport.chunks)
	read.done([]byte("0123"), 6, nil)
	c := r.transport.chunks[0]
	require.Equal(t, raft.NodeID("n3"), c.to)
	require.Equal(t, "0123", string(c.args.Data))
	require.EqualValues(t, 6, c.args.Size)
	require.False(t, c.args.Done)
	require.NoError(t, c.args.Validate())
	c.done(raft.InstallSnapshotReply{Term: 2, Offset: 4}, nil)
	r.Flush()
	read = r.files.reads[1]
	require.EqualValues(t, 4, read.offset)
	read.done([]byte("45"), 6, nil)
	require.True(t, r.transport.chunks[1].args.Done)
	r.transport.chunks[1].done(raft.InstallSnapshotReply{Term: 2, Offset: 6}, nil)
	r.tick(5)
	require.EqualValues(t, 6, r.files.reads[2].offset, "installed by now?")
	r.files.reads[2].done(nil, 6, nil)
	r.transport.chunks[2].done(raft.InstallSnapshotReply{Term: 2, Installed: true}, nil)
	r.write("next")
	s := r.Raft().Status()
	require.Equal(t, raft.Index(12), s.Peers[1].MatchIndex)
}

func TestAChunkThatCannotBeReadOrSentIsTriedAgain(t *testing.T) {
	for name, fail := range map[string]func(*rig){
		"not read": func(r *rig) { r.files.reads[0].done(nil, 0, errors.New("bad sector")) },
		"not sent": func(r *rig) {
			r.files.reads[0].done([]byte("0123"), 6, nil)
			r.transport.chunks[0].done(raft.InstallSnapshotReply{}, errors.New("timed out"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := sending(t)
			fail(r)
			r.Flush()
			require.Len(t, r.files.reads, 1, "not at once")
			r.tick(5)
			require.Len(t, r.files.reads, 2)
		})
	}
}

func TestAClosedReplicaSendsNoChunks(t *testing.T) {
	r := sending(t)
	r.files.reads[0].done([]byte("0123"), 6, nil)
	r.Close()
	r.files.reads[0].done([]byte("0123"), 6, nil)
	require.Len(t, r.transport.chunks, 1)
	r.transport.chunks[0].done(raft.InstallSnapshotReply{Term: 9}, nil)
	require.Equal(t, raft.Term(2), r.Raft().Term())
}

// --- Received ---

func TestTheReplyToAChunkWaitsUntilItIsStored(t *testing.T) {
	r := newRig(t, 3)
	rep := r.chunk(1, snapshotAt(9, 1), 0, "0123", 8)
	r.sync()
	require.Zero(t, *rep)
	require.Equal(t, "0123", r.files.receives[0].chunk)
	r.stored(nil)
	require.Equal(t, raft.InstallSnapshotReply{Term: 1, Offset: 4}, *rep)
}

// It also promises the term that came with it.
func TestTheReplyToAChunkWaitsForTheSavesBeforeIt(t *testing.T) {
	r := newRig(t, 3)
	rep := r.chunk(5, snapshotAt(9, 1), 0, "0123", 8)
	r.stored(nil)
	require.Zero(t, *rep, "term 5 is not durable")
	r.sync()
	require.Equal(t, raft.InstallSnapshotReply{Term: 5, Offset: 4}, *rep)
}

func TestAChunkThatCannotBeStoredHasTheLeaderBeginAgain(t *testing.T) {
	r := newRig(t, 3)
	r.chunk(1, snapshotAt(9, 1), 0, "0123", 8)
	r.stored(nil)
	rep := r.chunk(1, snapshotAt(9, 1), 4, "4567", 8)
	r.stored(errors.New("disk full"))
	require.Equal(t, raft.InstallSnapshotReply{Term: 1}, *rep)
	require.NoError(t, r.failed)
	r.chunk(1, snapshotAt(9, 1), 0, "0123", 8)
	require.Zero(t, r.files.receives[0].offset)
}

// receive takes a whole snapshot, in one chunk, and stores it.
func (r *rig) receive(term raft.Term, m raft.Snapshot) {
	rep := r.chunk(term, m, 0, "file", 4)
	r.stored(nil)
	r.sync()
	require.Equal(r.t, raft.InstallSnapshotReply{Term: term, Offset: 4}, *rep)
}

func TestAReceivedSnapshotTakesThePlaceOfTheState(t *testing.T) {
	r := newRig(t, 3)
	a := entries(1, 1, 1, "old")
	a.LeaderCommit = 2
	r.appendEntries(a)
	r.receive(1, snapshotAt(9, 1))
	require.Equal(t, []string{"old"}, r.machine.applied, "not before the file is verified")
	r.verified(snapshotAt(9, 1), "from,the,leader")
	require.Equal(t, []string{"from", "the", "leader"}, r.machine.applied)
	require.Equal(t, raft.Index(9), r.LastApplied())

	rep := r.chunk(1, snapshotAt(9, 1), 4, "", 4)
	require.Zero(t, *rep, "Installed promises what is durable")
	r.sync()
	require.Equal(t, raft.InstallSnapshotReply{Term: 1, Installed: true}, *rep)

	a = entries(1, 9, 1, "next")
	a.LeaderCommit = 10
	r.appendEntries(a)
	require.Equal(t, []string{"from", "the", "leader", "next"}, r.machine.applied)
}

// While the file was verified, entries came as well.
func TestASnapshotThatTheLogHasOvertakenIsNotInstalled(t *testing.T) {
	r := newRig(t, 3)
	r.receive(1, snapshotAt(2, 1))
	a := entries(1, 1, 1, "x", "y")
	a.LeaderCommit = 3
	r.appendEntries(a)
	r.verified(snapshotAt(2, 1), "x")
	require.Equal(t, []string{"x", "y"}, r.machine.applied)
	require.Equal(t, raft.Index(3), r.LastApplied())
}

func TestADamagedFileHasTheLeaderBeginAgain(t *testing.T) {
	for name, verified := range map[string]func(receivedCall){
		"damaged":                  func(c receivedCall) { c.done(raft.Snapshot{}, nil, errors.New("checksum")) },
		"of another index":         func(c receivedCall) { c.done(snapshotAt(8, 1), func() { panic("installed") }, nil) },
		"of another term":          func(c receivedCall) { c.done(snapshotAt(9, 2), func() { panic("installed") }, nil) },
		"with an unreadable state": func(c receivedCall) { c.done(snapshotAt(9, 1), nil, errors.New("unknown format")) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 3)
			r.receive(1, snapshotAt(9, 1))
			verified(r.files.received[0])
			r.Flush()
			require.Zero(t, r.Raft().Snapshot().Index)
			require.Equal(t, raft.InstallSnapshotReply{Term: 1}, *r.chunk(1, snapshotAt(9, 1), 4, "", 4))
		})
	}
}

func TestReadsAtOrBelowTheSnapshotAreServed(t *testing.T) {
	r := newRig(t, 3)
	r.appendEntries(entries(1, 1, 1))
	served := 0
	r.Read(func(err error) { require.NoError(t, err); served++ })
	r.Flush()
	r.transport.reads[0](raft.ReadIndexReply{Success: true, Index: 9}, nil)
	r.receive(1, snapshotAt(9, 1))
	require.Zero(t, served)
	r.verified(snapshotAt(9, 1), "s")
	require.Equal(t, 1, served)
}

// A leader of old is overtaken by a snapshot that it began to receive before it led. Its
// clients' commands may be part of it.
func TestClientsWhoseEntriesASnapshotJumpsOverHearThatTheOutcomeIsUnknown(t *testing.T) {
	r := newRig(t, 3)
	r.receive(1, snapshotAt(9, 1))
	r.elect()
	r.answer()
	var got error
	r.Propose([]byte("x"), func(_ replica.Result, err error) { got = err })
	r.Flush()
	r.transport.appends[0].done(raft.AppendEntriesReply{Term: 7}, nil)
	require.NoError(t, got)
	c := r.files.received[0]
	c.done(snapshotAt(9, 1), func() { r.machine.applied = nil }, nil)
	require.ErrorIs(t, got, replica.ErrOutcomeUnknown)
	r.Flush()
	require.Equal(t, raft.Index(9), r.LastApplied())
}

func TestNothingIsInstalledAfterTheEnd(t *testing.T) {
	r := newRig(t, 3)
	r.chunk(1, snapshotAt(9, 1), 0, "file", 4)
	r.Close()
	r.files.receives[0].done(errors.New("stopping"))
	r.files.received[0].done(snapshotAt(9, 1), func() { panic("installed") }, nil)
	require.Zero(t, r.LastApplied())
}
