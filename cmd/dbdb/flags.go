package main

import (
	"fmt"
	"slices"
	"strings"
)

// flagSpec is one flag, which is also an environment variable: --raft-port is
// DBDB_RAFT_PORT.
type flagSpec struct {
	name  string
	value string // what stands for the value in the usage text; "" for a switch
	help  string
	noEnv bool // only a flag
	set   func(value string) error
}

func (f flagSpec) env() string {
	return "DBDB_" + strings.ToUpper(strings.ReplaceAll(f.name, "-", "_"))
}

// String is the flag as it is typed.
func (f flagSpec) String() string {
	if len(f.name) == 1 {
		return "-" + f.name
	}
	return "--" + f.name
}

// parseFlags reads a command line: --name value, --name=value, and --name for a
// switch; one dash will do. It is not package flag, which stops at the first word
// that is no flag and ignores all after it, so that "--bootstrap true --join x"
// would lose its --join.
//
// It returns the names that were given.
func parseFlags(specs []flagSpec, args []string) ([]string, error) {
	return parse(specs, args, leftover)
}

// parseWords reads the command line of a command that takes words beside its flags. After
// -- all are words: a key or a value may begin with a dash.
func parseWords(specs []flagSpec, args []string) (words, given []string, err error) {
	args, rest := args, []string(nil)
	if end := slices.Index(args, "--"); end >= 0 {
		args, rest = args[:end], args[end+1:]
	}
	given, err = parse(specs, args, func(arg string, _ []flagSpec, _ []string) error {
		words = append(words, arg)
		return nil
	})
	return append(words, rest...), given, err
}

// parse gives what belongs to no flag to word.
func parse(specs []flagSpec, args []string, word func(arg string, specs []flagSpec, given []string) error) ([]string, error) {
	var given []string
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		name, value, hasValue := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(arg, "-"), "-"), "=")
		if arg == name || name == "" || !strings.HasPrefix(arg, "-") {
			if err := word(arg, specs, given); err != nil {
				return nil, err
			}
			continue
		}
		spec, err := find(specs, name)
		switch {
		case err != nil:
			return nil, err
		case slices.Contains(given, spec.name):
			return nil, misuse("%v is given twice", spec)
		case !hasValue && spec.value == "":
			value = "true"
		case !hasValue && len(args) == 0:
			return nil, misuse("%v needs a value: %v %s", spec, spec, spec.value)
		case !hasValue:
			value, args = args[0], args[1:]
		}
		if err := spec.set(value); err != nil {
			return nil, misuse("invalid value %q for %v: %v", value, spec, err)
		}
		given = append(given, spec.name)
	}
	return given, nil
}

func find(specs []flagSpec, name string) (flagSpec, error) {
	if name == "h" {
		name = "help"
	}
	at := slices.IndexFunc(specs, func(s flagSpec) bool { return s.name == name })
	if at < 0 {
		dashes := "--"
		if len(name) == 1 {
			dashes = "-"
		}
		return flagSpec{}, misuse("unknown flag %s%s", dashes, name)
	}
	return specs[at], nil
}

// leftover refuses a word that belongs to no flag: a node takes none.
func leftover(arg string, specs []flagSpec, given []string) error {
	if len(given) > 0 {
		last, err := find(specs, given[len(given)-1])
		if err == nil && last.value == "" {
			return misuse("unexpected argument %q (write %v, or %v=true)", arg, last, last)
		}
	}
	return misuse("unexpected argument %q", arg)
}

func misuse(format string, args ...any) error {
	return &usageError{fmt.Sprintf(format, args...), shortUsage}
}

// parseEnv sets what the command line did not give from the environment. An empty
// variable counts as not set: Compose files have no other way to leave one out.
func parseEnv(specs []flagSpec, given []string, env environment) error {
	for _, spec := range specs {
		value := env[spec.env()]
		if spec.noEnv || value == "" || slices.Contains(given, spec.name) {
			continue
		}
		if err := spec.set(value); err != nil {
			return misuse("invalid value %q for %s: %v", value, spec.env(), err)
		}
	}
	return nil
}

// environment is the variables of the process that begin with DBDB_.
type environment map[string]string

func newEnvironment(env []string) environment {
	e := environment{}
	for _, line := range env {
		if name, value, ok := strings.Cut(line, "="); ok && strings.HasPrefix(name, "DBDB_") {
			e[name] = value
		}
	}
	return e
}

// unknown lists the variables that nothing reads: a typo would otherwise be silent.
func (e environment) unknown(specs []flagSpec) []string {
	known := []string{clientAddressEnv}
	for _, spec := range specs {
		if !spec.noEnv {
			known = append(known, spec.env())
		}
	}
	var unknown []string
	for name := range e {
		if !slices.Contains(known, name) {
			unknown = append(unknown, name)
		}
	}
	slices.Sort(unknown)
	return unknown
}
