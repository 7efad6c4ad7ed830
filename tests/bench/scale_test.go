package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Others would be compared at sizes for which nothing was agreed, and "all" would take twice as long.
func TestTheRowsOfScaleAreOfDbdbAloneAndNoPartOfAll(t *testing.T) {
	scale, err := pickRows("scale")
	require.NoError(t, err)
	all, err := pickRows("all")
	require.NoError(t, err)
	require.NotEmpty(t, scale)
	for _, r := range scale {
		assert.Equal(t, []string{"dbdb"}, r.peers, r.name)
		for _, other := range all {
			assert.NotEqual(t, other.name, r.name)
		}
		named, err := pickRows("set1," + r.name)
		require.NoError(t, err)
		assert.Equal(t, r.name, named[1].name)
	}
}

// One table has a line for each size, and no size has the figures of another.
func TestEachSizeHasALine(t *testing.T) {
	picked, err := pickRows("scale-keys")
	require.NoError(t, err)
	p, err := peerNamed("dbdb")
	require.NoError(t, err)
	b := &bench{options: options{keys: 20_000}, rows: picked, peers: []peer{p}}
	for k, name := range []string{"200 keys", "2,000 keys", "20,000 keys"} {
		b.cells = append(b.cells, cell{Row: "scale-keys", Size: name, Peer: "dbdb", Repeat: 1, Metrics: metrics{of(set, rate): float64(100 + k), of(get, p99): 3}})
	}
	var out strings.Builder
	b.report().writeText(&out)
	assert.Regexp(t, `(?m)^ +set ops/s +get p99 ms +wrong +errors\n200 keys +100 +3\.00 +0 +0\n2,000 keys +101 +3\.00 +0 +0\n20,000 keys +102 +3\.00 +0 +0$`, out.String())
}

func TestTheSizesOfARowHaveNamesOfTheirOwn(t *testing.T) {
	for _, r := range scaleRows {
		seen := map[string]bool{"": true}
		for _, s := range r.sizesOf(1_000_000) {
			assert.False(t, seen[s.name], "%s: %q", r.name, s.name)
			seen[s.name] = true
		}
	}
}

// The shortest values must still tell which write they are of, after as many writes to a key
// as a long run has.
func TestTheShortestValuesTellTheirWrite(t *testing.T) {
	ks := newKeys(scaleValueKeys, 10)
	for _, k := range []int{0, scaleValueKeys - 1} {
		for _, want := range []uint32{1, 99_999, 999_999} {
			got, ok := ks.number(k, ks.value(k, want))
			assert.True(t, ok)
			assert.Equal(t, want, got)
		}
	}
}

func TestMetricsOfTwoOperationsStandSideBySide(t *testing.T) {
	both := metrics{}
	both.take(set, metrics{rate: 1, rss: 10})
	both.take(get, metrics{rate: 2, rss: 11})
	assert.Equal(t, metrics{of(set, rate): 1, of(get, rate): 2, rss: 11}, both)
	for name := range both {
		assert.Contains(t, columns, name)
	}
}

func TestTheSizeOfADirectoryIsThatOfAllItsFiles(t *testing.T) {
	dir := t.TempDir()
	for name, bytes := range map[string]int{"a": 1 << 20, "b": 1 << 19} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), make([]byte, bytes), 0o600))
	}
	sum, err := mebibytes(dir)
	require.NoError(t, err)
	assert.Equal(t, 1.5, sum)
	_, err = mebibytes(filepath.Join(dir, "missing"))
	assert.Error(t, err)
}
