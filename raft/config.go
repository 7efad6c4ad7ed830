package raft

import (
	"errors"
	"fmt"
)

// Rand is the source of randomness for election timeouts (§5.2). It is injected,
// so that a run can be repeated: seeds from the clock gave etcd#15784 identical
// timeouts under simulation, and a private source cannot be replayed at all.
type Rand interface {
	// IntN returns a number in [0, n).
	IntN(n int) int
}

// Config is what one server is told about itself. Zero fields other than ID and
// Rand mean the default.
type Config struct {
	// ID names this server; see NodeID.
	ID NodeID
	// Rand draws election timeouts.
	Rand Rand

	// ElectionTicks is the smallest election timeout, in ticks. Each timeout is
	// drawn from [ElectionTicks, 2*ElectionTicks), once per reset. Default 20.
	ElectionTicks int
	// HeartbeatTicks is the time between two heartbeats. Default 5.
	HeartbeatTicks int
	// MaxBatchBytes bounds the entries of one AppendEntries, counted with
	// entryOverhead; one entry is always allowed. Default 1 MiB, which is also the
	// most that a message may carry.
	MaxBatchBytes int
	// MaxInflight bounds the unanswered AppendEntries with entries to one peer.
	// More is not faster: see hashicorp/raft#541. Default 4.
	MaxInflight int
	// MaxUncommittedBytes bounds what a leader accepts without being able to commit
	// it; beyond, Propose refuses. Default 64 MiB.
	MaxUncommittedBytes int

	// TrailingBytes is how much of the log stays although a snapshot covers it, so
	// that a follower that is a little behind needs no snapshot. Default 4 MiB; a
	// negative number means none.
	TrailingBytes int

	// NoPreVote lets a server campaign without asking first (thesis §9.6).
	NoPreVote bool
	// NoCheckQuorum lets a leader stay without hearing from a majority (thesis §6.2),
	// and servers vote although they hear from a leader (thesis §4.2.3).
	NoCheckQuorum bool

	// Tracer, if set, is told each transition; see Event.
	Tracer func(Event)
}

// maxBatchBytes is the most that the entries of one message may take, and the default.
const maxBatchBytes = 1 << 20

// entryOverhead is what an entry costs in memory beside its Data: it keeps a flood of
// tiny entries within the byte bounds.
const entryOverhead = 64

func (e Entry) size() int { return len(e.Data) + entryOverhead }

// Validate says what is wrong with a Config, after defaults.
func (c Config) Validate() error {
	c = c.withDefaults()
	switch {
	case !validID(c.ID):
		return fmt.Errorf("raft: ID must have 1 to %d bytes, not %d", MaxNodeIDBytes, len(c.ID))
	case c.Rand == nil:
		return errors.New("raft: Rand is missing")
	case c.HeartbeatTicks < 1 || c.ElectionTicks <= c.HeartbeatTicks:
		return fmt.Errorf("raft: ElectionTicks (%d) must exceed HeartbeatTicks (%d), which must be positive", c.ElectionTicks, c.HeartbeatTicks)
	case c.MaxBatchBytes < 1 || c.MaxInflight < 1 || c.MaxUncommittedBytes < 1:
		return errors.New("raft: bounds must be positive")
	case c.MaxBatchBytes > maxBatchBytes:
		return fmt.Errorf("raft: MaxBatchBytes is %d, more than a message may carry", c.MaxBatchBytes)
	}
	return nil
}

func (c Config) withDefaults() Config {
	for _, d := range []struct {
		field *int
		value int
	}{
		{&c.ElectionTicks, 20},
		{&c.HeartbeatTicks, 5},
		{&c.MaxBatchBytes, maxBatchBytes},
		{&c.MaxInflight, 4},
		{&c.MaxUncommittedBytes, 64 << 20},
		{&c.TrailingBytes, 4 << 20},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	return c
}
