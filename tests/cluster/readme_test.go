package cluster

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	freshClusters = flag.Int("fresh", 3, "README walkthrough: fresh clusters")
	moreRounds    = flag.Int("rounds", 20, "README walkthrough: further rounds on the last cluster")
)

// command is one line of a README that starts with "$ ", and the output that the
// README shows under it.
type command struct {
	line string
	want string
}

// walkthrough reads the commands of one section of the README.
func walkthrough(t *testing.T, section string) []command {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(text), "\n## "+section+"\n")
	require.True(t, found, "README.md has no section %q", section)
	rest, _, _ = strings.Cut(rest, "\n## ")
	var commands []command
	for _, block := range regexp.MustCompile("(?s)```bash\n(.*?)```").FindAllStringSubmatch(rest, -1) {
		for line := range strings.Lines(block[1]) {
			if cmd, ok := strings.CutPrefix(line, "$ "); ok {
				commands = append(commands, command{line: strings.TrimSpace(cmd)})
			} else {
				commands[len(commands)-1].want += line
			}
		}
	}
	return commands
}

const example = "Example: Manually starting a 2-node cluster"

// The README's two terminals and its curls, as they are written, one after the
// other without a pause. Only the ports are others, as its own may be in use.
func TestReadmeWalkthrough(t *testing.T) {
	commands := walkthrough(t, example)
	differing, rounds := 0, 0
	round := func(curls []command, ports map[string]int, writer int) {
		rounds++
		for _, c := range curls {
			line := c.line
			if writer == 2 && strings.Contains(line, "/apply") {
				line = strings.ReplaceAll(line, "8221", "8222")
			}
			out, err := exec.Command("bash", "-c", curlSilent(replacePorts(line, ports))).CombinedOutput()
			require.NoError(t, err, "%s: %s", line, out)
			if string(out) != c.want {
				differing++
				t.Errorf("round %d: %s\nprinted %q\nnot     %q", rounds, line, out, c.want)
			}
		}
	}
	for fresh := range *freshClusters {
		ports, servers, curls := terminals(t, commands)
		round(curls, ports, 1+fresh%2)
		if fresh == *freshClusters-1 {
			for k := range *moreRounds {
				round(curls, ports, 1+k%2)
			}
		}
		for _, s := range servers {
			require.Zero(t, s.stop())
		}
	}
	t.Logf("%d fresh clusters, %d rounds in all: %d differing answers", *freshClusters, rounds, differing)
}

// terminals starts what the README starts in terminals 1 and 2, and returns the
// rest.
func terminals(t *testing.T, commands []command) (ports map[string]int, servers []*server, curls []command) {
	dir, free := t.TempDir(), freePorts(t, 4)
	ports = map[string]int{"8221": free[0], "2221": free[1], "8222": free[2], "2222": free[3]}
	for _, c := range commands {
		args, isServer := strings.CutPrefix(c.line, "./bin/dbdb ")
		if !isServer {
			curls = append(curls, c)
			continue
		}
		s := &server{t: t, name: fmt.Sprintf("terminal %d", len(servers)+1), dir: dir}
		s.args = strings.Fields(replacePorts(args, ports))
		s.http, _ = strconv.Atoi(s.args[5])
		t.Cleanup(s.kill)
		s.start()
		servers = append(servers, s)
	}
	require.Len(t, servers, 2)
	require.Len(t, curls, 6)
	return ports, servers, curls
}

func replacePorts(line string, ports map[string]int) string {
	return regexp.MustCompile(`\b[28]22[12]\b`).ReplaceAllStringFunc(line, func(p string) string { return strconv.Itoa(ports[p]) })
}

// curlSilent leaves out the progress meter, which curl shows when its output is no
// terminal.
func curlSilent(line string) string { return strings.Replace(line, "curl ", "curl -sS ", 1) }
