package cluster

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

// operationKind is what a client asks for.
type operationKind string

const (
	opSet operationKind = "set"
	opDel operationKind = "del"
	opGet operationKind = "get"
)

// outcome is what a client knows of its operation.
type outcome string

const (
	done    outcome = "done"
	refused outcome = "refused" // definitely not carried out
	unknown outcome = "unknown"
)

// operation is one entry of a history. Each value is written once, so a value that is
// read tells which write it is of; "" stands for no value.
type operation struct {
	client    int
	node      string
	kind      operationKind
	key       string
	value     string // to write; of a read: what was found
	call, ret int64  // nanoseconds on one clock
	outcome   outcome
}

func (op operation) String() string {
	return fmt.Sprintf("%10.6f to %10.6f  client %2d at %s: %s %s %q %s",
		float64(op.call)/1e9, float64(op.ret)/1e9, op.client, op.node, op.kind, op.key, op.value, op.outcome)
}

// never is the end of an operation whose outcome nobody knows: it may take effect at
// any later time.
const never = math.MaxInt64

// checkTimeout bounds the check of one key. To run out of it is a failure: a check
// that was not made has not passed.
const checkTimeout = time.Minute

// register is one key: its state is the value.
var register = porcupine.Model{
	Init: func() any { return "" },
	Step: func(state, input, _ any) (bool, any) {
		op := input.(operation)
		if op.kind == opGet {
			return state.(string) == op.value, state
		}
		return true, op.value
	},
}

// perKey sorts operations by key; the keys are in order.
func perKey(history []operation) (names []string, byKey map[string][]operation) {
	byKey = map[string][]operation{}
	for _, op := range history {
		byKey[op.key] = append(byKey[op.key], op)
	}
	for name, ops := range byKey {
		names = append(names, name)
		slices.SortFunc(ops, func(a, b operation) int { return cmp.Compare(a.call, b.call) })
	}
	slices.Sort(names)
	return names, byKey
}

// judge says what is wrong with the history of one key; "" if nothing is: its answers
// could have come from one register that carries out one operation after the other,
// each at some moment between its call and its answer (linearizability).
func judge(ops []operation) string {
	refusedValues := map[string]bool{}
	for _, op := range ops {
		refusedValues[op.value] = refusedValues[op.value] || op.kind == opSet && op.outcome == refused
	}
	for _, op := range ops {
		if op.kind == opGet && op.outcome == done && refusedValues[op.value] {
			return fmt.Sprintf("%s: a write that was refused is read:\n%s", op.key, listing(ops))
		}
	}
	switch porcupine.CheckOperationsTimeout(register, judged(ops), checkTimeout) {
	case porcupine.Illegal:
		return fmt.Sprintf("%s: not linearizable:\n%s", ops[0].key, listing(ops))
	case porcupine.Unknown:
		return fmt.Sprintf("%s: could not be checked in %v:\n%s", ops[0].key, checkTimeout, listing(ops))
	}
	return ""
}

// judged is what the checker is given: without what was refused, without reads that
// failed, and with an end for what is open. Open operations are expensive, as each can
// come anywhere in the order; so it uses what is known of a set of unknown outcome.
func judged(ops []operation) (given []porcupine.Operation) {
	for _, op := range ops {
		switch {
		case op.outcome == done:
		case op.outcome == refused, op.kind == opGet:
			continue
		case op.kind == opDel:
			op.ret = never
		default:
			firstRead := endOfOpenSet(op, ops)
			if firstRead == never {
				continue // nobody saw it, and it may come after all else: it explains nothing
			}
			op.ret = firstRead
		}
		given = append(given, porcupine.Operation{ClientId: op.client, Input: op, Call: op.call, Return: op.ret})
	}
	return given
}

// endOfOpenSet is when a set of unknown outcome must have taken effect: by the end of
// the first read that saw it. One that was seen before it was asked for keeps no time
// in which the checker could explain that.
func endOfOpenSet(set operation, ops []operation) int64 {
	end := int64(never)
	for _, op := range ops {
		if op.kind == opGet && op.outcome == done && op.value == set.value {
			end = min(end, op.ret)
		}
	}
	return max(end, set.call)
}

// lost counts the acknowledged writes to a key that its last value does not explain:
// they began after all that could have left it had ended.
func lost(ops []operation, last string) (count int) {
	leftBy := int64(math.MinInt64)
	for _, op := range ops {
		switch {
		case op.value != last, op.kind == opGet, op.kind == opDel && op.outcome == refused:
		case op.outcome != done:
			return 0 // it came late; that a refused set came at all, judge says
		default:
			leftBy = max(leftBy, op.ret)
		}
	}
	for _, op := range ops {
		if op.kind != opGet && op.outcome == done && op.value != last && op.call > leftBy {
			count++
		}
	}
	return count
}

func listing(ops []operation) string {
	var b strings.Builder
	for _, op := range ops {
		fmt.Fprintln(&b, op)
	}
	return b.String()
}
