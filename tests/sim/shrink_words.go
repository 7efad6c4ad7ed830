package sim

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// What shrinking does to the words of a command.

// simpler are the ways to say less: the best first.
func simpler(line string) []string {
	words := wordsOf(line)
	var list []string
	instead := func(with ...string) { list = append(list, strings.Join(with, " ")) }
	switch words[0] {
	case "cluster":
		for k, word := range words {
			if k > 1 && !strings.HasPrefix(word, "spares=") && !strings.HasPrefix(word, "term=") {
				instead(slices.Delete(slices.Clone(words), k, k+1)...)
			}
		}
		if kept, were := splitCluster(line); were.spares > 0 {
			were.spares--
			list = append(list, were.join(kept))
		}
	case "deliver", "repeat", "lose", "expire":
		for k, word := range words {
			if plainer(word) {
				instead(slices.Delete(slices.Clone(words), k, k+1)...)
			}
		}
		if words[0] == "repeat" {
			instead(append([]string{"deliver"}, words[1:]...)...)
		}
	case "crash":
		if len(words) > 2 {
			instead(words[:2]...)
		}
	case "slow":
		if len(words) == 2 {
			instead(words[0], words[1], "log")
			instead(words[0], words[1], "files")
		}
	case "tick":
		if words[2] != "1" {
			instead(words[0], words[1], "1")
			instead("timeout", words[1])
		}
	case "set":
		if _, value, _ := strings.Cut(words[2], "="); value != "1" {
			instead(words[0], words[1], "x=1")
		}
	}
	return list
}

// plainer says that a selection is easier to read without a word.
func plainer(word string) bool {
	key, _, isValue := strings.Cut(word, "=")
	return isValue && slices.Contains([]string{"nth", "term", "index", "with"}, key) || word == "one"
}

// cluster is what the first command says of the number of servers.
type clusterSize struct{ voters, spares int }

// splitCluster takes the numbers out of the first command.
func splitCluster(line string) (others []string, size clusterSize) {
	for k, word := range wordsOf(line) {
		switch spares, isSpares := strings.CutPrefix(word, "spares="); {
		case k == 1:
			size.voters, _ = strconv.Atoi(word)
		case isSpares:
			size.spares, _ = strconv.Atoi(spares)
		case k > 0:
			others = append(others, word)
		}
	}
	return others, size
}

func (size clusterSize) join(others []string) string {
	words := []string{"cluster", strconv.Itoa(size.voters)}
	if size.spares > 0 {
		words = append(words, fmt.Sprintf("spares=%d", size.spares))
	}
	return strings.Join(append(words, others...), " ")
}

// servers is how many there are in the beginning.
func servers(cluster string) int {
	_, size := splitCluster(cluster)
	return size.voters + size.spares
}

// withoutServer is a script in which there is one server less. Another one may take its part
// in what is said of it; else nothing is.
func (s Script) withoutServer(n, instead int) Script {
	others, size := splitCluster(s[0])
	switch {
	case n > size.voters:
		size.spares--
	case size.voters == 1:
		return nil
	default:
		size.voters--
	}
	renumbered := func(line string) string {
		return named.ReplaceAllStringFunc(line, func(name string) string {
			number, _ := strconv.Atoi(name[1:])
			if number == n {
				number = instead
			}
			if number > n {
				number--
			}
			return fmt.Sprintf("n%d", number)
		})
	}
	shorter := Script{renumbered(size.join(withoutName(others, n)))}
	for _, line := range s[1:] {
		if instead != nobodyElse || !mentions(line, n) {
			shorter = append(shorter, renumbered(line))
		}
	}
	return shorter
}

// withoutName takes a server out of what the first command says of single ones.
func withoutName(words []string, n int) []string {
	name := fmt.Sprintf("n%d", n)
	var kept []string
	for _, word := range words {
		key, value, _ := strings.Cut(word, "=(")
		if key == "compacting" {
			names := strings.Split(strings.TrimSuffix(value, ")"), ", ")
			names = slices.DeleteFunc(names, func(other string) bool { return other == name })
			if word = key + "=(" + strings.Join(names, ", ") + ")"; len(names) == 0 {
				continue
			}
		}
		if key != name {
			kept = append(kept, word)
		}
	}
	return kept
}

// wordsOf splits a command. A list in brackets is one word.
func wordsOf(line string) []string {
	var words []string
	for _, word := range strings.Fields(line) {
		if last := len(words) - 1; last >= 0 && strings.Contains(words[last], "(") && !strings.HasSuffix(words[last], ")") {
			words[last] += " " + word
			continue
		}
		words = append(words, word)
	}
	return words
}
