package kvstore

import (
	"fmt"
	"sync"
	"testing"

	"dbdb/raft"
	"dbdb/raft/replica"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var _ replica.StateMachine = (*Store)(nil)

func command(t require.TestingT, op Op, key, value string) []byte {
	data, err := Encode(Command{Op: op, Key: []byte(key), Value: []byte(value)})
	require.NoError(t, err)
	return data
}

func TestAKeyHasTheValueAndIndexOfItsLastSet(t *testing.T) {
	s := New()
	assert.Nil(t, s.Apply(2, command(t, Set, "x", "1")))
	assert.Nil(t, s.Apply(5, command(t, Set, "x", "2")))
	value, modIndex, found := s.Get("x")
	assert.Equal(t, "2", value)
	assert.Equal(t, raft.Index(5), modIndex)
	assert.True(t, found)
	assert.Equal(t, raft.Index(5), s.applied)
}

func TestAnEmptyValueIsNotAMissingKey(t *testing.T) {
	s := New()
	s.Apply(1, command(t, Set, "x", ""))
	_, _, found := s.Get("x")
	assert.True(t, found)
	_, _, found = s.Get("y")
	assert.False(t, found)
}

func TestDelRemovesAKeyAndMayBeRepeated(t *testing.T) {
	s := New()
	s.Apply(1, command(t, Set, "x", "1"))
	assert.Nil(t, s.Apply(2, command(t, Del, "x", "")))
	assert.Nil(t, s.Apply(3, command(t, Del, "x", "")))
	_, modIndex, found := s.Get("x")
	assert.False(t, found)
	assert.Zero(t, modIndex)
	assert.Zero(t, s.Len())
}

func TestACommittedCommandThatDoesNotDecodeChangesNothingAndCrashesNobody(t *testing.T) {
	s := New()
	s.Apply(1, command(t, Set, "x", "1"))
	for i, garbage := range [][]byte{nil, {1}, {7, 7, 7, 7, 7}, []byte(`{"op":"set"}`)} {
		index := raft.Index(2 + i)
		assert.Equal(t, ResultRefused, string(s.Apply(index, garbage)))
		assert.Equal(t, index, s.applied)
	}
	value, _, _ := s.Get("x")
	assert.Equal(t, "1", value)
	assert.Equal(t, 1, s.Len())
}

func TestTheStoreKeepsNoReferenceToTheLog(t *testing.T) {
	s := New()
	cmd := command(t, Set, "x", "value")
	s.Apply(1, cmd)
	clear(cmd)
	value, _, found := s.Get("x")
	assert.True(t, found)
	assert.Equal(t, "value", value)
}

func TestTheHashTellsStatesApart(t *testing.T) {
	hash := func(cmds ...[]byte) uint64 {
		s := New()
		for i, cmd := range cmds {
			s.Apply(raft.Index(i+1), cmd)
		}
		return s.Hash()
	}
	seen := map[uint64]string{}
	for name, h := range map[string]uint64{
		"empty":          hash(),
		"ab=c":           hash(command(t, Set, "ab", "c")),
		"a=bc":           hash(command(t, Set, "a", "bc")),
		"a=bc twice":     hash(command(t, Set, "a", "bc"), command(t, Set, "a", "bc")),
		"deleted again":  hash(command(t, Set, "a", "bc"), command(t, Del, "a", "")),
		"only a del":     hash(command(t, Del, "a", "")),
		"two keys":       hash(command(t, Set, "a", "b"), command(t, Set, "b", "a")),
		"two keys later": hash(command(t, Set, "b", "a"), command(t, Set, "a", "b")),
	} {
		assert.Empty(t, seen[h], "same hash as %s", name)
		seen[h] = name
	}
}

func TestTheHashIsTheSameInEveryProcess(t *testing.T) {
	s := New()
	s.Apply(3, command(t, Set, "x", "23"))
	assert.Equal(t, uint64(0x4aad9129d6bccb85), s.Hash())
}

func TestTheStoreAgreesWithAMapForEveryHistory(t *testing.T) {
	type pair struct {
		value    string
		modIndex raft.Index
	}
	rapid.Check(t, func(t *rapid.T) {
		s, replay, model := New(), New(), map[string]pair{}
		for i := raft.Index(1); i <= raft.Index(rapid.IntRange(0, 60).Draw(t, "commands")); i++ {
			key := rapid.StringMatching(`[a-d]{1,2}`).Draw(t, "key")
			cmd := command(t, Del, key, "")
			if rapid.Bool().Draw(t, "set") {
				value := rapid.String().Draw(t, "value")
				cmd = command(t, Set, key, value)
				model[key] = pair{value, i}
			} else {
				delete(model, key)
			}
			s.Apply(i, cmd)
			replay.Apply(i, cmd)
		}
		require.Equal(t, len(model), s.Len())
		for key, want := range model {
			value, modIndex, found := s.Get(key)
			require.True(t, found)
			require.Equal(t, want, pair{value, modIndex})
		}
		require.Equal(t, replay.Hash(), s.Hash())
	})
}

func TestReadersMayRunBesideTheWriter(t *testing.T) {
	s := New()
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for last := raft.Index(0); last < 500; {
				value, modIndex, found := s.Get("x")
				if found {
					assert.Equal(t, fmt.Sprint(uint64(modIndex)), value, "value and index are of one entry")
				}
				assert.GreaterOrEqual(t, modIndex, last, "a reader never goes back")
				last = max(modIndex, last)
				_ = s.Hash()
			}
		})
	}
	for i := raft.Index(1); i <= 500; i++ {
		s.Apply(i, command(t, Set, "x", fmt.Sprint(uint64(i))))
	}
	readers.Wait()
}

func BenchmarkApply(b *testing.B) {
	s := New()
	cmds := make([][]byte, 1024)
	for i := range cmds {
		cmds[i] = command(b, Set, fmt.Sprintf("key%d", i), "a value of some bytes")
	}
	for i := 0; b.Loop(); i++ {
		s.Apply(raft.Index(i+1), cmds[i%len(cmds)])
	}
}

func BenchmarkGet(b *testing.B) {
	s := New()
	keys := make([]string, 10_000)
	for i := range keys {
		keys[i] = fmt.Sprintf("key%d", i)
		s.Apply(raft.Index(i+1), command(b, Set, keys[i], "a value of some bytes"))
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, _, found := s.Get(keys[i*7919%len(keys)]); !found {
			b.Fatal(keys[i*7919%len(keys)])
		}
	}
}
