package scripts

import (
	"fmt"
	"strconv"
	"strings"

	"dbdb/raft"
	"dbdb/tests/sim"
)

// command is one line of a script: its name and its words, or word=value.
type command struct {
	name    string
	args    []arg
	servers int // how many there are
}

type arg struct {
	key    string
	values []string
}

// usage is wrong use of a command; it becomes the output, so that the author sees it.
type usage string

func bad(format string, args ...any) { panic(usage(fmt.Sprintf(format, args...))) }

// play is the table of commands. n, m are servers as n1; a->b two of them. A selection of
// messages is any of a kind (AppendEntries, HeartbeatReply, …), n1->n2, n1->, ->n2,
// with=text, and one, or nth=2 for the second of those.
func (p *player) command(c command) string {
	s := p.stage
	switch c.name {
	case "timeout": // n…: the election timer runs out
		c.each(s.Timeout)
	case "heartbeat": // n: the leader's timer runs out
		c.each(s.Heartbeat)
	case "tick": // n k: time passes for one server
		s.Tick(c.server(0), c.number(1))
	case "deliver": // a selection: those messages arrive, not what follows from them
		return found(s.Deliver(c.selection(0)))
	case "repeat": // they arrive, and stay under way: a network that repeats
		return found(s.Repeat(c.selection(0)))
	case "lose":
		return found(s.Lose(c.selection(0)))
	case "expire": // the callers of those requests give up
		return found(s.Expire(c.selection(0)))
	case "hold": // settle leaves them alone, also those to come, until release
		s.Hold(c.selection(0))
	case "release":
		s.Release()
	case "settle": // everything arrives, and what follows from it
		s.Settle()
	case "cut": // a b…: nothing passes between a and each other one; a->b: nor that way
		c.links(s.Cut)
	case "heal":
		s.Heal()
	case "breakpoint":
		breakpoint()
	default:
		return p.serverCommand(c)
	}
	return ""
}

// breakpoint does nothing. It is a place to stop at.
func breakpoint() {}

func (p *player) serverCommand(c command) string {
	s := p.stage
	switch c.name {
	case "slow": // n [log] [files] [own]: its disk waits for write and sync, or fast
		if c.has("own") { // the snapshot that it makes itself
			s.SlowOwn(c.server(0))
			break
		}
		log, files := c.has("log"), c.has("files")
		s.Slow(c.server(0), log || !files, files || !log)
	case "write": // n: what waits is written, without a sync
		c.each(s.Write)
	case "sync": // n: and becomes durable
		c.each(s.Sync)
	case "fast": // n: all that waits is done
		c.each(s.Fast)
	case "crash": // n… [keeping | killed]: without a word; unsynced writes are lost, or kept
		policy := sim.LoseUnsynced
		if c.has("keeping") {
			policy = sim.KeepAll
		}
		if c.has("killed") { // the process, not the machine
			policy = sim.KillProcess
		}
		c.each(func(n int) { s.Crash(n, policy) })
	case "start":
		c.each(s.Start)
	case "wipe": // n: its disk is destroyed; its machine comes back as a new server
		c.each(s.Wipe)
	case "set": // n key=value
		a := c.at(1)
		s.Set(c.server(0), a.key, a.value())
	case "del": // n key
		s.Del(c.server(0), c.at(1).key)
	case "get": // n key
		s.Get(c.server(0), c.at(1).key)
	case "add": // m at n
		s.Add(c.server(2), c.server(0))
	case "remove": // m at n
		s.Remove(c.server(2), c.server(0))
	case "transfer": // to m at n
		s.Transfer(c.server(3), c.server(1))
	default:
		return p.look(c)
	}
	return ""
}

// look are the commands that change nothing.
func (p *player) look(c command) string {
	switch s := p.stage; c.name {
	case "logs": // as the paper draws them
		return s.Logs()
	case "status":
		return s.Status()
	case "messages": // under way
		return s.Messages()
	case "progress": // n: what the leader knows of the others
		return s.Progress(c.server(0))
	}
	bad("no command %q", c.name)
	return ""
}

const noSuchMessage = "there is no such message\n"

func found(messages int) string {
	if messages == 0 {
		return noSuchMessage
	}
	return ""
}

func (c command) at(k int) arg {
	if k >= len(c.args) {
		bad("%s wants more words", c.name)
	}
	return c.args[k]
}

func (a arg) value() string { return strings.Join(a.values, ",") }

func (c command) has(word string) bool {
	for _, a := range c.args {
		if a.key == word {
			return true
		}
	}
	return false
}

func (c command) number(k int) int { return number(c.at(k).key) }

func number(word string) int {
	n, err := strconv.Atoi(word)
	if err != nil {
		bad("%q is no number", word)
	}
	return n
}

func (c command) server(k int) int { return c.named(c.at(k).key) }

// named is the server of that name.
func (c command) named(word string) int {
	n := server(word)
	if n < 1 || n > c.servers {
		bad("there is no server %q", word)
	}
	return n
}

func server(word string) int {
	digits, found := strings.CutPrefix(word, "n")
	if !found {
		bad("%q is no server", word)
	}
	return number(digits)
}

// each calls f with every server that is named.
func (c command) each(f func(int)) {
	for _, a := range c.args {
		if strings.HasPrefix(a.key, "n") {
			f(c.named(a.key))
		}
	}
}

// links calls cut with both directions between the first server and each other one, or
// with the one direction of a->b.
func (c command) links(cut func(from, to int)) {
	if from, to, oneWay := strings.Cut(c.at(0).key, "->"); oneWay {
		cut(c.named(from), c.named(to))
		return
	}
	for k := 1; k < len(c.args); k++ {
		cut(c.server(0), c.server(k))
		cut(c.server(k), c.server(0))
	}
}

// selection reads which messages are meant, from the k-th word on.
func (c command) selection(k int) sim.Select {
	var which sim.Select
	for ; k < len(c.args); k++ {
		a := c.args[k]
		from, to, isLink := strings.Cut(a.key, "->")
		switch {
		case a.key == "with":
			which.With = a.value()
		case a.key == "one":
			which.Nth = 1
		case a.key == "nth":
			which.Nth = number(a.value())
		case isLink:
			if from != "" {
				which.From = c.named(from)
			}
			if to != "" {
				which.To = c.named(to)
			}
		default:
			which.Label = a.key
		}
	}
	return which
}

// options reads what `cluster` says: how many voters, then words, then logs as n1=(1,1,2).
func (c command) options() sim.StageOptions {
	o := sim.StageOptions{Voters: c.number(0), Logs: map[int][]raft.Term{}}
	for _, a := range c.args[1:] {
		switch a.key {
		case "pre-vote":
			o.PreVote = true
		case "check-quorum":
			o.CheckQuorum = true
		case "spares":
			o.Spares = number(a.value())
		case "inflight":
			o.MaxInflight = number(a.value())
		case "batch":
			o.BatchBytes = number(a.value())
		case "chunk":
			o.ChunkBytes = number(a.value())
		case "term":
			o.Term = raft.Term(number(a.value()))
		case "compacting":
			for _, v := range a.values {
				o.Compacting = append(o.Compacting, server(v))
			}
		default:
			for _, v := range a.values {
				o.Logs[server(a.key)] = append(o.Logs[server(a.key)], raft.Term(number(v)))
			}
		}
	}
	return o
}
