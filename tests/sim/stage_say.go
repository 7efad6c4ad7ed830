package sim

import (
	"fmt"
	"strings"

	"dbdb/raft"
)

// described is a message in words. With its kind, its sender and its receiver, term and index
// say which one is meant, whatever else is under way: the term is the one that it carries; the
// index is where the candidate's log ends, the first entry or, in a heartbeat, the one before,
// the last one of a snapshot, how far a success goes and where a conflict is.
type described struct {
	label, text string
	term        raft.Term
	index       raft.Index
	isReply     bool
}

// describe writes a request: its kind, and Figure 2's fields.
func describe(args any) described {
	label := labelOf(args)
	switch a := args.(type) {
	case raft.RequestVoteArgs:
		wanted := ""
		if a.LeadershipTransfer {
			wanted = ", the leader asks for it"
		}
		return described{label: label, term: a.Term, index: a.LastLogIndex, text: fmt.Sprintf("term %d, last %s%s", a.Term, at(a.LastLogIndex, a.LastLogTerm), wanted)}
	case raft.AppendEntriesArgs:
		text, index := fmt.Sprintf("term %d, prev %s", a.Term, at(a.PrevLogIndex, a.PrevLogTerm)), a.PrevLogIndex
		if len(a.Entries) > 0 {
			text, index = text+", entries "+entriesText(a.Entries), index+1
		}
		text += fmt.Sprintf(", commit %d", a.LeaderCommit)
		if a.ReadRound > 0 {
			text += fmt.Sprintf(", read round %d", a.ReadRound)
		}
		return described{label: label, term: a.Term, index: index, text: text}
	case raft.InstallSnapshotArgs:
		done := ""
		if a.Done {
			done = ", done"
		}
		return described{label: label, term: a.Term, index: a.LastIncludedIndex, text: fmt.Sprintf("term %d, through %s, offset %d%s", a.Term, at(a.LastIncludedIndex, a.LastIncludedTerm), a.Offset, done)}
	case raft.TimeoutNowArgs:
		return described{label: label, term: a.Term, text: fmt.Sprintf("term %d", a.Term)}
	case raft.ReadIndexArgs:
		return described{label: label, text: "from which index may I read?"}
	}
	panic(fmt.Sprintf("sim: no words for %T", args))
}

// labelOf is the kind of a request.
func labelOf(args any) string {
	switch a := args.(type) {
	case raft.RequestVoteArgs:
		return choose(a.PreVote, "PreVote", "RequestVote")
	case raft.AppendEntriesArgs:
		return choose(len(a.Entries) == 0, "Heartbeat", "AppendEntries")
	case raft.InstallSnapshotArgs:
		return "InstallSnapshot"
	case raft.TimeoutNowArgs:
		return "TimeoutNow"
	case raft.ReadIndexArgs:
		return "ReadIndex"
	}
	panic(fmt.Sprintf("sim: no words for %T", args))
}

// describeReply writes a reply, with what it is about: the reply itself says only yes or no.
func describeReply(args, reply any) described {
	d := described{label: labelOf(args) + "Reply", isReply: true}
	switch r := reply.(type) {
	case raft.RequestVoteReply:
		d.term = r.Term
		d.text = fmt.Sprintf("term %d, %s", r.Term, choose(r.VoteGranted, "granted", "refused"))
		if r.RemovedAt > 0 {
			d.text += fmt.Sprintf(", removed at %d, committed in term %d", r.RemovedAt, r.CommitTerm)
		}
	case raft.AppendEntriesReply:
		a := args.(raft.AppendEntriesArgs)
		d.term = r.Term
		switch {
		case r.Success:
			d.index = a.PrevLogIndex + raft.Index(len(a.Entries))
			d.text = fmt.Sprintf("term %d, success up to %d", r.Term, d.index)
		case r.Term > a.Term:
			d.text = fmt.Sprintf("term %d, refused", r.Term)
		default:
			d.index = r.ConflictIndex
			d.text = fmt.Sprintf("term %d, refused: conflict %s", r.Term, at(r.ConflictIndex, r.ConflictTerm))
		}
	case raft.InstallSnapshotReply:
		d.term, d.index = r.Term, args.(raft.InstallSnapshotArgs).LastIncludedIndex
		d.text = fmt.Sprintf("term %d, %s", r.Term, chunkAnswer(args.(raft.InstallSnapshotArgs), r))
	case raft.TimeoutNowReply:
		d.term, d.text = r.Term, fmt.Sprintf("term %d", r.Term)
	case raft.ReadIndexReply:
		d.text = choose(r.Success, fmt.Sprintf("from %d", r.Index), "I do not lead")
	}
	return d
}

func chunkAnswer(a raft.InstallSnapshotArgs, r raft.InstallSnapshotReply) string {
	switch {
	case r.Installed:
		return "installed"
	case r.Term > a.Term:
		return "refused"
	case a.Size > 0 && r.Offset == a.Size:
		return fmt.Sprintf("has all of its %d bytes", a.Size)
	}
	return fmt.Sprintf("wants offset %d", r.Offset)
}

func choose(yes bool, a, b string) string {
	if yes {
		return a
	}
	return b
}

func at(i raft.Index, t raft.Term) string { return raft.Entry{Index: i, Term: t}.String() }

// entriesText writes entries as 3@1 or, where many of one term follow each other, 3..7@1.
func entriesText(entries []raft.Entry) string {
	var runs []string
	for k := 0; k < len(entries); {
		end := k
		for end+1 < len(entries) && entries[end+1].Term == entries[k].Term {
			end++
		}
		run := entries[end].String()
		if end > k {
			run = fmt.Sprintf("%d..%s", entries[k].Index, run)
		}
		runs = append(runs, run)
		k = end + 1
	}
	return strings.Join(runs, " ")
}

func name(n *node) string { return string(n.id) }

// phrases say what a transition does: %i is its index@term, %o only the term, %p the other
// server.
var phrases = map[raft.Rule]string{
	raft.RuleHigherTerm:        "sees term %o and follows",
	raft.RuleApply:             "applies up to %n",
	raft.RuleTimeout:           "hears from no leader",
	raft.RulePreVote:           "asks whether it could win term %o",
	raft.RulePreVoteGranted:    "would vote for %p",
	raft.RuleLeaderKnown:       "ignores %p: it hears from a leader",
	raft.RuleCampaign:          "campaigns for term %o",
	raft.RuleVoteStaleTerm:     "refuses %p: term %o is over",
	raft.RuleVoteGranted:       "votes for %p",
	raft.RuleVoteRefused:       "does not vote for %p",
	raft.RuleWonElection:       "WINS term %o",
	raft.RuleNewLeader:         "follows %p",
	raft.RuleNoop:              "appends its first entry %i",
	raft.RulePropose:           "appends the command %i",
	raft.RuleAppendStale:       "refuses %p: term %o is over",
	raft.RuleAppendMismatch:    "has no entry %i",
	raft.RuleTruncate:          "TRUNCATES from %i on",
	raft.RuleAppend:            "appends up to %i",
	raft.RuleFollowCommit:      "commits up to %i",
	raft.RuleMatch:             "knows that %p has %i",
	raft.RuleBacktrack:         "goes back: next for %p is %n",
	raft.RuleCommit:            "COMMITS up to %i",
	raft.RuleQuorumLost:        "heard from no majority, and steps down",
	raft.RuleConfigAppend:      "uses the configuration at %n",
	raft.RuleConfigRollback:    "no longer uses the configuration at %n",
	raft.RuleCaughtUp:          "sees that %p has caught up",
	raft.RuleRemove:            "removes %p",
	raft.RuleRemovedLeader:     "is no voter, and steps down",
	raft.RuleToldRemoved:       "hears from %p that it was removed at %n",
	raft.RuleTransfer:          "begins to hand over to %p",
	raft.RuleTimeoutNow:        "was asked by %p to take over",
	raft.RuleTransferOver:      "gives up handing over to %p",
	raft.RuleSnapshotTaken:     "replaces its log through %i by a snapshot",
	raft.RuleSnapshotSent:      "has no entry for %p any more: it sends the snapshot through %i",
	raft.RuleSnapshotAccepted:  "knows that %p has the snapshot through %i",
	raft.RuleSnapshotStale:     "refuses %p: term %o is over",
	raft.RuleSnapshotChunk:     "stores a chunk of the snapshot through %i",
	raft.RuleSnapshotInstalled: "INSTALLS the snapshot through %i",
	raft.RuleReadWaits:         "lets the read wait: nothing of its term is committed",
	raft.RuleReadRound:         "asks everybody whether it still leads, for reads at %n",
	raft.RuleReadConfirmed:     "still leads: reads from %n on are safe",
}

// phrase writes what a transition does.
func phrase(e raft.Event) string {
	return strings.NewReplacer("%i", at(e.Index, e.Of), "%o", fmt.Sprint(e.Of), "%p", string(e.Peer), "%n", fmt.Sprint(e.Index)).Replace(phrases[e.Rule])
}

// traced tells what of the trace a player wants to know.
func (s *Stage) traced(r record) {
	if s.watch == nil || r.node == nowhere {
		return
	}
	switch n := s.w.nodes[r.node]; r.what {
	case transition:
		s.watch(Happening{Kind: Transition, At: placeOf(n), Text: phrase(r.event), Event: r.event})
	case crashed:
		s.say(Crashed, n, "CRASHES; durable are term %d and the log up to %d", r.c, r.b)
	case started:
		s.say(Started, n, "STARTS with term %d and the log up to %d", r.b, r.c)
	case snapshotWritten:
		s.say(Saved, n, "has written a snapshot through %s", at(raft.Index(r.a), raft.Term(r.b)))
	}
}

// saves tells what a server hands to its disk.
func (s *Stage) saves(n *node, save raft.Save) {
	if s.watch == nil {
		return
	}
	h := &n.lasting.handed
	var parts []string
	if save.Term != h.term || save.VotedFor != h.votedFor {
		parts = append(parts, fmt.Sprintf("term %d, vote %s", save.Term, choose(save.VotedFor == "", "none", string(save.VotedFor))))
	}
	if save.TruncateFrom > 0 {
		parts = append(parts, fmt.Sprintf("nothing from %d on", save.TruncateFrom))
	}
	if save.Snapshot.Index > 0 {
		parts = append(parts, "snapshot through "+at(save.Snapshot.Index, save.Snapshot.Term))
	}
	if len(save.Entries) > 0 {
		parts = append(parts, "entries "+entriesText(save.Entries))
	}
	s.say(Saved, n, "saves %s", strings.Join(parts, "; "))
}
