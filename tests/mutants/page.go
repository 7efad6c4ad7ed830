package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// page shows one mutant as an exercise: the rule, how it is broken, what would be seen of it;
// the shortest script that chance finds to break a promise, drawn with a lane for each server;
// and the line that plays it again. If chance finds none, the numbered script that tells of
// the rule is drawn.
func page(name string, budget time.Duration) error {
	m, err := one(name)
	if err != nil {
		return err
	}
	b, err := prepare(m, budget)
	if err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	fmt.Printf("%s\n\n", m.patch)
	file, err := b.counterexample()
	if err != nil {
		return err
	}
	if file == "" {
		return b.drawItsScript()
	}
	out, err := b.draw(file)
	if err != nil {
		return err
	}
	fmt.Print(out.text)
	if !out.failed {
		return fmt.Errorf("%s breaks no promise when it is played again", file)
	}
	if err := soundly(file); err != nil {
		return err
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	fmt.Printf("As a script of tests/scripts, in %s:\n\n%s", file, text)
	fmt.Printf("The code as it is breaks no promise in it.\nto play it again: go run ./tests/mutants -play %s %s\n", file, m.name)
	return nil
}

// soundly makes sure that a script breaks no promise on the code as it is: then it would say
// nothing of the mutant, and something of dbdb.
func soundly(file string) error {
	b, err := prepare(mutant{}, 0)
	if err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	out, err := b.draw(file)
	if err == nil && out.failed {
		err = fmt.Errorf("%s breaks a promise without the patch, too:\n%s", file, out.text)
	}
	return err
}

// play draws a script as it goes on a mutant.
func play(name, file string) error {
	m, err := one(name)
	if err != nil {
		return err
	}
	b, err := prepare(m, 0)
	if err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	out, err := b.draw(file)
	fmt.Print(out.text)
	return err
}

func one(name string) (mutant, error) {
	mutants, err := load("tests/mutants", []string{name})
	if err != nil {
		return mutant{}, err
	}
	return mutants[0], nil
}

// counterexample looks for a schedule that breaks a promise, for half of the budget, and then
// for a world, for a quarter. It returns the file of what that was shrunk to; "" if there was none.
func (b *bench) counterexample() (string, error) {
	dir := filepath.Join(os.TempDir(), "dbdb-mutants")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	file := filepath.Join(dir, b.name+".txt")
	if err := os.RemoveAll(file); err != nil {
		return "", err
	}
	fmt.Println("Schedules are drawn at random; the shortest of the first few that break a promise is shown …")
	found, err := b.shrunkBy("TestSchedulesDrawnAtRandom", file, b.budget/2)
	if err != nil || found {
		return file, err
	}
	fmt.Println("None did. Worlds are left to chance, until one does that can be played by hand …")
	if found, err = b.shrunkBy("TestSim", file, b.budget/4); err != nil || found {
		return file, err
	}
	return "", nil
}

// enough scripts are found before the shortest is shown: a broken rule has consequences far
// away, and the way there is longer.
const enough = 3

// shrunkBy lets a test look for scripts that break a promise, and keeps the shortest.
func (b *bench) shrunkBy(test, file string, budget time.Duration) (found bool, err error) {
	const seeds = 200
	trial, best, finds := filepath.Join(b.dir, "trial.txt"), 0, 0
	for from, cpu := 1, time.Duration(0); cpu < budget && finds < enough; {
		o, err := b.test("tests/sim", "-test.run=^"+test+"$", fmt.Sprint("-from=", from), fmt.Sprint("-seeds=", seeds), "-failures=1", "-shrunk="+trial)
		if err != nil {
			return false, err
		}
		cpu += o.cpu
		if from += seeds; !o.failed {
			continue
		}
		what, seed, _, err := firstFailure(o.text)
		if err != nil {
			return false, err
		}
		if n, err := strconv.Atoi(seed); err == nil {
			from = n + 1
		}
		text, err := os.ReadFile(trial)
		if err != nil {
			continue // what failed cannot be played by hand
		}
		finds++
		steps := strings.Count(string(text), "\n----\n") - 1
		fmt.Printf("  %s: seed %s of %s, after %.1f CPU-seconds; %s to %d steps\n", what, seed, test, cpu.Seconds(), shrunk.FindString(o.text), steps)
		if best == 0 || steps < best {
			best = steps
			if err := os.WriteFile(file, text, 0o644); err != nil {
				return false, err
			}
		}
		if err := os.Remove(trial); err != nil {
			return false, err
		}
	}
	fmt.Println()
	return finds > 0, nil
}

// shrunk is how a test says that it made a script shorter.
var shrunk = regexp.MustCompile(`shrunk from \d+ commands`)

// draw plays a script on the mutant, as a diagram.
func (b *bench) draw(file string) (outcome, error) {
	path, err := filepath.Abs(file)
	if err != nil {
		return outcome{}, err
	}
	o, err := b.test("tests/scripts", "-test.run=^TestScripts$", "-lanes", "-script="+path)
	o.text = diagram(o.text)
	return o, err
}

// diagram is what a drawn script prints, without what the test says around it.
func diagram(text string) string {
	text, _, _ = strings.Cut(text, "--- FAIL")
	text, _, _ = strings.Cut(text, "\nPASS\n")
	return text
}

// drawItsScript shows the mutant in the script that tells of its rule.
func (b *bench) drawItsScript() error {
	if b.script == "" {
		fmt.Printf("None did, and no script tells of the rule. Who notices: go run ./tests/mutants -full %s\n", b.name)
		return nil
	}
	files, err := filepath.Glob(filepath.Join("tests/scripts/*/[0-9]*-" + b.script + ".txt"))
	if err != nil || len(files) != 1 {
		return fmt.Errorf("script %q: %v, %w", b.script, files, err)
	}
	fmt.Printf("None did. This is how the script that tells of the rule goes now:\n%s\n\n", files[0])
	out, err := b.draw(files[0])
	if err != nil {
		return err
	}
	fmt.Print(out.text)
	fmt.Printf("\nto play it again: go run ./tests/mutants -play %s %s\n", files[0], b.name)
	fmt.Printf("what it should be: go test ./tests/scripts -run TestScripts/%s -lanes -v\n", numberedName(files[0]))
	return nil
}

// numberedName is how go test names a script: its folder and the number of its file.
func numberedName(file string) string {
	folder, base := filepath.Split(filepath.ToSlash(file))
	number, _, _ := strings.Cut(base, "-")
	return filepath.Base(folder) + "/" + number
}
