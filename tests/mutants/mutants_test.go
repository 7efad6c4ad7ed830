package main

import (
	"bytes"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const root = "../.."

func needsGit(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("there is no git here to apply a patch with")
	}
}

// Whether a mutant dies takes minutes to find out; that it is one still is seen at once.
func TestEveryPatchAppliesAndChangesOnlyWhatShips(t *testing.T) {
	needsGit(t)
	mutants, err := load(".", nil)
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(mutants), 57)
	same := map[string]string{}
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			assert.Regexp(t, `^[a-z0-9]+(-[a-z0-9]+)+$`, m.name, "words")
			assert.Regexp(t, `Figure \d|§\d|"Why it is safe"`, m.rule, "whose rule is it?")
			if m.script != "" {
				found, err := filepath.Glob(filepath.Join(root, "tests/scripts/*/[0-9]*-"+m.script+".txt"))
				require.NoError(t, err)
				assert.Len(t, found, 1, "script %s", m.script)
			}
			assert.Empty(t, same[m.how], "another mutant is the same")
			same[m.how] = m.name
			dir := t.TempDir()
			require.NoError(t, m.apply(root, dir))
			for _, f := range m.files {
				assert.Regexp(t, `^(raft|raft/\w+|rpc|kvstore|httpapi)/\w+\.go$`, f)
				assert.NotRegexp(t, `_test\.go$`, f)
				shipped, err := os.ReadFile(filepath.Join(root, f))
				require.NoError(t, err)
				broken, err := os.ReadFile(filepath.Join(dir, f))
				require.NoError(t, err)
				assert.NotEqual(t, string(shipped), string(broken))
				_, err = parser.ParseFile(token.NewFileSet(), f, broken, 0)
				assert.NoError(t, err)
			}
		})
	}
}

const patchText = `Rule: Figure 2,
  all of it.
How: it does
  not.
Seen: Nothing works.

--- a/raft/types.go
+++ b/raft/types.go
@@ -1,3 +1,3 @@
-package raft
+package tfar
 
 import (
`

func TestWhatAPatchSays(t *testing.T) {
	m, err := parse("all-wrong", patchText)
	require.NoError(t, err)
	assert.Equal(t, mutant{name: "all-wrong", rule: "Figure 2, all of it.", how: "it does not.", seen: "Nothing works.", patch: patchText, files: []string{"raft/types.go"}}, m)
	assert.Equal(t, []string{"raft"}, m.packages())
}

func TestAPatchMayNameTheScriptThatTellsOfIt(t *testing.T) {
	m, err := parse("all-wrong", strings.Replace(patchText, "works.\n", "works.\nScript: a-word\n", 1))
	require.NoError(t, err)
	assert.Equal(t, "a-word", m.script)
	assert.Equal(t, "Nothing works.", m.seen)
}

func TestAPatchThatSaysTooLittleOrMakesFilesIsRefused(t *testing.T) {
	for _, word := range []string{"Rule: ", "How: ", "Seen: ", "--- a/raft/types.go\n"} {
		_, err := parse("x-y", strings.Replace(patchText, word, "", 1))
		assert.ErrorContains(t, err, "x-y.patch does not open with", word)
	}
	for _, name := range []string{"--- a/raft/types.go", "+++ b/raft/types.go"} {
		_, err := parse("x-y", strings.Replace(patchText, name, name[:4]+"/dev/null", 1))
		assert.Error(t, err, name)
	}
}

func TestAPatchWhoseLinesAreNotThereDoesNotApply(t *testing.T) {
	needsGit(t)
	m, err := parse("all-wrong", patchText)
	require.NoError(t, err)
	require.NoError(t, m.apply(root, t.TempDir()))
	m, err = parse("all-wrong", strings.Replace(patchText, "-package raft", "-package paper", 1))
	require.NoError(t, err)
	assert.ErrorContains(t, m.apply(root, t.TempDir()), "does not apply")
}

func TestAMutantThatIsNotThereIsSaidSo(t *testing.T) {
	_, err := load(".", []string{"figure-8", "figure-9"})
	assert.ErrorContains(t, err, `no mutant "figure-9"`)
}

const reports = `--- FAIL: TestSim (2.00s)
    sim_test.go:150: at 6.656231 s: Leader Completeness: n2 leads term 10 without entry 86@4

        seed 129: 3 nodes
        reproduce: go test ./tests/sim -run TestSim -seed=129 -v
    sim_test.go:150: at 1.000001 s: panic: raft: durable 5 beyond the log's end 4
        goroutine 7 [running]:

        reproduce: go test ./tests/sim -run TestSim -seed=128 -v
    sim_test.go:150: at 2.000000 s: Liveness: no leader

        reproduce: go test ./tests/sim -run TestSim -seed=1000 -v
`

// Two worlds run side by side, and which one fails first depends on the machine.
func TestTheLowestSeedIsTold(t *testing.T) {
	what, seed, text, err := firstFailure(reports)
	require.NoError(t, err)
	assert.Equal(t, "assertion: raft: durable 5 beyond the log's end 4", what)
	assert.Equal(t, "128", seed)
	assert.Contains(t, text, "goroutine 7")
	assert.NotContains(t, text, "Liveness")

	what, seed, _, err = firstFailure(strings.ReplaceAll(reports, "=128", "=2000"))
	require.NoError(t, err)
	assert.Equal(t, []string{"Leader Completeness", "129"}, []string{what, seed})

	what, seed, _, err = firstFailure("=== RUN TestSim\nfatal error: out of memory\n\ngoroutine 1")
	require.NoError(t, err)
	assert.Equal(t, []string{"fatal error: out of memory", ""}, []string{what, seed})
	_, _, _, err = firstFailure("flag provided but not defined: -failures\n")
	assert.ErrorContains(t, err, "not because of an oracle")
}

func TestTestsThatFailedAreNamed(t *testing.T) {
	pattern := `(?m)^--- FAIL: (\S+)`
	assert.Equal(t, "TestA", failedTests(outcome{failed: true, text: "--- FAIL: TestA (0.1s)\n"}, pattern, "").what)
	assert.Equal(t, "TestA and 1 more", failedTests(outcome{failed: true, text: "--- FAIL: TestA (0.1s)\n--- FAIL: TestB (0.1s)\n"}, pattern, "").what)
	assert.Equal(t, "panic: no", failedTests(outcome{failed: true, text: "panic: no\nmore\n"}, pattern, "").what)
	assert.False(t, failedTests(outcome{text: "PASS\n"}, pattern, "").killed())
}

func TestTheScriptThatTellsOfTheRuleIsNamedFirst(t *testing.T) {
	text := "--- FAIL: 01-a/01-x (0s)\n    one\n--- FAIL: 02-b/07-y (0s)\n    two\n"
	v := failedTests(outcome{failed: true, text: text}, `(?m)^--- FAIL: (\S+)`, "y")
	assert.Equal(t, "02-b/07-y and 1 more", v.what)
	assert.Equal(t, "--- FAIL: 02-b/07-y (0s)\n    two\n", v.text)
	assert.True(t, tells(v.what, "y"))
	assert.False(t, tells(v.what, "x"))
	assert.False(t, tells("", "y"))
	assert.False(t, tells("02-b/07-not-y", "y"))
	assert.False(t, tells("y", "y"), "a script has a folder and a place")
}

func TestASurvivorIsToldAndCounted(t *testing.T) {
	var b bytes.Buffer
	table := tabwriter.NewWriter(&b, 0, 0, 1, ' ', 0)
	quiet := verdict{engine: "scripts", cpu: time.Second}
	assert.False(t, tell(table, mutant{name: "a-b"}, []verdict{quiet, quiet}, false))
	assert.True(t, tell(table, mutant{name: "c-d"}, []verdict{quiet, {engine: "simulator", what: "Liveness", seed: "7", cpu: time.Second}}, false))
	require.NoError(t, table.Flush())
	assert.Equal(t, "a-b SURVIVED             2.0 s\nc-d simulator Liveness 7 2.0 s\n", b.String())
}

func TestEachEngineIsCountedForItself(t *testing.T) {
	var each tally
	died := func(names ...string) (verdicts []verdict) {
		for _, e := range engines {
			verdicts = append(verdicts, verdict{engine: e.name})
			if slices.Contains(names, e.name) {
				verdicts[len(verdicts)-1].what = "it broke"
			}
		}
		return verdicts
	}
	each.add(died("scripts", "simulator", "exploration"))
	each.add(died("scripts", "unit tests"))
	each.add(died("exploration"))
	each.add(nil) // its patch did not compile
	assert.Equal(t, "each engine for itself, of 4: scripts 2, schedules 0, unit tests 1, simulator 1, exploration 2, specification 0; simulator or exploration: 2 (50 %)", each.String())
}
