package spec

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"dbdb/raft"
)

// way is a composition of actions that may explain a step: from action to action, each by its
// predicate, until all that has changed is explained.
type way struct {
	at    Server
	names []string
	err   error
}

// take goes on by one action.
func (w *way) take(name string, next Server, predicate func(pre, post Server) error) {
	if w.err != nil {
		return
	}
	w.names = append(slices.Clip(w.names), name) // ways part here
	w.err = predicate(w.at, next)
	w.at = next
}

// last is the action that may explain all that is left.
func (w *way) last(name string, post Server, predicate func(pre, post Server) error) way {
	w.take(name, post, predicate)
	return *w
}

// rest ends a way: there must be nothing left to explain.
func (w *way) rest(post Server) way {
	w.take("and nothing more", post, func(pre, post Server) error { return unchanged(pre, post) })
	return *w
}

func (w way) has(name string) bool { return slices.Contains(w.names, name) }

// found are the ways that explain a step. There may be two, where nothing changes: then the
// reply alone tells which it was.
type found []way

func (f found) has(name string) bool {
	return slices.ContainsFunc(f, func(w way) bool { return w.has(name) })
}

// explain finds the ways from pre to post, or says what stands in each.
func explain(pre Server, in Input, post Server) (found, error) {
	var text strings.Builder
	var is found
	for _, w := range ways(pre, in, post) {
		if w.err == nil {
			is = append(is, w)
			continue
		}
		fmt.Fprintf(&text, "  %s: %s\n", strings.Join(w.names, "; "), strings.ReplaceAll(w.err.Error(), "\n", ", "))
	}
	if len(is) > 0 {
		return is, nil
	}
	return nil, errors.New(strings.TrimSuffix(text.String(), "\n"))
}

// ways are the compositions that an input allows.
func ways(pre Server, in Input, post Server) []way {
	w := way{at: pre}
	switch in := in.(type) {
	case Received:
		return received(w, in, post)
	case Answered:
		return answered(w, in, post)
	case Tick, ElectionTimer:
		w.campaign(post, false)
		w.wins(post) // which needs the disk's word in between
		w.leads(in, post)
	case Command:
		took := w
		took.take("ClientRequest", pre.withCommand(in.Data), func(a, b Server) error { return ClientRequest(a, b, in.Data) })
		took.leads(in, post)
		w.leads(in, post)
		return []way{took.rest(post), w.rest(post)}
	case Failed, HeartbeatTimer, Wish:
		w.leads(in, post)
	case Saved:
		w.take("Persist", pre.afterPersist(in.Save), func(a, b Server) error { return Persist(a, b, in.Save) })
		w.wins(post)
		w.leads(in, post)
	case SnapshotWritten:
		took := w
		return []way{
			took.last("TakeSnapshot", post, func(a, b Server) error { return TakeSnapshot(a, b, in.Snapshot) }),
			w.rest(post),
		}
	case SnapshotReceived:
		took := w
		next := post
		next.Role = pre.Role
		took.take("InstallSnapshot", next, func(a, b Server) error { return InstallSnapshot(a, b, in.Snapshot) })
		if post.Role != pre.Role {
			took.take("GiveUpElection", took.at.asFollower(), GiveUpElection)
		}
		return []way{took.rest(post), w.rest(post)}
	case Flush:
		w.leads(in, post)
		next := w.at
		next.LastApplied = post.LastApplied
		w.take("Apply", next, Apply)
	}
	return []way{w.rest(post)}
}

// received: every request may bring a newer term; a candidate follows the leader that it
// hears of; then the request is handled.
func received(w way, in Received, post Server) []way {
	switch a := in.Args.(type) {
	case raft.RequestVoteArgs:
		ignore := w
		if a.PreVote {
			return []way{w.last("AnswerPreVote", post, func(x, y Server) error { return AnswerPreVote(x, y, a) })}
		}
		w.updateTerm(a.Term)
		refuse := w
		return []way{
			w.last("GrantVote", post, func(x, y Server) error { return GrantVote(x, y, a) }),
			refuse.last("RefuseVote", post, func(x, y Server) error { return RefuseVote(x, y, a) }),
			ignore.last("IgnoreCandidate", post, func(x, y Server) error { return IgnoreCandidate(x, y, a) }),
		}
	case raft.AppendEntriesArgs:
		w.updateTerm(a.Term)
		w.follow(a.Term)
		reject := w
		return []way{
			w.last("AcceptAppend", post, func(x, y Server) error { return AcceptAppend(x, y, a) }),
			reject.last("RejectAppend", post, func(x, y Server) error { return RejectAppend(x, y, a) }),
		}
	case raft.InstallSnapshotArgs:
		w.updateTerm(a.Term)
		w.follow(a.Term)
		return []way{w.last("ReceiveChunk", post, ReceiveChunk)}
	case raft.TimeoutNowArgs:
		w.updateTerm(a.Term)
		ignore := w
		if a.Term == w.at.CurrentTerm {
			w.campaign(post, true)
		}
		return []way{w.rest(post), ignore.rest(post)}
	}
	return []way{w.rest(post)}
}

// answered: so may every reply. An answer to an earlier self is dropped.
func answered(w way, in Answered, post Server) []way {
	switch a := in.Args.(type) {
	case raft.RequestVoteArgs:
		return voted(w, in, a, post)
	case raft.AppendEntriesArgs:
		rep, _ := in.Reply.(raft.AppendEntriesReply)
		return w.response(a.Term, rep.Term, in, post, "HandleAppendEntriesResponse", w.at.afterResponse(in.From, a, rep),
			func(x, y Server) error { return HandleAppendEntriesResponse(x, y, in.From, a, rep) })
	case raft.InstallSnapshotArgs:
		rep, _ := in.Reply.(raft.InstallSnapshotReply)
		return w.response(a.Term, rep.Term, in, post, "HandleInstallSnapshotResponse", w.at.afterInstalled(in.From, a, rep),
			func(x, y Server) error { return HandleInstallSnapshotResponse(x, y, in.From, a, rep) })
	case raft.TimeoutNowArgs:
		rep, _ := in.Reply.(raft.TimeoutNowReply)
		w.updateTerm(rep.Term)
		w.leads(in, post)
	}
	return []way{w.rest(post)}
}

func (w way) response(asked, told raft.Term, in Input, post Server, name string, next Server, handle func(x, y Server) error) []way {
	w.updateTerm(told)
	switch {
	case w.has("UpdateTerm"):
	case w.at.Role == raft.Leader && asked == w.at.CurrentTerm:
		w.take(name, next, handle)
		w.leads(in, post)
	default:
		return []way{w.last("DropStaleResponse", post, func(x, y Server) error { return DropStaleResponse(x, y, asked) })}
	}
	return []way{w.rest(post)}
}

// voted is the answer to a request for a vote. That of a pre-vote may be granted for a term
// that is not begun yet. Either may tell that the server was removed (thesis §4.2.3).
func voted(w way, in Answered, a raft.RequestVoteArgs, post Server) []way {
	rep, _ := in.Reply.(raft.RequestVoteReply)
	if !a.PreVote || !rep.VoteGranted {
		w.updateTerm(rep.Term)
	}
	if !w.has("UpdateTerm") {
		next := w.at
		next.Votes, next.PreVotes = countVotes(w.at, w.at, in)
		w.take("HandleRequestVoteResponse", next, func(x, y Server) error { return unchanged(x, y) })
		w.wins(post)
		w.leads(in, post)
	}
	if post.Role == raft.Candidate && w.at.Role == raft.PreCandidate {
		w.campaign(post, false)
	}
	if post.Role == raft.Follower && (w.at.Role == raft.Candidate || w.at.Role == raft.PreCandidate) {
		w.take("GiveUpElection", w.at.asFollower(), GiveUpElection)
	}
	return []way{w.rest(post)}
}

func (w *way) updateTerm(term raft.Term) {
	if term > w.at.CurrentTerm {
		w.take("UpdateTerm", w.at.afterUpdateTerm(term), func(x, y Server) error { return UpdateTerm(x, y, term) })
	}
}

func (w *way) follow(term raft.Term) {
	if term == w.at.CurrentTerm && w.at.Role != raft.Follower {
		w.take("FollowLeader", w.at.asFollower(), func(x, y Server) error { return FollowLeader(x, y, term) })
	}
}

// campaign is what the election timer may begin. A server that is the only voter needs nobody
// else to say that it could win.
func (w *way) campaign(post Server, transfer bool) {
	if w.at.Role == raft.Leader || post.Role == w.at.Role && post.CurrentTerm == w.at.CurrentTerm {
		return
	}
	pre := w.at
	pre.Role = raft.PreCandidate
	began := pre
	began.Role, began.CurrentTerm, began.VotedFor = raft.Candidate, pre.CurrentTerm+1, pre.ID
	switch {
	case post.Role == raft.Follower:
		w.take("GiveUpElection", w.at.asFollower(), GiveUpElection)
		return
	case w.at.Options.PreVote && !transfer && w.at.Role != raft.PreCandidate:
		w.take("AskForPreVotes", pre, AskForPreVotes)
	}
	if post.Role != raft.PreCandidate {
		w.take("Timeout", began, func(x, y Server) error { return Timeout(x, y, transfer) })
	}
}

// wins is BecomeLeader, and then at once AppendNoop (§8).
func (w *way) wins(post Server) {
	if w.at.Role == raft.Leader || post.Role != raft.Leader {
		return
	}
	next := w.at
	next.Role, next.Peers = raft.Leader, post.Peers
	w.take("BecomeLeader", next, BecomeLeader)
	next.Log = next.Log.and(raft.Entry{Index: next.Log.Last() + 1, Term: next.CurrentTerm, Kind: raft.EntryNoop})
	w.take("AppendNoop", next, AppendNoop)
}

func (s Server) withCommand(data []byte) Server {
	s.Log = s.Log.and(raft.Entry{Index: s.Log.Last() + 1, Term: s.CurrentTerm, Kind: raft.EntryCommand, Data: data})
	return s
}

// leads is what a leader may do after anything that happens to it, as far as it was done:
// count copies, change the configuration, begin or end a transfer, step down. A change may
// make a smaller majority of what was none.
func (w *way) leads(in Input, post Server) {
	if w.at.Role != raft.Leader || w.err != nil {
		return
	}
	commits := w.at
	commits.CommitIndex = post.CommitIndex
	changes := post.Log.Last() > w.at.Log.Last()
	if changes && post.CommitIndex > w.at.CommitIndex && AdvanceCommitIndex(w.at, commits) != nil {
		w.change(post)
		changes = false
	}
	if post.CommitIndex > w.at.CommitIndex {
		commits = w.at
		commits.CommitIndex = post.CommitIndex
		w.take("AdvanceCommitIndex", commits, AdvanceCommitIndex)
	}
	if changes {
		w.change(post)
	}
	w.transfer(post)
	if post.Role == raft.Follower {
		w.stepDown(in)
	}
}

func (w *way) change(post Server) {
	w.take("ChangeConfiguration", w.at.afterChange(post), ChangeConfiguration)
}

func (w *way) transfer(post Server) {
	next := w.at
	next.Transferring = post.Transferring
	switch {
	case next.Transferring == w.at.Transferring || post.Role != raft.Leader:
	case next.Transferring:
		w.take("BeginTransfer", next, BeginTransfer)
	default:
		w.take("EndTransfer", next, EndTransfer)
	}
}

func (w *way) stepDown(in Input) {
	if _, tick := in.(Tick); tick && !w.at.removedItself() {
		w.take("QuorumIsLost", w.at.asFollower(), func(x, y Server) error { return QuorumIsLost(x, y, in) })
		return
	}
	w.take("LeaderIsRemoved", w.at.asFollower(), LeaderIsRemoved)
}
