package raft

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzDecodeEntry reads any bytes as entries, one after the other, as the log and the
// wire do. Each is refused; or it is valid, its data are among the bytes, and it is
// written again with no more bytes and decodes to itself.
func FuzzDecodeEntry(f *testing.F) {
	command := AppendEntry(nil, Entry{Index: 3, Term: 2, Kind: EntryCommand, Data: []byte("x")})
	f.Add(AppendEntry(command, Entry{Index: 1, Term: 1, Kind: EntryConfiguration, Data: members(3).Encode()}))
	f.Add(AppendEntry(nil, Entry{Index: MaxIndex, Term: MaxTerm, Kind: EntryNoop}))
	f.Fuzz(func(t *testing.T, data []byte) {
		for {
			e, rest, err := DecodeEntry(data)
			if err != nil {
				return
			}
			require.NoError(t, e.validate())
			require.True(t, e.Index <= MaxIndex && e.Term <= MaxTerm)
			require.True(t, bytes.HasSuffix(data[:len(data)-len(rest)], e.Data))
			require.True(t, bytes.HasSuffix(data, rest))
			encoded := AppendEntry(nil, e)
			require.LessOrEqual(t, len(encoded), len(data)-len(rest))
			again, none, err := DecodeEntry(encoded)
			require.NoError(t, err)
			require.Empty(t, none)
			require.Equal(t, e, again)
			data = rest
		}
	})
}

// FuzzDecodeConfiguration reads any bytes as a configuration. It is refused; or a cluster
// can have it: a voter, no more members than allowed, each once and in order. It decodes
// to itself, and a cluster that has it can elect and commit: half of its voters are no
// majority, all of them are.
func FuzzDecodeConfiguration(f *testing.F) {
	f.Add(members(3).Encode())
	f.Add(members(1).with(n9).Encode())
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := DecodeConfiguration(data)
		if err != nil {
			require.Zero(t, c)
			return
		}
		require.LessOrEqual(t, len(c.Members), MaxMembers)
		for k, m := range c.Members {
			require.True(t, validID(m.ID) && m.Role <= Voter)
			require.True(t, k == 0 || c.Members[k-1].ID < m.ID)
		}
		again, err := DecodeConfiguration(c.Encode())
		require.NoError(t, err)
		require.Equal(t, c, again)
		voters := c.Voters()
		require.True(t, c.majority(func(NodeID) bool { return true }))
		asked := 0
		require.False(t, c.majority(func(NodeID) bool { asked++; return asked <= voters/2 }))
	})
}
