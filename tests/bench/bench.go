package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// bench is one run.
type bench struct {
	options
	tmp      string // for binaries and data; removed at the end
	rows     []row
	peers    []peer
	binaries map[string]string // by package
	machine  machine
	started  time.Time
	commands map[string]string // a server's command line, by peer
	cells    []cell
	progress *progress
}

// cell is one repeat of one line of a row for one peer.
type cell struct {
	Row     string  `json:"row"`
	Size    string  `json:"size,omitempty"`
	Peer    string  `json:"peer"`
	Repeat  int     `json:"repeat"`
	Metrics metrics `json:"metrics"`
	// Errors are requests that failed where none should, Wrong answers that no correct
	// store gives, by what they were, and First the first of them.
	Errors int            `json:"errors"`
	Wrong  map[string]int `json:"wrong,omitempty"`
	First  string         `json:"first,omitempty"`
}

// String is how a person calls it.
func (c cell) String() string {
	words := []string{c.Row, c.Peer}
	if c.Size != "" {
		words = append(words, c.Size)
	}
	return strings.Join(words, " ") + fmt.Sprintf(", repeat %d", c.Repeat)
}

// values are what a peer reached in a line of a row, by repeat.
func values(cells []cell, row, size, peer, metric string) map[int]float64 {
	found := map[int]float64{}
	for _, c := range cells {
		if v, ok := c.Metrics[metric]; ok && c.Row == row && c.Size == size && c.Peer == peer {
			found[c.Repeat] = v
		}
	}
	return found
}

func newBench(ctx context.Context, o options, tmp string) (b *bench, err error) {
	b = &bench{options: o, tmp: tmp, binaries: map[string]string{}, commands: map[string]string{}, started: time.Now()}
	if b.rows, err = pickRows(o.rows); err != nil {
		return nil, err
	}
	b.peers = peers
	if o.peers != "all" {
		b.peers = nil
		for name := range strings.SplitSeq(o.peers, ",") {
			p, err := peerNamed(name)
			if err != nil {
				return nil, err
			}
			b.peers = append(b.peers, p)
		}
	}
	b.machine = describeMachine(tmp)
	fmt.Fprintln(os.Stderr, b.machine)
	if b.machine.Filesystem == inMemory {
		fmt.Fprintf(os.Stderr, "%s is in memory, where a sync costs nothing: choose another -dir\n", o.dir)
	}
	return b, b.build(ctx)
}

// build builds the binaries that the rows need.
func (b *bench) build(ctx context.Context) error {
	for _, p := range b.peers {
		if b.binaries[p.pkg] != "" || !slices.ContainsFunc(b.rows, func(r row) bool { return slices.Contains(r.peers, p.name) }) {
			continue
		}
		binary := filepath.Join(b.tmp, filepath.Base(p.pkg))
		fmt.Fprintf(os.Stderr, "building %s\n", p.pkg)
		cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", binary, p.pkg)
		if strings.HasPrefix(p.pkg, "./cmd/") {
			cmd.Dir = "../.." // of its own module, with the dependencies that it ships with
		}
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s does not build: %w\n%s", p.pkg, err, out)
		}
		b.binaries[p.pkg] = binary
	}
	return nil
}

// of are the peers of a row that were asked for.
func (b *bench) of(r row) (of []peer) {
	for _, p := range b.peers {
		if slices.Contains(r.peers, p.name) {
			of = append(of, p)
		}
	}
	return of
}

// repeatsOf is one if one is asked for: then somebody only wants to see that it works.
func (b *bench) repeatsOf(r row) int {
	if b.repeats == 1 {
		return 1
	}
	return max(b.repeats, r.repeats)
}

// run measures row by row: all peers once, A B C, then all again. So a machine that gets
// slower does not do so for one peer alone. Each cell has fresh servers.
func (b *bench) run(ctx context.Context) error {
	total := 0
	for _, r := range b.rows {
		total += len(b.of(r)) * len(r.sizesOf(b.keys)) * b.repeatsOf(r)
	}
	b.progress = newProgress(total)
	defer b.progress.close()
	for _, r := range b.rows {
		for repeat := range b.repeatsOf(r) {
			for _, s := range r.sizesOf(b.keys) {
				if err := b.turn(ctx, r, s, repeat+1); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// turn is one repeat of one line of a row, for each peer.
func (b *bench) turn(ctx context.Context, r row, s size, repeat int) error {
	for _, peer := range b.of(r) {
		c := cell{Row: r.name, Size: s.name, Peer: peer.name, Repeat: repeat}
		b.progress.begin(c, b.repeatsOf(r))
		if err := b.measure(ctx, s, peer, &c); err != nil {
			return fmt.Errorf("%s: %w", c, err)
		}
		b.cells = append(b.cells, c)
		b.progress.end(c, r.metric)
	}
	return nil
}

func (b *bench) measure(ctx context.Context, s size, p peer, into *cell) (err error) {
	if s.nodes > 0 {
		p.nodes = s.nodes
	}
	c, err := newCluster(ctx, p, b.binaries[p.pkg], b.tmp)
	if err != nil {
		return err
	}
	defer func() {
		if stopErr := c.stop(); err == nil {
			err = stopErr
		}
	}()
	n := c.nodes[0]
	line := strings.Join(append([]string{filepath.Base(c.binary)}, p.args(c, n)...), " ")
	b.commands[p.name] = strings.ReplaceAll(line, c.dir, "DIR")
	m, failed, err := s.run(ctx, b, c)
	if err != nil && failed.first != nil {
		return fmt.Errorf("%w; before that %v", err, failed)
	}
	if err != nil {
		return err
	}
	into.Metrics, into.Errors, into.Wrong = m, failed.errors, failed.wrong
	if failed.first != nil && (failed.errors > 0 || failed.wrong != nil) {
		into.First = failed.first.Error()
	}
	return nil
}
