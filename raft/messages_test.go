package raft

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// What may reach the core from another process.

func TestMessagesThatNoServerSendsAreRefused(t *testing.T) {
	long := NodeID(make([]byte, MaxNodeIDBytes+1))
	entry := func(i Index, term Term) Entry { return Entry{Index: i, Term: term} }
	appendEntries := func(change func(*AppendEntriesArgs)) AppendEntriesArgs {
		a := from(3, 1, 1, 2, 3)
		change(&a)
		return a
	}
	requestVote := func(change func(*RequestVoteArgs)) RequestVoteArgs {
		a := vote(3, 2, 2)
		change(&a)
		return a
	}
	chunk := func(change func(*InstallSnapshotArgs)) InstallSnapshotArgs {
		a := chunkOf(3, snapshotAt(9, 2), 10)
		change(&a)
		return a
	}
	for name, m := range map[string]interface{ Validate() error }{
		"append: no leader":             appendEntries(func(a *AppendEntriesArgs) { a.LeaderID = "" }),
		"append: long id":               appendEntries(func(a *AppendEntriesArgs) { a.LeaderID = long }),
		"append: term 0":                appendEntries(func(a *AppendEntriesArgs) { a.Term = 0 }),
		"append: huge term":             appendEntries(func(a *AppendEntriesArgs) { a.Term = 1 << 63 }),
		"append: huge index":            appendEntries(func(a *AppendEntriesArgs) { a.PrevLogIndex = 1<<64 - 1 }),
		"append: huge commit":           appendEntries(func(a *AppendEntriesArgs) { a.LeaderCommit = 1 << 63 }),
		"append: index 0 with a term":   appendEntries(func(a *AppendEntriesArgs) { a.PrevLogIndex = 0 }),
		"append: index without a term":  appendEntries(func(a *AppendEntriesArgs) { a.PrevLogTerm = 0 }),
		"append: a hole":                appendEntries(func(a *AppendEntriesArgs) { a.Entries[1].Index = 9 }),
		"append: terms decrease":        appendEntries(func(a *AppendEntriesArgs) { a.Entries[1].Term = 1 }),
		"append: before the previous":   appendEntries(func(a *AppendEntriesArgs) { a.PrevLogTerm = 3 }),
		"append: newer than its leader": appendEntries(func(a *AppendEntriesArgs) { a.Entries[1].Term = 4 }),
		"append: term 0 entry":          appendEntries(func(a *AppendEntriesArgs) { a.Entries[0] = entry(2, 0) }),
		"append: unknown kind":          appendEntries(func(a *AppendEntriesArgs) { a.Entries[0].Kind = 3 }),
		"append: bad configuration":     appendEntries(func(a *AppendEntriesArgs) { a.Entries[0].Kind = EntryConfiguration }),
		"vote: no candidate":            requestVote(func(a *RequestVoteArgs) { a.CandidateID = "" }),
		"vote: term 0":                  requestVote(func(a *RequestVoteArgs) { a.Term = 0 }),
		"vote: huge index":              requestVote(func(a *RequestVoteArgs) { a.LastLogIndex = 1 << 63 }),
		"vote: log of its own term":     requestVote(func(a *RequestVoteArgs) { a.LastLogTerm = 3 }),
		"vote: index without a term":    requestVote(func(a *RequestVoteArgs) { a.LastLogTerm = 0 }),
		"vote reply: huge term":         RequestVoteReply{Term: 1 << 63},
		"append reply: term 0":          AppendEntriesReply{},
		"append reply: huge conflict":   AppendEntriesReply{Term: 1, ConflictIndex: 1 << 63},
		"vote reply: huge index":        RequestVoteReply{RemovedAt: 1 << 63},
		"chunk: no leader":              chunk(func(a *InstallSnapshotArgs) { a.LeaderID = "" }),
		"chunk: term 0":                 chunk(func(a *InstallSnapshotArgs) { a.Term = 0 }),
		"chunk: of no index":            chunk(func(a *InstallSnapshotArgs) { a.LastIncludedIndex = 0 }),
		"chunk: huge index":             chunk(func(a *InstallSnapshotArgs) { a.LastIncludedIndex = 1 << 63 }),
		"chunk: of no term":             chunk(func(a *InstallSnapshotArgs) { a.LastIncludedTerm = 0 }),
		"chunk: newer than its leader":  chunk(func(a *InstallSnapshotArgs) { a.LastIncludedTerm = 4 }),
		"chunk: beyond the file":        chunk(func(a *InstallSnapshotArgs) { a.Offset = 31 }),
		"chunk: longer than the file":   chunk(func(a *InstallSnapshotArgs) { a.Offset = 25 }),
		"chunk: huge offset":            chunk(func(a *InstallSnapshotArgs) { a.Offset = 1<<64 - 1 }),
		"chunk: huge file":              chunk(func(a *InstallSnapshotArgs) { a.Size = 1 << 51 }),
		"chunk: too long":               chunk(func(a *InstallSnapshotArgs) { a.Data, a.Size = make([]byte, MaxChunkBytes+1), 1<<30 }),
		"chunk: not the last":           chunk(func(a *InstallSnapshotArgs) { a.Done = true }),
		"chunk: the last":               chunk(func(a *InstallSnapshotArgs) { a.Offset = 20 }),
		"chunk reply: term 0":           InstallSnapshotReply{},
		"chunk reply: huge offset":      InstallSnapshotReply{Term: 1, Offset: 1 << 51},
		"timeout now: nobody":           TimeoutNowArgs{Term: 1},
		"timeout now: term 0":           TimeoutNowArgs{LeaderID: "n2"},
		"timeout now: huge term":        TimeoutNowArgs{LeaderID: "n2", Term: 1 << 63},
		"timeout now reply: huge term":  TimeoutNowReply{Term: 1 << 63},
		"read: nobody":                  ReadIndexArgs{},
		"read reply: huge index":        ReadIndexReply{Index: 1 << 63},
	} {
		require.ErrorIs(t, m.Validate(), errMalformed, name)
	}
	for _, m := range []interface{ Validate() error }{
		from(3, 1, 1, 2, 3), from(1, 0, 0), vote(3, 2, 2), vote(1, 0, 0), RequestVoteReply{},
		AppendEntriesReply{Term: 1, ConflictIndex: 4, ConflictTerm: 1}, ReadIndexArgs{From: "n1"}, ReadIndexReply{Index: 4},
		chunkOf(3, snapshotAt(9, 2), 0), chunkOf(3, snapshotAt(9, 2), 20), InstallSnapshotReply{Term: 1, Offset: 30},
		TimeoutNowArgs{Term: 1, LeaderID: "n2"}, TimeoutNowReply{},
	} {
		require.NoError(t, m.Validate(), "%+v", m)
	}
}

func TestEntriesAndConfigurationsSurviveTheirEncoding(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var c Configuration
		for range rapid.IntRange(1, 7).Draw(t, "members") {
			c = c.with(Member{
				ID:       NodeID(rapid.StringN(1, 20, MaxNodeIDBytes).Draw(t, "id")),
				Role:     Role(rapid.IntRange(0, 1).Draw(t, "role")),
				RaftAddr: rapid.StringN(0, 30, MaxAddrBytes).Draw(t, "raft"),
				HTTPAddr: rapid.StringN(0, 30, MaxAddrBytes).Draw(t, "http"),
			})
		}
		c = c.with(Member{ID: "voter", Role: Voter})
		decoded, err := DecodeConfiguration(c.Encode())
		require.NoError(t, err)
		require.Equal(t, c, decoded)

		e := Entry{
			Index: Index(rapid.Uint64Range(1, uint64(MaxIndex)).Draw(t, "index")),
			Term:  Term(rapid.Uint64Range(1, uint64(MaxTerm)).Draw(t, "term")),
			Kind:  EntryCommand,
			Data:  rapid.SliceOfN(rapid.Byte(), 1, 300).Draw(t, "data"),
		}
		buf := AppendEntry(AppendEntry(nil, e), Entry{Index: 1, Term: 1, Kind: EntryConfiguration, Data: c.Encode()})
		first, rest, err := DecodeEntry(buf)
		require.NoError(t, err)
		require.Equal(t, e, first)
		_, rest, err = DecodeEntry(rest)
		require.NoError(t, err)
		require.Empty(t, rest)
	})
}

// Every cut of a configuration and of an entry is refused, none panics.
func TestShortEncodingsAreRefused(t *testing.T) {
	whole := members(3).Encode()
	for n := range whole {
		_, err := DecodeConfiguration(whole[:n])
		require.ErrorIs(t, err, errMalformed, "%d bytes", n)
	}
	_, err := DecodeConfiguration(append(whole, 0))
	require.ErrorIs(t, err, errMalformed, "a byte too many")

	entry := AppendEntry(nil, Entry{Index: 300, Term: 200, Kind: EntryCommand, Data: []byte("data")})
	for n := range entry {
		_, _, err := DecodeEntry(entry[:n])
		require.ErrorIs(t, err, errMalformed, "%d bytes", n)
	}
	_, _, err = DecodeEntry(AppendEntry(nil, Entry{Index: MaxIndex + 1, Term: 1}))
	require.ErrorIs(t, err, errMalformed)
}

func TestConfigurationsThatNoLeaderWritesAreRefused(t *testing.T) {
	unsorted := Configuration{Members: []Member{{ID: "b", Role: Voter}, {ID: "a", Role: Voter}}}
	for name, data := range map[string][]byte{
		"unsorted":       unsorted.Encode(),
		"without voters": Configuration{}.with(n9).Encode(),
		"empty":          Configuration{}.Encode(),
		"without an id":  Configuration{Members: []Member{{Role: Voter}}}.Encode(),
		"unknown role":   Configuration{Members: []Member{{ID: "a", Role: 2}}}.Encode(),
		"a bomb":         {0xff, 0xff, 0xff, 0xff, 0x7f},
	} {
		_, err := DecodeConfiguration(data)
		require.ErrorIs(t, err, errMalformed, name)
	}
}
