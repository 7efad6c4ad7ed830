package sim

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"dbdb/raft"
	"dbdb/raft/replica"
	"dbdb/tests/spec"
)

// operationKind is what a client asks for.
type operationKind uint8

const (
	opSet operationKind = iota
	opDel
	opGet
)

// outcome is what a client knows of its operation.
type outcome uint8

const (
	pending outcome = iota // or unknown: the client gave up, or the server died
	done
	refused // definitely not carried out
)

// operation is one entry of the history that is judged at the end.
type operation struct {
	client int
	kind   operationKind
	key    string
	value  string // to write; of a read: what was found, "" for nothing
	data   []byte // the command, if it is a write that a server was given
	sum    uint64 // of the command
	tries  int    // how often it was given before
	node   *node

	call, ret int64 // on the clients' logical clock, which gives each moment its own number
	outcome   outcome
	over      bool       // the client goes on, with or without an answer
	answered  bool       // the server called back
	doneAt    raft.Index // of a write: where the server says that it is
	unknown   bool       // it said that it cannot know
	before    raft.Index // reads: highest index acknowledged before the call
	request   uint64     // reads: the server's number for it
	index     raft.Index // reads: that the leader gave, if it was asked for this one
}

// clients ask all servers for reads and writes and remember what they were told.
type clients struct {
	w        *world
	clock    int64
	history  []*operation
	bySum    map[uint64]*command       // asked, never walked
	doneAt   map[raft.Index]*operation // that was told so; asked, never walked
	effects  []effect                  // of the committed commands, in the order of the log
	open     [][]*operation            // by node: given to its present life, not answered
	hints    []int                     // by client: which server led last
	acked    raft.Index                // highest index of a write that a client knows to be done
	observed raft.Index                // highest index of a write that a client has read
	keyUses  []int
	idle     bool // all of them, for a while

	writes, reads int
}

// usesOfKey bounds the history of one key, for the sake of the linearizability
// checker: after that many operations the workload moves to a new key.
const usesOfKey = 200

func newClients(w *world) *clients {
	return &clients{
		w: w, bySum: map[uint64]*command{}, doneAt: map[raft.Index]*operation{},
		open: make([][]*operation, w.profile.nodes), hints: make([]int, w.profile.clients),
		keyUses: make([]int, w.profile.keys),
	}
}

func (c *clients) begin() {
	for client := range c.w.profile.clients {
		c.think(client)
	}
}

func (c *clients) think(client int) {
	w := c.w
	w.at(millisecond+w.work.exponential(w.profile.think), func() {
		if w.calm {
			return
		}
		if c.idles() {
			c.think(client)
			return
		}
		c.ask(c.draw(client), c.goOn)
	})
}

// draw chooses what a client does next.
func (c *clients) draw(client int) *operation {
	w, p := c.w, &c.w.profile
	op := &operation{client: client, kind: opSet, node: w.nodes[c.hints[client]]}
	switch k := w.work.IntN(1000); {
	case k < p.readShare:
		op.kind = opGet
	case k < p.readShare+p.removeShare:
		op.kind = opDel
	}
	if op.kind == opGet || w.work.IntN(5) == 0 || !op.node.up {
		op.node = w.nodes[w.work.IntN(len(w.nodes))]
	}
	op.key = c.drawKey()
	return op
}

func (c *clients) drawKey() string {
	k := c.w.work.IntN(len(c.keyUses))
	c.keyUses[k]++
	return fmt.Sprintf("k%d.%d", k, c.keyUses[k]/usesOfKey)
}

// ask gives an operation to its server. then is called once: when the client has an
// answer, or has waited long enough.
func (c *clients) ask(op *operation, then func(*operation)) {
	w, n := c.w, op.node
	if !n.up {
		w.at(millisecond, func() { then(op) })
		return
	}
	w.recorder.asks(op)
	c.clock++
	op.call, op.before = c.clock, max(c.acked, c.observed)
	c.history = append(c.history, op)
	c.open[n.place] = append(c.open[n.place], op)
	w.at(w.profile.clientTimeout, func() { c.settle(op, then) })
	if op.kind == opGet {
		w.note(clientReads, n, uint64(len(c.history)), checksum([]byte(op.key)), uint64(op.before), 0)
		n.requests++
		read := n.requests
		op.request = read
		n.input(spec.ClientRead{ID: read}, func() {
			n.replica.Read(func(err error) {
				n.held.serves(read, err)
				c.readAnswered(op, err, then)
			})
		})
		return
	}
	cmd := c.commandOf(op)
	w.note(clientWrites, n, uint64(len(c.history)), op.sum, 0, 0)
	n.input(spec.Command{Data: cmd}, func() {
		n.replica.Propose(cmd, func(res replica.Result, err error) { c.writeAnswered(op, res, err, then) })
	})
}

// settle lets the client go on.
func (c *clients) settle(op *operation, then func(*operation)) {
	if op.over {
		return
	}
	op.over = true
	c.w.note(clientAnswer, op.node, uint64(op.call), uint64(op.outcome), checksum([]byte(op.value)), 0)
	then(op)
}

// answer records that the server called back; it says whether anybody still listens.
func (c *clients) answer(op *operation) bool {
	if op.answered {
		violate("One answer", "n%d answers an operation twice", op.node.place+1)
	}
	op.answered = true
	return !op.over
}

func (c *clients) writeAnswered(op *operation, res replica.Result, err error, then func(*operation)) {
	listening := c.answer(op)
	switch {
	case err == nil:
		c.wasCommitted(op, res)
	case errors.Is(err, replica.ErrNotLeader), errors.Is(err, replica.ErrBusy), errors.Is(err, replica.ErrStopped):
		c.wasRefused(op)
	case errors.Is(err, replica.ErrOutcomeUnknown):
		op.unknown = true
		c.w.marks.hit(markOutcomeUnknown)
	default:
		violate("Answers", "a write ends in %v", err)
	}
	if !listening {
		return // the client gave up: to it the outcome stays unknown
	}
	c.clock++
	op.ret = c.clock
	switch {
	case err == nil:
		op.outcome = done
		c.writes++
		c.acked = max(c.acked, res.Index)
		c.hints[op.client] = op.node.place
		op.node.doom(edgeAcked)
	case !op.unknown:
		op.outcome = refused
		c.hints[op.client] = c.guessLeader(op.node)
	}
	c.settle(op, then)
}

// guessLeader is where a server that refuses a write would send its client.
func (c *clients) guessLeader(n *node) int {
	if leader := n.replica.Raft().Status().Leader; leader != "" {
		return c.w.find(leader).place
	}
	return c.w.work.IntN(len(c.w.nodes))
}

// wasCommitted: an answer "done" is about this command, at this index and term.
func (c *clients) wasCommitted(op *operation, res replica.Result) {
	committed := c.w.check.committed
	if res.Index == 0 || res.Index > raft.Index(len(committed)) {
		violate("Answers", "n%d says done of %d, which is not committed", op.node.place+1, res.Index)
	}
	if is := committed[res.Index-1]; is.sum != op.sum || is.term != res.Term || is.kind != raft.EntryCommand {
		violate("Answers", "n%d says done of a write at %d@%d; another entry, of term %d, was committed there", op.node.place+1, res.Index, res.Term, is.term)
	}
	if took, found := c.effectAt(res.Index); !found || took.at < op.call {
		violate("Answers", "n%d says done at %d, which was committed before it was asked", op.node.place+1, res.Index)
	}
	if other := c.doneAt[res.Index]; other != nil {
		violate("Answers", "n%d says done at %d, and so it was said of another operation", op.node.place+1, res.Index)
	}
	c.doneAt[res.Index], op.doneAt = op, res.Index
	if len(res.Value) != 0 {
		violate("Answers", "n%d answers a write with %q", op.node.place+1, res.Value)
	}
}

// effect is a command that was committed: it changed the map at this moment.
type effect struct {
	index raft.Index
	op    *operation // for a removal, any that removes this key
	at    int64      // on the clients' clock
}

// effectAt finds the command that was committed at an index.
func (c *clients) effectAt(i raft.Index) (effect, bool) {
	k, found := slices.BinarySearchFunc(c.effects, i, func(e effect, i raft.Index) int { return cmp.Compare(e.index, i) })
	if !found {
		return effect{}, false
	}
	return c.effects[k], true
}

// readAnswered serves the read from the server's own store, at the moment of the
// answer. What it sees must not be older than anything that was known before.
func (c *clients) readAnswered(op *operation, err error, then func(*operation)) {
	listening := c.answer(op)
	switch {
	case err == nil:
		c.serve(op)
	case errors.Is(err, replica.ErrNoLeader), errors.Is(err, replica.ErrBusy), errors.Is(err, replica.ErrStopped):
		op.outcome = refused
	default:
		violate("Answers", "a read ends in %v", err)
	}
	if !listening {
		return
	}
	c.clock++
	op.ret = c.clock
	if err == nil {
		op.outcome = done
		c.reads++
	}
	c.settle(op, then)
}

func (c *clients) serve(op *operation) {
	n := op.node
	if n.replica.LastApplied() < op.before {
		violate("No stale read", "n%d serves a read at %d; %d was acknowledged or read before it began", n.place+1, n.replica.LastApplied(), op.before)
	}
	if n.view.State != raft.Leader {
		c.w.marks.hit(markFollowerRead)
	}
	value, index, found := n.store.Get(op.key)
	if !found {
		return
	}
	op.value = value
	if !op.over {
		c.observed = max(c.observed, index)
	}
}

// forgotten: the life that these were given to is over, nobody will answer them.
func (c *clients) forgotten(n *node) { c.open[n.place] = c.open[n.place][:0] }

// waits says that somebody waits for an answer of a server's present life.
func (c *clients) waits(n *node) bool {
	return slices.ContainsFunc(c.open[n.place], func(op *operation) bool { return !op.answered })
}

// mustBeAnswered: a server that stops in good order leaves nobody waiting.
func (c *clients) mustBeAnswered(n *node) {
	for _, op := range c.open[n.place] {
		if !op.answered {
			violate("Every waiter is answered", "n%d stops and leaves an operation waiting", n.place+1)
		}
	}
}
