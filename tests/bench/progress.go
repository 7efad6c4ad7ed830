package main

import (
	"fmt"
	"io"
	"os"
	"time"
)

// progress says what is done and how long the rest takes.
type progress struct {
	out      io.Writer
	start    time.Time
	total    int
	done     int
	terminal bool
}

func newProgress(total int) *progress {
	info, err := os.Stderr.Stat()
	return &progress{out: os.Stderr, start: time.Now(), total: total, terminal: err == nil && info.Mode()&os.ModeCharDevice != 0}
}

// begin shows a cell that begins; on a terminal its line is replaced at its end.
func (p *progress) begin(c cell, of int) {
	if p.terminal {
		fmt.Fprintf(p.out, "\r\033[K%s", p.line(c, of, "…"))
	}
}

func (p *progress) end(c cell, of int, took time.Duration, metric string) {
	p.done++
	lead := ""
	if p.terminal {
		lead = "\r\033[K"
	}
	fmt.Fprintf(p.out, "%s%s\n", lead, p.line(c, of, fmt.Sprintf("%s %s (%.0f s)", number(c.Metrics[metric]), metric, took.Seconds())))
}

func (p *progress) line(c cell, of int, rest string) string {
	left := ""
	if p.done > 0 {
		each := time.Since(p.start) / time.Duration(p.done)
		left = fmt.Sprintf(", about %v left", (each * time.Duration(p.total-p.done)).Round(time.Second))
	}
	return fmt.Sprintf("[%d of %d%s] %s %s, repeat %d of %d: %s", p.done, p.total, left, c.Row, c.Peer, c.Repeat, of, rest)
}
