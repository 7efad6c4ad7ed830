package httpapi

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"dbdb/raft"

	"github.com/stretchr/testify/assert"
)

const transferPath = "/v1/leader/transfer"

func TestTheLeadershipIsHandedOverToWhoeverIsNamed(t *testing.T) {
	for _, tc := range []struct {
		query, body string
		target      raft.NodeID
	}{
		{"", "", ""},
		{"", "{}", ""},
		{"?to=node2", "", node2.ID},
		{"?to=node2.bbbbbb", "", node2.ID},
		{"", `{"to":"node2"}`, node2.ID},
	} {
		s, f := leaderServer(t)
		w := send(s, "POST", transferPath+tc.query, tc.body)
		assert.Equal(t, 200, w.Code, w.Body)
		assert.Equal(t, "application/json", w.Header().Get("Content-Type"))
		assert.Equal(t, "{\"leader\":\"node2\"}\n", w.Body.String())
		assert.Equal(t, []raft.NodeID{tc.target}, f.targets)
	}
}

func TestAHandOverOnAFollowerIsForwardedWithItsTarget(t *testing.T) {
	for _, query := range []string{"", "?to=node2"} {
		leader, lf := leaderServer(t)
		s, f := followerOf(t, serving(t, node1, leader))
		w := send(s, "POST", transferPath+query, "")
		assert.Equal(t, 200, w.Code, w.Body)
		assert.Equal(t, "node2", w.Header().Get("Dbdb-Forwarded-By"))
		want := raft.NodeID("")
		if query != "" {
			want = node2.ID
		}
		assert.Equal(t, []raft.NodeID{want}, lf.targets)
		assert.Empty(t, f.targets)
	}
}

func TestAHandOverToTheLeaderItselfIsDoneAlready(t *testing.T) {
	s, f := leaderServer(t)
	w := send(s, "POST", transferPath+"?to=node1", "")
	assert.Equal(t, 200, w.Code)
	assert.Equal(t, "{\"leader\":\"node1\"}\n", w.Body.String())
	assert.Empty(t, f.targets)
}

func TestAHandOverThatCannotBeIsRefusedByCode(t *testing.T) {
	for _, tc := range []struct {
		name, query, body string
		edit              func(*Info)
		status            int
		code              string
	}{
		{"an unknown member", "?to=node9", "", nil, 404, "unknown_member"},
		{"a learner", "?to=node2", "", func(i *Info) {
			i.Configuration.Members = []raft.Member{node1, {ID: node2.ID, Role: raft.Learner}}
		}, 409, "not_a_voter"},
		{"nobody else", "", "", func(i *Info) { i.Configuration.Members = []raft.Member{node1} }, 409, "no_other_voter"},
		{"an empty target", "?to=", "", nil, 400, "invalid_target"},
		{"an empty target in the body", "", `{"to":""}`, nil, 400, "invalid_target"},
		{"no name", "?to=..", "", nil, 400, "invalid_target"},
		{"two targets", "?to=node2", `{"to":"node2"}`, nil, 400, "invalid_target"},
		{"a target twice", "?to=node2&to=node1", "", nil, 400, "invalid_query"},
		{"another parameter", "?target=node2", "", nil, 400, "invalid_query"},
		{"another field", "", `{"target":"node2"}`, nil, 400, "unknown_field"},
		{"a number", "", `{"to":2}`, nil, 400, "not_a_string"},
		{"no JSON", "", `node2`, nil, 400, "invalid_json"},
		{"two documents", "", `{}{}`, nil, 400, "invalid_json"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, f := leaderServer(t)
			if tc.edit != nil {
				f.change(tc.edit)
			}
			requireProblem(t, send(s, "POST", transferPath+tc.query, tc.body).Result(), tc.status, tc.code)
			assert.Empty(t, f.targets)
		})
	}
}

func TestATargetThatDidNotTakeOverIsDefinitelyNotTheLeader(t *testing.T) {
	s, f := leaderServer(t)
	f.transferErr = ErrNoTransfer
	detail := requireProblem(t, send(s, "POST", transferPath+"?to=node2", "").Result(), 503, "no_transfer")
	assert.Equal(t, "the leadership was not handed over; node1 still leads", detail)
}

func TestATargetThatWasToldMayStillTakeOver(t *testing.T) {
	s, f := leaderServer(t)
	f.transferErr = ErrOutcomeUnknown
	detail := requireProblem(t, send(s, "POST", transferPath+"?to=node2", "").Result(), 504, "outcome_unknown")
	assert.Equal(t, "the leadership may or may not have been handed over: ask GET /v1/status", detail)
}

func TestAnotherLeaderThanTheOneAskedForIsNoSuccess(t *testing.T) {
	s, f := leaderServer(t)
	three(f, node2, node3)
	detail := requireProblem(t, send(s, "POST", transferPath+"?to=node3", "").Result(), 409, "other_leader")
	assert.Equal(t, "node2 leads now, not node3", detail)
}

// When the old leader has stepped down, the new one has yet to be heard: the answer
// waits for it, and is not given by what was published before.
func TestAHandOverIsAnsweredWhenTheNewLeaderIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, f := leaderServer(t)
		f.onTransfer = func() {
			time.AfterFunc(200*time.Millisecond, func() { f.change(func(i *Info) { i.State, i.Leader, i.Term = raft.Follower, "", 6 }) })
			time.AfterFunc(400*time.Millisecond, func() { f.change(func(i *Info) { i.Leader = node2.ID }) })
		}
		assert.Equal(t, "{\"leader\":\"node2\"}\n", send(s, "POST", transferPath, "").Body.String())
	})
}

func TestAHandOverWithoutANewLeaderIsUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, f := leaderServer(t)
		f.onTransfer = func() { f.info.State, f.info.Leader, f.info.Term = raft.Follower, "", 6 }
		detail := requireProblem(t, send(s, "POST", transferPath, "").Result(), 504, "outcome_unknown")
		assert.Equal(t, "the leadership may or may not have been handed over: ask GET /v1/status", detail)
	})
}

// A leader that hands over takes no writes, although it still leads. What waits
// here, or on a follower, goes to the next leader, once.
func TestAWriteDuringAHandOverGoesToTheNextLeaderOnce(t *testing.T) {
	handingOver, of := leaderServer(t)
	var refusals atomic.Int32
	next, nf := leaderServer(t)
	nf.change(func(i *Info) { i.Name = "node3" })
	live := serving(t, node3, next)
	done := func(i *Info) {
		i.State, i.Leader, i.Term = raft.Follower, node3.ID, 6
		i.Configuration.Members = []raft.Member{node1, node2, live}
	}
	follower, ff := followerOf(t, serving(t, node1, handingOver))
	of.onApply = func(context.Context) error {
		if refusals.Add(1) == 6 {
			of.change(done)
			ff.change(done)
		}
		return ErrNotLeader
	}
	answers := make(chan int, 2)
	for _, s := range []*Server{handingOver, follower} {
		go func() { answers <- send(s, "POST", "/apply", setX).Code }()
	}
	assert.Equal(t, 200, <-answers)
	assert.Equal(t, 200, <-answers)
	assert.GreaterOrEqual(t, refusals.Load(), int32(6), "nobody asked the leader that hands over")
	assert.Equal(t, 2, nf.seen(), "two writes")
	assert.Zero(t, of.seen()+ff.seen())
}
