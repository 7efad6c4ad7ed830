// Command dbdb is a node of a replicated key-value store, and a client command
// to look at one.
//
//	dbdb --node-id node1 --raft-port 2221 --http-port 8221 --bootstrap
//	dbdb --node-id node2 --raft-port 2222 --http-port 8222 --join localhost:8221
//
// Reading order: run.go (what is asked for), flags.go and options.go (the command
// line), serve.go (the life of a node), start.go (first start, restart, join),
// join.go, twin.go, load.go, backend.go (the node behind the HTTP API), address.go,
// removal.go, monitor.go, memory.go, slack_linux.go; then the client: commands.go, client.go, and a file for
// each command; and recover.go, the way out when a majority is lost.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	if runsNode(os.Args[1:]) {
		relaxTimers()
	}
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		<-signals
		cancel()
		// Whoever asks twice does not want to wait for requests in flight.
		if s, ok := (<-signals).(syscall.Signal); ok {
			os.Exit(128 + int(s))
		}
	}()
	os.Exit(run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}
