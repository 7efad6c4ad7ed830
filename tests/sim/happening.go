package sim

import (
	"fmt"

	"dbdb/raft"
)

// Happening is one thing that happened on a stage: a line of a transcript, and a row of a
// lane diagram.
type Happening struct {
	Kind  HappeningKind
	At    Place  // whom it happened to; the sender of a message, of Received its receiver
	Peer  Place  // the other end of a message
	Label string // of a message: what kind it is
	Text  string
	Event raft.Event // of a Transition
}

// Place is a server: its number, from 1 on, and its name. The zero Place is nobody.
type Place struct {
	Number int
	Name   string
}

// HappeningKind says what a Happening is.
type HappeningKind uint8

// What can happen on a stage.
const (
	Sent HappeningKind = iota
	Received
	Lost
	Transition // one of the core's rules was carried out
	Saved      // a server has handed something to its disk
	Crashed
	Started
	Told   // a client or the operator was
	Noted  // whatever else a player wants to know
	Broken // a promise, and the play is over
)

// String is the line of a transcript.
func (h Happening) String() string {
	switch h.Kind {
	case Sent:
		return fmt.Sprintf("%s → %s  %s %s", h.At.Name, h.Peer.Name, h.Label, h.Text)
	case Received:
		return fmt.Sprintf("%s ⇐ %s  %s %s", h.At.Name, h.Peer.Name, h.Label, h.Text)
	case Lost:
		return fmt.Sprintf("%s ⇥ %s  %s %s", h.At.Name, h.Peer.Name, h.Label, h.Text)
	case Transition:
		return fmt.Sprintf("  %s@%d %s %s  [%s]", h.At.Name, h.Event.Term, h.Event.State, h.Text, h.Event.Rule)
	case Saved:
		return fmt.Sprintf("  %s %s", h.At.Name, h.Text)
	case Told:
		return "  " + h.Text
	case Noted, Broken:
		return h.Text
	}
	return h.At.Name + " " + h.Text
}

func placeOf(n *node) Place { return Place{n.place + 1, name(n)} }
