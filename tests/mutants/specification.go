package main

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// specification holds scripts and worlds to package spec. It has killed a mutant only if its own
// rejection came first: what an oracle, an assertion or a transcript noticed before does not
// count for it.
func specification(b *bench) (verdict, error) {
	o, err := b.test("tests/scripts", "-test.run=^TestScripts$", "-spec")
	if err != nil {
		return verdict{}, err
	}
	if v := rejectedScript(o); v.killed() {
		return v, nil
	}
	return b.rejectedWorld(o.cpu)
}

// A rejection names the server and what happened, and then the rules that came closest.
var rejection = regexp.MustCompile(`at \d+\.\d+ s: Specification: ([^\n]*)\n(?: *[a-z][^\n]*\n)*? +([A-Zit][^\n]*)`)

// rejectedScript is the first script whose play ended with a rejection.
func rejectedScript(o outcome) verdict {
	v := verdict{cpu: o.cpu}
	for _, part := range strings.SplitAfter(o.text, "--- FAIL: TestScripts/") {
		r := rejection.FindStringSubmatch(part)
		if r == nil {
			continue
		}
		script, _, _ := strings.Cut(part, " ")
		v.what, v.text = script+": "+shorter(r[2]), firstLines(part, 20)
		return v
	}
	return v
}

// rejectedWorld looks for a seed that the specification rejects, with an eighth of the budget:
// what no page of text shows it, chance hardly will.
func (b *bench) rejectedWorld(used time.Duration) (verdict, error) {
	v := verdict{cpu: used}
	for from, seeds := 1, firstCampaign; v.cpu < used+b.budget/8; {
		o, err := b.test("tests/sim", "-test.run=^TestSim$", "-spec", fmt.Sprint("-from=", from), fmt.Sprint("-seeds=", seeds), "-failures=1")
		if err != nil {
			return v, err
		}
		v.cpu += o.cpu
		if !o.failed {
			from, seeds = from+seeds, min(2*seeds, maxCampaign)
			continue
		}
		what, seed, text, err := firstFailure(o.text)
		if err != nil || seed == "" {
			return v, err
		}
		if r := rejection.FindStringSubmatch(text); what == "Specification" && r != nil {
			v.what, v.seed, v.text = shorter(r[2]), seed, text
			return v, nil
		}
		last, err := strconv.Atoi(seed)
		if err != nil {
			return v, err
		}
		from, seeds = last+1, firstCampaign // somebody else was quicker there
	}
	return v, nil
}

// shorter makes a line fit a table.
func shorter(line string) string {
	const most = 100
	if r := []rune(line); len(r) > most {
		return string(r[:most]) + "…"
	}
	return line
}
