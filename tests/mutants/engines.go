package main

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// engine is one way to find out that a rule is broken.
type engine struct {
	name string
	try  func(*bench) (verdict, error)
}

// The quick ones come first: of most mutants, the table has a row within seconds.
var engines = []engine{
	{"scripts", scripts},
	{"schedules", schedules},
	{"unit tests", unitTests},
	{"simulator", worlds},
	{"exploration", exploration},
	{"specification", specification},
}

// keep leaves only the engines that are named, with commas between them, if any are.
func keep(names string) error {
	if names == "" {
		return nil
	}
	var kept []engine
	for name := range strings.SplitSeq(names, ",") {
		k := slices.IndexFunc(engines, func(e engine) bool { return e.name == name })
		if k < 0 {
			return fmt.Errorf("there is no engine %q", name)
		}
		kept = append(kept, engines[k])
	}
	engines = kept
	return nil
}

// verdict is what an engine found.
type verdict struct {
	engine string
	what   string // the script, oracle or test that failed first; "" if none did
	seed   string
	cpu    time.Duration
	text   string
}

func (v verdict) killed() bool { return v.what != "" }

func (v verdict) String() string {
	switch {
	case !v.killed():
		return "noticed nothing"
	case v.seed != "":
		return fmt.Sprintf("killed it: %s, seed %s", v.what, v.seed)
	}
	return "killed it: " + v.what
}

// scripts asks more than that one fails: the one that tells of the rule has to.
func scripts(b *bench) (verdict, error) {
	o, err := b.test("tests/scripts", "-test.run=^TestScripts$")
	if err != nil {
		return verdict{}, err
	}
	v := failedTests(o, `(?m)^ +--- FAIL: TestScripts/(\S+)`, b.script)
	if b.script != "" && !tells(v.what, b.script) {
		return verdict{}, fmt.Errorf("the script %q tells of the rule, and did not fail: %s", b.script, v)
	}
	return v, nil
}

func unitTests(b *bench) (verdict, error) {
	var sum verdict
	for _, pkg := range b.packages() {
		o, err := b.test(pkg)
		if err != nil {
			return verdict{}, err
		}
		v := failedTests(o, `(?m)^--- FAIL: (\S+)`, "")
		v.cpu += sum.cpu
		if v.killed() {
			return v, nil
		}
		sum = v
	}
	return sum, nil
}

// failedTests names one of the tests that failed, the wanted one or else the first, and
// counts the others. What it printed comes first.
func failedTests(o outcome, pattern, wanted string) verdict {
	v := verdict{cpu: o.cpu}
	if !o.failed {
		return v
	}
	failed := regexp.MustCompile(pattern).FindAllStringSubmatchIndex(o.text, -1)
	if len(failed) == 0 {
		v.what, v.text = strings.TrimSpace(firstLines(o.text, 1)), firstLines(o.text, 60)
		return v
	}
	best := failed[0]
	for _, f := range failed {
		if tells(o.text[f[2]:f[3]], wanted) {
			best = f
			break
		}
	}
	v.what, v.text = o.text[best[2]:best[3]], firstLines(o.text[best[0]:], 60)
	if n := len(failed) - 1; n > 0 {
		v.what += fmt.Sprintf(" and %d more", n)
	}
	return v
}

// tells says whether a script, as it is named by its folder, its place and maybe how many
// others failed, is the one of a name.
func tells(path, name string) bool {
	path, _, _ = strings.Cut(path, " ")
	return name != "" && numbered.MatchString(path) && numbered.ReplaceAllString(path, "") == name
}

var numbered = regexp.MustCompile(`^[^/]+/\d+-`)

// schedules may use an eighth of the budget: whole worlds find more.
func schedules(b *bench) (verdict, error) {
	return b.campaign("^TestSchedulesDrawnAtRandom$", b.budget/8)
}

func worlds(b *bench) (verdict, error) {
	return b.campaign("^TestSim$", b.budget-b.sim)
}

// A campaign is a series of runs, each as long as those before it together, so that a
// mutant that dies soon costs little. None is so long that the simulator would
// ask that everything interesting has happened in it.
const (
	firstCampaign = 50
	maxCampaign   = 1000
)

func (b *bench) campaign(test string, budget time.Duration) (verdict, error) {
	v := verdict{}
	for from, seeds := 1, firstCampaign; v.cpu < budget; from, seeds = from+seeds, min(from+seeds, maxCampaign) {
		o, err := b.test("tests/sim", "-test.run="+test, fmt.Sprint("-from=", from), fmt.Sprint("-seeds=", seeds), "-failures=1", "-shrink=false")
		if err != nil {
			return verdict{}, err
		}
		v.cpu += o.cpu
		b.sim += o.cpu
		if o.failed {
			if v.what, v.seed, v.text, err = firstFailure(o.text); err == nil {
				err = b.isItsOwn(test, v.seed)
			}
			return v, err
		}
	}
	return v, nil
}

// isItsOwn makes sure that a seed does not fail on the code as it is, too: then it would say
// nothing of the mutant, and something of dbdb.
func (b *bench) isItsOwn(test, seed string) error {
	if seed == "" {
		return nil
	}
	o, err := b.sound.test("tests/sim", "-test.run="+test, "-from="+seed, "-seeds=1", "-shrink=false")
	if err == nil && o.failed {
		err = fmt.Errorf("seed %s fails without the patch, too:\n%s", seed, firstLines(o.text, 60))
	}
	return err
}

// report is how the simulator tells a failure: what was promised, and how to see it again.
var report = regexp.MustCompile(`(?s)at \d+\.\d+ s: ([^:\n]+): ([^\n]*).*?reproduce: [^\n]*-(?:seed|from)=(\d+)`)

// crashed is how a process ends that no oracle could save.
var crashed = regexp.MustCompile(`(?m)^(panic|fatal error): .*`)

// firstFailure finds the report with the lowest seed: worlds run side by side.
func firstFailure(text string) (what, seed, report1 string, err error) {
	lowest := uint64(0)
	for _, r := range report.FindAllStringSubmatch(text, -1) {
		n, err := strconv.ParseUint(r[3], 10, 64)
		if err != nil {
			return "", "", "", err
		}
		if what != "" && n > lowest {
			continue
		}
		lowest, what, seed, report1 = n, r[1], r[3], r[0]
		if what == "panic" { // the code's own assertion was quicker than any oracle
			what = "assertion: " + r[2]
		}
	}
	if crash := crashed.FindString(text); what == "" && crash != "" {
		return crash, "", firstLines(text, 60), nil
	}
	if what == "" {
		return "", "", "", errors.New("the simulator failed, but not because of an oracle:\n" + firstLines(text, 60))
	}
	return what, seed, report1, nil
}

// firstLines is the beginning of a text, for people.
func firstLines(text string, n int) string {
	lines := strings.SplitAfterN(text, "\n", n+1)
	if len(lines) > n {
		lines[n] = ""
	}
	return strings.Join(lines, "")
}
