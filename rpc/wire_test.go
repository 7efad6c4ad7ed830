package rpc

import (
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"dbdb/raft"
)

var update = flag.Bool("update", false, "write the golden files anew")

// sampleAppend has every field set, and every kind of entry.
func sampleAppend() raft.AppendEntriesArgs {
	configuration := members("127.0.0.1:2222").Encode()
	return raft.AppendEntriesArgs{
		Term: 9, LeaderID: n1, PrevLogIndex: 300, PrevLogTerm: 4, LeaderCommit: 299, ReadRound: 17, Session: 3,
		Entries: []raft.Entry{
			{Index: 301, Term: 5, Kind: raft.EntryNoop},
			{Index: 302, Term: 5, Kind: raft.EntryCommand, Data: []byte("set x 1")},
			{Index: 303, Term: 9, Kind: raft.EntryConfiguration, Data: configuration},
		},
	}
}

// sampleChunk has every field set but the one that says that it is the last.
func sampleChunk() raft.InstallSnapshotArgs {
	return raft.InstallSnapshotArgs{
		Term: 9, LeaderID: n1, LastIncludedIndex: 300, LastIncludedTerm: 4,
		Offset: 1 << 20, Data: []byte("a chunk"), Size: 1<<20 + 300, Session: 3,
	}
}

// lastChunk ends the same snapshot.
func lastChunk() raft.InstallSnapshotArgs {
	a := sampleChunk()
	a.Size, a.Done = a.Offset+uint64(len(a.Data)), true
	return a
}

// samples is one encoding of everything that crosses the wire.
func samples(t *testing.T) map[string][]byte {
	vote := raft.RequestVoteArgs{Term: 5, CandidateID: n1, LastLogIndex: 200, LastLogTerm: 4, PreVote: true, LeadershipTransfer: true}
	frame, err := endFrame(EncodeAppendEntriesReply(beginFrame(nil, kindAppendEntriesReply, 1000),
		raft.AppendEntriesReply{Term: 2, Success: true}), 0)
	require.NoError(t, err)
	return map[string][]byte{
		"request-vote-args":      EncodeRequestVoteArgs(nil, vote),
		"request-vote-reply":     EncodeRequestVoteReply(nil, raft.RequestVoteReply{Term: 6, VoteGranted: true, RemovedAt: 812, CommitTerm: 5}),
		"append-entries-args":    EncodeAppendEntriesArgs(nil, sampleAppend()),
		"append-entries-reply":   EncodeAppendEntriesReply(nil, raft.AppendEntriesReply{Term: 6, ConflictIndex: 130, ConflictTerm: 5}),
		"install-snapshot-args":  EncodeInstallSnapshotArgs(nil, sampleChunk()),
		"install-snapshot-last":  EncodeInstallSnapshotArgs(nil, lastChunk()),
		"install-snapshot-reply": EncodeInstallSnapshotReply(nil, raft.InstallSnapshotReply{Term: 9, Offset: 1 << 21, Installed: true}),
		"timeout-now-args":       EncodeTimeoutNowArgs(nil, raft.TimeoutNowArgs{Term: 9, LeaderID: n1}),
		"timeout-now-reply":      EncodeTimeoutNowReply(nil, raft.TimeoutNowReply{Term: 9}),
		"read-index-args":        EncodeReadIndexArgs(nil, raft.ReadIndexArgs{From: n2}),
		"read-index-reply":       EncodeReadIndexReply(nil, raft.ReadIndexReply{Success: true, Index: 1 << 40}),
		"frame":                  frame,
		"hello":                  hello{testCluster, n1, n2, laneCalls}.encode(),
		"hello-snapshots":        hello{testCluster, n1, n2, laneSnapshots}.encode(),
		"welcome":                welcome{testCluster, n2, ""}.encode(),
		"refusal":                welcome{testCluster, n2, "cluster ID mismatch"}.encode(),
	}
}

// A difference here means that servers of two versions do not understand each
// other: helloVersion must change with it.
func TestEverythingOnTheWireHasTheBytesOfItsGoldenFile(t *testing.T) {
	for name, got := range samples(t) {
		path := filepath.Join("testdata", name+".hex")
		if *update {
			require.NoError(t, os.WriteFile(path, []byte(hex.Dump(got)), 0o644))
		}
		want, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.Equal(t, string(want), hex.Dump(got), name)
	}
}

func TestAFrameIsLengthChecksumKindNumberAndPayload(t *testing.T) {
	f, err := endFrame(append(beginFrame(nil, kindReadIndexReply, 300), 1, 7), 0)
	require.NoError(t, err)
	assert.Equal(t, []byte{0, 0, 0, 5}, f[:4])
	assert.Equal(t, []byte{byte(kindReadIndexReply), 0xac, 0x02, 1, 7}, f[8:])
}

var (
	genID    = rapid.Map(rapid.StringMatching(`[a-z]{1,100}(\.[0-9a-f]{6})?`), func(s string) raft.NodeID { return raft.NodeID(s) })
	genTerm  = rapid.Map(rapid.Uint64Range(1, uint64(raft.MaxTerm)), func(v uint64) raft.Term { return raft.Term(v) })
	genIndex = rapid.Map(rapid.Uint64Range(0, 1<<61), func(v uint64) raft.Index { return raft.Index(v) })
)

// drawAppend draws a valid AppendEntries: contiguous indexes, terms that do not fall.
func drawAppend(t *rapid.T) raft.AppendEntriesArgs {
	a := raft.AppendEntriesArgs{
		LeaderID:     genID.Draw(t, "leader"),
		LeaderCommit: genIndex.Draw(t, "commit"),
		ReadRound:    rapid.Uint64().Draw(t, "round"),
		Session:      rapid.Uint64().Draw(t, "session"),
	}
	if rapid.Bool().Draw(t, "has a log") {
		a.PrevLogIndex = genIndex.Draw(t, "prev") + 1
		a.PrevLogTerm = raft.Term(rapid.Uint64Range(1, 1<<60).Draw(t, "prevTerm"))
	}
	term := max(a.PrevLogTerm, 1)
	for i := range rapid.IntRange(0, 20).Draw(t, "entries") {
		term += raft.Term(rapid.Uint64Range(0, 1<<50).Draw(t, "step"))
		e := raft.Entry{Index: a.PrevLogIndex + raft.Index(i) + 1, Term: term, Kind: raft.EntryCommand}
		if data := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "data"); len(data) > 0 {
			e.Data = data
		}
		a.Entries = append(a.Entries, e)
	}
	a.Term = term + raft.Term(rapid.Uint64Range(0, 1<<50).Draw(t, "ahead"))
	return a
}

// drawChunk draws a valid InstallSnapshot.
func drawChunk(t *rapid.T, term raft.Term) raft.InstallSnapshotArgs {
	a := raft.InstallSnapshotArgs{
		Term: term, LeaderID: genID.Draw(t, "leader"),
		LastIncludedIndex: genIndex.Draw(t, "last included") + 1,
		LastIncludedTerm:  raft.Term(rapid.Uint64Range(1, uint64(term)).Draw(t, "its term")),
		Offset:            rapid.Uint64Range(0, 1<<40).Draw(t, "offset"),
		Session:           rapid.Uint64().Draw(t, "session"),
	}
	if data := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "chunk"); len(data) > 0 {
		a.Data = data
	}
	after := rapid.Uint64Range(0, 1<<40).Draw(t, "after")
	a.Size, a.Done = a.Offset+uint64(len(a.Data))+after, after == 0
	return a
}

func TestDecodeGivesBackWhatWasEncoded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		back(t, drawAppend(t), EncodeAppendEntriesArgs, DecodeAppendEntriesArgs)
		term := genTerm.Draw(t, "term")
		vote := raft.RequestVoteArgs{Term: term, CandidateID: genID.Draw(t, "id"), PreVote: rapid.Bool().Draw(t, "pre"), LeadershipTransfer: rapid.Bool().Draw(t, "transfer")}
		if term > 1 {
			vote.LastLogIndex = genIndex.Draw(t, "last") + 1
			vote.LastLogTerm = raft.Term(rapid.Uint64Range(1, uint64(term)-1).Draw(t, "lastTerm"))
		}
		back(t, vote, EncodeRequestVoteArgs, DecodeRequestVoteArgs)
		removed := genIndex.Draw(t, "removed")
		back(t, raft.RequestVoteReply{Term: term, VoteGranted: rapid.Bool().Draw(t, "ok"), RemovedAt: removed, CommitTerm: term}, EncodeRequestVoteReply, DecodeRequestVoteReply)
		back(t, raft.AppendEntriesReply{Term: term, Success: rapid.Bool().Draw(t, "ok"),
			ConflictIndex: genIndex.Draw(t, "i"), ConflictTerm: genTerm.Draw(t, "t")}, EncodeAppendEntriesReply, DecodeAppendEntriesReply)
		back(t, drawChunk(t, term), EncodeInstallSnapshotArgs, DecodeInstallSnapshotArgs)
		back(t, raft.InstallSnapshotReply{Term: term, Offset: rapid.Uint64Range(0, 1<<50).Draw(t, "offset"),
			Installed: rapid.Bool().Draw(t, "ok")}, EncodeInstallSnapshotReply, DecodeInstallSnapshotReply)
		back(t, raft.TimeoutNowArgs{Term: term, LeaderID: genID.Draw(t, "leader")}, EncodeTimeoutNowArgs, DecodeTimeoutNowArgs)
		back(t, raft.TimeoutNowReply{Term: term}, EncodeTimeoutNowReply, DecodeTimeoutNowReply)
		back(t, raft.ReadIndexArgs{From: genID.Draw(t, "from")}, EncodeReadIndexArgs, DecodeReadIndexArgs)
		back(t, raft.ReadIndexReply{Success: rapid.Bool().Draw(t, "ok"), Index: genIndex.Draw(t, "i")}, EncodeReadIndexReply, DecodeReadIndexReply)
	})
}

// back also demands that Encode only appends, that a byte too many and each byte too
// few are errors, and that an error comes with a zero message.
func back[M any](t *rapid.T, m M, encode func([]byte, M) []byte, decode func([]byte) (M, error)) {
	data := encode([]byte("before"), m)[len("before"):]
	got, err := decode(data)
	require.NoError(t, err)
	require.Equal(t, m, got)
	cut := rapid.IntRange(0, len(data)-1).Draw(t, "cut")
	for _, wrong := range [][]byte{data[:cut], append(append([]byte(nil), data...), 0)} {
		got, err = decode(wrong)
		require.Error(t, err)
		var zero M
		require.Equal(t, zero, got)
	}
}

// Package gob leaves zero values out: a reply {Term: 7} decoded over {3, true, ...}
// kept the true.
func TestAZeroFieldOverwritesWhatTheDestinationHeld(t *testing.T) {
	c := newCall(kindAppendEntriesArgs, heartbeat(), EncodeAppendEntriesArgs, DecodeAppendEntriesReply, nil).(*typedCall[raft.AppendEntriesArgs, raft.AppendEntriesReply])
	c.reply = raft.AppendEntriesReply{Term: 3, Success: true, ConflictIndex: 8, ConflictTerm: 2}
	require.NoError(t, c.decodeReply(EncodeAppendEntriesReply(nil, raft.AppendEntriesReply{Term: 7})))
	assert.Equal(t, raft.AppendEntriesReply{Term: 7}, c.reply)

	a := sampleAppend()
	req := &Request[raft.AppendEntriesArgs]{Args: a}
	codec := &serverCodec{conn: &serverConn{peer: n1}}
	codec.frame.payload = EncodeAppendEntriesArgs(nil, heartbeat())
	require.NoError(t, codec.ReadRequestBody(req))
	assert.Equal(t, heartbeat(), req.Args)
}

func TestTheEntriesOfAMessageShareItsMemory(t *testing.T) {
	a := sampleAppend()
	data := EncodeAppendEntriesArgs(nil, a)
	got, err := DecodeAppendEntriesArgs(data)
	require.NoError(t, err)
	at := strings.Index(string(data), "set x 1")
	data[at] = 'S'
	assert.Equal(t, "Set x 1", string(got.Entries[1].Data))
	assert.Equal(t, len(got.Entries[1].Data), cap(got.Entries[1].Data), "an append must not write into the next entry")
}

func TestAMessageIsRejectedWhenItsNumbersAreInsane(t *testing.T) {
	huge := ^uint64(0)
	for name, a := range map[string]raft.AppendEntriesArgs{
		"term 2^64-1":         {Term: raft.Term(huge), LeaderID: n1},
		"index 2^64-1":        {Term: 1, LeaderID: n1, PrevLogIndex: raft.Index(huge), PrevLogTerm: 1},
		"commit 2^64-1":       {Term: 1, LeaderID: n1, LeaderCommit: raft.Index(huge)},
		"nobody leads":        {Term: 1},
		"a hole":              {Term: 1, LeaderID: n1, Entries: []raft.Entry{{Index: 2, Term: 1}}},
		"entry of index 2^63": {Term: 1, LeaderID: n1, Entries: []raft.Entry{{Index: 1 << 63, Term: 1}}},
	} {
		_, err := DecodeAppendEntriesArgs(EncodeAppendEntriesArgs(nil, a))
		assert.Error(t, err, name)
	}
	_, err := DecodeRequestVoteReply([]byte{5, 2})
	assert.Error(t, err, "a bool of 2")
}

func TestAMessageOfASnapshotOrAHandOverIsRejectedWhenItsNumbersAreInsane(t *testing.T) {
	const huge = ^uint64(0)
	chunk := func(change func(*raft.InstallSnapshotArgs)) error {
		a := sampleChunk()
		change(&a)
		_, err := DecodeInstallSnapshotArgs(EncodeInstallSnapshotArgs(nil, a))
		return err
	}
	require.NoError(t, chunk(func(*raft.InstallSnapshotArgs) {}))
	for name, change := range map[string]func(*raft.InstallSnapshotArgs){
		"term 0":                 func(a *raft.InstallSnapshotArgs) { a.Term = 0 },
		"term 2^64-1":            func(a *raft.InstallSnapshotArgs) { a.Term = raft.Term(huge) },
		"nobody leads":           func(a *raft.InstallSnapshotArgs) { a.LeaderID = "" },
		"index 0":                func(a *raft.InstallSnapshotArgs) { a.LastIncludedIndex = 0 },
		"index 2^64-1":           func(a *raft.InstallSnapshotArgs) { a.LastIncludedIndex = raft.Index(huge) },
		"no term":                func(a *raft.InstallSnapshotArgs) { a.LastIncludedTerm = 0 },
		"a term of the future":   func(a *raft.InstallSnapshotArgs) { a.LastIncludedTerm = a.Term + 1 },
		"a chunk beyond the end": func(a *raft.InstallSnapshotArgs) { a.Offset = a.Size - 1 },
		"an offset that wraps":   func(a *raft.InstallSnapshotArgs) { a.Offset = huge },
		"a size of 2^64-1":       func(a *raft.InstallSnapshotArgs) { a.Size = huge },
		"the last, too early":    func(a *raft.InstallSnapshotArgs) { a.Done = true },
		"the last, not said":     func(a *raft.InstallSnapshotArgs) { a.Size = a.Offset + uint64(len(a.Data)) },
		"a chunk too large": func(a *raft.InstallSnapshotArgs) {
			a.Data, a.Size = make([]byte, raft.MaxChunkBytes+1), 1<<30
		},
	} {
		assert.Error(t, chunk(change), name)
	}
	for name, r := range map[string]raft.InstallSnapshotReply{
		"term 0": {}, "term 2^64-1": {Term: raft.Term(huge)}, "offset 2^64-1": {Term: 1, Offset: huge},
	} {
		_, err := DecodeInstallSnapshotReply(EncodeInstallSnapshotReply(nil, r))
		assert.Error(t, err, name)
	}
	for name, a := range map[string]raft.TimeoutNowArgs{
		"term 0": {LeaderID: n1}, "term 2^64-1": {Term: raft.Term(huge), LeaderID: n1}, "nobody leads": {Term: 1},
	} {
		_, err := DecodeTimeoutNowArgs(EncodeTimeoutNowArgs(nil, a))
		assert.Error(t, err, name)
	}
	_, err := DecodeTimeoutNowReply(EncodeTimeoutNowReply(nil, raft.TimeoutNowReply{Term: raft.Term(huge)}))
	assert.Error(t, err)
	_, err = DecodeRequestVoteReply(EncodeRequestVoteReply(nil, raft.RequestVoteReply{Term: 1, RemovedAt: raft.Index(huge)}))
	assert.Error(t, err)
}

func TestAClaimedNumberOfEntriesIsNotWorthAnAllocation(t *testing.T) {
	claim := EncodeAppendEntriesArgs(nil, heartbeat())
	claim = append(claim[:len(claim)-1], 0xff, 0xff, 0xff, 0xff, 0x0f) // 2^32-1 entries
	before := allocated()
	for range 100 {
		_, err := DecodeAppendEntriesArgs(claim)
		require.Error(t, err)
	}
	assert.Less(t, allocated()-before, uint64(1<<20))
}

// allocated is the number of bytes that the process has allocated since its start.
func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}
