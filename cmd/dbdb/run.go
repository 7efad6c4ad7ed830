package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"

	"dbdb/raft/wal"
)

// Exit codes.
const (
	exitOK      = 0
	exitFailure = 1 // at run time: a disk error, a join that timed out
	exitUsage   = 2
	exitData    = 3 // the data directory: locked, not permitted, another node's or cluster's
	exitCorrupt = 4 // damage was found
	exitListen  = 5 // an address is in use
)

// Exit codes of the commands that talk to a node. 0, 1 and 2 are as above.
const (
	exitNotFound = 3 // there is no such key
	exitUnknown  = 4 // nobody can say whether it was done
)

// run is main without the process around it: it returns the exit code.
func run(ctx context.Context, args, env []string, stdout, stderr io.Writer) int {
	err := dispatch(ctx, args, newEnvironment(env), stdout, stderr)
	if err == nil {
		return exitOK
	}
	fmt.Fprintf(stderr, "dbdb: %v\n", err)
	if u, ok := errors.AsType[*usageError](err); ok {
		fmt.Fprintln(stderr, u.hint)
	}
	return exitCode(err)
}

func dispatch(ctx context.Context, args []string, env environment, stdout, stderr io.Writer) error {
	if !runsNode(args) {
		return runCommand(ctx, args, env, stdout)
	}
	o, err := parseOptions(args, env)
	switch {
	case err != nil:
		return err
	case o.help:
		_, err = io.WriteString(stdout, usage())
		return err
	case o.version:
		_, err = fmt.Fprintln(stdout, version())
		return err
	}
	return serve(ctx, o, newLogger(stderr, o))
}

// runsNode says whether a command line is that of a node, not of a client.
func runsNode(args []string) bool { return len(args) == 0 || strings.HasPrefix(args[0], "-") }

// version says which build this is. Without a version control system there is only
// the Go version to tell.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "dbdb"
	}
	v := "dbdb " + info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			v += " " + s.Value
		}
	}
	return v + " " + info.GoVersion
}

// usageError is a command line that makes no sense, and where to read how it does.
type usageError struct{ text, hint string }

func (e *usageError) Error() string { return e.text }

// exitError is an error with an exit code of its own.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

func exit(code int, format string, args ...any) error {
	return &exitError{code, fmt.Errorf(format, args...)}
}

func exitCode(err error) int {
	if e, ok := errors.AsType[*exitError](err); ok {
		return e.code
	}
	if _, ok := errors.AsType[*usageError](err); ok {
		return exitUsage
	}
	if _, ok := errors.AsType[*wal.CorruptError](err); ok {
		return exitCorrupt
	}
	if isDataError(err) {
		return exitData
	}
	return exitFailure
}

// isDataError says that the data directory cannot be used as it is.
func isDataError(err error) bool {
	_, locked := errors.AsType[*wal.LockedError](err)
	_, mismatch := errors.AsType[*wal.MismatchError](err)
	_, format := errors.AsType[*wal.FormatError](err)
	_, access := errors.AsType[*wal.AccessError](err)
	return locked || mismatch || format || access
}
