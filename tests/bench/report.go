package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// report is the result of a run, as it is written to bench.json.
type report struct {
	Date     string         `json:"date"`
	Command  string         `json:"command"`
	Revision string         `json:"revision"`
	Machine  machine        `json:"machine"`
	Seconds  float64        `json:"seconds"`
	WarmUp   float64        `json:"warmUpSeconds"`
	Keys     int            `json:"keys"`
	Peers    []reportedPeer `json:"peers"`
	Rows     []reportedRow  `json:"rows"`
	Targets  []judgement    `json:"targets"`
	Cells    []cell         `json:"cells"`
}

type reportedPeer struct {
	Name    string `json:"name"`
	About   string `json:"about"`
	Version string `json:"version"`
	Command string `json:"command"`
}

// reportedRow is a table: a line for each size, if there are several, and each peer.
type reportedRow struct {
	Name   string         `json:"name"`
	About  string         `json:"about"`
	Metric string         `json:"metric"`
	Peers  []reportedCell `json:"peers"`
}

type reportedCell struct {
	Size    string            `json:"size,omitempty"`
	Peer    string            `json:"peer"`
	Metrics map[string]spread `json:"metrics"`
	// Ratio is dbdb's metric to this peer's, repeat by repeat.
	Ratio *spread `json:"dbdbRatio,omitempty"`
	Wrong int     `json:"wrong"`
	Error int     `json:"errors"`
}

func (b *bench) report() report {
	r := report{
		Date: b.started.UTC().Format(time.DateTime) + " UTC", Command: strings.Join(os.Args[1:], " "), Revision: revision(),
		Machine: b.machine, Seconds: b.seconds.Seconds(), WarmUp: b.warmUp.Seconds(), Keys: b.keys,
		Cells: b.cells, Targets: judge(b.cells),
	}
	for _, p := range b.peers {
		if command, ok := b.commands[p.name]; ok {
			r.Peers = append(r.Peers, reportedPeer{p.name, p.about, version(b.binaries[p.pkg]), command})
		}
	}
	for _, row := range b.rows {
		r.Rows = append(r.Rows, summarize(row, b.of(row), b.cells, b.keys))
	}
	return r
}

func summarize(r row, peers []peer, cells []cell, keys int) reportedRow {
	about := strings.NewReplacer("KEYS", number(float64(keys)), "TENTH", number(float64(keys/lateShare))).Replace(r.about)
	rr := reportedRow{Name: r.name, About: about, Metric: r.metric}
	for _, s := range r.sizesOf(keys) {
		for _, p := range peers {
			if rc := summarizeLine(r, s.name, p.name, cells); len(rc.Metrics) > 0 {
				rr.Peers = append(rr.Peers, rc)
			}
		}
	}
	return rr
}

func summarizeLine(r row, size, peer string, cells []cell) reportedCell {
	rc := reportedCell{Size: size, Peer: peer, Metrics: map[string]spread{}}
	for _, metric := range columns {
		var all []float64
		for _, v := range values(cells, r.name, size, peer, metric) {
			all = append(all, v)
		}
		if len(all) > 0 {
			rc.Metrics[metric] = spreadOf(all)
		}
	}
	for _, c := range cells {
		if c.Row == r.name && c.Size == size && c.Peer == peer {
			rc.Error += c.Errors
			for _, n := range c.Wrong {
				rc.Wrong += n
			}
		}
	}
	ours, theirs := values(cells, r.name, size, "dbdb", r.metric), values(cells, r.name, size, peer, r.metric)
	if q := ratios(ours, theirs); peer != "dbdb" && len(q) > 0 {
		s := spreadOf(q)
		rc.Ratio = &s
	}
	return rc
}

// label is what stands before the line: only dbdb has sizes.
func (c reportedCell) label() string { return cmp.Or(c.Size, c.Peer) }

// wrong is an error if an answer was wrong, or was missing where none should: then the
// figures beside it mean nothing.
func (r report) wrong() error {
	var all []error
	for _, c := range r.Cells {
		if c.Errors > 0 || len(c.Wrong) > 0 {
			all = append(all, fmt.Errorf("%s: %d errors, wrong answers: %v: %s", c, c.Errors, c.Wrong, c.First))
		}
	}
	return errors.Join(all...)
}

func (r report) save(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	data, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	var text, picture strings.Builder
	r.writeText(&text)
	r.writeSVG(&picture)
	return errors.Join(
		os.WriteFile(filepath.Join(dir, "bench.json"), append(data, '\n'), 0o644),
		os.WriteFile(filepath.Join(dir, "bench.txt"), []byte(text.String()), 0o644),
		os.WriteFile(filepath.Join(dir, "bench.svg"), []byte(picture.String()), 0o644),
	)
}

// caveats are what a reader of the figures must know.
const caveats = `The servers and the load share this machine's cores, over loopback and one disk: rates are mostly the
inverse of all CPU time per operation. All clients are on the leader. Flushes, and what is written, are counted by
the kernel for the whole disk, whoever asks for them, journals included. VmRSS is a mean over a peer's servers.
`

func (r report) writeText(w io.Writer) {
	fmt.Fprintf(w, "\ndbdb %s, %s\n%s\nbench %s\n", r.Revision, r.Date, r.Machine, r.Command)
	fmt.Fprintf(w, "%g s after a warm-up of %g s, fresh servers each time; median (min–max)\n%s", r.Seconds, r.WarmUp, caveats)
	for _, p := range r.Peers {
		fmt.Fprintf(w, "\n%s: %s\n    %s\n    %s\n", p.Name, p.About, p.Version, p.Command)
	}
	for _, row := range r.Rows {
		row.write(w)
	}
	if len(r.Targets) == 0 {
		return
	}
	fmt.Fprintf(w, "\nTargets: dbdb to the peer, the median of the repeats; within ±%.0f %% of a target it is a tie\n", tie*100)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "work\tto\ttarget\tratio\t\tverdict")
	for _, j := range r.Targets {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", j.Work, j.Peer, j.Target, number(j.Ratio.Median), j.Ratio.between(), j.Verdict)
	}
	_ = t.Flush()
}

func (row reportedRow) write(w io.Writer) {
	if len(row.Peers) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s: %s\n", row.Name, row.About)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(t, "\t")
	shown := slices.DeleteFunc(slices.Clone(columns), func(metric string) bool {
		return !slices.ContainsFunc(row.Peers, func(c reportedCell) bool { return c.Metrics[metric].N > 0 })
	})
	for _, metric := range shown {
		fmt.Fprintf(t, "%s\t", metric)
	}
	compared := slices.ContainsFunc(row.Peers, func(c reportedCell) bool { return c.Ratio != nil })
	if compared {
		fmt.Fprint(t, "dbdb to it\t")
	}
	fmt.Fprintf(t, "wrong\terrors\n")
	for _, c := range row.Peers {
		fmt.Fprintf(t, "%s\t", c.label())
		for _, metric := range shown {
			fmt.Fprintf(t, "%s\t", c.Metrics[metric])
		}
		switch {
		case c.Ratio != nil:
			fmt.Fprintf(t, "%s\t", c.Ratio)
		case compared:
			fmt.Fprint(t, "–\t")
		}
		fmt.Fprintf(t, "%d\t%d\n", c.Wrong, c.Error)
	}
	_ = t.Flush()
}

func (s spread) String() string {
	switch {
	case s.N == 0:
		return "–"
	case s.N == 1:
		return number(s.Median)
	}
	return number(s.Median) + " " + s.between()
}

func (s spread) between() string {
	if s.N < 2 {
		return ""
	}
	return "(" + number(s.Min) + "–" + number(s.Max) + ")"
}

// number has three digits that count, and commas where there are many.
func number(v float64) string {
	switch {
	case v == 0:
		return "0"
	case math.Abs(v) < 10:
		return fmt.Sprintf("%.2f", v)
	case math.Abs(v) < 100:
		return fmt.Sprintf("%.1f", v)
	}
	digits := fmt.Sprintf("%.0f", v)
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return digits
}
