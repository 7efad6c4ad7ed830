package scripts

import (
	"flag"
	"strings"
	"testing"

	"dbdb/tests/sim"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"
)

var specFlag = flag.Bool("spec", false, "hold every step to the specification, too")

// player plays one script.
type player struct {
	stage *sim.Stage
	lines []string // what happened since the last command
}

// play carries out one command and returns what happened. The word quietly leaves that
// out, for what a script only needs to get to its point, unless it was no use. As a
// command of its own, quietly has a command in each line below it.
func (p *player) play(t *testing.T, d *datadriven.TestData) string {
	if d.Cmd == "quietly" {
		for line := range strings.Lines(d.Input) {
			if out := p.playLine(t, d.Pos, line); wasNoUse(out) {
				return line + out
			}
		}
		return "ok"
	}
	return p.playOne(t, d.Pos, d.Cmd, d.CmdArgs)
}

func (p *player) playLine(t *testing.T, pos, line string) string {
	name, args, err := datadriven.ParseLine(line)
	require.NoError(t, err, pos)
	return p.playOne(t, pos, name, args)
}

func (p *player) playOne(t *testing.T, pos, name string, args []datadriven.CmdArg) string {
	c := command{name: name}
	quiet := false
	for _, a := range args {
		if a.Key == "quietly" {
			quiet = true
			continue
		}
		c.args = append(c.args, arg{a.Key, a.Vals})
	}
	p.lines = nil
	out := p.carryOut(c)
	if p.stage != nil && p.stage.Failure() != nil {
		t.Errorf("%s: %v", pos, p.stage.Failure())
	}
	switch {
	case quiet && !wasNoUse(out):
		return "ok"
	case out == "":
		return "nothing happens"
	}
	return out
}

// wasNoUse says that a command did not do what its author meant: that is told always.
func wasNoUse(out string) bool {
	return strings.HasPrefix(out, "error: ") || strings.Contains(out, noSuchMessage)
}

func (p *player) carryOut(c command) (out string) {
	defer func() {
		switch caught := recover().(type) {
		case nil:
		case usage:
			out = "error: " + string(caught)
		default:
			panic(caught)
		}
	}()
	if c.name == "cluster" {
		o := c.options()
		o.Tell = func(line string) { p.lines = append(p.lines, line) }
		o.Spec = *specFlag
		p.stage = sim.NewStage(o)
		return p.stage.Logs()
	}
	if p.stage == nil {
		bad("a script begins with the command cluster")
	}
	c.servers = p.stage.Servers()
	text := p.command(c)
	return strings.Join(append(p.lines, text), "\n")
}

func TestACommandThatIsNoCommandIsSaidSo(t *testing.T) {
	p := &player{}
	require.Equal(t, "error: a script begins with the command cluster", p.carryOut(command{name: "settle"}))
	require.Contains(t, p.carryOut(command{name: "cluster", args: []arg{{key: "3"}}}), "n1@1      1")
	require.Equal(t, `error: no command "fly"`, p.carryOut(command{name: "fly"}))
	require.Equal(t, `error: "x" is no server`, p.carryOut(command{name: "deliver", args: []arg{{key: "x->n2"}}}))
	require.Equal(t, `error: there is no server "n4"`, p.carryOut(command{name: "timeout", args: []arg{{key: "n4"}}}))
	require.Equal(t, `error: there is no server "n0"`, p.carryOut(command{name: "lose", args: []arg{{key: "n0->"}}}))
	require.Equal(t, "error: set wants more words", p.carryOut(command{name: "set", args: []arg{{key: "n1"}}}))
	require.Nil(t, p.stage.Finish())
}

func TestQuietlyHidesNoMistake(t *testing.T) {
	p := &player{}
	quietly := func(lines string) string {
		return p.play(t, &datadriven.TestData{Cmd: "quietly", Input: lines})
	}
	require.Equal(t, "ok", quietly("cluster 3\ntimeout n1\ndeliver RequestVote n1->n2\n"))
	require.Equal(t, "fly\nerror: no command \"fly\"", quietly("timeout n1\nfly\n"))
	require.Equal(t, "deliver Heartbeat\n"+noSuchMessage, quietly("deliver Heartbeat\n"))
	require.Equal(t, noSuchMessage, p.playLine(t, "", "lose Heartbeat quietly"))
	require.Equal(t, "ok", p.playLine(t, "", "timeout n1 quietly"))
	require.Nil(t, p.stage.Finish())
}
