package kvstore

import (
	"bytes"
	"encoding/binary"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

// FuzzDecodeAcceptsOnlyWhatEncodeWrites demands that a command has one encoding: bytes
// are refused, or they are what Encode makes of the command that they decode to. Were
// there two, replicas that agree on the log could disagree on whether a command was
// repeated.
func FuzzDecodeAcceptsOnlyWhatEncodeWrites(f *testing.F) {
	f.Add(command(f, Set, "x", "23"))
	f.Add(command(f, Del, "x", ""))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Decode(data)
		if err != nil {
			return
		}
		require.NoError(t, c.Validate())
		again, err := Encode(c)
		require.NoError(t, err)
		require.Equal(t, data, again)
	})
}

// FuzzACommandThatIsEncodedDecodesToItself is the way back, for any command: Encode
// refuses exactly what Validate refuses, and what it writes decodes to the same command.
func FuzzACommandThatIsEncodedDecodesToItself(f *testing.F) {
	f.Add(byte(Set), []byte("x"), []byte("23"))
	f.Add(byte(Del), []byte("x"), []byte{})
	f.Fuzz(func(t *testing.T, op byte, key, value []byte) {
		c := Command{Op: Op(op), Key: key, Value: value}
		data, err := Encode(c)
		require.Equal(t, c.Validate(), err)
		if err != nil {
			require.Nil(t, data)
			return
		}
		got, err := Decode(data)
		require.NoError(t, err)
		require.Equal(t, c.Op, got.Op)
		require.True(t, bytes.Equal(key, got.Key) && bytes.Equal(value, got.Value))
	})
}

// FuzzApplyOfAnyBytes gives any bytes to a store as a committed command. If they do not
// decode, the answer says so and nothing changes but the index; if they do, the one key
// has what the command says, and no other key changes. The log's bytes are the log's: to
// change them afterwards changes nothing in the store.
func FuzzApplyOfAnyBytes(f *testing.F) {
	f.Add(command(f, Set, "x", "24"))
	f.Add(command(f, Set, "new", ""))
	f.Add(command(f, Del, "x", ""))
	f.Fuzz(func(t *testing.T, data []byte) {
		s := sample(t)
		index := s.applied + 1
		want := entriesOf(s)
		c, err := Decode(data)
		switch {
		case err != nil:
		case c.Op == Set:
			want[string(c.Key)] = entry{string(c.Value), index}
		default:
			delete(want, string(c.Key))
		}
		data = bytes.Clone(data)
		result := s.Apply(index, data)
		clear(data)
		require.Equal(t, err != nil, string(result) == ResultRefused)
		require.Equal(t, index, s.applied)
		require.Equal(t, want, entriesOf(s))
	})
}

func entriesOf(s *Store) map[string]entry {
	entries := map[string]entry{}
	s.entries.Scan(func(key string, e entry) bool {
		entries[key] = e
		return true
	})
	return entries
}

// FuzzRestoreAcceptsOnlyWhatSnapshotWrites restores any bytes over a store that holds
// something: they are refused and nothing changes, or they are what the store writes
// then. It makes no difference whether they come in one piece.
func FuzzRestoreAcceptsOnlyWhatSnapshotWrites(f *testing.F) {
	f.Add(written(f, sample(f).Snapshot()))
	f.Add(written(f, New().Snapshot()))
	f.Fuzz(func(t *testing.T, data []byte) { restoreOver(t, data) })
}

// FuzzRestoreWithTheRightEnd is the same for entries of any bytes, to which the end is
// added that counts them: without it nearly everything would be refused for its end, and
// what is accepted before it would hardly be looked at.
func FuzzRestoreWithTheRightEnd(f *testing.F) {
	for _, s := range []*Store{New(), sample(f)} {
		snapshot := written(f, s.Snapshot())
		f.Add(uint64(s.applied), snapshot[1+8:len(snapshot)-entryHeaderBytes])
	}
	f.Fuzz(func(t *testing.T, applied uint64, entries []byte) {
		data := binary.BigEndian.AppendUint64([]byte{snapshotFormat}, applied)
		data = append(data, entries...)
		data = append(data, make([]byte, entryHeaderBytes-8)...)
		restoreOver(t, binary.BigEndian.AppendUint64(data, count(entries)))
	})
}

// count says how many entries there are, by what their headers claim.
func count(entries []byte) uint64 {
	n := uint64(0)
	for len(entries) >= entryHeaderBytes {
		size := entryHeaderBytes + uint64(binary.BigEndian.Uint16(entries)) + uint64(binary.BigEndian.Uint32(entries[2:]))
		if size > uint64(len(entries)) {
			break
		}
		entries = entries[size:]
		n++
	}
	return n
}

func restoreOver(t *testing.T, data []byte) {
	s := sample(t)
	before := s.Hash()
	install, err := s.Restore(bytes.NewReader(data))
	require.Equal(t, before, s.Hash(), "changed before install")
	_, slowly := s.Restore(iotest.OneByteReader(bytes.NewReader(data)))
	require.Equal(t, err, slowly)
	if err != nil {
		require.ErrorIs(t, err, ErrMalformedSnapshot)
		require.Nil(t, install)
		return
	}
	install()
	require.Equal(t, data, written(t, s.Snapshot()))
	s.entries.Scan(func(key string, e entry) bool {
		_, err := Encode(Command{Op: Set, Key: []byte(key), Value: []byte(e.value)})
		require.NoError(t, err)
		require.LessOrEqual(t, e.modIndex, s.applied)
		return true
	})
	index := max(s.applied, 1)
	require.Nil(t, s.Apply(index, command(t, Set, "after", "1")))
	value, _, _ := s.Get("after")
	require.Equal(t, "1", value)
}
