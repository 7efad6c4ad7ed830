package main

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"dbdb/raft/wal"

	"github.com/stretchr/testify/assert"
)

// movedNode is node1 of three, which the cluster looks for at another port.
func movedNode(t *testing.T, h http.HandlerFunc) (*process, *quietBackend, *syncBuffer) {
	p, b, log := removedNode(options{join: []string{stub(t, h)}, joinTimeout: 10 * time.Second, bind: "localhost", raftPort: 9, httpPort: 10})
	return p, b, log
}

var node1Identity = wal.Identity{Node: "node1", Instance: "a", Cluster: "3f2a0000"}

// The leader takes a moment to see that nobody answers at the old address.
func TestARefusalOfAnAddressThatMayPassIsTriedAgain(t *testing.T) {
	for _, code := range []string{"used_twice", "address_taken"} {
		var asked atomic.Int32
		p, b, log := movedNode(t, func(w http.ResponseWriter, r *http.Request) {
			if asked.Add(1) == 1 {
				answering(409, `{"code":"`+code+`","detail":"node1 still answers"}`)(w, r)
				return
			}
			answering(200, `{"cluster":"3f2a0000"}`)(w, r)
		})
		assert.NoError(t, p.keepAddress(t.Context(), b, node1Identity))
		assert.Equal(t, int32(2), asked.Load())
		assert.Contains(t, log.String(), "the cluster looks for this node elsewhere")
		assert.Contains(t, log.String(), "told the cluster this node's new address")
	}
}

func TestAnyOtherRefusalOfAnAddressIsFinalButStopsNobody(t *testing.T) {
	var asked atomic.Int32
	p, b, log := movedNode(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		answering(409, `{"code":"leader_unreachable","detail":"no way"}`)(w, r)
	})
	assert.NoError(t, p.keepAddress(t.Context(), b, node1Identity))
	assert.Equal(t, int32(1), asked.Load())
	assert.Contains(t, log.String(), `err="no way"`)
}

func TestANodeThatIsSeenAtItsOldAddressAllTheTimeEnds(t *testing.T) {
	p, b, _ := movedNode(t, answering(409, `{"code":"used_twice","detail":"node1 still answers"}`))
	p.o.joinTimeout = 300 * time.Millisecond
	err := p.keepAddress(t.Context(), b, node1Identity)
	assert.EqualError(t, err, "node1 still answers")
	assert.Equal(t, 3, exitCode(err))
}

func TestAnAddressThatTheClusterKnowsIsNotToldAgain(t *testing.T) {
	p, b, _ := movedNode(t, func(http.ResponseWriter, *http.Request) { t.Error("it asked") })
	b.info.Configuration.Members[0].RaftAddr, b.info.Configuration.Members[0].HTTPAddr = "localhost:9", "localhost:10"
	assert.NoError(t, p.keepAddress(t.Context(), b, node1Identity))
}
