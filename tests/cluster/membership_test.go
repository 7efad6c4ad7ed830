package cluster

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// journey is a cluster whose members change under load.
type journey struct {
	t       *testing.T
	ctx     context.Context
	all     []*server
	members []*server
	writers map[*server]*writer
	running sync.WaitGroup
}

// From one member to five and back to one, while every member has a writer. Leaders are
// removed, nodes are wiped and come back, and an address where nobody is joins. Nothing
// that was acknowledged is lost, and no change stops the writes for long.
func TestMembershipUnderLoad(t *testing.T) {
	servers := newCluster(t, 5)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	j := &journey{t: t, ctx: ctx, all: servers, writers: map[*server]*writer{}}
	t.Cleanup(j.sayLogs)

	servers[0].start()
	servers[0].ready()
	j.joined(servers[0])
	j.change("1 → 2", func() { j.join(servers[1]) })
	j.change("2 → 3", func() { j.join(servers[2]) })
	j.change("3 → 5, both at once", func() { j.join(servers[3], servers[4]) })
	j.change("a dead address joins, and is removed", j.joinNobody)
	j.change("a wiped node is refused, removed and added, of 5", func() { j.wipe(j.follower()) })
	j.change("5 → 4, the leader", func() { j.remove(leaderOf(t, j.members)) })
	j.change("4 → 3", func() { j.remove(j.follower()) })
	j.change("a wiped node is refused, removed and added, of 3", func() { j.wipe(j.follower()) })
	j.change("3 → 2, the leader", func() { j.remove(leaderOf(t, j.members)) })
	j.change("2 → 1, the leader", func() { j.remove(leaderOf(t, j.members)) })

	cancel()
	j.running.Wait()
	var writers []*writer
	for _, w := range j.writers {
		writers = append(writers, w)
	}
	checked, lost := readBack(t, j.members, writers)
	t.Logf("%d acknowledged writes, %d lost", checked, lost)
	require.Zero(t, lost)
}

// change makes one change and says how long it took, and for how long no write at all
// was acknowledged.
func (j *journey) change(what string, make func()) {
	j.t.Helper()
	for _, w := range j.writers {
		w.watch()
	}
	begun := time.Now()
	make()
	took := time.Since(begun)
	var present []*writer
	for _, m := range j.members {
		present = append(present, j.writers[m])
	}
	progress(j.t, present)
	gap := time.Hour
	for _, w := range j.writers {
		gap = min(gap, w.longestGap())
	}
	j.t.Logf("%-52s took %8v, longest gap without an acknowledged write %8v", what, took.Round(time.Millisecond), gap.Round(time.Millisecond))
	require.Len(j.t, j.members, j.members[0].status().voters())
}

// joined gives a new member a writer.
func (j *journey) joined(s *server) {
	j.members = append(j.members, s)
	if j.writers[s] != nil {
		return // it was one before
	}
	w := &writer{name: s.name, server: s}
	w.watch()
	j.writers[s] = w
	j.running.Go(func() { w.run(j.ctx) })
}

// join starts servers at the same time and waits until they are voters.
func (j *journey) join(servers ...*server) {
	for _, s := range servers {
		s.start()
	}
	for _, s := range servers {
		s.ready()
		j.joined(s)
	}
	j.awaitVoters(len(j.members))
}

func (j *journey) awaitVoters(n int) {
	j.t.Helper()
	for _, m := range j.members {
		require.Eventually(j.t, func() bool { return m.status().voters() == n }, 30*time.Second, 5*time.Millisecond,
			"%s does not see %d voters", m.name, n)
	}
}

// follower is a member that does not lead.
func (j *journey) follower() *server {
	return without(j.members, leaderOf(j.t, j.members))[0]
}

// remove has a member removed, by itself if it leads, and stops its process.
func (j *journey) remove(gone *server) {
	j.t.Helper()
	status, body := request(j.t, http.MethodDelete, gone.url("/v1/members/"+gone.name), "")
	require.Equal(j.t, http.StatusOK, status, body)
	j.members = without(j.members, gone)
	j.awaitVoters(len(j.members))
	require.Eventually(j.t, func() bool { return gone.status().RemovedAt > 0 }, 10*time.Second, 5*time.Millisecond,
		"%s does not know that it was removed", gone.name)
	require.Zero(j.t, gone.stop())
}

// wipe loses a member's directory. Under its old name it is refused, until the member
// that it was is removed.
func (j *journey) wipe(s *server) {
	j.t.Helper()
	s.kill()
	j.members = without(j.members, s)
	require.NoError(j.t, os.RemoveAll(filepath.Join(s.dir, "data", s.name)))
	// The first six arguments say who it is; it joins through whoever is there.
	s.args = append(s.args[:6:6], "--join", fmt.Sprintf("localhost:%d", j.members[0].http))
	s.start()
	_ = s.cmd.Wait()
	require.Equal(j.t, 3, s.cmd.ProcessState.ExitCode(), &s.log)
	require.Contains(j.t, s.log.String(), s.name+" is already a member with other data (was its directory deleted?). Run: dbdb members remove "+s.name)

	status, body := request(j.t, http.MethodDelete, j.members[0].url("/v1/members/"+s.name), "")
	require.Equal(j.t, http.StatusOK, status, body)
	j.join(s)
}

// joinNobody adds an address at which nobody listens: a learner that never catches up
// and never counts.
func (j *journey) joinNobody() {
	port := freePorts(j.t, 1)[0]
	body := fmt.Sprintf(`{"id":"nobody","instance":"0","cluster":"","raftAddr":"localhost:%d","httpAddr":"localhost:%d"}`, port, port)
	status, answer := request(j.t, http.MethodPost, j.members[0].url("/join"), body)
	require.Equal(j.t, http.StatusOK, status, answer)
	before := j.writers[j.members[0]].count()
	require.Eventually(j.t, func() bool { return j.writers[j.members[0]].count() > before+50 }, 30*time.Second, 5*time.Millisecond)
	require.Equal(j.t, len(j.members), j.members[0].status().voters())
	status, answer = request(j.t, http.MethodDelete, j.members[0].url("/v1/members/nobody"), "")
	require.Equal(j.t, http.StatusOK, status, answer)
}

func (j *journey) sayLogs() {
	if j.t.Failed() {
		for _, s := range j.all {
			j.t.Logf("%s:\n%s", s.name, s.log.String())
		}
	}
}

// request sends one request and returns the status and the body of the answer.
func request(t testing.TB, method, url, body string) (status int, answer string) {
	t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	require.NoError(t, err)
	resp, err := writerClient.Do(req)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(b)
}
