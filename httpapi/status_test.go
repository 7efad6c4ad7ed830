package httpapi

import (
	"errors"
	"testing"
	"time"

	"dbdb/kvstore"
	"dbdb/raft"

	"github.com/stretchr/testify/assert"
)

func TestTheStatusOfALeaderSaysHowFarTheOthersAre(t *testing.T) {
	s, f := leaderServer(t)
	f.progress = []Progress{{ID: node2.ID, MatchIndex: 15, NextIndex: 16}}
	f.reachable = map[raft.NodeID]bool{node2.ID: true}
	w := send(s, "GET", "/v1/status", "")
	assert.Equal(t, 200, w.Code)
	assert.JSONEq(t, `{
		"name":"node1", "id":"node1.aaaaaa", "cluster":"`+testCluster+`", "state":"leader", "term":5, "leader":"node1",
		"commitIndex":16, "appliedIndex":16, "lastIndex":16, "snapshotIndex":0, "keys":0, "ready":true,
		"members":[
			{"name":"node1","id":"node1.aaaaaa","role":"voter","raftAddr":"localhost:2221","httpAddr":"localhost:8221","reachable":true},
			{"name":"node2","id":"node2.bbbbbb","role":"voter","raftAddr":"localhost:2222","httpAddr":"localhost:8222","reachable":true,"matchIndex":15,"nextIndex":16}
		]}`, w.Body.String())
}

func TestTheStatusOfANodeWithoutAClusterIsEmpty(t *testing.T) {
	f := &fake{store: kvstore.New(), info: Info{Name: "node2", Waits: "node2 is starting"}}
	w := send(newServer(t, f), "GET", "/v1/status", "")
	assert.Equal(t, 200, w.Code)
	assert.JSONEq(t, `{"name":"node2","id":"","cluster":"","state":"none","term":0,"leader":"",
		"commitIndex":0,"appliedIndex":0,"lastIndex":0,"snapshotIndex":0,"keys":0,"ready":false,"members":[]}`, w.Body.String())
}

func TestAFollowerSaysNothingAboutWhoIsReachable(t *testing.T) {
	w := send(newServer(t, newFake(node2, node1)), "GET", "/v1/status", "")
	assert.NotContains(t, w.Body.String(), "reachable")
	assert.Contains(t, w.Body.String(), `"state":"follower"`)
}

func TestTheMembersAreThoseOfTheConfigurationInUse(t *testing.T) {
	s, _ := leaderServer(t)
	w := send(s, "GET", "/v1/members", "")
	assert.JSONEq(t, `{"cluster":"`+testCluster+`","members":[
		{"name":"node1","id":"node1.aaaaaa","role":"voter","raftAddr":"localhost:2221","httpAddr":"localhost:8221"},
		{"name":"node2","id":"node2.bbbbbb","role":"voter","raftAddr":"localhost:2222","httpAddr":"localhost:8222"}
	]}`, w.Body.String())
}

func TestAHealthyNodeIsReady(t *testing.T) {
	s, _ := leaderServer(t)
	for _, path := range []string{"/readyz", "/healthz"} {
		w := send(s, "GET", path, "")
		assert.Equal(t, 200, w.Code)
		assert.Equal(t, "ok\n", w.Body.String())
	}
	assert.Equal(t, "[+]running ok\n[+]member ok\n[+]leader ok\n[+]applied ok\n", send(s, "GET", "/readyz?verbose", "").Body.String())
	assert.Equal(t, "[+]loop ok\n", send(s, "GET", "/healthz?verbose", "").Body.String())
}

func TestANodeThatCannotServeIsNotReadyAndSaysWhy(t *testing.T) {
	for name, tc := range map[string]struct {
		edit func(*Info)
		want string
	}{
		"no cluster":      {func(i *Info) { i.Cluster, i.Waits = "", "node2 is joining" }, "[-]member failed: node2 is joining\n"},
		"no log yet":      {func(i *Info) { i.Configuration.Members = nil }, "[-]member failed: this node has not heard of its membership yet\n"},
		"no leader":       {func(i *Info) { i.Leader = "" }, "[-]leader failed: no leader is known\n"},
		"a silent leader": {func(i *Info) { i.LeaderContact = time.Second }, "[-]leader failed: node1 was last heard 1s ago\n"},
		"a backlog":       {func(i *Info) { i.LeaderCommit += 1001 }, "[-]applied failed: 1001 committed entries are not applied yet\n"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(node2, node1)
			tc.edit(&f.info)
			s := newServer(t, f)
			w := send(s, "GET", "/readyz", "")
			assert.Equal(t, 503, w.Code)
			assert.Contains(t, w.Body.String(), tc.want)
			assert.Equal(t, 200, send(s, "GET", "/healthz", "").Code, "an orchestrator would kill it")
		})
	}
}

func TestANodeAtTheEdgeOfTheBoundsIsReady(t *testing.T) {
	f := newFake(node2, node1)
	f.info.LeaderContact, f.info.CommitIndex = 400*time.Millisecond, f.info.AppliedIndex+maxLag
	assert.Equal(t, 200, send(newServer(t, f), "GET", "/readyz", "").Code)
}

func TestAStoppingNodeIsNotReadyButServes(t *testing.T) {
	s, _ := leaderServer(t)
	s.Drain()
	w := send(s, "GET", "/readyz", "")
	assert.Equal(t, 503, w.Code)
	assert.Contains(t, w.Body.String(), "[-]running failed: this node is stopping\n")
	assert.Equal(t, 200, send(s, "POST", "/apply", setX).Code)
}

func TestANodeWhoseLoopHangsIsNotHealthy(t *testing.T) {
	s, f := leaderServer(t)
	f.progressErr = errors.Join(ErrTimeout)
	w := send(s, "GET", "/healthz", "")
	assert.Equal(t, 503, w.Code)
	assert.Equal(t, "[-]loop failed: the node does not answer\n", w.Body.String())
	requireProblem(t, send(s, "GET", "/v1/status", "").Result(), 503, "not_done")
}
