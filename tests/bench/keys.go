package main

import (
	"fmt"
	"strconv"
	"sync/atomic"
)

// keys is what was written and what was acknowledged, so that every answer can be judged.
// A key has one writer, who numbers what it writes to it: an answer shows which write it
// is the value of, and writes to one key have an order without any clock.
type keys struct {
	valueBytes int
	state      []keyState
}

type keyState struct {
	issued atomic.Uint32 // the number of the newest write that was sent
	acked  atomic.Uint32 // of the newest that was acknowledged
}

func newKeys(n, valueBytes int) *keys {
	return &keys{valueBytes: valueBytes, state: make([]keyState, n)}
}

func keyName(k int) string { return fmt.Sprintf("key%08d", k) }

// settled says whether the outcome of every write to the key is known. No other write may
// follow one of unknown outcome: it may still happen, after that one.
func (ks *keys) settled(k int) bool {
	s := &ks.state[k]
	return s.issued.Load() == s.acked.Load()
}

// issue numbers the next write to a key and returns its value.
func (ks *keys) issue(k int) (value string, number uint32) {
	number = ks.state[k].issued.Add(1)
	return ks.value(k, number), number
}

// acknowledged notes a write that succeeded, undone one that certainly did not happen.
func (ks *keys) acknowledged(k int, number uint32) { ks.state[k].acked.Store(number) }
func (ks *keys) undone(k int, number uint32)       { ks.state[k].issued.Store(number - 1) }

// filler is what values are made of after their numbers. It needs no escapes in JSON.
const filler = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"

// value is what the write with that number puts under the key: the key, the number, and
// bytes that both decide.
func (ks *keys) value(k int, number uint32) string {
	b := make([]byte, 0, ks.valueBytes+len(filler))
	b = strconv.AppendInt(b, int64(k), 10)
	b = append(b, ' ')
	b = strconv.AppendUint(b, uint64(number), 10)
	b = append(b, ' ')
	for at := (k*7 + int(number)) % len(filler); len(b) < ks.valueBytes; at = 0 {
		b = append(b, filler[at:]...)
	}
	return string(b[:ks.valueBytes])
}

// wrongAnswer is an answer that no correct store gives.
type wrongAnswer struct{ what, detail string }

func (w *wrongAnswer) Error() string { return w.what + ": " + w.detail }

// bounds is what a read may return: a write from the one that was acknowledged before it
// began up to the newest that was sent before it ended.
func (ks *keys) atLeast(k int) uint32 { return ks.state[k].acked.Load() }
func (ks *keys) atMost(k int) uint32  { return ks.state[k].issued.Load() }

// judge says what is wrong with an answer, if anything is.
func (ks *keys) judge(k int, answer string, found bool, atLeast, atMost uint32) error {
	switch {
	case !found && atLeast > 0:
		return &wrongAnswer{"lost", fmt.Sprintf("%s: write %d was acknowledged", keyName(k), atLeast)}
	case !found:
		return nil
	}
	number, ok := ks.number(k, answer)
	switch {
	case !ok:
		return &wrongAnswer{"corrupt", fmt.Sprintf("%s: nobody wrote %q", keyName(k), answer)}
	case number > atMost:
		return &wrongAnswer{"corrupt", fmt.Sprintf("%s: write %d, and only %d were sent", keyName(k), number, atMost)}
	case number < atLeast:
		return &wrongAnswer{"stale", fmt.Sprintf("%s: write %d, and %d was acknowledged before", keyName(k), number, atLeast)}
	}
	return nil
}

// number finds the write that an answer is the value of, to the last byte.
func (ks *keys) number(k int, answer string) (uint32, bool) {
	prefix := strconv.Itoa(k) + " "
	if len(answer) < len(prefix) || answer[:len(prefix)] != prefix {
		return 0, false
	}
	n := uint64(0)
	for _, c := range answer[len(prefix):] {
		if c < '0' || c > '9' {
			break
		}
		n = n*10 + uint64(c-'0')
	}
	return uint32(n), n > 0 && n <= 1<<32-1 && answer == ks.value(k, uint32(n))
}
