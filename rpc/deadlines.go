package rpc

import (
	"cmp"
	"slices"
	"time"
)

const (
	// maxSilences is how many deadlines may pass in a row, with nothing received, before
	// a connection is given up. One is not enough: a server that waits for a slow disk
	// is not helped by losing the connection.
	maxSilences = 4
	// maxSnapshotSilences is the same for chunks, whose deadline is fifty times as long.
	// What is left of a late chunk must not stand before its repetition.
	maxSnapshotSilences = 1
	// snapshotIdle is how long the connection for snapshots stays without a chunk. They
	// are rare; the chunks of one follow each other at once.
	snapshotIdle = time.Minute
)

// arm sets the one timer of the peer. Almost all calls are answered long before
// their deadline, so a timer per call would be made only to be stopped.
func (p *peer) arm(at time.Time) {
	p.armed = at
	p.timer.Reset(time.Until(at))
}

// sweep ends the calls whose deadline has passed, oldest first, and sets the timer
// for the next one. Every call has armed the timer, so sweep runs after the last one, too,
// which is when the connection for snapshots begins to be idle.
func (p *peer) sweep(now time.Time) {
	p.mu.Lock()
	var late []call
	p.armed = time.Time{}
	next := time.Time{}
	for _, c := range p.open {
		if at := c.state().deadline; !at.After(now) {
			late = append(late, c)
		} else if next.IsZero() || at.Before(next) {
			next = at
		}
	}
	slices.SortFunc(late, byArrival)
	useless, why := p.expire(late), errSilent
	if useless == nil && p.lane == laneSnapshots && len(p.open) == 0 {
		useless, next = p.retire(now)
		why = errIdle
	}
	if !next.IsZero() {
		p.arm(next)
	}
	p.mu.Unlock()
	if useless != nil {
		useless.close(why)
	}
	for _, c := range late {
		c.finish(ErrTimeout)
	}
}

// retire gives up the connection for snapshots if there has been no chunk for long
// enough, and says else when that will be. The caller holds mu.
func (p *peer) retire(now time.Time) (idle *clientConn, at time.Time) {
	if at = p.used.Add(snapshotIdle); at.After(now) {
		return nil, at
	}
	idle, p.conn = p.conn, nil // at once: the next call must not be sent on it
	return idle, time.Time{}
}

func byArrival(a, b call) int { return cmp.Compare(a.state().number, b.state().number) }

// expire removes calls past their deadline. Those that expire together count as one
// silence: a window of calls that waits for one slow fsync is no sign of a dead
// connection. It returns the connection if it is to be given up.
func (p *peer) expire(late []call) (hung *clientConn) {
	if len(late) == 0 {
		return nil
	}
	silent := false
	for _, c := range late {
		p.remove(c)
		// A call that was not sent waited behind a write that the peer does not read.
		on := c.state().sentOn
		silent = silent || p.conn != nil && (on == nil || on == p.conn)
	}
	p.queue = slices.DeleteFunc(p.queue, func(c call) bool { return c.state().slot < 0 })
	if !silent {
		return nil
	}
	p.lastErr = ErrTimeout
	allowed := maxSilences
	if p.lane == laneSnapshots {
		allowed = maxSnapshotSilences
	}
	if p.silences++; p.silences < allowed {
		return nil
	}
	return p.conn
}
