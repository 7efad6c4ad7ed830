package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// progress says what is done, what is under way, and how long the rest takes. A terminal
// has a line for what is under way; elsewhere each cell gets a line at its end.
type progress struct {
	out      io.Writer
	terminal bool
	start    time.Time
	total    int
	closed   chan struct{}

	mu    sync.Mutex
	done  int
	cell  cell
	of    int // repeats
	began time.Time
	what  string // is under way
	count *atomic.Int64
	upTo  int
}

const redraw = 200 * time.Millisecond

func newProgress(total int) *progress {
	info, err := os.Stderr.Stat()
	p := &progress{out: os.Stderr, start: time.Now(), total: total, closed: make(chan struct{})}
	p.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	if p.terminal {
		go p.draw()
	}
	return p
}

func (p *progress) close() { close(p.closed) }

func (p *progress) draw() {
	ticker := time.NewTicker(redraw)
	defer ticker.Stop()
	for {
		select {
		case <-p.closed:
			return
		case <-ticker.C:
			p.mu.Lock()
			fmt.Fprintf(p.out, "\r\033[K%s: %s, %.0f s", p.line(), p.underWay(), time.Since(p.began).Seconds())
			p.mu.Unlock()
		}
	}
}

// begin notes which cell is measured now, say what is done for it: so much of a total, if
// there is one.
func (p *progress) begin(c cell, of int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cell, p.of, p.began = c, of, time.Now()
	p.what, p.count, p.upTo = "start", nil, 0
}

func (p *progress) say(what string, count *atomic.Int64, upTo int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.what, p.count, p.upTo = what, count, upTo
}

func (p *progress) underWay() string {
	if p.count == nil || p.upTo == 0 {
		return p.what
	}
	return fmt.Sprintf("%s %d %%", p.what, 100*p.count.Load()/int64(p.upTo))
}

func (p *progress) end(c cell, metric string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done++
	if p.terminal {
		fmt.Fprint(p.out, "\r\033[K")
	}
	fmt.Fprintf(p.out, "%s: %s %s, %.0f s\n", p.line(), number(c.Metrics[metric]), metric, time.Since(p.began).Seconds())
}

func (p *progress) line() string {
	left := ""
	if p.done > 0 {
		each := time.Since(p.start) / time.Duration(p.done)
		left = fmt.Sprintf(", about %v left", (each * time.Duration(p.total-p.done)).Round(time.Second))
	}
	return fmt.Sprintf("[%d of %d%s] %s of %d", p.done, p.total, left, p.cell, p.of)
}
