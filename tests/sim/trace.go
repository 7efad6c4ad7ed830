package sim

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"io"

	"dbdb/raft"
)

// what names a kind of event in the trace.
type what uint8

const (
	tick what = iota
	sent
	delivered
	replied
	answered
	dropped
	deadline
	writeStarted
	written
	synced
	snapshotWritten
	snapshotReceived
	crashed
	stopped
	recovered
	started
	applied
	committed
	clientWrites
	clientReads
	operatorAdds
	operatorRemoves
	operatorTransfers
	wiped
	clientAnswer
	networkFault
	healed
	early
	decayed
	refusedToStart
	transition
)

var whatNames = [...]string{
	tick: "tick", sent: "sends", delivered: "receives", replied: "replies to", answered: "is answered by",
	dropped: "network loses", deadline: "gives up on", writeStarted: "is about to write", written: "writes (unsynced)", synced: "synced to", snapshotWritten: "has written a snapshot", snapshotReceived: "has received a snapshot",
	crashed: "CRASHES",
	stopped: "STOPS", recovered: "RECOVERS", started: "STARTS", applied: "applies", committed: "commits first",
	clientWrites: "client writes at", clientReads: "client reads at", operatorAdds: "operator adds at", operatorRemoves: "operator removes at",
	operatorTransfers: "operator transfers from", wiped: "IS WIPED",
	clientAnswer: "answers its client", networkFault: "NETWORK FAULT", healed: "HEALED", early: "has an early timer", decayed: "HAS A BAD DISK", refusedToStart: "REFUSES TO START", transition: "",
}

// record is one event of the trace. It has a fixed size: a trace that allocates
// would cost more than the run that it describes.
type record struct {
	at         int64
	what       what
	message    message
	node, peer int8 // place of the node in the world, or nowhere
	a, b, c, d uint64
	event      raft.Event // of a transition
}

const nowhere = -1

func (r record) String() string {
	at := fmt.Sprintf("%4d.%06d", r.at/second, r.at%second)
	if r.what == transition {
		return fmt.Sprintf("%s %v", at, r.event)
	}
	s := at
	if r.node != nowhere {
		s += fmt.Sprintf(" n%d", r.node+1)
	}
	s += " " + whatNames[r.what]
	if r.peer != nowhere {
		s += fmt.Sprintf(" n%d", r.peer+1)
	}
	if r.message != noMessage {
		s += " " + messageNames[r.message]
	}
	return s + fmt.Sprintf(" [%d %d %d %d]", r.a, r.b, r.c, r.d)
}

// traced is how many events a failure shows; foldBuffer how many bytes are hashed
// at a time.
const (
	traced     = 60
	foldBuffer = 4096
)

// trace folds every event of a run into a SHA-256: two runs are the same run when
// the sums are equal. It remembers the last events and prints all of them to out,
// if there is one.
type trace struct {
	sum   hash.Hash
	buf   []byte
	ring  [traced]record
	count int
	out   io.Writer
	told  func(record) // the stage, if there is one
	all   bool         // print messages and disk writes too, not only what matters
}

func newTrace(out io.Writer, all bool) *trace {
	return &trace{sum: sha256.New(), buf: make([]byte, 0, foldBuffer+128), out: out, all: all}
}

func (t *trace) add(r record) {
	t.fold(r)
	if r.what == tick {
		return // hashed, but nobody wants to read them
	}
	if t.told != nil {
		t.told(r)
	}
	t.ring[t.count%traced] = r
	t.count++
	if t.out != nil && (t.all || r.what >= crashed) {
		fmt.Fprintln(t.out, r)
	}
}

func (t *trace) fold(r record) {
	b := binary.LittleEndian.AppendUint64(t.buf, uint64(r.at))
	b = append(b, byte(r.what), byte(r.message), byte(r.node), byte(r.peer))
	for _, v := range [...]uint64{r.a, r.b, r.c, r.d} {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	if r.what == transition {
		e := r.event
		b = append(append(append(b, e.Rule...), e.Node...), e.Peer...)
		b = append(b, byte(e.State))
		for _, v := range [...]uint64{uint64(e.Term), uint64(e.Index), uint64(e.Of)} {
			b = binary.LittleEndian.AppendUint64(b, v)
		}
	}
	if len(b) > foldBuffer {
		t.sum.Write(b)
		b = b[:0]
	}
	t.buf = b
}

// hash returns the sum over all events so far.
func (t *trace) hash() string {
	t.sum.Write(t.buf)
	t.buf = t.buf[:0]
	return hex.EncodeToString(t.sum.Sum(nil))
}

// tail returns the last events, oldest first.
func (t *trace) tail() []record {
	var records []record
	for i := max(0, t.count-traced); i < t.count; i++ {
		records = append(records, t.ring[i%traced])
	}
	return records
}
