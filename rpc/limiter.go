package rpc

import (
	"sync"
	"time"
)

const (
	// logEvery is the shortest time between two lines about the same key.
	logEvery = 10 * time.Second
	// logSameEvery is the shortest time between two lines with the same text: a
	// lasting trouble is told when it begins and then once in a while.
	logSameEvery = time.Minute
	// maxLogKeys bounds what the limiter remembers: keys are chosen by strangers.
	maxLogKeys = 256
)

// limiter says which complaints may be logged.
type limiter struct {
	mu   sync.Mutex
	keys map[string]*complaint
}

type complaint struct {
	text       string
	at         time.Time // of the last line
	suppressed int       // complaints since then
}

func newLimiter() *limiter { return &limiter{keys: make(map[string]*complaint)} }

// allow says whether a complaint may be logged now and how many about the same key
// were suppressed since the last line.
func (l *limiter) allow(key, text string, now time.Time) (suppressed int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	last := l.keys[key]
	if last == nil {
		if len(l.keys) >= maxLogKeys && !l.makeRoom(now) {
			return 0, false
		}
		l.keys[key] = &complaint{text: text, at: now}
		return 0, true
	}
	every := logEvery
	if last.text == text {
		every = logSameEvery
	}
	if now.Sub(last.at) < every {
		last.suppressed++
		return 0, false
	}
	suppressed = last.suppressed
	*last = complaint{text: text, at: now}
	return suppressed, true
}

// makeRoom forgets the keys that have been quiet for long enough.
func (l *limiter) makeRoom(now time.Time) bool {
	for key, c := range l.keys {
		if now.Sub(c.at) >= logSameEvery {
			delete(l.keys, key)
		}
	}
	return len(l.keys) < maxLogKeys
}
