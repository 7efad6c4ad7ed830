package sim

import (
	"fmt"
	"strconv"
	"strings"

	"dbdb/raft"
)

// How a line of a script is read.

// scriptLine is one line of a script: its name and its words, or word=value.
type scriptLine struct {
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

func (c scriptLine) at(k int) arg {
	if k >= len(c.args) {
		bad("%s wants more words", c.name)
	}
	return c.args[k]
}

func (a arg) value() string { return strings.Join(a.values, ",") }

func (c scriptLine) has(word string) bool {
	for _, a := range c.args {
		if a.key == word {
			return true
		}
	}
	return false
}

func (c scriptLine) number(k int) int { return number(c.at(k).key) }

func number(word string) int {
	n, err := strconv.Atoi(word)
	if err != nil {
		bad("%q is no number", word)
	}
	return n
}

func (c scriptLine) server(k int) int { return c.named(c.at(k).key) }

// named is the server of that name.
func (c scriptLine) named(word string) int {
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
func (c scriptLine) each(f func(int)) {
	for _, a := range c.args {
		if strings.HasPrefix(a.key, "n") {
			f(c.named(a.key))
		}
	}
}

// links calls cut with both directions between the first server and each other one, or
// with the one direction of a->b.
func (c scriptLine) links(cut func(from, to int)) {
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
func (c scriptLine) selection(k int) Select {
	var which Select
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
		case a.key == "term":
			which.Term = raft.Term(number(a.value()))
		case a.key == "index":
			which.Index = raft.Index(number(a.value()))
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
func (c scriptLine) options() StageOptions {
	o := StageOptions{Voters: c.number(0), Logs: map[int][]raft.Term{}}
	for _, a := range c.args[1:] {
		switch a.key {
		case "pre-vote":
			o.PreVote = true
		case "check-quorum":
			o.CheckQuorum = true
		case "spec": // every step must be one of the specification's, too
			o.Spec = true
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
