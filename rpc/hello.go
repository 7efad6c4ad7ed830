package rpc

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
	"time"

	"dbdb/raft"
)

// A connection opens with a hello from the client and an answer from the server.
// Both have the same envelope, which every later version must keep, so that a server
// can tell a client of another version why it refuses:
//
//	magic   9 bytes: "dbdb-raft"
//	version 1 byte
//	length  2 bytes, big endian: of the payload
//	payload
//	crc     4 bytes: CRC32C of all before it
//
// The client's payload: cluster ID, from, to, the lane. The server's: 0 for welcome or 1
// for refused, its cluster ID, its NodeID, the reason. All are strings but the two numbers.
//
// The version stands for the layout of everything behind the hello, too. Version 1 knew
// neither lanes nor InstallSnapshot and TimeoutNow; version 2 no CommitTerm in
// RequestVoteReply.
const (
	helloMagic   = "dbdb-raft"
	helloVersion = 3

	helloHeaderBytes = len(helloMagic) + 1 + 2
	maxHelloBytes    = 1024
	maxReasonBytes   = 512

	// MaxClusterBytes bounds a cluster ID.
	MaxClusterBytes = 64

	// helloTimeout bounds the time from a connection's start to the end of its
	// hello. Who sends one byte a second does not hold a place.
	helloTimeout = 5 * time.Second
)

// lane is what a connection is for. Chunks of snapshots have connections of their own:
// on the one of the heartbeats, each would delay them, and a slow transfer would bring
// one election after the other (hashicorp/raft#541). A server counts the lanes apart.
type lane uint8

const (
	laneCalls lane = iota
	laneSnapshots
)

func (l lane) String() string {
	if l == laneSnapshots {
		return "snapshots"
	}
	return "calls"
}

// Identity says who speaks: one server of one cluster. Both ends of a connection
// check it, so a server that was wiped, or belongs to another cluster but took over
// an address, is not mistaken for a member.
type Identity struct {
	Cluster string // the cluster ID: the same on all members, 1 to MaxClusterBytes bytes
	Self    raft.NodeID
}

// RefusedError says that the server at a member's address does not talk to us.
type RefusedError struct {
	Reason string // a sentence for the operator, in the server's words
}

func (e *RefusedError) Error() string { return "connection refused: " + e.Reason }

// hello is what a client introduces itself with.
type hello struct {
	cluster  string
	from, to raft.NodeID
	lane     lane
}

// welcome is what a server answers; a reason means that it refuses.
type welcome struct {
	cluster string
	self    raft.NodeID
	reason  string
}

func (h hello) encode() []byte {
	payload := appendString(nil, h.cluster)
	payload = appendString(payload, string(h.from))
	payload = appendString(payload, string(h.to))
	return appendHello(appendBool(payload, h.lane == laneSnapshots))
}

func (w welcome) encode() []byte {
	payload := appendBool(nil, w.reason != "")
	payload = appendString(payload, w.cluster)
	payload = appendString(payload, string(w.self))
	return appendHello(appendString(payload, w.reason[:min(len(w.reason), maxReasonBytes)]))
}

func decodeHello(payload []byte) (hello, error) {
	d := decoder{data: payload}
	h := hello{
		cluster: d.string(MaxClusterBytes),
		from:    raft.NodeID(d.string(raft.MaxNodeIDBytes)),
		to:      raft.NodeID(d.string(raft.MaxNodeIDBytes)),
	}
	if d.bool() {
		h.lane = laneSnapshots
	}
	if h.cluster == "" || h.from == "" || h.to == "" || len(d.data) > 0 {
		d.fail("hello")
	}
	return h, d.err
}

func decodeWelcome(payload []byte) (welcome, error) {
	d := decoder{data: payload}
	refused := d.bool()
	w := welcome{
		cluster: d.string(MaxClusterBytes),
		self:    raft.NodeID(d.string(raft.MaxNodeIDBytes)),
		reason:  d.string(maxReasonBytes),
	}
	if refused != (w.reason != "") || len(d.data) > 0 {
		d.fail("answer to a hello")
	}
	return w, d.err
}

func appendHello(payload []byte) []byte {
	buf := append([]byte(helloMagic), helloVersion)
	buf = binary.BigEndian.AppendUint16(buf, uint16(len(payload)))
	buf = append(buf, payload...)
	return binary.BigEndian.AppendUint32(buf, crc32.Checksum(buf, castagnoli))
}

// readHello reads a hello or its answer. The first byte that differs from the magic
// is an error at once: an HTTP or TLS client on this port need not wait.
func readHello(in *bufio.Reader) (version byte, payload []byte, err error) {
	for i := range len(helloMagic) {
		got, err := in.Peek(i + 1)
		if err != nil {
			if len(got) > 0 {
				err = midway(err)
			}
			return 0, nil, err
		}
		if got[i] != helloMagic[i] {
			return 0, nil, malformed("not the start of a hello: %q", got)
		}
	}
	header, err := in.Peek(helloHeaderBytes)
	if err != nil {
		return 0, nil, midway(err)
	}
	length := int(binary.BigEndian.Uint16(header[len(helloMagic)+1:]))
	if length > maxHelloBytes {
		return 0, nil, malformed("hello of %d bytes", length)
	}
	buf := make([]byte, helloHeaderBytes+length+crcBytes)
	if _, err := io.ReadFull(in, buf); err != nil {
		return 0, nil, midway(err)
	}
	end := len(buf) - crcBytes
	if crc32.Checksum(buf[:end], castagnoli) != binary.BigEndian.Uint32(buf[end:]) {
		return 0, nil, malformed("hello with a wrong checksum")
	}
	return buf[len(helloMagic)], buf[helloHeaderBytes:end], nil
}

// receiveHello is the server's half of the exchange: it returns who called and what for,
// after having welcomed them. A caller that it refuses has been told why.
func receiveHello(conn io.Writer, in *bufio.Reader, me Identity) (hello, error) {
	version, payload, err := readHello(in)
	if err != nil {
		return hello{}, err
	}
	h, reason := hello{}, ""
	if version != helloVersion {
		reason = me.otherVersion(version)
	} else if h, err = decodeHello(payload); err != nil {
		return hello{}, err
	} else {
		reason = me.objection(h)
	}
	if _, err := conn.Write(welcome{me.Cluster, me.Self, reason}.encode()); err != nil {
		return hello{}, err
	}
	if reason != "" {
		return hello{}, &RefusedError{reason}
	}
	return h, nil
}

// otherVersion is the reason to have nothing to do with another version.
func (me Identity) otherVersion(version byte) string {
	return fmt.Sprintf("unknown format version %d: %s speaks version %d; run the same dbdb on all servers", version, me.Self.Name(), helloVersion)
}

// objection is the reason to refuse a caller, or "" if there is none. Membership is
// none: a joiner has no configuration yet, and votes and entries must cross
// configurations (thesis §4.1).
func (me Identity) objection(h hello) string {
	switch {
	case h.cluster != me.Cluster:
		theirs, ours := abbreviate(h.cluster, me.Cluster)
		return fmt.Sprintf("cluster ID mismatch: %s speaks for %s, this cluster is %s", h.from.Name(), theirs, ours)
	case h.from == me.Self:
		return fmt.Sprintf("own id: the caller says that it is %s, which is this server", me.Self)
	case h.to != me.Self:
		return fmt.Sprintf("wrong destination: %s looks for %s, this server is %s", h.from.Name(), h.to, me.Self)
	}
	return ""
}

// abbreviate shortens two different IDs for a log line, unless that makes them equal.
func abbreviate(a, b string) (string, string) {
	const keep = 4
	if len(a) <= keep || len(b) <= keep || strings.HasPrefix(b, a[:keep]) {
		return a, b
	}
	return a[:keep] + "…", b[:keep] + "…"
}

// sendHello is the client's half of the exchange.
func sendHello(conn io.Writer, in *bufio.Reader, me Identity, to raft.NodeID, l lane) error {
	if _, err := conn.Write(hello{me.Cluster, me.Self, to, l}.encode()); err != nil {
		return err
	}
	return awaitWelcome(in, me, to)
}

// awaitWelcome reads and judges the answer to a hello.
func awaitWelcome(in *bufio.Reader, me Identity, to raft.NodeID) error {
	version, payload, err := readHello(in)
	if err != nil {
		return fmt.Errorf("no answer to the hello: %w", err)
	}
	if version != helloVersion {
		return &RefusedError{me.otherVersion(version)}
	}
	w, err := decodeWelcome(payload)
	switch {
	case err != nil:
		return err
	case w.reason != "":
		return &RefusedError{w.reason}
	case w.cluster != me.Cluster || w.self != to:
		return &RefusedError{fmt.Sprintf("welcomed by %s of another cluster or under another name", w.self)}
	}
	return nil
}

// Meet is the exchange of a caller, who looks for a server, with the one that is found at that
// server's address; an error says why one of them refuses the other. It is for worlds without
// connections.
func Meet(caller, found Identity, to raft.NodeID) error {
	var there, back bytes.Buffer
	there.Write(hello{caller.Cluster, caller.Self, to, laneCalls}.encode())
	_, refusal := receiveHello(&back, bufio.NewReader(&there), found)
	if err := awaitWelcome(bufio.NewReader(&back), caller, to); err != nil {
		return err
	}
	return refusal
}
