package explore

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

var (
	levelFlag   = flag.String("level", "", "explore these levels, by name, with commas between them; or all")
	budgetFlag  = flag.Duration("budget", 0, "end each level after so much time, complete or not")
	stageFlag   = flag.Bool("stage", false, "then play a path to each different step of a server on a stage")
	specFlag    = flag.Bool("spec", false, "as -stage, and hold every step of those paths to the specification")
	workersFlag = flag.Int("workers", min(2, runtime.NumCPU()), "how many cores to use")
)

// small are the levels that take no more than seconds.
const small = "elections,late,figure-8"

// TestMain lets garbage lie for longer: little of what a search makes is garbage.
func TestMain(m *testing.M) {
	debug.SetGCPercent(200)
	os.Exit(m.Run())
}

// TestExplore visits all that can happen within small bounds; with -level within others. What
// it prints of a level that is complete is what it has proved.
func TestExplore(t *testing.T) {
	levels, o := *levelFlag, Options{Workers: *workersFlag, Budget: *budgetFlag, Stage: *stageFlag, Spec: *specFlag}
	switch levels {
	case "":
		levels = small
	case "all":
		var all []string
		for _, l := range Levels {
			all = append(all, l.Name)
		}
		levels = strings.Join(all, ",")
	}
	if *levelFlag != "" {
		o.Progress = os.Stderr
	}
	began := time.Now()
	for name := range strings.SplitSeq(levels, ",") {
		l, known := LevelOf(name)
		if !known {
			t.Fatalf("there is no level %q", name)
		}
		r := Explore(l, o)
		if o.Progress != nil {
			fmt.Fprintln(o.Progress, r)
		}
		t.Log(r)
		if r.Broken != "" {
			t.Fatal(explained(r))
		}
		assert.True(t, r.Complete || o.Budget > 0)
		runtime.GC()
	}
	t.Logf("%v in all", time.Since(began).Round(time.Second))
}

// explained is what to do about a broken promise.
func explained(r *Result) string {
	text := fmt.Sprintf("%s\n\nthe shortest way there, as a script for tests/scripts:\n\n%s", r.Broken, r.Script)
	switch {
	case r.Script.Failure != nil:
		text += fmt.Sprintf("\non a stage it breaks: %v", r.Script.Failure)
	case r.Script.Different != "":
		text += "\non a stage, servers are others: " + r.Script.Different
	default:
		text += "\non a stage, no oracle objects"
	}
	return text
}
