package cluster

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// composition is docker-compose.yml under way: a copy of it, with other ports on this
// machine, an image of its own and a project of its own, so that it meets nobody else's.
type composition struct {
	t       *testing.T
	command []string // docker-compose, or docker compose
	project string
	servers []*server // to ask; their processes are in containers
}

// composeCommand finds an engine and the tool that reads docker-compose.yml.
func composeCommand(t *testing.T) []string {
	if out, err := exec.Command("docker", "version", "-f", "{{.Server.Version}}").CombinedOutput(); err != nil {
		t.Skipf("no Docker engine answers here, so Compose is not tried: %s", strings.TrimSpace(string(out)))
	}
	for _, command := range [][]string{{"docker", "compose"}, {"docker-compose"}} {
		if exec.Command(command[0], append(command[1:], "version")...).Run() == nil {
			return command
		}
	}
	t.Skip("there is a Docker engine but no docker-compose, so Compose is not tried")
	return nil
}

func newComposition(t *testing.T) *composition {
	c := &composition{t: t, command: composeCommand(t), project: fmt.Sprintf("dbdbtest%d", os.Getpid())}
	image := "dbdb:" + c.project
	text, err := os.ReadFile("../../docker-compose.yml")
	require.NoError(t, err)
	file := regexp.MustCompile(`(?m)^  image: dbdb$`).ReplaceAllString(string(text), "  image: "+image)
	require.NotEqual(t, string(text), file, "docker-compose.yml names the image")
	file = strings.Replace(file, "  build: .\n", "", 1) // it is built below
	for k, port := range freePorts(t, 3) {
		inside := fmt.Sprint(8221 + k)
		require.Contains(t, file, "127.0.0.1:"+inside+":"+inside)
		file = strings.Replace(file, "127.0.0.1:"+inside, fmt.Sprintf("127.0.0.1:%d", port), 1)
		c.servers = append(c.servers, &server{t: t, name: fmt.Sprintf("node%d", k+1), http: port})
	}
	path := filepath.Join(t.TempDir(), "docker-compose.yml")
	require.NoError(t, os.WriteFile(path, []byte(file), 0o600))
	c.command = append(c.command, "-f", path, "-p", c.project)

	make := exec.Command("make", "-C", "../..", "docker", "IMAGE="+image)
	out, err := make.CombinedOutput()
	require.NoError(t, err, "%s", out)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(c.run("logs"))
		}
		c.run("down", "-v", "-t", "5")
		_ = exec.Command("docker", "image", "rm", image).Run()
	})
	size, user := c.inspect(image)
	t.Logf("image: %.1f MB, user %s", float64(size)/1e6, user)
	require.Equal(t, "65532:65532", user)
	return c
}

// inspect tells the size of an image in bytes, and as whom it runs.
func (c *composition) inspect(image string) (size int, user string) {
	out, err := exec.Command("docker", "image", "inspect", image, "-f", "{{.Size}} {{.Config.User}}").Output()
	require.NoError(c.t, err)
	fields := strings.Fields(string(out))
	size, err = strconv.Atoi(fields[0])
	require.NoError(c.t, err)
	return size, fields[1]
}

func (c *composition) run(args ...string) string {
	out, err := exec.Command(c.command[0], append(c.command[1:], args...)...).CombinedOutput()
	require.NoError(c.t, err, "%s %s: %s", c.command, args, out)
	return string(out)
}

// up starts the services and waits until all of them serve, as voters.
func (c *composition) up() {
	c.run("up", "-d", "--no-build")
	for _, s := range c.servers {
		s.ready()
		require.Eventually(c.t, func() bool { return s.status().voters() == 3 }, time.Minute, 10*time.Millisecond)
	}
}

// curls runs the README's curls with each service in the place of its first node.
func (c *composition) curls() (answers int) {
	for k, s := range c.servers {
		other := c.servers[(k+1)%len(c.servers)]
		ports := map[string]int{"8221": s.http, "8222": other.http}
		for _, command := range walkthrough(c.t, example) {
			if !strings.HasPrefix(command.line, "curl ") {
				continue
			}
			out, err := exec.Command("bash", "-c", curlSilent(replacePorts(command.line, ports))).CombinedOutput()
			require.NoError(c.t, err, "%s: %s", command.line, out)
			require.Equal(c.t, command.want, string(out), "%s, asked of %s", command.line, s.name)
			answers++
		}
	}
	return answers
}

func TestDockerCompose(t *testing.T) {
	c := newComposition(t)
	c.up()
	t.Logf("%d of the README's curls answered as written, on three services", c.curls())

	// What was stored outlives the containers.
	w := &writer{name: "before", server: c.servers[1]}
	w.writeSome(t, 20)
	c.run("down")
	c.up()
	_, lost := readBack(t, c.servers, []*writer{w})
	require.Zero(t, lost, "down and up lost acknowledged writes")

	// docker stop is a clean stop, and the others go on with another leader.
	leader := leaderOf(t, c.servers)
	begun := time.Now()
	c.run("stop", leader.name)
	others := without(c.servers, leader)
	next := leaderOf(t, others)
	require.NotEqual(t, leader.name, next.name)
	w = &writer{name: "after", server: others[0]}
	w.writeSome(t, 20)
	t.Logf("docker stop of %s took %v; then %s led", leader.name, time.Since(begun).Round(time.Millisecond), next.name)
	require.Equal(t, "0", c.exitCode(leader.name))
	c.up()
	_, lost = readBack(t, c.servers, []*writer{w})
	require.Zero(t, lost)
}

func (c *composition) exitCode(service string) string {
	id := strings.TrimSpace(c.run("ps", "-q", service))
	out, err := exec.Command("docker", "inspect", id, "-f", "{{.State.ExitCode}}").CombinedOutput()
	require.NoError(c.t, err, "%s", out)
	return strings.TrimSpace(string(out))
}

// without returns the servers but for one.
func without(servers []*server, gone *server) []*server {
	var others []*server
	for _, s := range servers {
		if s != gone {
			others = append(others, s)
		}
	}
	return others
}
