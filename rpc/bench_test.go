package rpc

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"dbdb/raft"
)

// A call carries 0 (a heartbeat), 1 or 64 entries of 128 bytes. With 64 calls outstanding, frames share system calls
// in both directions.
func BenchmarkAppendEntries(b *testing.B) {
	for _, entries := range []int{0, 1, 64} {
		for _, outstanding := range []int{1, 4, 64} {
			b.Run(fmt.Sprintf("entries=%d/outstanding=%d", entries, outstanding), func(b *testing.B) {
				measure(b, answering{}, entriesOf(entries), outstanding)
			})
		}
	}
}

func entriesOf(n int) raft.AppendEntriesArgs {
	a := heartbeat()
	for i := range n {
		a.Entries = append(a.Entries, raft.Entry{Index: raft.Index(i + 1), Term: 1,
			Kind: raft.EntryCommand, Data: bytes.Repeat([]byte{'x'}, 128)})
	}
	return a
}

// countingConn counts its writes, each of which is a system call.
type countingConn struct {
	net.Conn
	writes *atomic.Int64
}

func (c countingConn) Write(p []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(p)
}

type countingListener struct {
	net.Listener
	writes *atomic.Int64
}

func (l countingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	return countingConn{conn, l.writes}, err
}

// measure makes calls over loopback TCP, so many outstanding at a time, all of which
// must succeed. Beside the time it reports the writes per call at both ends: they do
// not depend on what else the machine does.
func measure(b *testing.B, h Handler, a raft.AppendEntriesArgs, outstanding int) {
	var sent, answered, failed atomic.Int64
	l := listenTCP(b)
	serve(b, countingListener{l, &answered}, h)
	opts := patient
	opts.Dial = func(ctx context.Context, addr string) (net.Conn, error) {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "tcp", addr)
		return countingConn{conn, &sent}, err
	}
	c := newClient(b, l.Addr().String(), opts)
	places := make(chan struct{}, outstanding)
	done := func(_ raft.AppendEntriesReply, err error) {
		if err != nil {
			failed.Add(1)
		}
		<-places
	}
	b.ReportAllocs()
	for b.Loop() {
		places <- struct{}{}
		c.AppendEntries(n2, a, done)
	}
	for range outstanding {
		places <- struct{}{}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
	b.ReportMetric(float64(sent.Load())/float64(b.N), "sends/call")
	b.ReportMetric(float64(answered.Load())/float64(b.N), "answers/call")
	if n := failed.Load(); n > 0 {
		b.Fatalf("%d calls failed", n)
	}
}

// groupCommit answers like a follower with a disk: what arrives while it syncs is
// answered together after the next sync.
type groupCommit struct {
	answering
	wake    chan struct{}
	mu      sync.Mutex
	waiting []func(raft.AppendEntriesReply)
}

func (g *groupCommit) AppendEntries(_ raft.AppendEntriesArgs, done func(raft.AppendEntriesReply)) {
	g.mu.Lock()
	g.waiting = append(g.waiting, done)
	g.mu.Unlock()
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

func (g *groupCommit) run(ctx context.Context) {
	for {
		select {
		case <-g.wake:
		case <-ctx.Done():
			return
		}
		time.Sleep(150 * time.Microsecond) // the fsync
		g.mu.Lock()
		batch := g.waiting
		g.waiting = nil
		g.mu.Unlock()
		for _, done := range batch {
			done(raft.AppendEntriesReply{Term: 1, Success: true})
		}
	}
}

func BenchmarkAppendEntriesBehindADisk(b *testing.B) {
	for _, outstanding := range []int{1, 4, 64} {
		b.Run(fmt.Sprintf("outstanding=%d", outstanding), func(b *testing.B) {
			g := &groupCommit{wake: make(chan struct{}, 1)}
			go g.run(b.Context())
			measure(b, g, entriesOf(1), outstanding)
		})
	}
}

func BenchmarkDecodeAppendEntries(b *testing.B) {
	data := EncodeAppendEntriesArgs(nil, sampleAppend())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodeAppendEntriesArgs(data); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncodeAppendEntries(b *testing.B) {
	a := sampleAppend()
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = EncodeAppendEntriesArgs(buf[:0], a)
	}
}
