package scripts

import (
	"flag"
	"slices"
	"strings"
	"testing"

	"dbdb/tests/sim"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"
)

var specFlag = flag.Bool("spec", false, "hold every step to the specification, too")

// player plays one script.
type player struct {
	sim.Player
	lines []string // what happened since the last command
}

func newPlayer() *player {
	p := &player{}
	p.Tell = func(line string) { p.lines = append(p.lines, line) }
	p.Spec = *specFlag
	return p
}

// play carries out one command and returns what happened. The word quietly leaves that
// out, for what a script only needs to get to its point, unless it was no use. As a
// command of its own, quietly has a command in each line below it.
func (p *player) play(t *testing.T, d *datadriven.TestData) string {
	if d.Cmd == "quietly" {
		for line := range strings.Lines(d.Input) {
			if out := p.playLine(t, d.Pos, line); sim.WasNoUse(out) {
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
	loud := slices.DeleteFunc(slices.Clone(args), func(a datadriven.CmdArg) bool { return a.Key == "quietly" })
	out := p.carryOut(name, loud)
	if p.Stage != nil && p.Stage.Failure() != nil {
		t.Errorf("%s: %v", pos, p.Stage.Failure())
	}
	switch {
	case len(loud) < len(args) && !sim.WasNoUse(out):
		return "ok"
	case out == "":
		return "nothing happens"
	}
	return out
}

func (p *player) carryOut(name string, args []datadriven.CmdArg) string {
	p.lines = nil
	answer := p.Command(name, args)
	if sim.WasNoUse(answer) || name == "cluster" {
		return answer
	}
	return strings.Join(append(p.lines, answer), "\n")
}

func TestACommandThatIsNoCommandIsSaidSo(t *testing.T) {
	p := &sim.Player{}
	require.Equal(t, "error: a script begins with the command cluster", p.Do("settle"))
	require.Contains(t, p.Do("cluster 3"), "n1@1      1")
	require.Equal(t, `error: no command "fly"`, p.Do("fly"))
	require.Equal(t, `error: "x" is no server`, p.Do("deliver x->n2"))
	require.Equal(t, `error: there is no server "n4"`, p.Do("timeout n4"))
	require.Equal(t, `error: there is no server "n0"`, p.Do("lose n0->"))
	require.Equal(t, "error: set wants more words", p.Do("set n1"))
	require.Nil(t, p.Stage.Finish())
}

func TestQuietlyHidesNoMistake(t *testing.T) {
	const noSuchMessage = "there is no such message\n"
	p := newPlayer()
	quietly := func(lines string) string {
		return p.play(t, &datadriven.TestData{Cmd: "quietly", Input: lines})
	}
	require.Equal(t, "ok", quietly("cluster 3\ntimeout n1\ndeliver RequestVote n1->n2\n"))
	require.Equal(t, "fly\nerror: no command \"fly\"", quietly("timeout n1\nfly\n"))
	require.Equal(t, "deliver Heartbeat\n"+noSuchMessage, quietly("deliver Heartbeat\n"))
	require.Equal(t, noSuchMessage, p.playLine(t, "", "lose Heartbeat quietly"))
	require.Equal(t, "ok", p.playLine(t, "", "timeout n1 quietly"))
	require.Nil(t, p.Stage.Finish())
}
