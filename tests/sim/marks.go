package sim

import (
	"fmt"
	"strings"

	"dbdb/raft"
)

// mark is something interesting that should happen in a campaign now and then. A
// mark that stays at zero means that the campaign looks away.
type mark int

const (
	markLeaderChange mark = iota
	markUncommittedTail
	markTruncation
	markVoteRefused
	markLeaderKnown
	markReadWaits
	markQuorumLost
	markConfigurationTruncated
	markPromotion
	markBacktrack
	markGroupCommit
	markSavesQueued
	markReplyAtOnce
	markDuplicate
	markTornBatch
	markTornFrame
	markUnsyncedSurvived
	markLoseAll // these five in the order of CrashPolicy
	markLosePrefix
	markLoseSectors
	markLoseNothing
	markKilled
	markCrashInRecovery
	markDiskFailed
	markAllCrashed
	markPartition
	markParked
	markPaused
	markDeposedReader
	markOutcomeUnknown
	markWriteLost
	markFollowerRead
	markSnapshotTaken
	markSnapshotFailed
	markOvertaken
	markSnapshotSent
	markLaterChunk
	markTransferAgain
	markReceivedBad
	markInstalled
	markInstalledDivergent
	markInstalledSuffix
	markSegmentsRemoved
	markCutInSwitch
	markSwitchSurvived
	markRestartFromSnapshot
	markRemoved
	markLeaderRemoved
	markToldRemoved
	markReAdded
	markWiped
	markChangeWaits
	markTransferDone
	markTransferOver
	markTimeoutNow
	markLinkFull
	markOneWay
	markRing
	markSwizzle
	markFlip
	markLostWrite
	markMisdirected
	markRefused
	markHarmless
	markExchanged
	markReadError
	markDiskFull
	markNoRoomToStart
	markDiskSlow
	markEarlyElection
	markEarlyHeartbeat
	markTickedTwice
	markSnapshotNow
	markLateNote
	markLateReply
	markRepeated
	markCommittedAgain
	markIdle
	markCore
	markStaysDown // these five in the order of lastingFault
	markStaysCut
	markStaysPaused
	markStaysMute
	markStaysDeaf
	markVoteRefusedForLog
	markCrowd
	markLedUnnoticed
	markCopiesMixed
	markTakenAddress
	markLearnerElected
	markBurnt
	marksCount
)

var markNames = [marksCount]string{
	"elections won", "elections won with an uncommitted tail", "conflicts truncated", "votes refused", "candidates ignored for a known leader",
	"reads that waited for the no-op", "leaders that lost their quorum", "configurations truncated", "learners promoted", "replication backtracked",
	"several Saves in one frame", "Saves queued behind a write", "heartbeats answered before the disk", "packets repeated late",
	"unsynced frames lost at a crash", "torn frames repaired", "unsynced frames that survived", "crashes that lost all unsynced", "crashes that kept a prefix",
	"crashes that kept some sectors", "crashes that kept all", "processes killed", "crashes during recovery", "disks failed",
	"crashes of all servers", "partitions", "links parked", "servers paused", "deposed leaders asked to read", "writes of unknown outcome",
	"unknown writes that were lost", "reads served by followers", "snapshots taken", "snapshots that failed",
	"own snapshots overtaken by a leader's", "snapshots sent", "chunks after the first", "transfers of a snapshot begun again", "received snapshots refused",
	"snapshots installed", "snapshots installed over another tail", "snapshots installed with entries after them",
	"segments removed", "power cuts while a snapshot came into force", "snapshots in force although their Save was not known to be durable",
	"restarts from a snapshot", "servers removed", "leaders that removed themselves", "servers told by a vote's answer that they were removed",
	"removed servers added again", "removed servers wiped", "changes that waited for another",
	"leaderships handed over", "transfers given up", "elections that a leader asked for",
	"packets lost to a full link", "partitions in one direction", "partitions in which every server hears another majority", "links stopped and let go one by one",
	"bits flipped", "writes lost after their sync", "writes misdirected", "damaged servers that refused to start", "damaged servers that lost nothing", "damaged servers exchanged",
	"starts that failed to read", "disks filled", "starts that failed for want of room", "disks slow for a while",
	"election timers that fired early", "heartbeat timers that fired early", "ticks taken twice", "snapshots taken of a small log", "notes of syncs that came late", "replies that left late",
	"writes repeated", "writes committed more than once", "quiet times of all clients",
	"ends in which only a core came back", "servers down for ever", "servers cut off for ever", "servers paused for ever", "servers that speak in vain for ever", "servers that hear nobody for ever",
	"votes refused for the log",
	"candidates kept from their next Flush", "leaderships that no Flush has seen", "logs with a frame of another copy", "calls to an address that another server has",
	"learners elected", "machines burnt down",
}

// Marks counts what happened in a run or in a campaign.
type Marks [marksCount]int

func (m *Marks) hit(k mark) { m[k]++ }

// Add adds the counts of another run.
func (m *Marks) Add(o Marks) {
	for k := range m {
		m[k] += o[k]
	}
}

// Missing names the marks that were never hit.
func (m *Marks) Missing() []string {
	var names []string
	for k, n := range m {
		if n == 0 {
			names = append(names, markNames[k])
		}
	}
	return names
}

func (m *Marks) String() string {
	var b strings.Builder
	for k, n := range m {
		fmt.Fprintf(&b, "%10d %s\n", n, markNames[k])
	}
	return b.String()
}

// transition counts what the core tells of itself.
func (m *Marks) transition(e raft.Event) {
	switch e.Rule {
	case raft.RuleWonElection:
		m.hit(markLeaderChange)
	case raft.RuleTruncate:
		m.hit(markTruncation)
	case raft.RuleVoteRefused:
		m.hit(markVoteRefused)
	case raft.RuleLeaderKnown:
		m.hit(markLeaderKnown)
	case raft.RuleReadWaits:
		m.hit(markReadWaits)
	case raft.RuleQuorumLost:
		m.hit(markQuorumLost)
	case raft.RuleConfigRollback:
		m.hit(markConfigurationTruncated)
	case raft.RuleCaughtUp:
		m.hit(markPromotion)
	case raft.RuleBacktrack:
		m.hit(markBacktrack)
	case raft.RuleSnapshotTaken:
		m.hit(markSnapshotTaken)
	case raft.RuleSnapshotSent:
		m.hit(markSnapshotSent)
	case raft.RuleSnapshotInstalled:
		m.hit(markInstalled)
	default:
		m.memberTransition(e)
	}
}

// memberTransition counts what concerns who is a member, and who leads.
func (m *Marks) memberTransition(e raft.Event) {
	switch e.Rule {
	case raft.RuleRemove:
		m.hit(markRemoved)
	case raft.RuleRemovedLeader:
		m.hit(markLeaderRemoved)
	case raft.RuleToldRemoved:
		m.hit(markToldRemoved)
	case raft.RuleTransferOver:
		m.hit(markTransferOver)
	case raft.RuleTimeoutNow:
		m.hit(markTimeoutNow)
	}
}
