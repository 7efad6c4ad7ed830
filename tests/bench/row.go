package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// row is one thing that is measured of several peers.
type row struct {
	name   string
	about  string   // KEYS and TENTH stand for how many are many, and a tenth of it
	metric string   // what is compared
	peers  []string // who can do it
	// repeats is how often at least; some things vary more than others.
	repeats int
	run     measurement
	// sizes are there, instead of run, if the row has a line for each of several.
	sizes func(keys int) []size
}

// measurement is what is done with fresh servers.
type measurement func(ctx context.Context, b *bench, c *cluster) (metrics, failures, error)

// size is one line of a row that shows how costs grow.
type size struct {
	name  string
	nodes int // if not as many as the peer has
	run   measurement
}

// sizesOf are the lines of a row: a single one without a name, if there is nothing to tell
// apart.
func (r row) sizesOf(keys int) []size {
	if r.sizes == nil {
		return []size{{run: r.run}}
	}
	return r.sizes(keys)
}

// metrics are what was measured in one cell, by name.
type metrics map[string]float64

// The metrics.
const (
	rate         = "ops/s"
	throughput   = "MB/s"
	p50          = "p50 ms"
	p99          = "p99 ms"
	p999         = "p99.9 ms"
	serverCPU    = "server CPU µs/op"
	loadCPU      = "load CPU µs/op"
	rss          = "VmRSS MiB/node"
	peakRSS      = "VmHWM MiB/node"
	flushesPerOp = "flushes/op"
	diskPerOp    = "disk KiB/op"
	gap          = "gap ms"
	checked      = "writes read back"
	fillRate     = "fill/s"
	replay       = "entries after the snapshot"
	logFiles     = "log MiB"
	snapFile     = "snapshot MiB"
	restart      = "restart s"
	join         = "join s"
	during       = "p99.9 ms in snapshot"
	otherwise    = "p99.9 ms without"
	slowdown     = "in / without"
	writing      = "snapshot s"
)

// columns are the metrics in the order of the table.
var columns = []string{
	of(set, rate), of(set, throughput), of(set, p50), of(set, p99), of(set, serverCPU), of(set, diskPerOp),
	of(get, rate), of(get, throughput), of(get, p50), of(get, p99), of(get, serverCPU),
	rate, p50, p99, p999, serverCPU, loadCPU, rss, peakRSS, flushesPerOp, diskPerOp,
	gap, checked, fillRate, replay, logFiles, snapFile, restart, join, during, otherwise, slowdown, writing,
}

var rows = slices.Concat(
	loadRows("set", "sets of 100 bytes, 10,000 keys", set, []int{1, 16, 64, 256}, "dbdb", "etcd", "hashicorp", "hashicorp-memory", "floor"),
	loadRows("get", "linearizable gets", get, []int{64, 256}, "dbdb", "etcd", "hashicorp", "floor"),
	loadRows("stale", "gets of what the leader has, without asking the others", getStale, []int{64, 256}, "dbdb", "etcd", "hashicorp", "floor"),
	[]row{{
		name: "kill", about: "kill -9 of the leader, 16 clients: longest time without an acknowledged write", metric: gap,
		peers: []string{"dbdb", "etcd", "hashicorp"}, repeats: 10, run: killLeader,
	}, {
		name: "million", about: "KEYS keys of 32 bytes: memory, and kill -9 of all servers until they serve again", metric: restart,
		peers: []string{"dbdb", "etcd"}, run: restartMany,
	}, {
		name: "join", about: "a fourth server joins and has the first and the last of TENTH keys", metric: join,
		peers: []string{"dbdb", "etcd", "hashicorp"}, run: joinLate,
	}, {
		name: "snapshot", about: "sets while a server writes a snapshot of KEYS keys, and while none does, 64 clients", metric: slowdown,
		peers: []string{"dbdb"}, run: duringSnapshot,
	}},
)

func loadRows(name, about string, o operation, clients []int, peers ...string) (rows []row) {
	for _, n := range clients {
		of := "clients"
		if n == 1 {
			of = "client"
		}
		rows = append(rows, row{
			name: fmt.Sprintf("%s%d", name, n), about: fmt.Sprintf("%s, %d %s", about, n, of), metric: rate, peers: peers,
			run: func(ctx context.Context, b *bench, c *cluster) (metrics, failures, error) {
				return steadyLoad(ctx, b, c, o, n)
			},
		})
	}
	return rows
}

func rowNames() (names []string) {
	for _, r := range slices.Concat(rows, scaleRows) {
		names = append(names, r.name)
	}
	return append(names, "all", "scale")
}

// pickRows finds rows by name, in the order in which they were asked for. "all" are those
// that compare, "scale" those of dbdb alone.
func pickRows(list string) (picked []row, err error) {
	groups := map[string][]row{"all": rows, "scale": scaleRows}
	for _, r := range slices.Concat(rows, scaleRows) {
		groups[r.name] = []row{r}
	}
	for name := range strings.SplitSeq(list, ",") {
		named, ok := groups[name]
		if !ok {
			return nil, fmt.Errorf("no row %q; there are %s", name, strings.Join(rowNames(), ", "))
		}
		picked = append(picked, named...)
	}
	return picked, nil
}
