package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"dbdb/httpapi"
)

// options is what a node is told by its command line and environment.
type options struct {
	nodeID    string
	raftPort  int
	httpPort  int
	bootstrap bool
	join      []string // HTTP addresses, tried in turn

	dataDir       string
	bind          string
	advertiseHost string
	joinTimeout   time.Duration
	logFormat     string
	logLevel      slog.Level

	help, version bool
	unknownEnv    []string
}

const (
	helpHint   = "run 'dbdb --help'"
	shortUsage = "usage: dbdb --node-id <id> --raft-port <port> --http-port <port> [--bootstrap | --join <address>]"
)

// specs are the flags of a node, in the order of the usage text. Those without a
// default and before --bootstrap are required.
func (o *options) specs() []flagSpec {
	return []flagSpec{
		{name: "node-id", value: "<id>", help: "a unique name for this node, such as node1", set: func(v string) error {
			o.nodeID = v
			return matches(v)
		}},
		{name: "raft-port", value: "<port>", help: "the port for the other nodes", set: port(&o.raftPort)},
		{name: "http-port", value: "<port>", help: "the port for clients", set: port(&o.httpPort)},
		{name: "bootstrap", help: "start a new cluster; only for its first node, only needed once", set: boolean(&o.bootstrap)},
		{name: "join", value: "<address>", help: "the HTTP address of a member of the cluster to join, or several\nwith commas; only needed once", set: addresses(&o.join)},
		{name: "data-dir", value: "<path>", help: "where the data is (default ./data/<id>)", set: text(&o.dataDir)},
		{name: "bind", value: "<host>", help: "what both ports listen on (default localhost; 0.0.0.0 is everywhere)", set: host(&o.bind)},
		{name: "advertise-host", value: "<host>", help: "the name under which other nodes reach this one", set: host(&o.advertiseHost)},
		{name: "join-timeout", value: "<duration>", help: "how long --join is tried (default 60s)", set: duration(&o.joinTimeout)},
		{name: "log-format", value: "<format>", help: "text or json (default text)", set: oneOf(&o.logFormat, "text", "json")},
		{name: "log-level", value: "<level>", help: "debug, info, warn or error (default info)", set: level(&o.logLevel)},
		{name: "version", noEnv: true, help: "print the version", set: boolean(&o.version)},
		{name: "help", noEnv: true, help: "print this text", set: boolean(&o.help)},
	}
}

// parseOptions reads the command line, then the environment, then the defaults.
func parseOptions(args []string, env environment) (options, error) {
	o := options{bind: "localhost", joinTimeout: time.Minute, logFormat: "text"}
	specs := o.specs()
	given, err := parseFlags(specs, args)
	if err != nil {
		return o, err
	}
	if o.help || o.version {
		return o, nil
	}
	if err := parseEnv(specs, given, env); err != nil {
		return o, err
	}
	if o.dataDir == "" {
		o.dataDir = "./" + filepath.Join("data", o.nodeID)
	}
	o.unknownEnv = env.unknown(specs)
	return o, o.validate()
}

// validate looks at the options together.
func (o *options) validate() error {
	var missing []string
	for _, required := range []struct {
		flag string
		set  bool
	}{{"--node-id", o.nodeID != ""}, {"--raft-port", o.raftPort != 0}, {"--http-port", o.httpPort != 0}} {
		if !required.set {
			missing = append(missing, required.flag)
		}
	}
	switch {
	case len(missing) > 0:
		return &usageError{"missing required flags: " + strings.Join(missing, ", "), helpHint}
	case o.raftPort == o.httpPort:
		return misuse("--raft-port and --http-port must differ; both are %d", o.raftPort)
	case o.bootstrap && len(o.join) > 0:
		return misuse("--bootstrap and --join cannot be used together (bootstrap starts a new cluster, join enters an existing one)")
	}
	return nil
}

func usage() string {
	var b strings.Builder
	b.WriteString(shortUsage + "\n       dbdb <command> [--http <address>]\n\nA node:\n")
	for _, spec := range new(options).specs() {
		left := "--" + spec.name
		if spec.value != "" {
			left += " " + spec.value
		}
		help := strings.ReplaceAll(spec.help, "\n", "\n"+strings.Repeat(" ", 28))
		fmt.Fprintf(&b, "  %-25s %s\n", left, help)
	}
	b.WriteString("\nCommands, each with --help:\n")
	for _, c := range commands {
		fmt.Fprintf(&b, "  %-25s %s\n", strings.TrimSpace(c.name+" "+c.words), c.help)
	}
	b.WriteString("\nEach flag is also an environment variable: --raft-port is DBDB_RAFT_PORT. The flag wins.\n")
	return b.String()
}

func newLogger(w io.Writer, o options) *slog.Logger {
	opts := &slog.HandlerOptions{Level: o.logLevel}
	if o.logFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}

// matches checks a --node-id: it becomes the name of a directory.
func matches(id string) error {
	if !httpapi.NodeNamePattern.MatchString(id) {
		return errors.New("use 1 to 63 letters, digits, dots, dashes and underscores; the first is a letter or a digit")
	}
	return nil
}

func text(to *string) func(string) error {
	return func(v string) error {
		*to = v
		if v == "" {
			return errors.New("it is empty")
		}
		return nil
	}
}

func port(to *int) func(string) error {
	return func(v string) error {
		n, err := strconv.Atoi(v) // decimal only: nobody means port 0x1F
		if err != nil || n < 1 || n > 65535 || v[0] == '+' {
			return errors.New("it must be a number from 1 to 65535")
		}
		*to = n
		return nil
	}
}

func boolean(to *bool) func(string) error {
	return func(v string) (err error) {
		if *to, err = strconv.ParseBool(v); err != nil {
			return errors.New("it must be true or false")
		}
		return nil
	}
}

func host(to *string) func(string) error {
	return func(v string) error {
		*to = v
		return httpapi.ValidHost(v)
	}
}

func duration(to *time.Duration) func(string) error {
	return func(v string) (err error) {
		if *to, err = time.ParseDuration(v); err != nil || *to <= 0 {
			return errors.New("it must be a positive duration, such as 60s")
		}
		return nil
	}
}

func oneOf(to *string, allowed ...string) func(string) error {
	return func(v string) error {
		if *to = v; !slices.Contains(allowed, v) {
			return fmt.Errorf("use %s", strings.Join(allowed, " or "))
		}
		return nil
	}
}

func level(to *slog.Level) func(string) error {
	return func(v string) error {
		levels := map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}
		l, ok := levels[v]
		if *to = l; !ok {
			return errors.New("use debug, info, warn or error")
		}
		return nil
	}
}

// addresses reads host:port, or a URL of it as people paste it, or several with
// commas.
func addresses(to *[]string) func(string) error {
	return func(v string) error {
		var list []string
		for part := range strings.SplitSeq(v, ",") {
			addr := strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(part), "http://"), "/")
			if err := httpapi.ValidAddress(addr); err != nil {
				return fmt.Errorf("%w, such as localhost:8221", err)
			}
			list = append(list, addr)
		}
		*to = list
		return nil
	}
}
