package httpapi

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"dbdb/kvstore"
	"dbdb/raft"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// joinBody is node3's request, with some members changed.
func joinBody(changes ...string) string {
	j := map[string]string{
		"id": "node3", "instance": "cccccc", "cluster": "", "raftAddr": "localhost:2223", "httpAddr": "localhost:8223",
	}
	for k := 0; k < len(changes); k += 2 {
		j[changes[k]] = changes[k+1]
	}
	body, _ := json.Marshal(j)
	return string(body)
}

func TestAJoinerBecomesALearnerAndIsToldTheMembers(t *testing.T) {
	s, f := leaderServer(t)
	w := send(s, "POST", "/join", joinBody())
	require.Equal(t, 200, w.Code, w.Body)
	var reply MembersReply
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &reply))
	assert.Equal(t, testCluster, reply.Cluster)
	assert.Equal(t, Member{Name: "node3", ID: "node3.cccccc", Role: "learner", RaftAddr: "localhost:2223", HTTPAddr: "localhost:8223"}, reply.Members[2])
	assert.Equal(t, []raft.Member{{ID: "node3.cccccc", Role: raft.Learner, RaftAddr: "localhost:2223", HTTPAddr: "localhost:8223"}}, f.learners)
}

func TestAJoinOnAFollowerIsForwarded(t *testing.T) {
	leader, lf := leaderServer(t)
	s, f := followerOf(t, serving(t, node1, leader))
	w := send(s, "POST", "/join", joinBody())
	assert.Equal(t, 200, w.Code, w.Body)
	assert.Equal(t, "application/json", w.Header().Get("Content-Type"))
	assert.Equal(t, "node2", w.Header().Get("Dbdb-Forwarded-By"))
	assert.Contains(t, w.Body.String(), testCluster)
	assert.Len(t, lf.learners, 1)
	assert.Empty(t, f.learners)
}

func TestARefusalOfTheLeaderReachesAJoinerThroughAFollower(t *testing.T) {
	leader, _ := leaderServer(t)
	s, _ := followerOf(t, serving(t, node1, leader))
	requireProblem(t, send(s, "POST", "/join", joinBody("id", "node2")).Result(), 409, "name_taken")
}

func TestAWipedNodeIsToldToBeRemovedFirst(t *testing.T) {
	s, f := leaderServer(t)
	detail := requireProblem(t, send(s, "POST", "/join", joinBody("id", "node2")).Result(), 409, "name_taken")
	assert.Equal(t, "node2 is already a member with other data (was its directory deleted?). Run: dbdb members remove node2", detail)
	assert.Empty(t, f.learners)
}

func TestAWipedNodeIsRefusedAlsoWhenItWasHalfOfTheVoters(t *testing.T) {
	f := newFake(node1, raft.Member{})
	s := newServer(t, f, soon)
	requireProblem(t, send(s, "POST", "/join", joinBody("id", "node2")).Result(), 409, "name_taken")
	requireProblem(t, send(s, "POST", "/join", joinBody()).Result(), 503, "no_leader")
	requireProblem(t, send(s, "POST", "/join", joinBody("id", "node2", "instance", "bbbbbb")).Result(), 503, "no_leader")
}

func TestANodeOfAnotherClusterIsRefusedByAnyMember(t *testing.T) {
	follower := newFake(node2, raft.Member{}) // not even a leader is needed
	leader := newFake(node1, node1)
	for _, f := range []*fake{follower, leader} {
		w := send(newServer(t, f), "POST", "/join", joinBody("cluster", "91bc0000"))
		detail := requireProblem(t, w.Result(), 409, "other_cluster")
		assert.Equal(t, "node3 already belongs to cluster 91bc…; delete ./data/node3 to join 3f2a…", detail)
		assert.Empty(t, f.learners)
	}
}

func TestAMemberMayJoinAgainAndTellItsNewAddress(t *testing.T) {
	s, f := leaderServer(t)
	body := joinBody("id", "node2", "instance", "bbbbbb", "cluster", testCluster, "raftAddr", "localhost:3333")
	assert.Equal(t, 200, send(s, "POST", "/join", body).Code)
	require.Len(t, f.learners, 1)
	assert.Equal(t, "localhost:3333", f.learners[0].RaftAddr)
}

func TestALeaderOnLoopbackRefusesAJoinerFromElsewhere(t *testing.T) {
	s, f := leaderServer(t)
	for _, host := range []string{"172.18.0.3", "node3", "[fd00::3]"} {
		body := joinBody("raftAddr", host+":2223", "httpAddr", host+":8223")
		detail := requireProblem(t, send(s, "POST", "/join", body).Result(), 409, "leader_unreachable")
		assert.Equal(t, fmt.Sprintf("node1 advertises localhost:2221, which node3 (%s) cannot reach: restart node1 with --advertise-host <name>",
			strings.Trim(host, "[]")), detail)
	}
	for _, host := range []string{"localhost", "127.0.0.1", "[::1]"} {
		assert.Equal(t, 200, send(s, "POST", "/join", joinBody("id", "n"+strings.Trim(host, "[]:."), "raftAddr", host+":2223", "httpAddr", host+":8223")).Code, host)
		f.learners = nil
		f.info.Configuration.Members = f.info.Configuration.Members[:2]
	}
}

func TestANewNodeMayNotTakeTheAddressOfAMember(t *testing.T) {
	s, f := leaderServer(t)
	for _, body := range []string{joinBody("raftAddr", "localhost:2222"), joinBody("httpAddr", "localhost:8221")} {
		requireProblem(t, send(s, "POST", "/join", body).Result(), 409, "address_taken")
	}
	assert.Empty(t, f.learners)
}

func TestABusyConfigurationIsTriedAgainLater(t *testing.T) {
	s, f := leaderServer(t)
	f.learnerErr = ErrConfigurationBusy
	requireProblem(t, send(s, "POST", "/join", joinBody()).Result(), 503, "configuration_busy")
}

func TestANodeWithoutAClusterCannotLetAnybodyIn(t *testing.T) {
	f := &fake{store: kvstore.New(), info: Info{Name: "node2", Waits: "node2 is starting"}}
	detail := requireProblem(t, send(newServer(t, f, soon), "POST", "/join", joinBody()).Result(), 503, "not_member")
	assert.Equal(t, "node2 is starting", detail)
}

func TestABadJoinIsRefusedByCode(t *testing.T) {
	for body, code := range map[string]string{
		`{}`:                                    "invalid_joiner",
		`{"id":3}`:                              "not_a_string",
		`{"ID":"node3"}`:                        "unknown_field",
		joinBody() + "x":                        "invalid_json",
		joinBody("id", ""):                      "invalid_joiner",
		joinBody("id", "../../etc"):             "invalid_joiner",
		joinBody("id", "-n"):                    "invalid_joiner",
		joinBody("id", "a b"):                   "invalid_joiner",
		joinBody("id", strings.Repeat("n", 64)): "invalid_joiner",
		joinBody("instance", ""):                "invalid_joiner",
		joinBody("instance", "a.b"):             "invalid_joiner",
		joinBody("instance", strings.Repeat("a", 33)):       "invalid_joiner",
		joinBody("cluster", "UPPER"):                        "invalid_joiner",
		joinBody("raftAddr", "localhost"):                   "invalid_joiner",
		joinBody("raftAddr", ":2223"):                       "invalid_joiner",
		joinBody("raftAddr", "localhost:0"):                 "invalid_joiner",
		joinBody("raftAddr", "localhost:65536"):             "invalid_joiner",
		joinBody("raftAddr", "localhost:http"):              "invalid_joiner",
		joinBody("raftAddr", "a/b:2223"):                    "invalid_joiner",
		joinBody("httpAddr", "user@host:8223"):              "invalid_joiner",
		joinBody("httpAddr", strings.Repeat("h", 256)+":1"): "invalid_joiner",
	} {
		t.Run(body, func(t *testing.T) {
			s, f := leaderServer(t)
			requireProblem(t, send(s, "POST", "/join", body).Result(), 400, code)
			assert.Empty(t, f.learners)
		})
	}
}

func TestAMemberMayComeBackUnderAnotherAddress(t *testing.T) {
	s, f := leaderServer(t)
	moved := joinBody("id", "node2", "instance", "bbbbbb", "raftAddr", "localhost:9", "httpAddr", "localhost:10")
	require.Equal(t, 200, send(s, "POST", "/join", moved).Code)
	assert.Len(t, f.learners, 1)
}

// Two processes with one identity would vote and acknowledge as one server.
func TestAMemberThatStillAnswersAtItsOldAddressIsNotMoved(t *testing.T) {
	s, f := leaderServer(t)
	f.reachable = map[raft.NodeID]bool{node2.ID: true}
	moved := joinBody("id", "node2", "instance", "bbbbbb", "raftAddr", "localhost:9", "httpAddr", "localhost:10")
	requireProblem(t, send(s, "POST", "/join", moved).Result(), 409, "used_twice")
	assert.Empty(t, f.learners)
	same := joinBody("id", "node2", "instance", "bbbbbb", "raftAddr", node2.RaftAddr, "httpAddr", node2.HTTPAddr)
	assert.Equal(t, 200, send(s, "POST", "/join", same).Code, "a retry")
}

// A node restarted under another name of its host answers at both.
func TestAMemberMayGiveItsHostAnotherName(t *testing.T) {
	s, f := leaderServer(t)
	f.reachable = map[raft.NodeID]bool{node2.ID: true}
	renamed := joinBody("id", "node2", "instance", "bbbbbb", "raftAddr", "127.0.0.1:2222", "httpAddr", "127.0.0.1:8222")
	assert.Equal(t, 200, send(s, "POST", "/join", renamed).Code)
}

func TestAMemberTakesTheAddressOfAnotherOnlyIfThatOneIsGone(t *testing.T) {
	s, f := leaderServer(t)
	f.change(func(i *Info) { i.Configuration.Members = append(i.Configuration.Members, node3) })
	of := func(m raft.Member) string {
		return joinBody("id", "node2", "instance", "bbbbbb", "raftAddr", m.RaftAddr, "httpAddr", m.HTTPAddr)
	}
	requireProblem(t, send(s, "POST", "/join", of(node1)).Result(), 409, "address_taken")
	f.reachable = map[raft.NodeID]bool{node3.ID: true}
	requireProblem(t, send(s, "POST", "/join", of(node3)).Result(), 409, "address_taken")
	f.reachable = nil
	assert.Equal(t, 200, send(s, "POST", "/join", of(node3)).Code, "they exchange addresses")
}

func TestAFullClusterSaysSo(t *testing.T) {
	s, f := leaderServer(t)
	f.learnerErr = ErrBadMember
	requireProblem(t, send(s, "POST", "/join", joinBody()).Result(), 409, "too_many_members")
}

// An address that is accepted here is written into the log, where every member must
// be able to read it.
func TestAddressesThatCannotBeWrittenDownAreRefused(t *testing.T) {
	long := strings.Repeat("0", 300)
	for _, addr := range []string{"localhost:" + long + "1", "[::1%" + long + "]:1", "[::1%lo]:1", long + ":1"} {
		assert.Error(t, ValidAddress(addr), addr)
		s, f := leaderServer(t)
		requireProblem(t, send(s, "POST", "/join", joinBody("raftAddr", addr)).Result(), 400, "invalid_joiner")
		assert.Empty(t, f.learners)
	}
}

func FuzzValidAddress(f *testing.F) {
	f.Add("localhost:2221")
	f.Add("[::1%lo]:1")
	f.Add("localhost:" + strings.Repeat("0", 300) + "1")
	f.Fuzz(func(t *testing.T, addr string) {
		if ValidAddress(addr) == nil {
			c := raft.Configuration{Members: []raft.Member{{ID: "n1", Role: raft.Voter, RaftAddr: addr, HTTPAddr: addr}}}
			_, err := raft.DecodeConfiguration(c.Encode())
			require.NoError(t, err)
		}
	})
}
