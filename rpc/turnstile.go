package rpc

// turnstile lets the requests of one connection into the handler one after the
// other, in the order in which they were received. net/rpc starts a goroutine for
// each request, and the scheduler runs these in any order: an AppendEntries that
// overtakes the one before it fails the consistency check and costs a rewind.
//
// The codec takes a turn for each request it reads; the request's goroutine waits
// for it, hands the request over, and opens the way for the next. It does not wait
// for the reply: that comes after an fsync, and the requests behind it shall share
// that fsync.
type turnstile struct {
	last chan struct{} // closed when the newest request has passed
}

// turn is one request's place in the order.
type turn struct {
	before chan struct{} // closed when the request before has passed; nil for the first
	after  chan struct{}
}

// take gives the next turn. Only the goroutine that reads the requests calls it.
func (t *turnstile) take() turn {
	next := turn{before: t.last, after: make(chan struct{})}
	t.last = next.after
	return next
}

// wait returns when it is this request's turn.
func (t turn) wait() {
	if t.before != nil {
		<-t.before
	}
}

// pass lets the next request in. Every turn that was taken must pass, or the
// connection stands still.
func (t turn) pass() { close(t.after) }
