// Package raft is the Raft consensus algorithm as a value: the state of one server
// and one method for each thing that can happen to it. It has no goroutine, clock,
// file, socket or randomness of its own. What the outside must do is returned as
// data, by Effects.
//
// Read it with the paper ("In Search of an Understandable Consensus Algorithm",
// extended version) beside it, in this order: types.go and messages.go (the words),
// raft.go (Figure 2, "State" and "All Servers"; a leader's nextIndex and matchIndex
// are in progress.go), election.go (§5.2, §5.4.1), replication.go with becomeLeader
// (§5.3, §5.4.2), log.go, snapshot.go (§7, Figure 13), configuration.go, membership.go
// and removal.go (thesis chapter 4), transfer.go (thesis §3.10), read.go (thesis §6.4);
// then effects.go, and package replica, which carries the effects out. Rules in
// trace.go lists every rule with its section.
//
// The inputs are HandleRequestVote, HandleAppendEntries, HandleInstallSnapshot and
// HandleTimeoutNow, with the replies and failures of the calls that this server made;
// Propose, ReadIndex, AddLearner, RemoveServer and TransferLeadership; Saved, Compact
// and FinishSnapshot, the disk's answers; and the timers, which are Tick or, without a
// clock, ElectionTimeout and HeartbeatTimeout. An input changes the state and may
// answer; nothing leaves before Effects is called, which also sends what a leader has
// to send.
//
// # Caveats
//
//   - One server joins or leaves at a time; there is no joint consensus (§6).
//   - No client sessions (§8): a client that repeats a command whose outcome it does
//     not know may have it carried out twice.
//   - No leases: a linearizable read costs a round of heartbeats, shared by all that
//     wait for it.
//   - A violated invariant panics. The server must not go on.
package raft
