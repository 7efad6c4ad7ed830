package cluster

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func set(value string, call, ret int64, o outcome) operation {
	return operation{kind: opSet, key: "x", value: value, call: call, ret: ret, outcome: o}
}

func del(call, ret int64, o outcome) operation {
	return operation{kind: opDel, key: "x", call: call, ret: ret, outcome: o}
}

func get(value string, call, ret int64) operation {
	return operation{kind: opGet, key: "x", value: value, call: call, ret: ret, outcome: done}
}

// A checker that never finds anything would pass every cluster: hand-made histories
// have what it must find, and what it must not mistake for that.
func TestTheCheckerFindsWhatIsWrong(t *testing.T) {
	for _, tc := range []struct {
		name string
		says string // "" for nothing
		ops  []operation
	}{
		{"one after the other", "", []operation{set("a", 1, 2, done), get("a", 3, 4), del(5, 6, done), get("", 7, 8)}},
		{"a read during a write sees either", "", []operation{set("a", 1, 9, done), get("", 2, 3), get("a", 4, 5)}},
		{"a stale read", "not linearizable", []operation{set("a", 1, 2, done), set("b", 3, 4, done), get("a", 5, 6)}},
		{"a read that goes back", "not linearizable", []operation{set("a", 1, 2, done), set("b", 3, 9, done), get("b", 4, 5), get("a", 6, 7)}},
		{"a lost write", "not linearizable", []operation{set("a", 1, 2, done), get("", 3, 4)}},
		{"a removal undone", "not linearizable", []operation{set("a", 1, 2, done), del(3, 4, done), get("a", 5, 6)}},
		{"a value that nobody wrote", "not linearizable", []operation{set("a", 1, 2, done), get("z", 3, 4)}},
		{"a refused write that is read", "refused", []operation{set("a", 1, 2, refused), get("a", 3, 4)}},
		{"a refused write that is not", "", []operation{set("a", 1, 2, refused), get("", 3, 4)}},
		{"an unknown write that is read", "", []operation{set("a", 1, 2, unknown), get("a", 8, 9)}},
		{"an unknown write that takes effect late", "", []operation{set("a", 1, 2, unknown), get("", 3, 4), get("a", 8, 9)}},
		{"an unknown write that is not read", "", []operation{set("a", 1, 2, unknown), get("", 3, 4)}},
		{"an unknown write that comes and goes", "not linearizable", []operation{set("a", 1, 2, unknown), get("a", 3, 4), get("", 5, 6)}},
		{"an unknown write that is read before it is asked for", "not linearizable", []operation{get("a", 1, 2), set("a", 3, 4, unknown), get("a", 5, 6)}},
		{"an unknown write that undoes an acknowledged one after it was read", "not linearizable",
			[]operation{set("a", 1, 2, unknown), get("a", 3, 4), set("b", 5, 6, done), get("a", 7, 8)}},
		{"an unknown removal", "", []operation{set("a", 1, 2, done), del(3, 4, unknown), get("a", 5, 6), get("", 7, 8)}},
		{"an unknown removal that comes and goes", "not linearizable",
			[]operation{set("a", 1, 2, done), del(3, 4, unknown), get("", 5, 6), get("a", 7, 8)}},
	} {
		says := judge(tc.ops)
		if tc.says == "" {
			assert.Empty(t, says, tc.name)
		} else {
			assert.Contains(t, says, tc.says, tc.name)
		}
	}
}

func TestLostWritesAreCounted(t *testing.T) {
	for _, tc := range []struct {
		name string
		last string
		lost int
		ops  []operation
	}{
		{"nothing is lost", "b", 0, []operation{set("a", 1, 2, done), set("b", 3, 4, done)}},
		{"two overlap, either may be last", "a", 0, []operation{set("a", 1, 4, done), set("b", 2, 3, done)}},
		{"the last is lost", "a", 1, []operation{set("a", 1, 2, done), set("b", 3, 4, done)}},
		{"all are lost", "", 2, []operation{set("a", 1, 2, done), set("b", 3, 4, done)}},
		{"a removal is lost", "a", 1, []operation{set("a", 1, 2, done), del(3, 4, done)}},
		{"removed", "", 0, []operation{set("a", 1, 2, done), del(3, 4, done)}},
		{"an old removal explains nothing", "", 1, []operation{del(1, 2, done), set("a", 3, 4, done)}},
		{"a late write of unknown outcome", "a", 0, []operation{set("a", 1, 2, unknown), set("b", 3, 4, done)}},
		{"a removal of unknown outcome", "", 0, []operation{del(1, 2, unknown), set("b", 3, 4, done)}},
		{"a refused write that came after all", "b", 0, []operation{set("a", 1, 2, done), set("b", 3, 4, refused)}},
		{"a refused removal explains nothing", "", 1, []operation{set("a", 1, 2, done), del(3, 4, refused)}},
		{"a value that nobody wrote", "z", 1, []operation{set("a", 1, 2, done)}},
	} {
		assert.Equal(t, tc.lost, lost(tc.ops, tc.last), tc.name)
	}
}
