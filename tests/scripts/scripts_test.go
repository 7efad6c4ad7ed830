package scripts

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"dbdb/tests/sim"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	lanesFlag  = flag.Bool("lanes", false, "draw what happens, a lane for each server, instead of comparing it")
	scriptFlag = flag.String("script", "", "play this file, and no other")
)

// TestScripts plays every script, each on a stage of its own.
func TestScripts(t *testing.T) {
	paths := scripts(t)
	if *scriptFlag != "" {
		paths = []string{*scriptFlag}
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(path, ".txt"), func(t *testing.T) {
			if *lanesFlag {
				draw(t, path)
				return
			}
			p := newPlayer()
			datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
				return p.play(t, d)
			})
			require.NotNil(t, p.Stage, "a script begins with the command cluster")
			if failure := p.Stage.Finish(); failure != nil {
				t.Fatalf("after the script, when all faults end: %v", failure)
			}
		})
	}
}

// draw plays a script and shows it as a diagram. It fails if a promise is broken.
func draw(t *testing.T, path string) {
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	diagram, failure := sim.ParseScript(string(text)).Lanes(true)
	fmt.Println(diagram)
	if failure != nil {
		t.Error(failure)
	}
}

// TestEveryScriptCanBeDrawn: whoever draws a script sees the play that its transcript tells of.
func TestEveryScriptCanBeDrawn(t *testing.T) {
	for _, path := range scripts(t) {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		script := sim.ParseScript(string(text))
		diagram, failure := script.Lanes(true)
		require.Nil(t, failure, path)
		assert.Contains(t, diagram, fmt.Sprintf("\n%3d ", len(script)-1), "%s: the last step", path)
		for line := range strings.Lines(diagram) {
			assert.LessOrEqual(t, utf8.RuneCountInString(strings.TrimSuffix(line, "\n")), 100, "%s: %s", path, line)
		}
	}
}

func scripts(t *testing.T) []string {
	paths, err := filepath.Glob("[0-9]*/*.txt")
	require.NoError(t, err)
	return paths
}

// TestEveryScriptSaysWhatToLookAt: a script opens with prose. The folders and the files in
// them are numbered in the order in which they are best read.
func TestEveryScriptSaysWhatToLookAt(t *testing.T) {
	before := ""
	number := 0
	for _, path := range scripts(t) {
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.True(t, strings.HasPrefix(string(data), "# "), "%s opens without a word", path)
		folder, name := filepath.Split(path)
		if number++; folder != before {
			number, before = 1, folder
		}
		assert.True(t, strings.HasPrefix(name, fmt.Sprintf("%02d-", number)), "%s: the next number in %s is %02d", path, folder, number)
	}
}

// TestEveryTranscriptIsAScript: a file that is in no numbered folder would be played by
// nobody, and -rewrite would leave it alone without a word.
func TestEveryTranscriptIsAScript(t *testing.T) {
	played := scripts(t)
	require.NoError(t, filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if filepath.Ext(path) == ".txt" {
			assert.Contains(t, played, path, "it belongs into a folder as 99-mine, as 01-try.txt")
		}
		return err
	}))
}

// TestNoScriptHasAMistake: wrong use is told in the transcript, and -rewrite takes it down
// like all that is told. A script that keeps it shows something other than it says.
func TestNoScriptHasAMistake(t *testing.T) {
	for _, path := range scripts(t) {
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		for line := range strings.Lines(string(data)) {
			assert.False(t, sim.WasNoUse(line), "%s: %s", path, line)
		}
	}
}
