package sim

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// A script that chance has found is long, and says little. Shrink makes it the shortest that
// breaks the same promise, by trying what can be left out: DEMi (Scott et al., NSDI '16) goes
// the same way from what happened outside to single messages.
//
//  1. whatever follows the broken promise; whole kinds of commands; whole servers
//  2. blocks of half of the commands, a quarter, and so on to single ones (delta debugging)
//  3. each command made simpler: a message named by less, a crash that keeps nothing
//  4. pairs of commands; what a stretch of commands says of one server; a stretch in whose
//     place one timer does
//
// and again from 2, until nothing of it helps. What remains fails, and with any one command
// less it does not. Only the same promise counts: else one slides from one bug to another.

// Shrink returns the shortest script that it finds, of those that break the same promise as
// this one, and how it does. A script that breaks none is returned as it is.
func (s Script) Shrink() (Script, *Failure) {
	f := s.Play(false)
	finish := f == nil
	if finish {
		if f = s.Play(true); f == nil {
			return s, nil
		}
	}
	promise := f.promise()
	k := &shrinker{script: s, finish: finish, breaks: func(s Script, finish bool) bool {
		f := s.Play(finish)
		return f != nil && f.promise() == promise
	}}
	k.shrink()
	return k.script, k.script.Play(k.finish)
}

var digits = regexp.MustCompile(`\d+`)

// promise is what was broken: an oracle or, of a panic, what it says but for the numbers.
func (f *Failure) promise() string {
	if f.Oracle != "panic" {
		return f.Oracle
	}
	return f.Oracle + ": " + digits.ReplaceAllString(firstLine(f.Detail), "#")
}

// shrinker makes a script shorter as long as it fails. Its first command is cluster, and stays.
type shrinker struct {
	script Script
	breaks func(s Script, finish bool) bool // the promise
	finish bool                             // it is broken only when all faults end
	tried  map[string]bool                  // and was of no use
	played int                              // commands
}

// patience is how many commands are carried out at most. They are counted, not timed: the same
// script shrinks to the same.
const patience = 1_500_000

// try takes a script for the present one if it fails too.
func (k *shrinker) try(s Script) bool {
	if k.played >= patience || len(s) == 0 || !isCluster(s[0]) {
		return false
	}
	text := strings.Join(s, "\n")
	if k.tried[text] {
		return false
	}
	if k.played += len(s); !k.breaks(s, k.finish) {
		k.tried[text] = true
		return false
	}
	k.script = s
	return true
}

func (k *shrinker) shrink() {
	k.tried = map[string]bool{}
	k.ending()
	k.truncate()
	k.singly()
	k.kinds()
	k.servers()
	for before := Script(nil); !slices.Equal(before, k.script); {
		before = k.script
		k.blocks()
		k.simplify()
		k.servers()
		k.common()
		k.pairs()
		k.shortcuts()
	}
	k.precisely()
}

// precisely lets one message arrive where a command says so little that others, which are
// older and of no use, arrive with it.
func (k *shrinker) precisely() {
	for at, single := range k.script.arrivals() {
		for _, line := range single {
			s := slices.Clone(k.script)
			if s[at] = line; len(single) > 1 && k.try(s) {
				break
			}
		}
	}
}

// ending lets a promise that is broken only when all faults end be broken in the script: there
// it is seen how. The script gets an end of its own, with which all comes to rest.
func (k *shrinker) ending() {
	if !k.finish {
		return
	}
	k.finish = false
	defer func() { clear(k.tried) }() // it may be of use where the end is another
	all := func(command string) string {
		for n := 1; n <= servers(k.script[0]); n++ {
			command += fmt.Sprintf(" n%d", n)
		}
		return command
	}
	rest := append(slices.Clone(k.script), "heal", all("fast"), all("start"), "settle", all("heartbeat"), "settle")
	if k.try(rest) {
		return
	}
	for n := 1; n <= servers(k.script[0]); n++ {
		name := fmt.Sprintf(" n%d", n)
		if k.try(append(slices.Clone(rest), "timeout"+name, "settle", "heartbeat"+name, "settle", "timeout"+name, "settle", "heartbeat"+name, "settle")) {
			return
		}
	}
	k.finish = true
}

// truncate leaves out what comes after the broken promise. The shortest beginning that
// fails is found by halves; that it fails is tried, not concluded.
func (k *shrinker) truncate() {
	low, high := 1, len(k.script)
	for low < high {
		middle := (low + high) / 2
		if k.try(k.script[:middle]) {
			high = middle
		} else {
			low = middle + 1
		}
	}
}

// singly puts in the place of settle, and of all that makes many messages arrive, each
// arrival on its own, to be left out or not.
func (k *shrinker) singly() {
	k.try(k.script.singly())
}

// kinds leaves out all commands of one name, one name after the other.
func (k *shrinker) kinds() {
	var names []string
	for _, line := range k.script[1:] {
		if name := commandName(line); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, name := range names {
		k.without(func(line string) bool { return commandName(line) == name })
	}
}

// without leaves out the commands of which something is so.
func (k *shrinker) without(so func(line string) bool) bool {
	s := slices.DeleteFunc(slices.Clone(k.script), func(line string) bool { return !isCluster(line) && so(line) })
	return len(s) < len(k.script) && k.try(s)
}

// servers leaves out one server after the other: all that is said of it, and then the server
// itself, those behind it taking the numbers before theirs. Where a majority needs it, two go
// at once; and what was said of one that goes may be said of one that stays.
func (k *shrinker) servers() {
	for n := servers(k.script[0]); n > 1; n-- {
		if !k.try(k.script.withoutServer(n, nobodyElse)) {
			k.without(func(line string) bool { return mentions(line, n) })
		}
	}
	for a := servers(k.script[0]); a > 1; a-- {
		for b := a - 1; b >= 1 && a <= servers(k.script[0]); b-- {
			k.withoutTwo(a, b)
		}
	}
}

// nobodyElse takes a server's part.
const nobodyElse = 0

func (k *shrinker) withoutTwo(a, b int) {
	for insteadA := nobodyElse; insteadA < a; insteadA++ {
		one := k.script.withoutServer(a, insteadA)
		if k.try(one) {
			return
		}
		for insteadB := nobodyElse; len(one) > 0 && insteadB <= servers(one[0]); insteadB++ {
			if insteadB != b && k.try(one.withoutServer(b, insteadB)) {
				return
			}
		}
	}
}

// blocks is delta debugging: it leaves out blocks of half of the commands, then of a
// quarter, and in the end single ones, as long as there is one that is not needed.
func (k *shrinker) blocks() {
	for size := (len(k.script) - 1 + 1) / 2; size >= 1; {
		shorter := false
		for from := len(k.script) - size; from >= 1; from -= size {
			shorter = k.try(slices.Delete(slices.Clone(k.script), from, from+size)) || shorter
		}
		switch {
		case size > 1:
			size /= 2
		case !shorter:
			return
		}
	}
}

// simplify says each command in fewer or plainer words.
func (k *shrinker) simplify() {
	for at := 0; at < len(k.script); at++ {
		for again := true; again; {
			again = slices.ContainsFunc(simpler(k.script[at]), func(line string) bool {
				s := slices.Clone(k.script)
				s[at] = line
				return k.try(s)
			})
		}
	}
}

// pairs leaves out two commands at once: an election for a term that nobody needs is a timer
// too much and a vote too much.
func (k *shrinker) pairs() {
	for a := len(k.script) - 1; a >= 1; a-- {
		for b := a - 1; b >= 1; b-- {
			if k.try(slices.Delete(slices.Delete(slices.Clone(k.script), a, a+1), b, b+1)) {
				a = min(a, len(k.script))
				break
			}
		}
	}
}

// shortcuts puts one timer in the place of a stretch of commands: a heartbeat may do what
// took chance an election.
func (k *shrinker) shortcuts() {
	for size := len(k.script) - 1; size > 1; size-- {
		for from := 1; from+size <= len(k.script); from++ {
			for n := 1; n <= servers(k.script[0]); n++ {
				for _, timer := range []string{"heartbeat", "timeout"} {
					s := slices.Replace(slices.Clone(k.script), from, from+size, fmt.Sprintf("%s n%d", timer, n))
					if k.try(s) {
						return
					}
				}
			}
		}
	}
}

// common leaves out what a stretch of commands says of one server: it plays no part in it.
func (k *shrinker) common() {
	for n := 1; n <= servers(k.script[0]); n++ {
		for from := 1; from < len(k.script); from++ {
			for to := len(k.script); to > from+1; to-- {
				var s Script
				for at, line := range k.script {
					if at < from || at >= to || !mentions(line, n) {
						s = append(s, line)
					}
				}
				if len(s) < len(k.script)-1 && k.try(s) {
					to = min(to, len(k.script)+1)
				}
			}
		}
	}
}

// mentions says whether a command is about a server, or a message from or to it.
func mentions(line string, server int) bool {
	return slices.Contains(named.FindAllString(line, -1), fmt.Sprintf("n%d", server))
}

var named = regexp.MustCompile(`\bn\d+\b`)
