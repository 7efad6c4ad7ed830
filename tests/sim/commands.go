package sim

import (
	"fmt"

	"dbdb/kvstore"
	"dbdb/raft"
)

// command is what servers were given to carry out. Several operations may have given the
// same one: a client repeats its write when it does not know what became of it, and all
// removals of one key are alike.
type command struct {
	op        *operation // the first
	given     int        // to servers
	refused   int        // of these: certainly not carried out
	committed int
}

// commandOf encodes a write that a server is given now.
func (c *clients) commandOf(op *operation) []byte {
	data := c.encode(op)
	c.bySum[op.sum].given++
	return data
}

// encode makes the bytes of a write, or takes those that were made before, and remembers
// whose they are. A value is unique, so a value that is read tells which command it is of.
func (c *clients) encode(op *operation) []byte {
	if op.data != nil {
		return op.data
	}
	cmd := kvstore.Command{Op: kvstore.Del, Key: []byte(op.key)}
	if op.kind == opSet {
		if op.value == "" {
			op.value = fmt.Sprintf("v%d", c.clock)
		}
		cmd.Op, cmd.Value = kvstore.Set, []byte(op.value)
	}
	data, err := kvstore.Encode(cmd)
	if err != nil {
		violate("Codec", "a command does not encode: %v", err)
	}
	op.data, op.sum = data, checksum(data)
	if c.bySum[op.sum] == nil {
		c.bySum[op.sum] = &command{op: op}
	}
	return data
}

// mayBe: a command is committed at most as often as it was given and not refused. There are
// no client sessions that would make that "once" (§8).
func (cmd *command) mayBe(what string) {
	switch may := cmd.given - cmd.refused; {
	case cmd.committed <= may:
	case may == 0:
		violate("Answers", "a write that was refused is committed (%s)", what)
	default:
		violate("Exactly once", "a command that was given %d times and refused %d times is committed %d times (%s)", cmd.given, cmd.refused, cmd.committed, what)
	}
}

func (c *clients) wasRefused(op *operation) {
	op.outcome = refused
	cmd := c.bySum[op.sum]
	cmd.refused++
	cmd.mayBe(fmt.Sprintf("n%d refuses it", op.node.place+1))
}

// committed notes that a command has taken effect.
func (c *clients) committed(sum uint64, i raft.Index) {
	cmd := c.bySum[sum]
	if cmd == nil {
		violate("State Machine Safety", "a command that nobody gave is committed at %d", i)
	}
	if cmd.committed++; cmd.committed > 1 && cmd.op.kind == opSet {
		c.w.marks.hit(markCommittedAgain)
	}
	cmd.mayBe(fmt.Sprintf("at %d", i))
	c.clock++
	c.effects = append(c.effects, effect{i, cmd.op, c.clock})
}

// goOn is what a client does when an operation is over: the next one; or, if it cannot know
// what became of its write, the very same command once more, on another server too. Once it has
// begun to repeat, it also asks the next server when one refuses.
func (c *clients) goOn(op *operation) {
	w := c.w
	uncertain := op.outcome == pending || op.outcome == refused && op.tries > 0
	if op.kind == opGet || op.data == nil || !uncertain || op.tries >= w.profile.repeats || w.calm {
		c.think(op.client)
		return
	}
	again := &operation{client: op.client, kind: op.kind, key: op.key, value: op.value, data: op.data, sum: op.sum, tries: op.tries + 1}
	w.at(w.rare.exponential(w.profile.repeatDelay), func() {
		if w.calm {
			return // a write would be no quiet
		}
		again.node = w.nodes[w.rare.IntN(len(w.nodes))]
		if w.rare.IntN(2) == 0 {
			again.node = w.nodes[c.hints[op.client]]
		}
		w.marks.hit(markRepeated)
		c.ask(again, c.goOn)
	})
}

// idles lets all clients be quiet for a while, now and then.
func (c *clients) idles() bool {
	p := &c.w.profile
	switch {
	case p.idleOn == 0:
	case c.idle:
		c.idle = !c.w.rare.perMille(p.idleOff)
	case c.w.rare.perMille(p.idleOn):
		c.w.marks.hit(markIdle)
		c.idle = true
	}
	return c.idle
}
