package raft

import (
	"encoding/binary"
	"slices"
	"strings"
)

// Role is what a member counts for.
type Role uint8

const (
	// Learner receives the log but neither votes nor counts (thesis §4.2.1).
	Learner Role = iota
	// Voter counts in elections and commitment.
	Voter
)

func (r Role) String() string { return [...]string{"learner", "voter"}[r] }

// Member is one server of a configuration and where it is reached.
type Member struct {
	ID       NodeID
	Role     Role
	RaftAddr string // host:port of its Raft port
	HTTPAddr string // host:port of its HTTP API
}

// Name is the operator's name of the member: its NodeID without the suffix.
func (m Member) Name() string { return m.ID.Name() }

// Configuration is the set of servers that make up the cluster (§6), sorted by ID
// so that every server walks it in the same order. It is immutable: a change
// makes a new one.
type Configuration struct {
	Members []Member
}

// Member finds a member by ID.
func (c Configuration) Member(id NodeID) (Member, bool) {
	for _, m := range c.Members {
		if m.ID == id {
			return m, true
		}
	}
	return Member{}, false
}

// IsVoter says whether id counts in elections and commitment.
func (c Configuration) IsVoter(id NodeID) bool {
	m, ok := c.Member(id)
	return ok && m.Role == Voter
}

// Voters counts the members that vote.
func (c Configuration) Voters() int {
	n := 0
	for _, m := range c.Members {
		if m.Role == Voter {
			n++
		}
	}
	return n
}

// Quorum is the size of a majority of the voters. Two majorities always share a
// voter; with n/2 instead of n/2+1 they would not for even n (hashicorp/raft 163a55f).
func (c Configuration) Quorum() int { return c.Voters()/2 + 1 }

// majority says whether a quorum of the voters says yes. Learners are not asked.
func (c Configuration) majority(yes func(voter NodeID) bool) bool {
	n := 0
	for _, m := range c.Members {
		if m.Role == Voter && yes(m.ID) {
			n++
		}
	}
	return n >= c.Quorum()
}

// with returns a configuration in which m is a member, new or replaced.
func (c Configuration) with(m Member) Configuration {
	members := slices.DeleteFunc(slices.Clone(c.Members), func(o Member) bool { return o.ID == m.ID })
	members = append(members, m)
	slices.SortFunc(members, func(a, b Member) int { return strings.Compare(string(a.ID), string(b.ID)) })
	return Configuration{Members: members}
}

// without returns a configuration in which id is no member.
func (c Configuration) without(id NodeID) Configuration {
	return Configuration{slices.DeleteFunc(slices.Clone(c.Members), func(m Member) bool { return m.ID == id })}
}

// MaxMembers bounds a configuration: every change writes all of it down, and every
// heartbeat walks it.
const MaxMembers = 64

// MaxAddrBytes is the longest address of a member: a DNS name, a colon, a port.
const MaxAddrBytes = 255 + 1 + 5

// Encode writes the configuration as the Data of an EntryConfiguration.
func (c Configuration) Encode() []byte {
	buf := binary.AppendUvarint(nil, uint64(len(c.Members)))
	for _, m := range c.Members {
		buf = append(buf, byte(m.Role))
		for _, s := range []string{string(m.ID), m.RaftAddr, m.HTTPAddr} {
			buf = binary.AppendUvarint(buf, uint64(len(s)))
			buf = append(buf, s...)
		}
	}
	return buf
}

// DecodeConfiguration reads what Encode wrote. Anything else is an error: the
// bytes may come from a peer.
func DecodeConfiguration(data []byte) (Configuration, error) {
	var c Configuration
	count, n := binary.Uvarint(data)
	if n <= 0 || count > MaxMembers {
		return c, malformed("configuration of %d bytes", len(data))
	}
	data = data[n:]
	for range count {
		m, rest, err := decodeMember(data)
		if err != nil {
			return Configuration{}, err
		}
		if k := len(c.Members); k > 0 && m.ID <= c.Members[k-1].ID {
			return Configuration{}, malformed("configuration is not sorted at %q", m.ID)
		}
		c.Members, data = append(c.Members, m), rest
	}
	switch {
	case len(data) > 0:
		return Configuration{}, malformed("%d bytes after the configuration", len(data))
	case c.Voters() == 0:
		return Configuration{}, malformed("configuration without a voter")
	}
	return c, nil
}

func decodeMember(data []byte) (m Member, rest []byte, err error) {
	if len(data) == 0 || data[0] > byte(Voter) {
		return m, nil, malformed("member's role")
	}
	m.Role, data = Role(data[0]), data[1:]
	var fields [3]string
	for k, limit := range []uint64{MaxNodeIDBytes, MaxAddrBytes, MaxAddrBytes} {
		length, n := binary.Uvarint(data)
		if n <= 0 || length > limit || length > uint64(len(data)-n) {
			return m, nil, malformed("member of a configuration")
		}
		fields[k], data = string(data[n:n+int(length)]), data[n+int(length):]
	}
	m.ID, m.RaftAddr, m.HTTPAddr = NodeID(fields[0]), fields[1], fields[2]
	if !validID(m.ID) {
		return m, nil, malformed("member without an id")
	}
	return m, data, nil
}
