package sim

import (
	"time"

	"github.com/anishathalye/porcupine"
)

// historyTimeout bounds the check of one run's history, in real time. To run out of
// it is a failure: a check that was not made has not passed.
const historyTimeout = 30 * time.Second

// register is one key: its state is the value, "" for none. Values are never empty.
var register = porcupine.Model{
	Init: func() any { return "" },
	Step: func(state, input, _ any) (bool, any) {
		op := input.(*operation)
		switch op.kind {
		case opSet:
			return true, op.value
		case opDel:
			return true, ""
		default:
			return state.(string) == op.value, state
		}
	},
}

// checkHistory asks, key by key, whether the answers that the clients got could
// have come from one map that carries out one operation after the other, each at
// some moment between its call and its answer (linearizability).
//
// A checker that only knows calls and answers has to try all orders of writes that
// overlap, and a write of unknown outcome overlaps all that follow. This one knows
// more: a write takes effect when it is committed, told or not, as any read that
// begins after that must see it. That is a narrower claim than linearizability, and it
// leaves nothing to try but the place of each read.
func (c *clients) checkHistory() {
	var keys []string
	byKey := map[string][]porcupine.Operation{} // walked in the order of keys
	add := func(op *operation, from, to int64) {
		if byKey[op.key] == nil {
			keys = append(keys, op.key)
		}
		byKey[op.key] = append(byKey[op.key], porcupine.Operation{ClientId: op.client, Input: op, Call: from, Return: to})
	}
	for _, e := range c.effects {
		add(e.op, e.at, e.at)
	}
	for _, op := range c.history {
		switch {
		case op.kind == opGet && op.outcome == done:
			add(op, op.call, op.ret)
		case op.kind == opSet && op.unknown && c.bySum[op.sum].committed == 0:
			c.w.marks.hit(markWriteLost)
		}
	}
	for _, key := range keys {
		switch porcupine.CheckOperationsTimeout(register, byKey[key], historyTimeout) {
		case porcupine.Illegal:
			violate("Linearizability", "no order of the operations on %s explains what its clients were told", key)
		case porcupine.Unknown:
			violate("Linearizability", "the history of %s could not be checked in %v", key, historyTimeout)
		}
	}
}
