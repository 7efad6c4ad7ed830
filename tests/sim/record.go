package sim

import (
	"fmt"
	"regexp"
	"strings"

	"dbdb/raft"
)

// A world that is left to chance can be written down as a script: which message arrived when,
// whose timer ran out, what the disks wrote, who crashed, what clients and the operator asked
// for. Played by hand, the script goes the same way as long as chance had no other part in it:
// disks that fail or tear, damaged files and batches have no words in a script. Nor is it said
// that a machine was wiped: where its removal went another way, that would break promises
// which nobody gave. Where the same promise is broken all the same, the script can be shrunk.

// recorder writes a world down. A nil recorder does not.
type recorder struct{ script Script }

// newRecorder begins with the servers of a world.
func newRecorder(w *world) *recorder {
	p := &w.profile
	line := clusterSize{p.founders, p.nodes - p.founders}.join(nil)
	line += fmt.Sprintf(" inflight=%d", p.raft.MaxInflight)
	if p.raft.MaxBatchBytes > 0 {
		line += fmt.Sprintf(" batch=%d", p.raft.MaxBatchBytes)
	}
	if p.snapshotBytes < noSnapshots {
		var names []string
		for n := range p.nodes {
			names = append(names, fmt.Sprintf("n%d", n+1))
		}
		line += fmt.Sprintf(" chunk=%d compacting=(%s)", p.chunkBytes, strings.Join(names, ", "))
	}
	if !p.raft.NoPreVote {
		line += " pre-vote"
	}
	if !p.raft.NoCheckQuorum {
		line += " check-quorum"
	}
	if w.options.Spec {
		line += " spec"
	}
	r := &recorder{script: Script{line}}
	for n := range p.nodes {
		r.write("slow n%d log", n+1)
	}
	return r
}

func (r *recorder) write(format string, args ...any) {
	if r != nil {
		r.script = append(r.script, fmt.Sprintf(format, args...))
	}
}

// message writes what becomes of a message: the first of those that are the same.
func (r *recorder) message(becomes string, from, to *node, d described) {
	if r != nil {
		r.write("%s one %v", becomes, Select{Label: d.label, From: from.place + 1, To: to.place + 1, Term: d.term, Index: d.index})
	}
}

// arrival writes that a request has arrived. If it arrives again, it was repeated.
func (r *recorder) arrival(line *int, from, to *node, args any) {
	if r == nil {
		return
	}
	if *line > 0 {
		r.script[*line] = strings.Replace(r.script[*line], "deliver", "repeat", 1)
	}
	*line = len(r.script)
	r.message("deliver", from, to, describe(args))
}

// rule writes that a timer has run out.
func (r *recorder) rule(n *node, e raft.Event) {
	switch e.Rule {
	case raft.RuleTimeout:
		r.write("timeout n%d", n.place+1)
	case raft.RuleQuorumLost, raft.RuleTransferOver:
		r.write("tick n%d %d", n.place+1, electionTicks)
	}
}

// crash writes what the disk has kept.
func (r *recorder) crash(n *node, policy CrashPolicy) {
	r.write("crash n%d%s", n.place+1, [...]string{LoseUnsynced: "", KeepPrefix: "", KeepSectors: "", KeepAll: " keeping", KillProcess: " killed"}[policy])
}

// asks writes what a client asks for.
func (r *recorder) asks(op *operation) {
	switch op.kind {
	case opSet:
		r.write("set n%d %s=%s", op.node.place+1, op.key, op.value)
	case opDel:
		r.write("del n%d %s", op.node.place+1, op.key)
	case opGet:
		r.write("get n%d %s", op.node.place+1, op.key)
	}
}

// Played returns a script of a run that was recorded, that breaks the same promise when it is
// played by hand; nil if none does. Without a clock, a server hears its leader for ever, and
// refuses to vote; so what keeps it from that may have to be off. And a snapshot that is taken
// a moment earlier or later makes other messages of what comes after it.
func (res *Result) Played() Script {
	if res.Failure == nil || len(res.Script) == 0 {
		return nil
	}
	for _, off := range []string{"", " check-quorum", " pre-vote check-quorum"} {
		for _, without := range []*regexp.Regexp{nothing, compacting} {
			line := without.ReplaceAllString(strings.TrimSuffix(res.Script[0], off), "")
			s := append(Script{line}, res.Script[1:]...).adapted()
			for _, finish := range []bool{false, true} {
				if f := s.Play(finish); f != nil && f.promise() == res.Failure.promise() {
					return s
				}
			}
		}
	}
	return nil
}

var (
	nothing      = regexp.MustCompile(`^$`)
	compacting   = regexp.MustCompile(` chunk=\d+ compacting=\([^)]*\)`)
	termAndIndex = regexp.MustCompile(` (term|index)=\d+`)
	labels       = regexp.MustCompile(`one \w+ `)
)

// adapted is a script that goes on where it is not what happened any more: in the place of a
// message that there is not, another of its kind arrives or, if there is none, whatever is on
// its way there.
func (s Script) adapted() Script {
	var adapted Script
	p := &Player{}
	for _, line := range s {
		if p.failed() {
			break
		}
		ofKind := termAndIndex.ReplaceAllString(line, "")
		for _, line := range []string{line, ofKind, labels.ReplaceAllString(ofKind, "one ")} {
			if !WasNoUse(p.Do(line)) {
				adapted = append(adapted, line)
				break
			}
		}
	}
	p.end(false)
	return adapted
}
