package main

import (
	"fmt"
	"regexp"
	"time"

	"dbdb/tests/explore"
)

// exploration visits all states within bounds, level after level, until the budget is used
// up; then it plays paths of the sound driver on a stage with what was patched. On one core,
// a level's share of time is CPU time.
func exploration(b *bench) (verdict, error) {
	v := verdict{}
	share := b.budget / 8
	for _, l := range explore.Levels {
		if v.cpu >= b.budget {
			break
		}
		o, err := b.test("tests/explore", "-test.run=^TestExplore$", "-workers=1", "-level="+l.Name, fmt.Sprint("-budget=", share))
		if err != nil {
			return verdict{}, err
		}
		if v = v.explored(o); v.killed() {
			return v, nil
		}
	}
	o, err := b.test("tests/explore", "-test.run=^TestAPathOnAStage", "-test.timeout="+time.Minute.String())
	if err != nil {
		return verdict{}, err
	}
	played := failedTests(o, `(?m)^--- FAIL: (\S+)`, "")
	played.cpu += v.cpu
	return played, nil
}

// brokenLevel is how the explorer tells which promise was broken, in which level, and how many
// states it had visited by then.
var brokenLevel = regexp.MustCompile(`(?m)^([a-z0-9-]+): .*: BROKEN: ([^:\n]+): [^;\n]*; ([0-9,]+ states)`)

// explored adds a level to what was tried.
func (v verdict) explored(o outcome) verdict {
	v.cpu += o.cpu
	if !o.failed {
		return v
	}
	v.text = o.text
	if found := brokenLevel.FindStringSubmatch(o.text); found != nil {
		v.what = fmt.Sprintf("%s (%s after %s)", found[2], found[1], found[3])
	} else {
		v.what, v.text = firstLines(o.text, 1), firstLines(o.text, 60)
	}
	return v
}
