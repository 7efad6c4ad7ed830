// Command mutants breaks dbdb on purpose, one rule at a time, and sees whether the tests
// notice. A test that never failed may be one that cannot.
//
//	go run ./tests/mutants                 all of them, and a table at the end
//	go run ./tests/mutants figure-8        one, with what a failure looks like
//	go run ./tests/mutants -full figure-8  also the engines after the first that noticed, and
//	                                       how many each engine killed
//	go run ./tests/mutants -engine schedules,simulator,exploration
//	                                       only these: what chance and search find alone
//	go run ./tests/mutants -page figure-8  as an exercise: a counterexample, found by chance
//	                                       and made as short as it gets, drawn in lanes
//	go run ./tests/mutants -play FILE figure-8
//	                                       how a script goes when the rule is broken
//
// Each NAME.patch beside this file says which rule it breaks, how, and what would be seen
// of it; then comes a diff against the code that ships. It is applied to a copy in a
// temporary directory, which `go test -overlay` takes for the original: nothing in the tree
// changes. These engines try to kill the mutant, each only if those before it did not: the
// scripts of tests/scripts; schedules drawn at random; the unit tests of the package that was
// patched; the worlds of the simulator; the exploration of all states within bounds; and the
// specification, which scripts and worlds are held to once more, and whose own rejection must
// come first. A mutant that survives all of them is a failure, and so is a patch that does not
// apply or compile.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"
)

func main() {
	full := flag.Bool("full", false, "let every engine try, also when one has noticed already")
	only := flag.String("engine", "", "let these engines try, and no others: schedules,simulator,exploration")
	budget := flag.Duration("cpu", 2*time.Minute, "how much CPU time the simulator may spend on a mutant")
	exercise := flag.Bool("page", false, "show the mutant that is named as an exercise")
	file := flag.String("play", "", "draw how this script goes on the mutant that is named")
	flag.Parse()
	var err error
	switch {
	case (*exercise || *file != "") && flag.NArg() != 1:
		err = errors.New("say which mutant: one")
	case *exercise:
		err = page(flag.Arg(0), *budget)
	case *file != "":
		err = play(flag.Arg(0), *file)
	default:
		err = run(flag.Args(), *only, *full, *budget)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

func run(names []string, only string, full bool, budget time.Duration) error {
	if err := keep(only); err != nil {
		return err
	}
	mutants, err := load("tests/mutants", names)
	if err != nil {
		return err
	}
	sound, err := prepare(mutant{}, budget)
	if err != nil {
		return err
	}
	defer os.RemoveAll(sound.dir)
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "mutant\tkilled by\twhat failed\tseed\tCPU")
	failed, each := 0, tally{}
	for k, m := range mutants {
		fmt.Printf("[%d of %d] %s: %s\n", k+1, len(mutants), m.name, m.how)
		if len(names) > 0 {
			fmt.Printf("\n%s\n", m.patch)
		}
		verdicts, err := try(m, sound, full, budget)
		if err != nil {
			fmt.Printf("    FAILED: %v\n", err)
			fmt.Fprintf(table, "%s\tFAILED\t\t\t\n", m.name)
		}
		each.add(verdicts)
		if err != nil || !tell(table, m, verdicts, len(names) > 0) {
			failed++
		}
		if len(names) > 0 {
			fmt.Printf("\nto see it again, or in a debugger: git apply tests/mutants/%s.patch, then what failed; git apply -R undoes it\n", m.name)
		}
	}
	fmt.Println()
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Printf("\n%d of %d mutants were killed\n", len(mutants)-failed, len(mutants))
	if full {
		fmt.Println(&each)
	}
	if failed > 0 {
		return fmt.Errorf("%d survived or could not be tried", failed)
	}
	return nil
}

// try lets the engines at a mutant, until one has killed it or, if full, all of them.
func try(m mutant, sound *bench, full bool, budget time.Duration) (verdicts []verdict, err error) {
	b, err := prepare(m, budget)
	if err != nil {
		return nil, err
	}
	b.sound = sound
	defer func() {
		if left := os.RemoveAll(b.dir); err == nil {
			err = left
		}
	}()
	for _, e := range engines {
		v, err := e.try(b)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.name, err)
		}
		v.engine = e.name
		verdicts = append(verdicts, v)
		fmt.Printf("    %-10s %s (%.1f CPU-seconds)\n", e.name, v, v.cpu.Seconds())
		if v.killed() && !full {
			break
		}
	}
	return verdicts, nil
}

// tell writes the rows of a mutant, one for each engine that killed it, and, if asked,
// what the engines printed. It says whether there was one.
func tell(table *tabwriter.Writer, m mutant, verdicts []verdict, text bool) bool {
	killed, cpu := false, time.Duration(0)
	for _, v := range verdicts {
		cpu += v.cpu
		if !v.killed() {
			continue
		}
		killed = true
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%.1f s\n", m.name, v.engine, v.what, v.seed, cpu.Seconds())
		if text {
			fmt.Printf("\n--- %s\n%s\n", v.engine, strings.TrimRight(v.text, "\n"))
		}
	}
	if !killed {
		fmt.Fprintf(table, "%s\tSURVIVED\t\t\t%.1f s\n", m.name, cpu.Seconds())
	}
	return killed
}
