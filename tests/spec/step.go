package spec

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"dbdb/raft"
)

// Begin looks at a server that runs for the first time: what its disk gave back is how it
// begins.
func Begin(o Options, disk raft.Restored, r *raft.Raft) (Server, error) {
	found := imageOf(disk)
	s := Look(r, Server{ID: r.Status().ID, Options: o, Memory: fresh(found)})
	return s, all(startsAs(found, s), Sane(s))
}

// Restart looks at a server that runs again.
func (s Server) Restart(disk raft.Restored, r *raft.Raft) (Server, error) {
	found := imageOf(disk)
	post := Look(r, Server{ID: s.ID, Options: s.Options, Memory: fresh(found)})
	if err := all(Restart(s, found, post), Sane(post)); err != nil {
		return post, fmt.Errorf("%s starts again: %w", s.ID, err)
	}
	return post, nil
}

// fresh is what a server remembers when it starts: its disk.
func fresh(found Image) Memory {
	return Memory{Durable: found, Handed: found, Labels: []Label{found.Snapshot}}
}

// Step checks one thing that happened to a server: r is its core after it, out is what left
// meanwhile. It returns the server as it is now.
func (s Server) Step(in Input, out Output, r *raft.Raft) (Server, error) {
	return s.Check(in, out, Look(r, s))
}

// Check is Step with the state after it in hand. What the server remembers is filled in.
func (s Server) Check(in Input, out Output, post Server) (Server, error) {
	w, err := explain(s, in, post)
	post.Memory = s.remember(w, in, out, post)
	err = errors.Join(err, Sane(post), hintIsTrue(s, in, post), s.outputs(in, out, post))
	post.Memory = s.afterStep(w, in, out, post)
	if err == nil {
		return post, nil
	}
	return post, fmt.Errorf("%s: %v; in term %d, %v: %s\n%w", s.ID, in, s.CurrentTerm, s.Role, strings.ReplaceAll(Changes(s, post), "\n", ", "), err)
}

// outputs judges what left, and what stays on its way.
func (s Server) outputs(in Input, out Output, post Server) error {
	var errs []error
	for _, m := range out.Sent {
		errs = append(errs, s.maySend(m, post))
	}
	for _, rep := range out.Replies {
		errs = append(errs, post.mayReply(rep))
	}
	for _, m := range out.Begun {
		errs = append(errs, named("LabelSnapshot", LabelSnapshot(post, m)))
	}
	for _, id := range out.Served {
		errs = append(errs, named("ServeRead", ServeRead(post, id)))
	}
	if chunk, ok := chunkOf(in); ok && out.Stored {
		before := s.afterUpdateTerm(chunk.Term)
		errs = append(errs, named("StoreChunk", StoreChunk(before, chunk)))
	}
	if _, ok := in.(Flush); ok {
		errs = append(errs, named("WriteAll", WriteAll(post)), named("LeaderLeaves", LeaderLeaves(post)))
	}
	return errors.Join(errs...)
}

func chunkOf(in Input) (raft.InstallSnapshotArgs, bool) {
	if rec, ok := in.(Received); ok {
		a, ok := rec.Args.(raft.InstallSnapshotArgs)
		return a, ok
	}
	return raft.InstallSnapshotArgs{}, false
}

func named(rule string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("  %s: %w", rule, err)
}

// maySend: a request leaves with the next Flush after it was made, so its rule must hold in one
// of the states since the last one: a leader that steps down sends its last messages as the
// leader that it was.
func (s Server) maySend(m Sent, post Server) error {
	err := request(post, m)
	for _, was := range append(slices.Clip(s.Since), s) {
		was.Memory = post.Memory
		if err == nil || request(was, m) == nil {
			return nil
		}
	}
	return named("it may not send "+describe(m.Args)+" to "+string(m.To), err)
}

func request(s Server, m Sent) error {
	switch a := m.Args.(type) {
	case raft.RequestVoteArgs:
		return RequestVote(s, a)
	case raft.AppendEntriesArgs:
		return AppendEntries(s, m.To, a)
	case raft.InstallSnapshotArgs:
		return SendSnapshot(s, a)
	case raft.TimeoutNowArgs:
		return TimeoutNow(s, m.To, a)
	}
	return nil // ReadIndex: whoever wants to may ask
}

// Sane is what holds of every state.
func Sane(s Server) error {
	c, at := s.Configuration()
	for _, p := range s.Peers {
		if p.MatchIndex >= p.NextIndex || p.NextIndex > s.Log.Last()+1 {
			return fmt.Errorf("  nextIndex of %s is %d: matchIndex is %d, the log ends at %d", p.ID, p.NextIndex, p.MatchIndex, s.Log.Last())
		}
	}
	return all(
		must(s.LastApplied <= s.CommitIndex && s.CommitIndex <= s.Log.Last(), "  lastApplied %d, commitIndex %d, last entry %d", s.LastApplied, s.CommitIndex, s.Log.Last()),
		must(sameMembers(c, s.InUse), "  it uses the configuration %v; the latest, at %d, is %v (thesis §4.1)", s.InUse, at, c),
	)
}

// hintIsTrue: a leader that is known is the sender of an AppendEntries or a snapshot of this
// term, or the server itself (Figure 2: "so follower can redirect clients").
func hintIsTrue(pre Server, in Input, post Server) error {
	switch {
	case post.Leader == "", post.Leader == pre.Leader && post.CurrentTerm == pre.CurrentTerm:
		return nil
	case post.Role == raft.Leader:
		return must(post.Leader == post.ID, "  a leader that follows %s", post.Leader)
	}
	if rec, ok := in.(Received); ok && post.Leader == rec.From && (pre.Leader == "" || post.CurrentTerm > pre.CurrentTerm) {
		switch a := rec.Args.(type) {
		case raft.AppendEntriesArgs:
			return must(a.Term == post.CurrentTerm, "  %s leads term %d, not %d", rec.From, a.Term, post.CurrentTerm)
		case raft.InstallSnapshotArgs:
			return must(a.Term == post.CurrentTerm, "  %s leads term %d, not %d", rec.From, a.Term, post.CurrentTerm)
		}
	}
	return fmt.Errorf("  it believes in leader %s, after %q", post.Leader, pre.Leader)
}
