package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// mutant is dbdb with one rule broken.
type mutant struct {
	name   string
	rule   string // of the paper, the thesis or DESIGN.md
	how    string // the code no longer keeps it
	seen   string // what somebody would see of that
	script string // of tests/scripts, that tells of the rule; "" if none does
	patch  string // the whole file
	files  []string
}

// load reads the patches of a folder: those that are named, or all.
func load(dir string, names []string) ([]mutant, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.patch"))
	if err != nil {
		return nil, err
	}
	var mutants []mutant
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".patch")
		if len(names) > 0 && !slices.Contains(names, name) {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		m, err := parse(name, string(text))
		if err != nil {
			return nil, err
		}
		mutants = append(mutants, m)
	}
	for _, name := range names {
		if !slices.ContainsFunc(mutants, func(m mutant) bool { return m.name == name }) {
			return nil, fmt.Errorf("there is no mutant %q in %s", name, dir)
		}
	}
	if len(mutants) == 0 {
		return nil, fmt.Errorf("no mutants in %s: run this in the root of the project", dir)
	}
	return mutants, nil
}

var header = regexp.MustCompile(`(?s)^Rule: (.+?)\nHow: (.+?)\nSeen: (.+?)\n(?:Script: (\S+)\n)?\n(--- a/.*)$`)

// patched names the files of a diff. A file that is new or removed has /dev/null on one
// side, so its two names differ.
var patched = regexp.MustCompile(`(?m)^--- (.+)\n\+\+\+ (.+)$`)

func parse(name, text string) (mutant, error) {
	parts := header.FindStringSubmatch(text)
	if parts == nil {
		return mutant{}, fmt.Errorf("%s.patch does not open with Rule, How and Seen, an empty line and a diff", name)
	}
	line := func(s string) string { return strings.Join(strings.Fields(s), " ") }
	m := mutant{name: name, rule: line(parts[1]), how: line(parts[2]), seen: line(parts[3]), script: parts[4], patch: text}
	for _, f := range patched.FindAllStringSubmatch(parts[5], -1) {
		old, isOld := strings.CutPrefix(f[1], "a/")
		now, isNew := strings.CutPrefix(f[2], "b/")
		if !isOld || !isNew || old != now {
			return mutant{}, fmt.Errorf("%s.patch makes, removes or renames a file: %s, %s", name, f[1], f[2])
		}
		m.files = append(m.files, now)
	}
	return m, nil
}

// packages are the folders of the files.
func (m mutant) packages() []string {
	var dirs []string
	for _, f := range m.files {
		if dir := filepath.ToSlash(filepath.Dir(f)); !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// apply puts patched copies of the files into a directory. Lines may have moved since the
// patch was made; what it changes, and what stands around that, must be the same.
func (m mutant) apply(root, dir string) error {
	for _, f := range m.files {
		text, err := os.ReadFile(filepath.Join(root, f))
		if err != nil {
			return err
		}
		to := filepath.Join(dir, f)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(to, text, 0o644); err != nil {
			return err
		}
	}
	git := exec.Command("git", "apply", "--whitespace=nowarn", "-")
	git.Dir = dir
	// Inside of somebody's repository, git would take the paths for that one's.
	git.Env = append(os.Environ(), "GIT_CEILING_DIRECTORIES="+filepath.Dir(dir))
	git.Stdin = strings.NewReader(m.patch)
	if out, err := git.CombinedOutput(); err != nil {
		return fmt.Errorf("the patch does not apply: %s", bytes.TrimSpace(out))
	}
	return nil
}

// prepare makes a bench with the patched files and the overlay that names them. The zero
// mutant has none: that is a bench of the code as it is.
func prepare(m mutant, budget time.Duration) (*bench, error) {
	root, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	dir, err := temporary()
	if err != nil {
		return nil, err
	}
	b := &bench{mutant: m, root: root, dir: dir, budget: budget}
	if len(m.files) > 0 {
		if err := m.apply(root, dir); err != nil {
			return nil, err
		}
	}
	replace := map[string]string{}
	for _, f := range m.files {
		replace[filepath.Join(root, f)] = filepath.Join(dir, f)
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return nil, err
	}
	return b, os.WriteFile(b.overlay(), text, 0o644)
}

func temporary() (string, error) {
	dir, err := os.MkdirTemp("", "mutant")
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(dir) // git compares the ceiling with the true path
}
