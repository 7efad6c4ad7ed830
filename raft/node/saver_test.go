package node

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"dbdb/raft"
)

// frames is a Log that counts the entries of each frame.
type frames []int

func (f *frames) Write(saves ...raft.Save) error {
	n := 0
	for _, s := range saves {
		n += len(s.Entries)
	}
	*f = append(*f, n)
	return nil
}

func (*frames) Sync() error     { return nil }
func (*frames) MarkIdle() error { return nil }

// written does what run does when it is woken, and says whether it was.
func written(s *saver) bool {
	select {
	case <-s.wake:
		s.saveAll()
		return true
	default:
		return false
	}
}

func saveEntry(s *saver, i raft.Index) {
	s.Save(raft.Save{Seq: uint64(i), Term: 1, Entries: []raft.Entry{{Index: i, Term: 1}}}, func(error) {})
}

func TestALeadersEntriesWaitUntilThoseBeforeAreCommitted(t *testing.T) {
	var log frames
	s := newSaver(&log, func(done func()) { done() }, nil)
	saveEntry(s, 1)
	s.start(true, 0)
	assert.True(t, written(s), "nothing is before it")
	saveEntry(s, 2)
	s.start(true, 0)
	saveEntry(s, 3)
	s.start(true, 0)
	assert.False(t, written(s))
	s.start(true, 1)
	assert.True(t, written(s))
	assert.Equal(t, frames{1, 2}, log)
}

func TestWhatANewTermOrATickAsksForDoesNotWait(t *testing.T) {
	var log frames
	s := newSaver(&log, func(done func()) { done() }, nil)
	saveEntry(s, 1)
	s.start(true, 0)
	assert.True(t, written(s))
	saveEntry(s, 2)
	s.start(false, 0)
	assert.True(t, written(s))
}

func TestManySavesDoNotWait(t *testing.T) {
	var log frames
	s := newSaver(&log, func(done func()) { done() }, nil)
	saveEntry(s, 1)
	s.start(true, 0)
	assert.True(t, written(s))
	for i := range raft.Index(maxQueuedSaves) {
		assert.False(t, written(s))
		saveEntry(s, i+2)
		s.start(true, 0)
	}
	assert.True(t, written(s))
}
