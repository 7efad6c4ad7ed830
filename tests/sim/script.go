package sim

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cockroachdb/datadriven"
)

// Script is a play that is written down: a command a line, in the language of tests/scripts.
// The first command is cluster. A command that cannot be carried out, because the script was
// shortened and what it speaks of never happens, does nothing.
type Script []string

// Player plays a script, a command at a time.
type Player struct {
	Stage *Stage // once there was a command cluster
	Tell  func(line string)
	Watch func(Happening)
	Step  func(line string) // a command begins
	Spec  bool              // hold every step to the specification
}

// Do carries out a command and returns what it answers, if it is one that asks. What happens
// is told to Tell and Watch. A mistake is answered with what is wrong.
func (p *Player) Do(line string) string {
	if p.Step != nil {
		p.Step(line)
	}
	name, args, err := datadriven.ParseLine(line)
	if err != nil {
		return mistake + err.Error()
	}
	return p.Command(name, args)
}

const noCluster = "a script begins with the command cluster"

// mistake begins the answer to a command that was wrong.
const mistake = "error: "

// WasNoUse says that a command did not do what its author meant: there is no such command, or
// no such message.
func WasNoUse(answer string) bool {
	return strings.HasPrefix(answer, mistake) || strings.Contains(answer, noSuchMessage)
}

// Command is Do for a line that was taken apart already.
func (p *Player) Command(name string, args []datadriven.CmdArg) (answer string) {
	defer func() {
		switch caught := recover().(type) {
		case nil:
		case usage:
			answer = mistake + string(caught)
		default:
			panic(caught)
		}
	}()
	c := scriptLine{name: name}
	for _, a := range args {
		c.args = append(c.args, arg{a.Key, a.Vals})
	}
	if c.name == "cluster" {
		o := c.options()
		o.Tell, o.Watch, o.Spec = p.Tell, p.Watch, o.Spec || p.Spec
		p.Stage = NewStage(o)
		return p.Stage.Logs()
	}
	if p.Stage == nil {
		bad(noCluster)
	}
	c.servers = p.Stage.Servers()
	return p.command(c)
}

// Play plays a script on a stage of its own, to the end or to the first broken promise, which
// it returns. With finish, all faults end after the last command, and the cluster has to recover.
func (s Script) Play(finish bool) *Failure {
	p := &Player{}
	s.perform(p)
	return p.end(finish)
}

// perform carries out the commands until a promise is broken, and says how many it were.
func (s Script) perform(p *Player) (commands int) {
	for _, line := range s {
		if p.failed() {
			break
		}
		p.Do(line)
		commands++
	}
	return commands
}

func (p *Player) failed() bool { return p.Stage != nil && p.Stage.Failure() != nil }

// end ends a play that was performed.
func (p *Player) end(finish bool) *Failure {
	switch {
	case p.Stage == nil:
		return nil
	case finish && !p.failed():
		return p.Stage.Finish()
	}
	p.Stage.Abandon()
	return p.Stage.Failure()
}

// String is the script as a file for tests/scripts, without what happens.
func (s Script) String() string {
	var b strings.Builder
	for _, line := range s {
		fmt.Fprintf(&b, "%s\n----\n\n", line)
	}
	return b.String()
}

func commandName(line string) string {
	name, _, _ := strings.Cut(line, " ")
	return name
}

func isCluster(line string) bool { return commandName(line) == "cluster" }

// singly is the same script with each message that arrives in a command of its own.
func (s Script) singly() Script { return slices.Concat(s.arrivals()...) }

// arrivals are, for each command, those that make the same messages arrive one by one; any
// other command stands for itself.
func (s Script) arrivals() [][]string {
	var all [][]string
	p := &Player{}
	for _, line := range s {
		if p.failed() {
			break
		}
		var single []string
		if name := commandName(line); name != "deliver" && name != "settle" {
			single = []string{line}
			p.Do(line)
		} else {
			p.Stage.arriving = func(which Select) { single = append(single, "deliver "+which.String()) }
			p.Do(line)
			p.Stage.arriving = nil
		}
		all = append(all, single)
	}
	p.end(false)
	return all
}

// ParseScript reads the commands of a file of tests/scripts. What is told quietly there is
// told here as all else is, and commands that only look are left out.
func ParseScript(text string) Script {
	var s Script
	output := false
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case line == "----":
			output = true
		case line == "":
			output = false
		case output || strings.HasPrefix(line, "#") || line == "quietly" || slices.Contains(looks, commandName(line)):
		default:
			s = append(s, strings.TrimSuffix(line, " quietly"))
		}
	}
	return s
}
