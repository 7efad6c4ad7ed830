// Package spec is Raft once more, as a second opinion: the actions of Ongaro's TLA+
// specification (raft.tla), with disk, snapshots, membership and leadership transfer added
// from the paper and the thesis, as slow and obvious predicates. It was written from these
// alone, beside the core and not after it; of package raft it knows the messages, the entries,
// and what can be seen of a server from outside.
//
// A predicate says whether an action leads from one state of a server to another:
//
//	func GrantVote(pre, post Server, a raft.RequestVoteArgs) error
//
// as an action of TLA+ relates variables to variables with a prime. It has the rule's words
// from the paper above it, what must hold before, what must hold after, and at its end
// UNCHANGED: everything that it does not name stays as it is. Read it beside Figure 2, in this
// order: server.go (the box "State"), election.go, replication.go, commit.go, disk.go
// (Figure 2's "updated on stable storage before responding"), snapshot.go (Figure 13),
// membership.go (thesis chapter 4), transfer.go (§3.10), reads.go (§6.4); then step.go and
// compose.go, which hold a real server to it, and reply.go, what is answered and when.
//
// # One step
//
// Server.Step is given what happened to a server, its core after that, and what left it
// meanwhile. There must be an action, or one of the compositions below, from the state before
// to the state after; every request that left must be one that its rule allows in a state
// since the last Flush; every reply must be the one that was decided when the request came,
// and what it promises must be durable. Anything else is rejected, with the server, what
// happened, what changed, and the rules that came closest.
//
// # Compositions
//
// An input of the core is more than one action of raft.tla, where the core does at once what
// raft.tla may do at any time. In brackets is what may be left out:
//
//	a request or a reply     [UpdateTerm] first (Figure 2: "RPC request or response")
//	RequestVote              GrantVote | RefuseVote; or, before any UpdateTerm: IgnoreCandidate
//	a pre-vote               AnswerPreVote: no term changes (thesis §9.6)
//	AppendEntries            [FollowLeader;] AcceptAppend | RejectAppend
//	InstallSnapshot          [FollowLeader;] ReceiveChunk
//	the snapshot is complete [InstallSnapshot [; GiveUpElection]]: a later one may be there
//	TimeoutNow               [Timeout]: nothing to a server that may not campaign
//	a vote                   HandleRequestVoteResponse [; BecomeLeader; AppendNoop] [; Timeout] [; GiveUpElection]:
//	                         no leader without its no-op (§8), no pre-vote won without an election
//	an answer to a leader    HandleAppendEntriesResponse | HandleInstallSnapshotResponse | DropStaleResponse
//	a client's command       [ClientRequest]: refused if it does not lead, or hands over
//	an election timer, time  [AskForPreVotes;] [Timeout] | [GiveUpElection]: the only voter asks nobody
//	a Save is durable        Persist [; BecomeLeader; AppendNoop]: the own vote counts from here on
//	an own snapshot is ready [TakeSnapshot]: a later one may be in force by then
//	Flush                    Apply
//
// After anything that happens to a leader: [AdvanceCommitIndex] [ChangeConfiguration]
// [BeginTransfer | EndTransfer] [LeaderIsRemoved | QuorumIsLost], in this order, as far as each
// is enabled; a change may come before the count whose majority it makes smaller. They are
// actions of their own in raft.tla, enabled at any time; the core takes them as soon as it can.
//
// A crash is no step: Server.Restart says what the disk may give back after it.
//
// # What it does not say
//
// Nothing of time: a timer may run out whenever somebody says so, and a rule that is never
// used breaks no predicate (that something good happens in the end is for the simulator to
// find out). Nothing of the cluster as a whole: the theorems of Figure 3 follow from the
// actions, and are the oracles' to watch. Nothing of nextIndex but its bounds and its first
// value, of sessions and windows but that a message names the one it belongs to, of when a
// snapshot is taken, of the state machine, of how clients are answered. A read is judged where
// a leader answers another server's question.
package spec
