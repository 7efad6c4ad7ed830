package cluster

import (
	"fmt"
	"sync"
	"time"
)

// gaps measures the longest time without an acknowledged write: over all, and while a
// majority was connected and alive.
type gaps struct {
	mu             sync.Mutex
	underWay       string // the fault
	over, majority gap
}

type gap struct {
	measured bool
	last     time.Time
	longest  time.Duration
	during   string
}

func (g *gap) lap(now time.Time, during string) {
	if !g.measured {
		return
	}
	if took := now.Sub(g.last); took > g.longest {
		g.longest, g.during = took, during
	}
	g.last = now
}

func (g *gap) String() string {
	return fmt.Sprintf("%v (%s)", g.longest.Round(time.Millisecond), g.during)
}

func (g *gaps) acknowledged() {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	g.over.lap(now, g.underWay)
	g.majority.lap(now, g.underWay)
}

// measure begins with a majority there.
func (g *gaps) measure() {
	now := time.Now()
	g.over, g.majority = gap{measured: true, last: now}, gap{measured: true, last: now}
}

// end ends the measure.
func (g *gaps) end() {
	g.acknowledged()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.over.measured, g.majority.measured = false, false
}

// fault says what is under way; a gap is named by what was when it ended.
func (g *gaps) fault(name string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.underWay = name
}

func (g *gaps) faultNow() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.underWay
}

// majorityIs says whether a majority is connected and alive from now on. A gap ends
// when it goes, and none begins before it is back.
func (g *gaps) majorityIs(there bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if there == g.majority.measured {
		return
	}
	now := time.Now()
	g.majority.lap(now, g.underWay)
	g.majority.measured, g.majority.last = there, now
}
