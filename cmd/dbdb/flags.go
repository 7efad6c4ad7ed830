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

// parseFlags reads a command line: --name value, --name=value, and --name for a
// switch; one dash will do. It is not package flag, which stops at the first word
// that is no flag and ignores all after it, so that "--bootstrap true --join x"
// would lose its --join.
//
// It returns the names that were given.
func parseFlags(specs []flagSpec, args []string) ([]string, error) {
	var given []string
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		name, value, hasValue := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(arg, "-"), "-"), "=")
		if arg == name || name == "" {
			return nil, leftover(arg, specs, given)
		}
		spec, err := find(specs, name)
		switch {
		case err != nil:
			return nil, err
		case slices.Contains(given, spec.name):
			return nil, misuse("--%s is given twice", spec.name)
		case !hasValue && spec.value == "":
			value = "true"
		case !hasValue && len(args) == 0:
			return nil, misuse("--%s needs a value: --%s %s", spec.name, spec.name, spec.value)
		case !hasValue:
			value, args = args[0], args[1:]
		}
		if err := spec.set(value); err != nil {
			return nil, misuse("invalid value %q for --%s: %v", value, spec.name, err)
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
		return flagSpec{}, misuse("unknown flag --%s", name)
	}
	return specs[at], nil
}

// leftover refuses a word that belongs to no flag.
func leftover(arg string, specs []flagSpec, given []string) error {
	if len(given) > 0 {
		last, err := find(specs, given[len(given)-1])
		if err == nil && last.value == "" {
			return misuse("unexpected argument %q (write --%s, or --%s=true)", arg, last.name, last.name)
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
