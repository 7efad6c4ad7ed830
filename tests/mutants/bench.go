package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// bench is where one mutant is tried.
type bench struct {
	mutant
	sound  *bench // of the code as it is
	root   string
	dir    string // temporary: the patched files, and test binaries
	budget time.Duration
	sim    time.Duration // CPU time that the simulator has used of it
}

func (b *bench) overlay() string { return filepath.Join(b.dir, "overlay.json") }

// patience bounds how long one command may take by the clock on the wall. A mutant may
// well make something go on for ever.
const patience = 10 * time.Minute

// outcome is what became of one command.
type outcome struct {
	failed bool
	text   string
	cpu    time.Duration
}

// test builds the tests of a package with the patched files, if that was not done yet, and
// runs them. What building costs does not count.
func (b *bench) test(pkg string, args ...string) (outcome, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	binary := filepath.Join(b.dir, filepath.Base(pkg)+".test")
	if _, err := os.Stat(binary); errors.Is(err, fs.ErrNotExist) {
		build := exec.CommandContext(ctx, "go", "test", "-vet=off", "-overlay="+b.overlay(), "-c", "-o", binary, "./"+pkg)
		build.Dir = b.root
		if out, err := build.CombinedOutput(); err != nil {
			return outcome{}, fmt.Errorf("the mutant does not compile: %s", out)
		}
	}
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Dir = filepath.Join(b.root, pkg)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return outcome{}, fmt.Errorf("no end of %s after %v:\n%s", pkg, patience, firstLines(string(out), 40))
	case err != nil && !errors.As(err, &exit):
		return outcome{}, err
	}
	used := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return outcome{failed: err != nil, text: string(out), cpu: used}, nil
}
