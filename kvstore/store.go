package kvstore

import (
	"encoding/binary"
	"hash/fnv"
	"io"
	"sync"

	"dbdb/raft"

	"github.com/tidwall/btree"
)

// ResultRefused is what Apply returns for a committed command that does not
// decode. Any other command returns nil.
const ResultRefused = "refused"

// Store is an ordered map with the index of the log entry that last set each key.
// One goroutine applies; any number may read meanwhile.
type Store struct {
	mu      sync.RWMutex
	entries btree.Map[string, entry]
	applied raft.Index
}

type entry struct {
	value    string
	modIndex raft.Index
}

// New makes an empty store.
func New() *Store { return &Store{} }

// Apply carries out the command of the log entry at index i. It copies what it
// keeps: cmd is the log's.
//
// A command that does not decode changes nothing and returns ResultRefused. Encode
// lets none into the log, so only a fault elsewhere can bring one here. To
// panic would stop every replica at the same index, and again after each restart;
// to do nothing is what all of them can do alike, and the client is told.
func (s *Store) Apply(i raft.Index, cmd []byte) (result []byte) {
	c, err := Decode(cmd)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.applied = i
	switch {
	case err != nil:
		return []byte(ResultRefused)
	case c.Op == Set:
		s.entries.Set(string(c.Key), entry{value: string(c.Value), modIndex: i})
	case c.Op == Del:
		s.entries.Delete(string(c.Key))
	}
	return nil
}

// Get returns the value of a key and the index of the entry that set it.
func (s *Store) Get(key string) (value string, modIndex raft.Index, found bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	e, found := s.entries.Get(key)
	return e.value, e.modIndex, found
}

// Len is the number of keys.
func (s *Store) Len() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.entries.Len()
}

// Hash is a fingerprint of the whole state: two replicas that applied the same
// commands have the same one, in every process and on every machine. It reads
// every key, so it is for tests and checks, not for the path of a request.
func (s *Store) Hash() uint64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	h := fnv.New64a()
	number := func(n uint64) {
		var b [8]byte
		binary.BigEndian.PutUint64(b[:], n)
		_, _ = h.Write(b[:])
	}
	number(uint64(s.applied))
	s.entries.Scan(func(key string, e entry) bool {
		// Lengths go in too: "ab"+"c" and "a"+"bc" are different states.
		number(uint64(len(key)))
		_, _ = io.WriteString(h, key)
		number(uint64(len(e.value)))
		_, _ = io.WriteString(h, e.value)
		number(uint64(e.modIndex))
		return true
	})
	return h.Sum64()
}
