package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"dbdb/tests/explore"
)

// exploration visits all states within bounds, level after level, until the budget is used up.
func exploration(b *bench) (verdict, error) {
	v, args := verdict{}, explorerArgs(b.packages(), b.budget)
	for _, l := range explore.Levels {
		if v.cpu >= b.budget {
			break
		}
		o, err := b.test("tests/explore", append(args, "-level="+l.Name)...)
		if err != nil {
			return verdict{}, err
		}
		if v = v.explored(o); v.killed() {
			break
		}
	}
	return v, nil
}

// explorerArgs is how a level is explored. On one core, its share of time is CPU time. A patch
// outside of the core shows when paths are played on a stage, which is slow: few levels end
// there, so all of them get a share, or those of membership and snapshots would never have
// their turn.
func explorerArgs(packages []string, budget time.Duration) []string {
	args, share := []string{"-test.run=^TestExplore$", "-workers=1"}, budget/8
	if !slices.Equal(packages, []string{"raft"}) {
		args, share = append(args, "-stage"), budget/time.Duration(2*len(explore.Levels))
	}
	return append(args, fmt.Sprint("-budget=", share))
}

// brokenLevel is how the explorer tells which promise was broken, in which level, and how many
// states it had visited by then.
var brokenLevel = regexp.MustCompile(`(?m)^([a-z0-9-]+): .*: BROKEN: ([^:\n]+): .*; ([0-9,]+ states), `)

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
		v.what, v.text = strings.TrimSpace(firstLines(o.text, 1)), firstLines(o.text, 60)
	}
	return v
}
