package sim

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestDeterminismOneSeedIsOneRun runs each seed twice. Two processes are compared with
// -hashes: the first writes what its runs were, the next ones compare. So a run under the
// race detector, or on another machine, is held to be the very same run.
func TestDeterminismOneSeedIsOneRun(t *testing.T) {
	seeds := uint64(determinismSeeds)
	switch {
	case *seedsFlag > 0:
		seeds = uint64(*seedsFlag)
	case testing.Short():
		seeds = 10
	}
	var lines strings.Builder
	for seed := *fromFlag; seed < *fromFlag+seeds; seed++ {
		first := Run(Options{Seed: seed})
		second := Run(Options{Seed: seed, Trace: io.Discard})
		require.Equal(t, first.Hash, second.Hash, "seed %d has two runs", seed)
		require.Equal(t, first.Events, second.Events)
		fmt.Fprintf(&lines, "%d %s\n", seed, first.Hash)
	}
	if *hashesFlag != "" {
		require.NoError(t, compareHashes(*hashesFlag, lines.String()))
	}
}

// compareHashes compares lines of seeds and hashes with those in a file, or makes the file.
func compareHashes(name, lines string) error {
	before, err := os.ReadFile(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return os.WriteFile(name, []byte(lines), 0o666)
	case err == nil && string(before) != lines:
		return fmt.Errorf("these runs differ from those that %s tells of; now they are\n%s", name, lines)
	}
	return err
}

func TestRunsThatDifferFromThoseInAFileAreSeen(t *testing.T) {
	name := t.TempDir() + "/hashes"
	require.NoError(t, compareHashes(name, "1 a\n2 b\n"), "the first run makes the file")
	assert.NoError(t, compareHashes(name, "1 a\n2 b\n"))
	assert.Error(t, compareHashes(name, "1 a\n2 c\n"))
}
