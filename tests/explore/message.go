package explore

import (
	"encoding/binary"
	"slices"
	"strings"
	"sync/atomic"

	"dbdb/raft"
)

// message is a request or a reply under way. It never changes.
type message struct {
	from, to int       // places
	call     raft.Call // the request; a reply has the one that it answers
	isReply  bool

	vote    raft.RequestVoteReply
	entries raft.AppendEntriesReply
	chunk   raft.InstallSnapshotReply
	told    raft.TimeoutNowReply

	// current says that its session is the one that the caller is in. What an earlier
	// session's number was does not matter, so arguments have none.
	current bool
	// orphan is a request whose caller waits no more: its reply goes nowhere.
	orphan bool
	file   raft.Snapshot // of which a chunk is

	hash []uint64
	// variants are the numbers of the same message with other values of current and orphan.
	variants [4]atomic.Uint32
}

// caller is who made the call, and peer the other one.
func (m *message) caller() int { return choosePlace(m.isReply, m.to, m.from) }
func (m *message) peer() int   { return choosePlace(m.isReply, m.from, m.to) }

func choosePlace(yes bool, a, b int) int {
	if yes {
		return a
	}
	return b
}

// matters says whether its caller does anything when it hears that no reply will come.
func (m *message) matters() bool {
	return m.current && !m.orphan && (m.call.InstallSnapshot != nil || m.call.AppendEntries != nil && len(m.call.AppendEntries.Entries) > 0)
}

// encoder writes numbers so that no two different things have the same bytes. Servers have
// new names.
type encoder struct {
	buf   []byte
	names []int // by place
}

func (e *encoder) rename(id raft.NodeID) raft.NodeID { return idOf(e.names[placeOf(id)]) }

func (e *encoder) numbers(all ...uint64) {
	for _, n := range all {
		e.buf = binary.AppendUvarint(e.buf, n)
	}
}

func (e *encoder) flags(all ...bool) {
	for _, yes := range all {
		e.buf = append(e.buf, choose(yes, "\x01", "\x00")...)
	}
}

func (e *encoder) id(id raft.NodeID) {
	if id != "" {
		id = e.rename(id)
	}
	e.buf = append(append(e.buf, id...), 0)
}

func (e *encoder) log(entries []raft.Entry) {
	e.numbers(uint64(len(entries)))
	for _, entry := range entries {
		e.numbers(uint64(entry.Index), uint64(entry.Term), uint64(entry.Kind))
		if entry.Kind == raft.EntryConfiguration {
			c, err := raft.DecodeConfiguration(entry.Data)
			if err != nil {
				panic(err)
			}
			e.configuration(c)
			continue
		}
		e.numbers(uint64(len(entry.Data)))
		e.buf = append(e.buf, entry.Data...)
	}
}

func (e *encoder) configuration(c raft.Configuration) {
	members := slices.Clone(c.Members)
	slices.SortFunc(members, func(a, b raft.Member) int {
		return strings.Compare(string(e.rename(a.ID)), string(e.rename(b.ID)))
	})
	e.numbers(uint64(len(members)))
	for _, m := range members {
		e.id(m.ID)
		e.numbers(uint64(m.Role))
	}
}

func (e *encoder) snapshot(s raft.Snapshot) {
	e.numbers(uint64(s.Index), uint64(s.Term), uint64(s.ConfigurationIndex))
	e.configuration(s.Configuration)
}

func (e *encoder) message(m *message) {
	e.numbers(uint64(e.names[m.from]), uint64(e.names[m.to]))
	e.flags(m.isReply, m.current, m.orphan)
	switch c := m.call; {
	case c.RequestVote != nil:
		a := c.RequestVote
		e.buf = append(e.buf, 'v')
		e.numbers(uint64(a.Term))
		e.flags(a.PreVote)
		if m.isReply {
			e.numbers(uint64(m.vote.Term), uint64(m.vote.RemovedAt), uint64(m.vote.CommitTerm))
			e.flags(m.vote.VoteGranted)
			return
		}
		e.numbers(uint64(a.LastLogIndex), uint64(a.LastLogTerm))
		e.flags(a.LeadershipTransfer)
	case c.AppendEntries != nil:
		a := c.AppendEntries
		e.buf = append(e.buf, 'a')
		e.numbers(uint64(a.Term), uint64(a.PrevLogIndex), uint64(a.LeaderCommit), a.ReadRound)
		if m.isReply { // its caller counts the entries, and does not look at them
			e.numbers(uint64(len(a.Entries)), uint64(m.entries.Term), uint64(m.entries.ConflictIndex), uint64(m.entries.ConflictTerm))
			e.flags(m.entries.Success)
			return
		}
		e.numbers(uint64(a.PrevLogTerm))
		e.log(a.Entries)
	case c.InstallSnapshot != nil:
		a := c.InstallSnapshot
		e.buf = append(e.buf, 's')
		e.numbers(uint64(a.Term), uint64(a.LastIncludedIndex), uint64(a.LastIncludedTerm), a.Offset, a.Size)
		if m.isReply {
			e.numbers(uint64(m.chunk.Term), m.chunk.Offset)
			e.flags(m.chunk.Installed)
			return
		}
		e.snapshot(m.file)
	default:
		e.buf = append(e.buf, 't')
		e.numbers(uint64(c.TimeoutNow.Term), uint64(m.told.Term))
	}
}

// label is what a script calls it.
func (m *message) label() string {
	name := ""
	switch c := m.call; {
	case c.RequestVote != nil:
		name = choose(c.RequestVote.PreVote, "PreVote", "RequestVote")
	case c.AppendEntries != nil:
		name = choose(len(c.AppendEntries.Entries) == 0, "Heartbeat", "AppendEntries")
	case c.InstallSnapshot != nil:
		name = "InstallSnapshot"
	default:
		name = "TimeoutNow"
	}
	return name + choose(m.isReply, "Reply", "")
}
