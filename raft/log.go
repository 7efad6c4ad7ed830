package raft

// log is a server's log in memory: the entries above a base. The base is index 0
// at term 0 until a snapshot takes the place of a prefix (§7). It may lie below the
// end of the snapshot: a follower that is a little behind then still gets entries.
//
// Its slices may be handed out without copying: entries never change, and after a
// truncation the next append moves to a new array instead of writing over
// entries that a message in flight still holds (etcd-io/raft PR #34).
type log struct {
	base     Index
	baseTerm Term
	entries  []Entry // entries[k] has index base+1+k

	// unsavedFrom is the first index that no Save has carried yet, and truncateFrom
	// (if not 0) what the next Save must remove first.
	unsavedFrom  Index
	truncateFrom Index
}

// newLog takes over a log that came from the disk, and that continues a snapshot.
func newLog(s Snapshot, entries []Entry) log {
	l := log{base: s.Index, baseTerm: s.Term, entries: entries[:len(entries):len(entries)]}
	if len(entries) > 0 && entries[0].Index <= s.Index {
		// Nobody knows the term before the first entry, so that one becomes the base.
		l.base, l.baseTerm, l.entries = entries[0].Index, entries[0].Term, l.entries[1:]
	}
	term := l.baseTerm
	for k, e := range l.entries {
		if e.Index != l.base+Index(k)+1 || e.Term < term {
			broken("restored log has %v at position %d after %d@%d", e, k, l.base, l.baseTerm)
		}
		term = e.Term
	}
	if !l.matches(s.Index, s.Term) {
		broken("restored log (%d, %d] does not continue the snapshot %d@%d", l.base, l.lastIndex(), s.Index, s.Term)
	}
	l.unsavedFrom = l.lastIndex() + 1
	return l
}

func (l *log) lastIndex() Index { return l.base + Index(len(l.entries)) }

func (l *log) lastTerm() Term { return l.term(l.lastIndex()) }

// term returns the term of the entry at i, which the log must hold, or of its
// base. To read 0 for an unknown entry would let the consistency check pass
// falsely (logcabin 8b8e948).
func (l *log) term(i Index) Term {
	if i == l.base {
		return l.baseTerm
	}
	return l.entry(i).Term
}

func (l *log) entry(i Index) Entry {
	if i <= l.base || i > l.lastIndex() {
		broken("index %d is not in the log (%d, %d]", i, l.base, l.lastIndex())
	}
	return l.entries[i-l.base-1]
}

// matches is the consistency check of §5.3: the log holds an entry at index i
// with term t. Every log matches at index 0.
func (l *log) matches(i Index, t Term) bool {
	return i >= l.base && i <= l.lastIndex() && l.term(i) == t
}

// between returns the entries with from <= index <= to.
func (l *log) between(from, to Index) []Entry {
	if from > to {
		return nil
	}
	if from <= l.base || to > l.lastIndex() {
		broken("[%d, %d] is not in the log (%d, %d]", from, to, l.base, l.lastIndex())
	}
	a, b := from-l.base-1, to-l.base
	return l.entries[a:b:b]
}

// batch returns the entries from an index on, as many as fit into maxBytes and at
// least one. It is a prefix without a hole: to skip an entry that is too big and
// take the next was logcabin#160.
func (l *log) batch(from Index, maxBytes int) []Entry {
	rest := l.between(from, l.lastIndex())
	for k, e := range rest {
		maxBytes -= e.size()
		if maxBytes < 0 && k > 0 {
			return rest[:k:k]
		}
	}
	return rest
}

func (l *log) append(entries ...Entry) {
	for _, e := range entries {
		if e.Index != l.lastIndex()+1 || e.Term < l.lastTerm() {
			broken("append of %v after %d@%d", e, l.lastIndex(), l.lastTerm())
		}
		l.entries = append(l.entries, e)
	}
}

// truncate removes the entry at i and all that follow it. What had been handed
// out to be saved must be removed from the disk as well.
func (l *log) truncate(i Index) {
	k := i - l.base - 1
	l.entries = l.entries[:k:k]
	if i >= l.unsavedFrom {
		return // no Save has carried it
	}
	if l.truncateFrom == 0 || i < l.truncateFrom {
		l.truncateFrom = i
	}
	l.unsavedFrom = i
}

// compact removes the entries up to and including i, which becomes the base. What
// stays is copied, or the array would keep everything that went.
func (l *log) compact(i Index) {
	if i <= l.base {
		return
	}
	l.baseTerm = l.term(i)
	rest := l.entries[i-l.base:]
	l.base, l.entries = i, append([]Entry(nil), rest...)
	l.unsavedFrom = max(l.unsavedFrom, i+1)
}

// reset removes everything: a snapshot that ends with i at term t takes its place.
func (l *log) reset(i Index, t Term) {
	*l = log{base: i, baseTerm: t, unsavedFrom: i + 1}
}

func sizeOf(entries []Entry) int {
	n := 0
	for _, e := range entries {
		n += e.size()
	}
	return n
}

// firstOfTerm returns the index of the first entry with the term of the entry at i.
func (l *log) firstOfTerm(i Index) Index {
	for t := l.term(i); i > l.base+1 && l.term(i-1) == t; {
		i--
	}
	return i
}

// lastIndexOf returns the last index <= i whose entry has a term <= t: the only
// place where a log that holds an entry of term t can still agree with this one. It
// does not look below the base.
func (l *log) lastIndexOf(t Term, i Index) Index {
	i = min(i, l.lastIndex())
	for i > l.base && l.term(i) > t {
		i--
	}
	return i
}
