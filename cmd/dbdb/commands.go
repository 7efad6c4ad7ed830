package main

import (
	"context"
	"fmt"
	"io"
	"strings"
)

// command is a word, or two, that may stand where the flags of a node would start.
type command struct {
	name  string
	words string // what it takes beside flags, as <key> [<value>]
	help  string
	// flags names the client's flags that it takes; see client.specs.
	flags []string
	run   func(ctx context.Context, c *client) error
	// offline, instead of run, is a command that talks to no node.
	offline func(c command, args []string, env environment, stdout io.Writer) error
}

// commands are in the order of the usage text. The longer of two names that begin alike
// comes first, so that it is found first.
var commands []command

func init() { // not where it is declared: the usage text, which run may print, reads it
	both := []string{"http", "o"}
	commands = []command{
		{name: "get", words: "<key>", help: "print the value of a key", flags: both, run: get},
		{name: "set", words: "<key> <value>", help: "set a key", flags: both, run: set},
		{name: "del", words: "<key>", help: "delete a key", flags: both, run: del},
		{name: "status", help: "what a node knows of itself and of its cluster", flags: both, run: status},
		{name: "members remove", words: "<name>", help: "remove a member from the cluster", flags: both, run: removeMember},
		{name: "members", help: "list the members of the cluster", flags: both, run: members},
		{name: "transfer", words: "[<name>]", help: "let another member lead", flags: both, run: transfer},
		{name: "health", help: "exit 0 if a node is healthy, and print what it is ready for", flags: both[:1], run: health},
		{name: "recover", help: "when a majority is lost for good: let a stopped node go on alone", offline: recoverCommand},
	}
}

// runCommand finds the command and runs it.
func runCommand(ctx context.Context, args []string, env environment, stdout io.Writer) error {
	for _, c := range commands {
		name := strings.Fields(c.name)
		if len(args) < len(name) || strings.Join(args[:len(name)], " ") != c.name {
			continue
		}
		args = args[len(name):]
		if c.offline != nil {
			return c.offline(c, args, env, stdout)
		}
		return c.runOnline(ctx, args, env, stdout)
	}
	var names []string
	for _, c := range commands {
		names = append(names, c.name)
	}
	return &usageError{fmt.Sprintf("unknown command %q: there are %s", args[0], strings.Join(names, ", ")), helpHint}
}

func (c command) runOnline(ctx context.Context, args []string, env environment, stdout io.Writer) error {
	client := &client{stdout: stdout}
	specs := client.specs(c.flags)
	help, err := client.parse(c, specs, args, env)
	switch {
	case err != nil:
		return c.misused(err)
	case help:
		_, err := io.WriteString(stdout, c.usage(append(specs, helpSpec(&help))))
		return err
	}
	return c.run(ctx, client)
}

// misused gives a bad command line the usage of its command as the hint.
func (c command) misused(err error) error {
	return &usageError{err.Error(), c.usageLine()}
}

func (c command) usageLine() string {
	line := "usage: dbdb " + c.name
	if c.words != "" {
		line += " " + c.words
	}
	if c.offline != nil {
		return line + " --data-dir <path> [--node-id <id>] [--yes]"
	}
	for _, spec := range new(client).specs(c.flags) {
		line += fmt.Sprintf(" [%v %s]", spec, spec.value)
	}
	return line
}

func (c command) usage(specs []flagSpec) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n%s%s.\n\n", c.usageLine(), strings.ToUpper(c.help[:1]), c.help[1:])
	for _, spec := range specs {
		fmt.Fprintf(&b, "  %-20s %s\n", strings.TrimSpace(spec.String()+" "+spec.value), spec.help)
	}
	if c.run != nil {
		b.WriteString("\nExit codes: 0 done, 1 failed, 2 wrong command line, 3 no such key, 4 nobody can say whether it was done.\n")
	}
	return b.String()
}

// fits says whether the command takes so many words.
func (c command) fits(words []string) error {
	kinds := strings.Fields(c.words)
	if len(words) > len(kinds) {
		return fmt.Errorf("unexpected argument %q", words[len(kinds)])
	}
	if len(words) < len(kinds) && !strings.HasPrefix(kinds[len(words)], "[") {
		return fmt.Errorf("%s is missing", kinds[len(words)])
	}
	return nil
}
