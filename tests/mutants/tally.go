package main

import (
	"fmt"
	"strings"
)

// tally counts which engines killed how many mutants. That all are killed says little of an
// engine that stands behind five others.
type tally struct {
	mutants int
	by      map[string]int // the names of engines
	chance  int            // by worlds or exploration: nobody had the rule in mind
}

func (t *tally) add(verdicts []verdict) {
	if t.by == nil {
		t.by = map[string]int{}
	}
	t.mutants++
	chance := false
	for _, v := range verdicts {
		if v.killed() {
			t.by[v.engine]++
			chance = chance || v.engine == "simulator" || v.engine == "exploration"
		}
	}
	if chance {
		t.chance++
	}
}

func (t *tally) String() string {
	var parts []string
	for _, e := range engines {
		parts = append(parts, fmt.Sprintf("%s %d", e.name, t.by[e.name]))
	}
	return fmt.Sprintf("each engine for itself, of %d: %s; simulator or exploration: %d (%d %%)",
		t.mutants, strings.Join(parts, ", "), t.chance, 100*t.chance/max(1, t.mutants))
}
