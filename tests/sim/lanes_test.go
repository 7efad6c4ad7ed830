package sim

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestAPlayAsLanes is a play with all that a diagram has a sign for: a message that is lost and
// one that crosses a lane, a crash, a server that is down, and a leader.
func TestAPlayAsLanes(t *testing.T) {
	diagram, failure := Script{"cluster 3", "timeout n1", "lose RequestVote n1->n2", "deliver RequestVote", "crash n2", "deliver RequestVoteReply", "heartbeat n1", "deliver Heartbeat n1->n2", "start n2"}.Lanes(true)
	assert.Nil(t, failure)
	assert.Equal(t, Legend+"\n\n"+golden, diagram)
}

const golden = `cluster 3

      n1      n2      n3
  1   │       │       │       timeout n1
      F1      │       │       hears from no leader  [F-2]
      C2      │       │       campaigns for term 2  [C-1]
      ▪       │       │       saves term 2, vote n1
      ○       │       │       RequestVote term 2, last 1@1  → n2, n3
  2   ├──────╳│       │       RequestVote term 2, last 1@1
  3   ├───────┼──────▶│       RequestVote term 2, last 1@1
      ┆       │       F2      sees term 2 and follows  [A-2]
      ┆       │       F2      votes for n1  [RV-2]
      ┆       │       ▪       saves term 2, vote n1
      ┆       │       ○       RequestVoteReply term 2, granted  → n1
  4   ┆       │       │       crash n2
      ┆       ✗       │       CRASHES; durable are term 1 and the log up to 1
  5   ┆◀──────────────┤       RequestVoteReply term 2, granted
      L2              │       WINS term 2  [C-2]
      L2              │       appends its first entry 2@2  [L-1n]
      ○               │       Heartbeat term 2, prev 0@0, commit 0  → n2, n3
      ○               │       AppendEntries term 2, prev 1@1, entries 2@2, commit 0  → n2, n3
      ▪               │       saves entries 2@2
  6   ┃               │       heartbeat n1
      ○               │       Heartbeat term 2, prev 0@0, commit 0  → n2, n3
  7   ┣──────╳        │       Heartbeat term 2, prev 0@0, commit 0
      ┣──────╳        │       Heartbeat term 2, prev 0@0, commit 0
  8   ┃               │       start n2
      ┃       F1      │       uses the configuration at 1  [M-1]
      ┃       •       │       STARTS with term 1 and the log up to 1
      n1      n2      n3

          1   2
n1@2      1   2
n2@1      1
n3@2      1
`

func TestAScriptWithoutServersHasNoLanes(t *testing.T) {
	for _, s := range []Script{nil, {"timeout n1"}} {
		diagram, failure := s.Lanes(true)
		assert.Equal(t, "a script begins with the command cluster\n", diagram)
		assert.Nil(t, failure)
	}
}

func TestALongTextGoesOnInTheNextLine(t *testing.T) {
	assert.Equal(t, []string{"a long text that ", "    goes on"}, wrap("a long text that goes on", 16))
	assert.Equal(t, []string{"one two ", "    abcdefgh… "}, wrap("one two abcdefghijklmnop", 14))
}
