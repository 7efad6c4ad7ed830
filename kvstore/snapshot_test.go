package kvstore

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"dbdb/raft"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "write the golden file anew")

// written is the snapshot of a store as bytes.
func written(t require.TestingT, state io.WriterTo) []byte {
	var buf bytes.Buffer
	n, err := state.WriteTo(&buf)
	require.NoError(t, err)
	require.EqualValues(t, buf.Len(), n)
	return buf.Bytes()
}

// restored makes a store of a snapshot.
func restored(t require.TestingT, snapshot []byte) *Store {
	s := New()
	install, err := s.Restore(bytes.NewReader(snapshot))
	require.NoError(t, err)
	install()
	return s
}

// sample is a small store: three keys, one of them overwritten and one empty.
func sample(t require.TestingT) *Store {
	s := New()
	for i, c := range []Command{
		{Op: Set, Key: []byte("x"), Value: []byte("22")},
		{Op: Set, Key: []byte("empty"), Value: nil},
		{Op: Set, Key: []byte("gone"), Value: []byte("1")},
		{Op: Set, Key: []byte("x"), Value: []byte("23")},
		{Op: Set, Key: []byte("☃"), Value: []byte{0, 0xff}},
		{Op: Del, Key: []byte("gone")},
	} {
		cmd, err := Encode(c)
		require.NoError(t, err)
		s.Apply(raft.Index(i+2), cmd)
	}
	return s
}

func TestASnapshotHasTheBytesOfItsGoldenFile(t *testing.T) {
	// Such bytes are in the data directories of running clusters: other bytes are
	// another snapshotFormat.
	const golden = "testdata/snapshot.hex"
	got := hex.Dump(written(t, sample(t).Snapshot()))
	if *update {
		require.NoError(t, os.WriteFile(golden, []byte(got), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	assert.Equal(t, string(want), got)
}

func TestARestoredStoreIsTheOneThatWasWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := New()
		for i := raft.Index(1); i <= raft.Index(rapid.IntRange(0, 200).Draw(t, "commands")); i++ {
			op := rapid.SampledFrom([]Op{Set, Set, Set, Del}).Draw(t, "op")
			value := ""
			if op == Set {
				value = rapid.String().Draw(t, "value")
			}
			s.Apply(i, command(t, op, rapid.StringMatching(`[a-d]{1,4}`).Draw(t, "key"), value))
		}
		snapshot := written(t, s.Snapshot())
		r := restored(t, snapshot)
		require.Equal(t, s.Hash(), r.Hash())
		require.Equal(t, s.Len(), r.Len())
		require.Equal(t, snapshot, written(t, r.Snapshot()), "one state, one encoding")

		// The restored tree is a tree like any other.
		for range 50 {
			cmd := command(t, Set, rapid.StringMatching(`[a-d]{1,4}`).Draw(t, "later key"), "later")
			s.Apply(s.applied+1, cmd)
			r.Apply(r.applied+1, cmd)
		}
		require.Equal(t, s.Hash(), r.Hash())
	})
}

func TestTheLargestCommandFitsIntoASnapshot(t *testing.T) {
	s := New()
	for i := range raft.Index(3) {
		key := strings.Repeat("k", MaxKeyBytes-1) + fmt.Sprint(uint64(i))
		s.Apply(i+1, command(t, Set, key, strings.Repeat("v", MaxValueBytes)))
	}
	assert.Equal(t, s.Hash(), restored(t, written(t, s.Snapshot())).Hash())
}

// A payload newer than its label is dragonboat 7d5dc73: the state was read while
// commands went on changing it.
func TestWritesDuringWriteToDoNotShow(t *testing.T) {
	s := New()
	key := func(i raft.Index) string { return fmt.Sprintf("key%d", i*7919%5000) }
	const before = raft.Index(5000)
	for i := raft.Index(1); i <= before; i++ {
		s.Apply(i, command(t, Set, key(i), "old"))
	}
	want, state := s.Hash(), s.Snapshot()
	first := written(t, state)

	var buf bytes.Buffer
	writing, changed := make(chan struct{}), make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() {
		_, err := state.WriteTo(writerFunc(func(p []byte) (int, error) {
			select {
			case <-writing:
			default:
				close(writing) // from now on there is a WriteTo under way
				<-changed      // or it might be over before the first change
			}
			return buf.Write(p)
		}))
		assert.NoError(t, err)
	})
	<-writing
	for i := before + 1; i <= 3*before; i++ {
		if i == 2*before {
			close(changed) // the other changes are made beside it
		}
		op, value := Set, "new"
		if i%3 == 0 {
			op, value = Del, ""
		}
		s.Apply(i, command(t, op, key(i/2), value))
	}
	writer.Wait()
	assert.Equal(t, first, buf.Bytes())
	assert.Equal(t, want, restored(t, buf.Bytes()).Hash())
	assert.NotEqual(t, want, s.Hash())
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestSnapshotsMayBeTakenBesideReadersAndOtherSnapshots(t *testing.T) {
	s := sample(t)
	var beside sync.WaitGroup
	for range 4 {
		beside.Go(func() {
			for range 100 {
				s.Get("x")
				assert.Equal(t, s.Hash(), restored(t, written(t, s.Snapshot())).Hash())
			}
		})
	}
	beside.Wait()
}

func TestAWriterThatFailsEndsWriteToWithItsError(t *testing.T) {
	s := New()
	for i := range raft.Index(1000) {
		s.Apply(i+1, command(t, Set, fmt.Sprintf("key%d", i), strings.Repeat("v", 1000)))
	}
	full := errors.New("no space left on device")
	left := 100_000
	n, err := s.Snapshot().WriteTo(writerFunc(func(p []byte) (int, error) {
		if len(p) > left {
			return left, full
		}
		left -= len(p)
		return len(p), nil
	}))
	assert.ErrorIs(t, err, full)
	assert.EqualValues(t, 100_000, n)
}

func TestNothingChangesBeforeInstall(t *testing.T) {
	s, other := sample(t), New()
	other.Apply(90, command(t, Set, "other", "state"))
	before := s.Hash()
	install, err := s.Restore(bytes.NewReader(written(t, other.Snapshot())))
	require.NoError(t, err)
	assert.Equal(t, before, s.Hash())
	install()
	assert.Equal(t, other.Hash(), s.Hash())
	_, _, found := s.Get("x")
	assert.False(t, found, "a key of the former state")
}

func TestASnapshotThatEndsTooSoonIsRefused(t *testing.T) {
	snapshot := written(t, sample(t).Snapshot())
	for n := range snapshot {
		_, err := New().Restore(bytes.NewReader(snapshot[:n]))
		assert.ErrorIs(t, err, ErrMalformedSnapshot, "%d bytes", n)
	}
}

func TestWhatWriteToDoesNotWriteIsRefusedByName(t *testing.T) {
	start := []byte{1, 0, 0, 0, 0, 0, 0, 0, 9}
	entry := func(keyLen, valueLen, index byte, text string) string {
		return string([]byte{0, keyLen, 0, 0, 0, valueLen, 0, 0, 0, 0, 0, 0, 0, index}) + text
	}
	end := func(n byte) string { return entry(0, 0, n, "") }
	for name, tc := range map[string]struct{ bytes, want string }{
		"another format":              {"\x02the future", "format 2, and this version of dbdb reads format 1"},
		"bytes after it":              {string(start) + end(0) + "x", "bytes after its end"},
		"a wrong count":               {string(start) + entry(1, 1, 3, "a1") + end(2), "it ends with 2 keys and 0 bytes, after 1 keys"},
		"a value's length at the end": {string(start) + entry(0, 1, 0, ""), "it ends with 0 keys and 1 bytes, after 0 keys"},
		"keys out of order":           {string(start) + entry(1, 0, 3, "b") + entry(1, 0, 4, "a") + end(2), `key "a" after "b"`},
		"a key twice":                 {string(start) + entry(1, 0, 3, "a") + entry(1, 0, 4, "a") + end(2), `key "a" after "a"`},
		"no index":                    {string(start) + entry(1, 0, 0, "a") + end(1), "set at index 0"},
		"a later index":               {string(start) + entry(1, 0, 10, "a") + end(1), "set at index 10 in a state of index 9"},
		"a long key":                  {string(start) + "\x04\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01", "a key of 1025 bytes"},
		"a long value":                {string(start) + "\x00\x01\x00\x10\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01", "a value of 1048577"},
	} {
		t.Run(name, func(t *testing.T) {
			install, err := New().Restore(strings.NewReader(tc.bytes))
			assert.ErrorIs(t, err, ErrMalformedSnapshot)
			assert.ErrorContains(t, err, tc.want)
			assert.Nil(t, install)
		})
	}
}

// The file may be damaged, and its reader says so: that is not a malformed snapshot,
// wherever it happens.
func TestAnErrorOfTheReaderIsPassedOn(t *testing.T) {
	snapshot := written(t, sample(t).Snapshot())
	damage := errors.New("wrong checksum")
	for n := range len(snapshot) + 1 {
		_, err := New().Restore(io.MultiReader(bytes.NewReader(snapshot[:n]), iotest.ErrReader(damage)))
		assert.ErrorIs(t, err, damage, "after %d bytes", n)
		assert.NotErrorIs(t, err, ErrMalformedSnapshot)
	}
}

func TestASnapshotThatComesByteByByteIsRead(t *testing.T) {
	s := sample(t)
	install, err := s.Restore(iotest.OneByteReader(bytes.NewReader(written(t, s.Snapshot()))))
	require.NoError(t, err)
	want := s.Hash()
	install()
	assert.Equal(t, want, s.Hash())
}

// btree lets the halves of a node that was split share an array: the one would keep the
// overwritten values of the other alive.
func TestARestoredStoreDoesNotKeepWhatWasOverwritten(t *testing.T) {
	const keys, size = 2000, 4 << 10
	s := New()
	for i := range raft.Index(keys) {
		s.Apply(i+1, command(t, Set, fmt.Sprintf("key%04d", i), strings.Repeat("v", size)))
	}
	snapshot := written(t, s.Snapshot())
	s = restored(t, snapshot)
	before := heapInUse()
	for i := range raft.Index(keys) {
		s.Apply(keys+i+1, command(t, Set, fmt.Sprintf("key%04d", i), ""))
	}
	freed := before - heapInUse()
	assert.Greater(t, freed, int64(keys*size*9/10))
	runtime.KeepAlive(snapshot)
	runtime.KeepAlive(s)
}

// heapInUse is what is alive, in bytes.
func heapInUse() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// million is a store of a million keys of 10 bytes with values of 32.
func million(b *testing.B) *Store {
	s := New()
	for i := range raft.Index(1_000_000) {
		s.Apply(i+1, command(b, Set, fmt.Sprintf("key%07d", uint64(i)*7919%1_000_000), strings.Repeat("v", 32)))
	}
	return s
}

// The cut itself is what Apply waits for; the rest is written beside it.
func BenchmarkSnapshotOfAMillionKeys(b *testing.B) {
	s := million(b)
	b.ReportAllocs()
	for b.Loop() {
		n, err := s.Snapshot().WriteTo(io.Discard)
		require.NoError(b, err)
		b.SetBytes(n)
	}
}

func BenchmarkRestoreOfAMillionKeys(b *testing.B) {
	snapshot := written(b, million(b).Snapshot())
	before := heapInUse()
	var s *Store
	b.ReportAllocs()
	b.SetBytes(int64(len(snapshot)))
	for b.Loop() {
		s = New()
		install, err := s.Restore(bytes.NewReader(snapshot))
		require.NoError(b, err)
		install()
	}
	b.ReportMetric(float64(heapInUse()-before)/1e6, "kept-B/key")
	runtime.KeepAlive(s)
	runtime.KeepAlive(snapshot)
}
