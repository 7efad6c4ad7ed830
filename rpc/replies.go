package rpc

import "sync"

// replies are those of one connection that are not written yet. Whoever answers a request
// adds to them and goes on; one goroutine writes all that have gathered with one system
// call, as after an fsync that many requests waited for. There are at most maxUnanswered.
type replies struct {
	mu   sync.Mutex
	out  []byte
	n    int64
	wake chan struct{} // holds a token while there is something to write
}

// add appends a frame. It never waits.
func (r *replies) add(k kind, seq uint64, payload func(out []byte) []byte) {
	r.mu.Lock()
	start := len(r.out)
	out, err := endFrame(payload(beginFrame(r.out, k, seq)), start)
	r.out = out
	r.n++
	r.mu.Unlock()
	if err != nil {
		panic("rpc: a reply that is longer than any frame: " + err.Error())
	}
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// take returns the frames that have gathered, and how many they are. The buffer it is
// given is used for the next ones.
func (r *replies) take(reuse []byte) (frames []byte, n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	frames, n = r.out, r.n
	r.out, r.n = recycled(reuse), 0
	return frames, n
}

// writeReplies runs until the connection is gone.
func (c *serverConn) writeReplies() {
	var frames []byte
	for {
		select {
		case <-c.replies.wake:
		case <-c.gone:
			return
		}
		var n int64
		frames, n = c.replies.take(frames)
		if err := c.write(frames); err != nil {
			c.close(err)
			return
		}
		c.unanswered.Add(-n)
	}
}
