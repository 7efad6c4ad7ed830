package raft

import "fmt"

// Rule names a line of the paper that a transition carries out. Rules tells what
// each one says.
type Rule string

// The rules that transitions name. The letters are the boxes of Figure 2: RV is
// RequestVote, AE AppendEntries, A "all servers", F followers, C candidates, L
// leaders; PV is the pre-vote, CQ the leader's check of its quorum, M membership,
// T leadership transfer, S snapshots, IS the receiver of InstallSnapshot (Figure 13),
// RI ReadIndex.
const (
	RuleHigherTerm        Rule = "A-2"
	RuleApply             Rule = "A-1"
	RuleTimeout           Rule = "F-2"
	RulePreVote           Rule = "PV-1"
	RulePreVoteGranted    Rule = "PV-2"
	RuleCampaign          Rule = "C-1"
	RuleWonElection       Rule = "C-2"
	RuleNewLeader         Rule = "C-3"
	RuleVoteStaleTerm     Rule = "RV-1"
	RuleVoteGranted       Rule = "RV-2"
	RuleVoteRefused       Rule = "RV-2n"
	RuleLeaderKnown       Rule = "RV-0"
	RuleAppendStale       Rule = "AE-1"
	RuleAppendMismatch    Rule = "AE-2"
	RuleTruncate          Rule = "AE-3"
	RuleAppend            Rule = "AE-4"
	RuleFollowCommit      Rule = "AE-5"
	RulePropose           Rule = "L-2"
	RuleMatch             Rule = "L-3s"
	RuleBacktrack         Rule = "L-3f"
	RuleCommit            Rule = "L-4"
	RuleNoop              Rule = "L-1n"
	RuleQuorumLost        Rule = "CQ-1"
	RuleConfigAppend      Rule = "M-1"
	RuleConfigRollback    Rule = "M-2"
	RuleCaughtUp          Rule = "M-3"
	RuleRemove            Rule = "M-4"
	RuleRemovedLeader     Rule = "M-5"
	RuleToldRemoved       Rule = "M-6"
	RuleTransfer          Rule = "T-1"
	RuleTimeoutNow        Rule = "T-2"
	RuleTransferOver      Rule = "T-3"
	RuleSnapshotTaken     Rule = "S-1"
	RuleSnapshotSent      Rule = "S-2"
	RuleSnapshotAccepted  Rule = "S-3"
	RuleSnapshotStale     Rule = "IS-1"
	RuleSnapshotChunk     Rule = "IS-3"
	RuleSnapshotInstalled Rule = "IS-8"
	RuleReadWaits         Rule = "RI-1"
	RuleReadRound         Rule = "RI-2"
	RuleReadConfirmed     Rule = "RI-3"
)

// RuleText is what a learner is shown for a Rule.
type RuleText struct {
	Rule  Rule
	Text  string // the rule in our words
	Where string // section of the paper, or of the thesis
}

// Rules lists every Rule in the order of the paper.
func Rules() []RuleText {
	return []RuleText{
		{RuleApply, "what is committed is applied, in log order", "Fig. 2, §5.3"},
		{RuleHigherTerm, "a message of a newer term: adopt the term, become follower", "Fig. 2, §5.1"},
		{RuleTimeout, "no word from a leader or candidate within the election timeout", "Fig. 2, §5.2"},
		{RulePreVote, "ask whether an election could be won, without touching any term", "thesis §9.6"},
		{RulePreVoteGranted, "the log is up to date and no leader is known: an election would have this vote", "thesis §9.6"},
		{RuleLeaderKnown, "a leader was heard within the smallest election timeout: ignore the candidate", "thesis §4.2.3"},
		{RuleCampaign, "raise the term, vote for oneself, reset the timer, ask everybody", "Fig. 2, §5.2"},
		{RuleVoteStaleTerm, "refuse a candidate of an older term", "Fig. 2, §5.1"},
		{RuleVoteGranted, "vote: none given in this term, and the candidate's log is at least as up to date", "Fig. 2, §5.2, §5.4.1"},
		{RuleVoteRefused, "no vote: given to another, or the candidate's log is behind", "Fig. 2, §5.2, §5.4.1"},
		{RuleWonElection, "votes of a majority: become leader", "Fig. 2, §5.2"},
		{RuleNewLeader, "a leader of this term speaks: follow it", "Fig. 2, §5.2"},
		{RuleNoop, "a new leader appends an entry of its own term", "§8, thesis §6.4"},
		{RulePropose, "a client's command is appended to the leader's log", "Fig. 2, §5.3"},
		{RuleAppendStale, "refuse a leader of an older term", "Fig. 2, §5.1"},
		{RuleAppendMismatch, "no entry at prevLogIndex with prevLogTerm: refuse, and say where to look", "Fig. 2, §5.3"},
		{RuleTruncate, "an entry conflicts with the leader's: delete it and all that follow", "Fig. 2, §5.3"},
		{RuleAppend, "append the entries that are not in the log", "Fig. 2, §5.3"},
		{RuleFollowCommit, "commit up to the leader's commit index, but not beyond the last new entry", "Fig. 2, §5.3"},
		{RuleMatch, "a follower holds more: raise its matchIndex", "Fig. 2, §5.3"},
		{RuleBacktrack, "a follower's log differs: lower its nextIndex and try again", "Fig. 2, §5.3"},
		{RuleCommit, "a majority holds an entry of this term: it and all before it are committed", "Fig. 2, §5.3, §5.4.2"},
		{RuleQuorumLost, "no majority answered within an election timeout: step down", "thesis §6.2"},
		{RuleConfigAppend, "a configuration counts from the moment it is in the log", "§6, thesis §4.1"},
		{RuleConfigRollback, "a configuration that is truncated no longer counts", "thesis §4.1"},
		{RuleCaughtUp, "a learner kept up for one round: make it a voter", "thesis §4.2.1"},
		{RuleRemove, "a server is removed: it no longer counts, and is sent entries until it knows", "thesis §4.1"},
		{RuleRemovedLeader, "a leader without a vote, removed or a learner, steps down once its own entry and the configuration are committed", "thesis §4.2.2"},
		{RuleToldRemoved, "a peer's answer tells that this server was removed: no more elections", "thesis §4.2.3"},
		{RuleTransfer, "the leader hands over: it takes no commands until the other one has the whole log", "thesis §3.10"},
		{RuleTimeoutNow, "the leader asked for an election: start it at once", "thesis §3.10"},
		{RuleTransferOver, "the other one did not take over within an election timeout: go on leading", "thesis §3.10"},
		{RuleSnapshotTaken, "a snapshot takes the place of the log before it", "§7"},
		{RuleSnapshotSent, "the follower's next entry is no longer in the log: send the snapshot", "§7, Fig. 13"},
		{RuleSnapshotAccepted, "the follower has installed the snapshot: go on with entries", "§7"},
		{RuleSnapshotStale, "refuse a snapshot of a leader of an older term", "Fig. 13"},
		{RuleSnapshotChunk, "store the next chunk of the leader's snapshot", "Fig. 13"},
		{RuleSnapshotInstalled, "the snapshot takes the place of the state machine and of the log", "Fig. 13, §7"},
		{RuleReadWaits, "a read waits until the leader has committed an entry of its term", "§8, thesis §6.4"},
		{RuleReadRound, "a round of messages asks whether this is still the leader", "§8, thesis §6.4"},
		{RuleReadConfirmed, "a majority acknowledged the round: its reads are safe", "§8, thesis §6.4"},
	}
}

// Event is one transition, told to Config.Tracer as it happens.
type Event struct {
	Rule  Rule
	Node  NodeID
	State State
	Term  Term
	Peer  NodeID // the other server, if there is one
	Index Index  // the index that the rule is about: last of a range, or 0
	Of    Term   // the term that the rule is about: of an entry or a message, or 0
}

// String writes an event on one line: who, at which term, did what.
func (e Event) String() string {
	s := fmt.Sprintf("%s@%d %s %s", e.Node, e.Term, e.State, e.Rule)
	if e.Peer != nobody {
		s += " " + string(e.Peer)
	}
	if e.Index != 0 || e.Of != 0 {
		s += fmt.Sprintf(" %d@%d", e.Index, e.Of)
	}
	return s
}

func (r *Raft) trace(rule Rule, peer NodeID, index Index, of Term) {
	if r.cfg.Tracer != nil {
		r.cfg.Tracer(Event{rule, r.cfg.ID, r.state, r.currentTerm, peer, index, of})
	}
}
