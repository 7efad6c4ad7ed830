package spec

import (
	"slices"

	"dbdb/raft"
)

// LabelSnapshot: "each server takes snapshots independently, covering just the committed
// entries in its log" (§7), and what is applied of them; with it go the term of the last one,
// and "the latest configuration in the log as of last included index".
func LabelSnapshot(s Server, m raft.Snapshot) error {
	c, at := configurationIn(s.Log, s.Snapshot, m.Index)
	return all(
		must(m.Index > s.Snapshot.Index, "the snapshot through %d is newer", s.Snapshot.Index),
		must(m.Index <= s.LastApplied, "%d is not applied", m.Index),
		must(s.has(m.Index, m.Term), "the log does not have %d@%d", m.Index, m.Term),
		must(at == m.ConfigurationIndex && sameMembers(c, m.Configuration), "its configuration is of %d, the latest up to %d is of %d", m.ConfigurationIndex, m.Index, at),
	)
}

// TakeSnapshot: when it is complete, it takes the place of the log before it (§7).
func TakeSnapshot(pre, post Server, m raft.Snapshot) error {
	return all(
		LabelSnapshot(pre, m),
		must(labelOf(post.Snapshot) == labelOf(m), "the snapshot in force is %v", labelOf(post.Snapshot)),
		must(post.Log.Base >= pre.Log.Base && post.Log.Base <= m.Index, "the log begins after %d", post.Log.Base),
		must(post.Log.same(pre.Log), "the log becomes %v", post.Log),
		unchanged(pre, post, "log", "snapshot"),
	)
}

// Incoming is a leader's snapshot on its way to this server.
type Incoming struct {
	Term   raft.Term // of the leader
	Label            // what it covers
	Offset uint64    // so much of it is stored
}

// StoreChunk: "create new snapshot file if first chunk (offset is 0), write data into snapshot
// file at given offset" (Figure 13, receiver rules 2 and 3). "Leaders always send chunks in
// order": a chunk is stored where the last one of the same transfer ended.
func StoreChunk(pre Server, a raft.InstallSnapshotArgs) error {
	in := pre.Incoming
	goesOn := in.Term == a.Term && in.Label == Label{a.LastIncludedIndex, a.LastIncludedTerm} && in.Offset == a.Offset
	return all(
		must(a.Term == pre.CurrentTerm, "the leader's term %d is not %d", a.Term, pre.CurrentTerm),
		must(a.Offset == 0 || goesOn, "the chunk at %d of %d@%d does not go on with %d of %v", a.Offset, a.LastIncludedIndex, a.LastIncludedTerm, in.Offset, in.Label),
	)
}

// afterChunk is what is stored then.
func (s Server) afterChunk(a raft.InstallSnapshotArgs) Incoming {
	return Incoming{a.Term, Label{a.LastIncludedIndex, a.LastIncludedTerm}, a.Offset + uint64(len(a.Data))}
}

// ReceiveChunk: nothing of the state changes before the snapshot is complete (Figure 13,
// receiver rule 4), nor with "term < currentTerm" (rule 1).
func ReceiveChunk(pre, post Server) error { return unchanged(pre, post) }

// InstallSnapshot: "if existing log entry has same index and term as snapshot's last included
// entry, retain log entries following it", else "discard the entire log", "reset state machine
// using snapshot contents (and load snapshot's cluster configuration)" (Figure 13, receiver
// rules 6, 7 and 8). What the server knows to be committed already is not undone (§7).
func InstallSnapshot(pre, post Server, m raft.Snapshot) error {
	want := pre.Log.after(m.Index)
	if !pre.has(m.Index, m.Term) {
		want = Log{Base: m.Index}
	}
	return all(
		must(slices.Contains(pre.Complete, labelOf(m)), "no complete snapshot %v came from a leader", labelOf(m)),
		must(pre.Role != raft.Leader, "a leader's log is the newest"),
		must(m.Index > pre.CommitIndex, "%d is committed", pre.CommitIndex),
		must(labelOf(post.Snapshot) == labelOf(m), "the snapshot in force is %v", labelOf(post.Snapshot)),
		must(post.Log.Base <= m.Index && post.Log.after(m.Index).same(want), "the log becomes %v, not %v", post.Log, want),
		must(post.CommitIndex == m.Index && post.LastApplied == m.Index, "commitIndex becomes %d, lastApplied %d", post.CommitIndex, post.LastApplied),
		unchanged(pre, post, "log", "snapshot", "commitIndex", "lastApplied"),
	)
}

// HandleInstallSnapshotResponse: whoever says that it has installed a snapshot holds all that
// the snapshot covers (§7).
func HandleInstallSnapshotResponse(pre, post Server, from raft.NodeID, a raft.InstallSnapshotArgs, rep raft.InstallSnapshotReply) error {
	return all(leaderIsAnswered(pre, a.Term), unchanged(pre.afterInstalled(from, a, rep), post))
}

func (s Server) afterInstalled(from raft.NodeID, a raft.InstallSnapshotArgs, rep raft.InstallSnapshotReply) Server {
	if !rep.Installed {
		return s
	}
	return s.acknowledged(from, a.Session, a.LastIncludedIndex)
}

// SendSnapshot is what a leader may send of a snapshot: one that it has had, of what is
// committed (Figure 13, sender). The file is read while other things happen, so that the term
// in which the chunk was asked for may be over.
func SendSnapshot(s Server, a raft.InstallSnapshotArgs) error {
	return all(
		must(slices.Contains(s.Led, a.Term) && a.LeaderID == s.ID, "it did not lead term %d", a.Term),
		must(s.Durable.Term >= a.Term, "its vote of term %d is not durable", a.Term),
		must(slices.Contains(s.Labels, Label{a.LastIncludedIndex, a.LastIncludedTerm}), "it had no snapshot %d@%d", a.LastIncludedIndex, a.LastIncludedTerm),
		must(a.Done == (a.Offset+uint64(len(a.Data)) == a.Size), "the chunk up to %d of %d is the last: %v", a.Offset+uint64(len(a.Data)), a.Size, a.Done),
	)
}
