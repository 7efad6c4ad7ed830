package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"

	"dbdb/kvstore"
	"dbdb/raft"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// three makes f a member of a cluster of three, of which it reaches some.
func three(f *fake, reachable ...raft.Member) {
	f.reachable = map[raft.NodeID]bool{}
	for _, m := range reachable {
		f.reachable[m.ID] = true
	}
	f.change(func(i *Info) { i.Configuration.Members = []raft.Member{node1, node2, node3} })
}

func TestAMemberIsRemovedByItsNameOrItsWholeID(t *testing.T) {
	for _, path := range []string{"/v1/members/node3", "/v1/members/node3.cccccc", "/v1/members/%6eode3"} {
		s, f := leaderServer(t)
		three(f, node2, node3)
		w := send(s, "DELETE", path, "")
		require.Equal(t, 200, w.Code, w.Body)
		assert.Equal(t, "application/json", w.Header().Get("Content-Type"))
		assert.JSONEq(t, `{"cluster":"`+testCluster+`","members":[
			{"name":"node1","id":"node1.aaaaaa","role":"voter","raftAddr":"localhost:2221","httpAddr":"localhost:8221"},
			{"name":"node2","id":"node2.bbbbbb","role":"voter","raftAddr":"localhost:2222","httpAddr":"localhost:8222"}
		]}`, w.Body.String())
		assert.Equal(t, []raft.NodeID{node3.ID}, f.removals)
	}
}

func TestARemovalOnAFollowerIsForwarded(t *testing.T) {
	leader, lf := leaderServer(t)
	three(lf, node2, node3)
	s, f := followerOf(t, serving(t, node1, leader))
	w := send(s, "DELETE", "/v1/members/%6eode3", "")
	assert.Equal(t, 200, w.Code, w.Body)
	assert.Equal(t, "node2", w.Header().Get("Dbdb-Forwarded-By"))
	assert.Equal(t, []raft.NodeID{node3.ID}, lf.removals)
	assert.Empty(t, f.removals)
}

func TestALeaderMayRemoveItself(t *testing.T) {
	s, f := leaderServer(t)
	three(f, node2, node3)
	assert.Equal(t, 200, send(s, "DELETE", "/v1/members/node1", "").Code)
	assert.Equal(t, []raft.NodeID{node1.ID}, f.removals)
}

func TestWhoIsNoMemberIsNotRemoved(t *testing.T) {
	s, f := leaderServer(t)
	for _, name := range []string{"node9", "node2.cccccc", "NODE2", "node", "bbbbbb"} {
		detail := requireProblem(t, send(s, "DELETE", "/v1/members/"+name, "").Result(), 404, "unknown_member")
		assert.Equal(t, fmt.Sprintf("no member is called %q; there are node1, node2", name), detail)
	}
	assert.Empty(t, f.removals)
}

// What cannot be a member's name is no path of the API, and none is made clean.
func TestAPathThatNamesNobodyIsNotFound(t *testing.T) {
	s, f := leaderServer(t)
	for _, path := range []string{
		"/v1/members/", "/v1/members//node2", "/v1/members/node2/", "/v1/members/x/../node2", "/v1/members/..", "/v1/members/%2e%2e",
		"/v1/members/node%2F2", "/v1/members/node2%00", "/v1/members/node2%0A", "/v1/members/no%20de2", "/v1/members/%ff", "/v1/members/-n",
		"/v1//members/node2", "/v1%2Fmembers/node2", "//v1/members/node2", "/v1/members/{name}", "/v1/member/node2", "/V1/members/node2",
	} {
		detail := requireProblem(t, send(s, "DELETE", path, "").Result(), 404, "not_found")
		assert.Contains(t, detail, "DELETE /v1/members/{name}", path)
	}
	assert.Empty(t, f.removals)
}

func TestTheOnlyVoterIsNotRemoved(t *testing.T) {
	s, f := leaderServer(t)
	f.change(func(i *Info) { i.Configuration.Members = []raft.Member{node1} })
	detail := requireProblem(t, send(s, "DELETE", "/v1/members/node1", "").Result(), 409, "last_voter")
	assert.Equal(t, "node1 is the only voter: without it nobody could write any more", detail)
	assert.Empty(t, f.removals)
}

// A removal is in force when it is in the log: were those who remain no majority, it
// could never be committed, and the cluster would be stuck.
func TestARemovalThatWouldLoseTheQuorumIsRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		reachable []raft.Member
		remove    string
		want      string
	}{
		"a live voter beside a dead one": {[]raft.Member{node2}, "node2",
			"without node2, 1 of 2 voters would be there, and 2 must be; not reachable: node3 (localhost:2223)"},
		"itself beside a dead one": {[]raft.Member{node2}, "node1",
			"without node1, 1 of 2 voters would be there, and 2 must be; not reachable: node3 (localhost:2223)"},
		"anybody when nobody is there": {nil, "node1",
			"without node1, 0 of 2 voters would be there, and 2 must be; not reachable: node2 (localhost:2222), node3 (localhost:2223)"},
	} {
		t.Run(name, func(t *testing.T) {
			s, f := leaderServer(t)
			three(f, tc.reachable...)
			detail := requireProblem(t, send(s, "DELETE", "/v1/members/"+tc.remove, "").Result(), 409, "would_lose_quorum")
			assert.Equal(t, tc.want+". Start them, or remove them first; if it is lost for good, stop a survivor and run dbdb recover on it", detail)
			assert.Empty(t, f.removals)
		})
	}
}

// Of four voters one is dead, and two clients each remove another one. Judged by the same
// configuration both would pass, and the two who remained could commit nothing.
func TestTheNextRemovalIsJudgedByWhatTheOneBeforeLeaves(t *testing.T) {
	for name, hangsUp := range map[string]bool{"both clients wait": false, "the first client hangs up": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, f := leaderServer(t)
				three(f, node2, node3)
				node4 := raft.Member{ID: "node4.dddddd", Role: raft.Voter, RaftAddr: "localhost:2224", HTTPAddr: "localhost:8224"}
				f.change(func(i *Info) { i.Configuration.Members = append(i.Configuration.Members, node4) })
				committed := make(chan struct{})
				f.onRemove = func(ctx context.Context) error {
					select {
					case <-committed:
						return nil
					case <-ctx.Done():
						return ErrOutcomeUnknown
					}
				}
				first, hangUp := context.WithCancel(t.Context())
				second := httptest.NewRecorder()
				go s.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(first, "DELETE", "/v1/members/node3", nil))
				synctest.Wait()
				if hangsUp {
					hangUp()
				}
				go s.ServeHTTP(second, httptest.NewRequestWithContext(t.Context(), "DELETE", "/v1/members/node2", nil))
				synctest.Wait()
				close(committed)
				synctest.Wait()
				requireProblem(t, second.Result(), 409, "would_lose_quorum")
				assert.Equal(t, []raft.NodeID{node3.ID}, f.removals)
				hangUp()
			})
		})
	}
}

func TestADeadVoterIsRemoved(t *testing.T) {
	s, f := leaderServer(t)
	three(f, node2)
	assert.Equal(t, 200, send(s, "DELETE", "/v1/members/node3", "").Code)
	assert.Equal(t, []raft.NodeID{node3.ID}, f.removals)
}

func TestALearnerIsAlwaysRemoved(t *testing.T) {
	s, f := leaderServer(t)
	three(f)
	f.change(func(i *Info) { i.Configuration.Members[2].Role = raft.Learner })
	assert.Equal(t, 200, send(s, "DELETE", "/v1/members/node3", "").Code)
	assert.Equal(t, []raft.NodeID{node3.ID}, f.removals)
}

func TestARemovalThatFailsSaysWhatIsKnown(t *testing.T) {
	for err, want := range map[error]struct {
		status       int
		code, detail string
	}{
		ErrConfigurationBusy: {503, "configuration_busy", "another change of the configuration is in flight; nothing was done"},
		ErrUnknownMember:     {404, "unknown_member", "no such member; nothing was done"},
		ErrLastVoter:         {409, "last_voter", "the only voter cannot be removed; nothing was done"},
		ErrOutcomeUnknown:    {504, "outcome_unknown", "node3 may or may not be removed: ask GET /v1/members"},
		ErrTimeout:           {503, "not_done", "the deadline passed before anything was done"},
	} {
		s, f := leaderServer(t)
		three(f, node2, node3)
		f.removeErr = err
		detail := requireProblem(t, send(s, "DELETE", "/v1/members/node3", "").Result(), want.status, want.code)
		assert.Equal(t, want.detail, detail)
	}
}

func TestWithoutAMajorityTheWayOutIsNamed(t *testing.T) {
	f := newFake(node1, raft.Member{})
	detail := requireProblem(t, send(newServer(t, f, soon), "DELETE", "/v1/members/node2", "").Result(), 503, "no_leader")
	assert.Equal(t, "node1 can reach 1 of 2 voters; not reachable: node2 (localhost:2222); members can be removed only while a majority is there: "+
		"if it is lost for good, stop a survivor and run dbdb recover on it", detail)
}

func TestARemovalTakesNoParameters(t *testing.T) {
	s, f := leaderServer(t)
	three(f, node2, node3)
	requireProblem(t, send(s, "DELETE", "/v1/members/node3?force=1", "").Result(), 400, "invalid_query")
	assert.Empty(t, f.removals)
}

// A removed node knows nobody who would tell it anything: its clients hear so at once.
func TestARemovedNodeRefusesAtOnceAndKeepsAnswering(t *testing.T) {
	s, f := leaderServer(t)
	f.readErr = ErrNoLeader
	f.change(func(i *Info) {
		i.State, i.Leader, i.RemovedAt = raft.Follower, "", 812
		i.Configuration.Members = []raft.Member{node2}
	})
	for _, r := range []struct{ method, path, body string }{
		{"POST", "/apply", setX}, {"GET", "/get?key=x", ""}, {"DELETE", "/v1/members/node2", ""},
		{"POST", "/v1/leader/transfer", ""}, {"POST", "/join", joinBody()},
	} {
		detail := requireProblem(t, send(s, r.method, r.path, r.body).Result(), 503, "removed")
		assert.Equal(t, "node1 was removed at index 812; nothing was done", detail)
	}
	assert.Zero(t, f.seen()+f.reads)
	assert.Equal(t, 200, send(s, "GET", "/get?key=x&consistency=stale", "").Code)
	assert.Equal(t, 200, send(s, "GET", "/healthz", "").Code)
	w := send(s, "GET", "/readyz", "")
	assert.Equal(t, 503, w.Code)
	assert.Contains(t, w.Body.String(), "[-]member failed: node1 was removed at index 812\n")
	var st Status
	require.NoError(t, json.Unmarshal(send(s, "GET", "/v1/status", "").Body.Bytes(), &st))
	assert.Equal(t, raft.Index(812), st.RemovedAt)
}

func TestALeaderThatRemovesItselfServesUntilThatIsCommitted(t *testing.T) {
	s, f := leaderServer(t)
	f.change(func(i *Info) { i.RemovedAt, i.Configuration.Members = 17, []raft.Member{node2} })
	assert.Equal(t, 200, send(s, "POST", "/apply", setX).Code)
	assert.Equal(t, 200, send(s, "GET", "/get?key=x", "").Code)
}

func TestAWriteOnAFollowerOfARemovedLeaderGoesToTheNextOne(t *testing.T) {
	old, of := leaderServer(t)
	of.change(func(i *Info) { i.State, i.Leader, i.RemovedAt = raft.Follower, "", 17 })
	next, nf := leaderServer(t)
	s, f := followerOf(t, serving(t, node1, old))
	live := serving(t, node1, next)
	s.backend = &lookingBackend{fake: f, after: 3, then: func() {
		f.change(func(i *Info) { i.Configuration.Members = []raft.Member{live, node2} })
	}}
	assert.Equal(t, 200, send(s, "POST", "/apply", setX).Code)
	assert.Equal(t, 1, nf.seen())
	assert.Zero(t, of.seen()+f.seen())
}

func TestANodeWithoutAClusterRemovesNobody(t *testing.T) {
	f := &fake{store: kvstore.New(), info: Info{Name: "node2", Waits: "node2 is starting"}}
	requireProblem(t, send(newServer(t, f, soon), "DELETE", "/v1/members/node1", "").Result(), 503, "not_member")
}

func TestARemovalFromAnotherSiteInABrowserIsRefused(t *testing.T) {
	s, f := leaderServer(t)
	three(f, node2, node3)
	w := send(s, http.MethodDelete, "/v1/members/node3", "", header("Sec-Fetch-Site", "cross-site"))
	requireProblem(t, w.Result(), 403, "cross_origin")
	assert.Empty(t, f.removals)
}
