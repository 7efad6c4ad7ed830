package sim

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"dbdb/raft"
)

// Lanes draws a play as a diagram: a lane for each server, time downwards, messages as arrows
// from lane to lane when they arrive or are lost, and beside that what happened, and by which
// rule. Give it what happens by Watch, and by Step what made it happen.
type Lanes struct {
	title string
	step  string // a command that is not drawn yet
	steps int
	lanes []lane
	rows  []row
}

// lane is a server as it is at one moment.
type lane struct {
	name  string
	up    bool
	state raft.State
}

// row is one line of the diagram.
type row struct {
	lanes []lane // as they were
	step  int    // its number, in the first row of a step
	mark  label  // in one lane
	arrow arrow
	text  string
}

// label is a short word in a server's lane; the zero label is none.
type label struct {
	server int
	word   string
}

// arrow is a message that passes; the zero arrow is none.
type arrow struct {
	from, to int
	lost     bool
}

// The measures of a diagram, in columns.
const (
	diagramWidth = 100
	marginWidth  = 6
	wideLane     = 8
	narrowLane   = 6
	wideServers  = 5 // as many can have wide lanes
)

// Legend says how a diagram is read.
const Legend = `│ follower  ┆ candidate  ┃ leader, nothing: down  ├──▶│ arrives  ├──╳│ is lost  ○ sends  ▪ saves
F3 L3 C3 P3: follower, leader, candidate, pre-candidate of term 3, which does what is said`

// Step begins a command of a script, which makes happen what comes next.
func (l *Lanes) Step(command string) {
	l.flush()
	if l.title == "" {
		l.title = command
		return
	}
	l.steps++
	l.step = command
}

// flush draws a step of which nothing came.
func (l *Lanes) flush() {
	if l.step != "" {
		l.add(row{text: l.step})
	}
}

// Watch takes what happens.
func (l *Lanes) Watch(h Happening) {
	l.widen(h.At)
	l.widen(h.Peer)
	if l.steps > 0 && h.Kind != Broken {
		l.draw(h)
	}
	if h.At.Number == 0 {
		return
	}
	switch now := &l.lanes[h.At.Number-1]; h.Kind {
	case Transition:
		now.up, now.state = true, h.Event.State
	case Started:
		now.up, now.state = true, raft.Follower
	case Crashed:
		now.up = false
	}
}

func (l *Lanes) widen(p Place) {
	for p.Number > len(l.lanes) {
		l.lanes = append(l.lanes, lane{})
	}
	if p.Number > 0 {
		l.lanes[p.Number-1].name = p.Name
	}
}

// draw adds the rows of what happens.
func (l *Lanes) draw(h Happening) {
	message := h.Kind == Received || h.Kind == Lost
	if !message {
		l.flush()
	}
	r := row{mark: label{server: h.At.Number}, text: h.Text}
	switch h.Kind {
	case Sent:
		if l.sentToo(h) {
			return
		}
		r.mark.word, r.text = "○", fmt.Sprintf("%s %s%s%s", h.Label, h.Text, sentTo, h.Peer.Name)
	case Received, Lost:
		r = row{arrow: arrow{from: h.At.Number, to: h.Peer.Number, lost: h.Kind == Lost}, text: h.Label + " " + h.Text}
		if h.Kind == Received {
			r.arrow.from, r.arrow.to = r.arrow.to, r.arrow.from
		}
	case Transition:
		r.mark.word = roles[h.Event.State] + fmt.Sprint(h.Event.Term)
		r.text += "  [" + string(h.Event.Rule) + "]"
	case Saved:
		r.mark.word = "▪"
	case Crashed:
		r.mark.word = "✗"
	case Started, Told, Noted:
		r.mark.word = "•"
	}
	l.add(r)
}

var roles = map[raft.State]string{raft.Follower: "F", raft.PreCandidate: "P", raft.Candidate: "C", raft.Leader: "L"}

const sentTo = "  → "

// sentToo adds a receiver to the row above, if that has the same message for others.
func (l *Lanes) sentToo(h Happening) bool {
	if len(l.rows) == 0 {
		return false
	}
	above := &l.rows[len(l.rows)-1]
	words, receivers, _ := strings.Cut(above.text, sentTo)
	if above.mark != (label{h.At.Number, "○"}) || words != h.Label+" "+h.Text || slices.Contains(strings.Split(receivers, ", "), h.Peer.Name) {
		return false
	}
	above.text += ", " + h.Peer.Name
	return true
}

func (l *Lanes) add(r row) {
	if r.lanes = slices.Clone(l.lanes); l.step != "" {
		r.step, l.step = l.steps, ""
	}
	l.rows = append(l.rows, r)
}

func (l *Lanes) laneWidth() int {
	if len(l.lanes) > wideServers {
		return narrowLane
	}
	return wideLane
}

// String is the diagram.
func (l *Lanes) String() string {
	l.flush()
	l.step = ""
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n%s\n", paragraph(l.title), l.names())
	for _, r := range l.rows {
		l.write(&b, r)
	}
	fmt.Fprintf(&b, "%s\n", l.names())
	return b.String()
}

func (l *Lanes) names() string {
	line := newCanvas(marginWidth + l.laneWidth()*len(l.lanes))
	for k, lane := range l.lanes {
		line.put(l.column(k+1), lane.name)
	}
	return line.String()
}

// column is where a server's lane is.
func (l *Lanes) column(server int) int { return marginWidth + l.laneWidth()*(server-1) }

func (l *Lanes) write(b *strings.Builder, r row) {
	from := marginWidth + l.laneWidth()*len(l.lanes)
	for k, text := range wrap(l.toAll(r), diagramWidth-from) {
		line := newCanvas(from)
		for k := range r.lanes {
			line.put(l.column(k+1), r.lanes[k].glyph())
		}
		if k == 0 {
			if r.step > 0 {
				line.put(0, fmt.Sprintf("%3d", r.step))
			}
			if r.mark.server > 0 {
				line.put(l.column(r.mark.server), r.mark.word)
			}
			l.point(line, r)
		}
		fmt.Fprintf(b, "%s\n", strings.TrimRight(line.full()+text, " "))
	}
}

// toAll is the text of a row; of a message to everybody it does not list them.
func (l *Lanes) toAll(r row) string {
	words, receivers, _ := strings.Cut(r.text, sentTo)
	if r.mark.word == "○" && len(l.lanes) > 3 && strings.Count(receivers, ",") == len(l.lanes)-2 {
		return words + sentTo + "all"
	}
	return r.text
}

func (n lane) glyph() string {
	switch {
	case !n.up:
		return " "
	case n.state == raft.Leader:
		return "┃"
	case n.state == raft.Follower:
		return "│"
	}
	return "┆"
}

// point draws an arrow over the lanes between.
func (l *Lanes) point(line canvas, r row) {
	a := r.arrow
	if a.from == a.to {
		return
	}
	left, right := l.column(min(a.from, a.to)), l.column(max(a.from, a.to))
	for c := left + 1; c < right; c++ {
		line[c] = choose(line[c] == " ", "─", "┼")
	}
	tail, head := left, right-1
	if a.from > a.to {
		tail, head = right, left+1
	}
	switch up, rightwards := r.lanes[a.from-1].up, a.from < a.to; {
	case up && r.lanes[a.from-1].state == raft.Leader:
		line[tail] = choose(rightwards, "┣", "┫")
	case up:
		line[tail] = choose(rightwards, "├", "┤")
	default:
		line[tail] = choose(rightwards, "╶", "╴")
	}
	line[head] = choose(a.lost, "╳", choose(a.from < a.to, "▶", "◀"))
}

// canvas is a line, a column after the other.
type canvas []string

func newCanvas(columns int) canvas {
	line := make(canvas, columns)
	for k := range line {
		line[k] = " "
	}
	return line
}

func (line canvas) put(column int, word string) {
	for _, r := range word {
		if column < len(line) {
			line[column] = string(r)
			column++
		}
	}
}

func (line canvas) full() string { return strings.Join(line, "") }

func (line canvas) String() string { return strings.TrimRight(line.full(), " ") }

// wrap breaks a text into lines; those after the first are indented, and a word that is longer
// than a line loses its end.
func wrap(text string, width int) []string {
	const indent = "    "
	var lines []string
	line := ""
	for _, word := range strings.SplitAfter(text, " ") {
		if most := width - len(indent); utf8.RuneCountInString(word) > most {
			word = string([]rune(word)[:most-2]) + "… "
		}
		if line != "" && utf8.RuneCountInString(line)+utf8.RuneCountInString(strings.TrimRight(word, " ")) > width {
			lines = append(lines, line)
			line = indent
		}
		line += word
	}
	return append(lines, line)
}

// paragraph is a text in lines that are no longer than a diagram.
func paragraph(text string) string {
	lines := wrap(text, diagramWidth-len("# "))
	for k := range lines {
		lines[k] = strings.TrimSpace(lines[k])
	}
	return strings.Join(lines, "\n")
}

// Lanes plays a script and draws it, with the logs and the broken promise at its end.
func (s Script) Lanes(finish bool) (diagram string, f *Failure) {
	l := &Lanes{}
	p := &Player{Watch: l.Watch, Step: l.Step}
	if len(s) == 0 || !isCluster(s[0]) {
		return noCluster + "\n", nil
	}
	p.Do(s[0])
	diagram = Legend + "\n\n"
	if strings.Contains(s[0], "term=") { // there is more in the logs than the first entry
		diagram += p.Stage.Logs() + "\n"
	}
	s[1:].perform(p)
	diagram += l.String() + "\n" + p.Stage.Logs()
	inPlay := p.failed()
	if f = p.end(finish); f != nil {
		when := choose(inPlay, "", "when all faults end: ")
		diagram += "\n" + paragraph(fmt.Sprintf("BROKEN PROMISE: %s%s: %s", when, f.Oracle, firstLine(f.Detail))) + "\n"
	}
	return diagram, f
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
