// Command bench measures dbdb beside others: three servers of each on this machine, a load
// whose answers are checked, everything alternating and repeated.
//
//	make bench                               all rows; about an hour
//	make bench ROWS=set64,get64              some
//	make bench ROWS=scale                    dbdb alone, by keys, values, nodes and history
//	go run . -rows set64 -peers dbdb,etcd -repeats 1 -seconds 2
//
// Reading order: row.go (what is measured), peers.go (of whom), bench.go (the order),
// cluster.go and node.go (processes), keys.go (how answers are judged), http.go and etcd.go
// (clients), load.go and work.go (the closed loop); then a file for each kind of row:
// steady.go, kill.go, many.go, late.go, snapshot.go, scale.go, history.go; and targets.go,
// report.go, svg.go.
// The peers that are programs of ours are in peers/.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"time"
)

type options struct {
	rows, peers     string
	repeats         int
	seconds, warmUp time.Duration
	keys            int
	dir, out        string
}

func main() {
	var o options
	flag.StringVar(&o.rows, "rows", "all", "what to measure: "+strings.Join(rowNames(), ", "))
	flag.StringVar(&o.peers, "peers", "all", "of whom: "+strings.Join(peerNames(), ", "))
	flag.IntVar(&o.repeats, "repeats", 3, "how often; the kill of a leader at least ten times, unless this is 1")
	seconds := flag.Float64("seconds", 8, "how long a steady load is measured")
	warmUp := flag.Float64("warmup", 2, "how long it runs before")
	flag.IntVar(&o.keys, "keys", 1_000_000, "how many are many")
	flag.StringVar(&o.dir, "dir", os.TempDir(), "where servers have their data; best on the disk that they would have")
	flag.StringVar(&o.out, "out", "results", "directory for bench.json, bench.txt and bench.svg")
	flag.Parse()
	o.seconds, o.warmUp = seconds2duration(*seconds), seconds2duration(*warmUp)

	// The load shares the cores with the servers: fewer collections, for all peers alike.
	debug.SetGCPercent(400)
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func seconds2duration(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

func run(ctx context.Context, o options) error {
	tmp, err := os.MkdirTemp(o.dir, "dbdb-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	b, err := newBench(ctx, o, tmp)
	if err != nil {
		return err
	}
	runErr := b.run(ctx)
	if len(b.cells) == 0 {
		return runErr
	}
	r := b.report()
	r.writeText(os.Stdout)
	if err := r.save(o.out); err != nil {
		return err
	}
	fmt.Printf("\nwritten: %s, and bench.json and bench.svg beside it\n", filepath.Join(o.out, "bench.txt"))
	if runErr != nil {
		return runErr
	}
	return r.wrong()
}
