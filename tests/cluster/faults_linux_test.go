package cluster

import (
	"fmt"
	"sync"
	"syscall"
	"time"

	"github.com/stretchr/testify/require"
)

// kind is one kind of fault. What it breaks is healed when it returns.
type kind struct {
	name string
	do   func()
}

// shortest is how long a fault lasts at least.
const shortest = 400 * time.Millisecond

// longestOf is how long one may last in a run of some duration: a short run has several.
func longestOf(run time.Duration) time.Duration {
	return min(usual, max(run/8, 2*shortest))
}

// usual is how long a fault may last; but some cuts last for up to patientCut, where the
// run is long enough: what a broken connection or a lost election leaves behind must
// not be hidden by the next heal.
const (
	usual      = 4 * time.Second
	patientCut = 20 * time.Second
	enoughFor  = 2 * time.Minute
)

func (n *nemesis) kinds() []kind {
	all := append(n.partitions(), n.crashes()...)
	if n.net.slows != "" {
		all = append(all,
			kind{"slow leader", func() { n.slow(n.leader()) }},
			kind{"slow node", func() { n.slow(n.any()) }})
	}
	if n.net.loses != "" {
		all = append(all, kind{"lossy links", n.lossyLinks})
	}
	return all
}

func (n *nemesis) partitions() []kind {
	cut := func(name string, draw func(links)) kind {
		return kind{name, func() {
			n.cutFor(draw, shortest, n.longest)
			if n.rand.IntN(5) == 0 && n.duration >= enoughFor {
				n.hold(usual, patientCut-usual)
			}
		}}
	}
	all := []kind{
		cut("leader isolated", func(c links) { c.isolate(n.leader()) }),
		cut("node isolated", func(c links) { c.isolate(n.any()) }),
		cut("halves", func(c links) { c.halves(n.order(), len(c)/2) }),
		cut("bridge", func(c links) { c.bridge(n.order()) }),
		cut("leader deaf", func(c links) { c.deaf(n.leader()) }),
		cut("leader mute", func(c links) { c.mute(n.leader()) }),
		cut("node deaf", func(c links) { c.deaf(n.any()) }),
		cut("node mute", func(c links) { c.mute(n.any()) }),
		cut("one link one way", n.oneLinkOneWay),
		cut("many links one way", n.manyLinksOneWay),
		{"moving cuts", n.movingCuts},
		{"kill -9 in a partition", n.killInAPartition},
	}
	if len(n.servers) > 3 { // of three it is the same as a bridge
		all = append(all, cut("majority ring", func(c links) { c.ring(n.order()) }))
	}
	return all
}

func (n *nemesis) cutFor(draw func(links), least, most time.Duration) {
	cut := newLinks(len(n.servers))
	draw(cut)
	n.connect(cut)
	n.hold(least, most)
}

func (n *nemesis) oneLinkOneWay(cut links) {
	pair := n.order()
	cut.oneWay(pair[0], pair[1])
}

func (n *nemesis) manyLinksOneWay(cut links) {
	for from := range cut {
		for to := range cut {
			if from != to && n.rand.IntN(3) == 0 {
				cut.oneWay(from, to)
			}
		}
	}
}

// movingCuts leaves no cut for longer than it takes to elect somebody.
func (n *nemesis) movingCuts() {
	for range 4 + n.rand.IntN(8) {
		draw := []func(links){
			func(c links) { c.isolate(n.any()) },
			func(c links) { c.deaf(n.any()) },
			func(c links) { c.halves(n.order(), len(c)/2) },
			n.manyLinksOneWay,
		}
		n.cutFor(draw[n.rand.IntN(len(draw))], 100*time.Millisecond, 700*time.Millisecond)
	}
}

func (n *nemesis) killInAPartition() {
	draw := []func(links){
		func(c links) { c.isolate(n.leader()) },
		func(c links) { c.halves(n.order(), len(c)/2) },
		func(c links) { c.bridge(n.order()) },
		n.manyLinksOneWay,
	}
	n.cutFor(draw[n.rand.IntN(len(draw))], shortest, n.longest/2)
	victim := n.any()
	if n.rand.IntN(2) == 0 {
		victim = n.leader()
	}
	n.kill(victim)
	n.hold(0, n.longest/4)
	n.cure(victim)
	n.hold(0, n.longest/2)
}

func (n *nemesis) crashes() []kind {
	on := func(name string, draw func() int, do func(int), least, most time.Duration) kind {
		return kind{name, func() {
			do(draw())
			n.hold(least, most)
		}}
	}
	return []kind{
		on("kill -9 of one", n.any, n.kill, 0, n.longest/2),
		on("kill -9 of the leader", n.leader, n.kill, 0, n.longest/2),
		{"kill -9 of all", func() { n.each(n.order(), n.kill) }},
		on("SIGSTOP of one", n.any, n.pause, shortest, n.longest),
		on("SIGSTOP of the leader", n.leader, n.pause, shortest, n.longest),
		{"SIGSTOP of a majority", func() {
			n.each(n.order()[:len(n.servers)/2+1], n.pause)
			n.hold(shortest, n.longest)
		}},
		{"old leader wakes", n.oldLeaderWakes},
		on("SIGTERM of one", n.any, n.terminate, 0, n.longest/4),
		on("SIGTERM of the leader", n.leader, n.terminate, 0, n.longest/4),
	}
}

func (n *nemesis) each(nodes []int, do func(int)) {
	for _, k := range nodes {
		do(k)
	}
}

func (n *nemesis) slow(k int) {
	n.becomes(k, slowed, func() { require.NoError(n.t, n.net.slow(k, n.net.slows)) })
	n.hold(shortest, n.longest)
}

// lossyLinks drops some of what the nodes hear of each other; TCP repairs it, late.
func (n *nemesis) lossyLinks() {
	percent := 2 + n.rand.IntN(20)
	n.each(n.order(), func(k int) {
		n.becomes(k, lossy, func() { require.NoError(n.t, n.net.filter(k, nil, percent)) })
	})
	n.hold(shortest, n.longest)
}

// readsOfTheWoken is how many clients wait for the old leader when it wakes; as many
// ask right after.
const readsOfTheWoken = 4

// oldLeaderWakes stops the leader until another one has acknowledged a write, and reads
// that key from the old one as it wakes: it has not heard yet that its time is over.
func (n *nemesis) oldLeaderWakes() {
	old := n.leader()
	n.pause(old)
	n.woken++
	key := fmt.Sprintf("woken.%d", n.woken)
	n.writeThroughOthers(key, old)

	readers := make([]*client, 2*readsOfTheWoken)
	for k := range readers {
		readers[k] = n.traffic.newClient(n.servers[old])
	}
	answered := make([]bool, len(readers))
	var reading sync.WaitGroup
	read := func(k int) {
		reading.Go(func() {
			answered[k] = readers[k].ask(operation{kind: opGet, key: key}).outcome == done
			readers[k].hangUp()
		})
	}
	for k := range readsOfTheWoken {
		read(k)
	}
	n.hold(0, 20*time.Millisecond)
	n.becomes(old, "", func() { n.signal(old, syscall.SIGCONT) })
	for k := range readsOfTheWoken {
		read(readsOfTheWoken + k)
	}
	reading.Wait()
	for _, yes := range answered {
		if yes {
			n.answers++
		}
	}
}

// writeThroughOthers sets a key until somebody acknowledges it; a majority is there.
func (n *nemesis) writeThroughOthers(key string, except int) {
	begun := time.Now()
	for time.Since(begun) < settleBound {
		for k, c := range n.askers {
			if k != except && c.ask(operation{kind: opSet, key: key}).outcome == done {
				return
			}
		}
	}
	require.Fail(n.t, "no write is acknowledged although a majority is there", "%v after %s was stopped", settleBound, n.servers[except].name)
}
