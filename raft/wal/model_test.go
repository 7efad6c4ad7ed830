package wal_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"dbdb/raft"
	"dbdb/raft/wal"
	"dbdb/tests/sim"
)

// machine holds a log on a simulated disk beside what must be in it: the state
// that is durable and, oldest first, those after frames whose sync did not
// return, or those that a Save with a snapshot passes through, any of which a crash may leave.
type machine struct {
	disk    *sim.Disk
	segment int64
	dir     *wal.Dir
	durable raft.Restored
	maybe   []raft.Restored
	seq     uint64
}

func (m *machine) now() raft.Restored {
	if k := len(m.maybe); k > 0 {
		return m.maybe[k-1]
	}
	return m.durable
}

func (m *machine) settled() { m.durable, m.maybe = m.now(), nil }

// save draws a Save that may follow the state.
func (m *machine) save(t *rapid.T, r raft.Restored) (raft.Save, raft.Restored) {
	m.seq++
	s := raft.Save{Seq: m.seq, Term: r.Term, VotedFor: r.VotedFor}
	if grow := rapid.Uint64Range(0, 2).Draw(t, "term +"); grow > 0 || r.VotedFor == "" {
		s.Term += raft.Term(grow)
		s.VotedFor = rapid.SampledFrom([]raft.NodeID{"", "node1.a", "node2.b"}).Draw(t, "vote")
	}
	if last := lastIndex(r); last > r.Snapshot.Index && rapid.IntRange(0, 3).Draw(t, "truncate?") == 0 {
		from := rapid.Uint64Range(uint64(max(r.Snapshot.Index+1, last-min(last, 3))), uint64(last))
		s.TruncateFrom = raft.Index(from.Draw(t, "truncate from"))
	}
	m.entries(t, r, &s)
	return s, after(r, s)
}

func (m *machine) entries(t *rapid.T, r raft.Restored, s *raft.Save) {
	if s.Term == 0 {
		return
	}
	first := lastIndex(after(r, *s)) + 1
	for k := range rapid.IntRange(0, 3).Draw(t, "entries") {
		size := rapid.SampledFrom([]int{0, 1, 30, 30, 30, 700, 3000}).Draw(t, "size")
		s.Entries = append(s.Entries, entry(first+raft.Index(k), s.Term, size))
	}
}

// install draws a Save with a snapshot that may follow the state, one that the log
// holds if it can, or a leader's.
func (m *machine) install(t *rapid.T, r raft.Restored) raft.Save {
	s, _ := m.save(t, r)
	s.Entries = nil
	s.Term = max(s.Term, 1)
	left := after(r, s)
	index := r.Snapshot.Index + raft.Index(rapid.IntRange(1, 12).Draw(t, "index +"))
	term := raft.Term(rapid.Uint64Range(uint64(max(1, r.Snapshot.Term)), uint64(s.Term)).Draw(t, "term of the snapshot"))
	for _, e := range left.Entries {
		if e.Index == index && rapid.Bool().Draw(t, "own") {
			term = e.Term
		}
	}
	s.Snapshot = snapshotOf(index, term)
	s.KeepFrom = raft.Index(rapid.Uint64Range(0, uint64(index)+1).Draw(t, "keep from"))
	m.entries(t, r, &s)
	return s
}

// stagesOf are the states that a Save with a snapshot passes through.
func stagesOf(r raft.Restored, s raft.Save) []raft.Restored {
	term := after(r, raft.Save{Term: s.Term, VotedFor: s.VotedFor})
	return []raft.Restored{term, after(term, raft.Save{Term: s.Term, VotedFor: s.VotedFor, Snapshot: s.Snapshot}), after(r, s)}
}

func (m *machine) open(t *rapid.T) {
	var err error
	m.dir, err = wal.Open(m.disk, dataDir, options(m.segment))
	require.NoError(t, err)
	got := m.dir.Log().Restored()
	for _, state := range m.maybe {
		if same(state, got) {
			m.durable = state // Open has synced it
		}
	}
	m.maybe = nil
	requireSame(t, m.durable, got)
	if got.Snapshot.Index != 0 {
		requireLoads(t, m.dir, got.Snapshot)
	}
}

func (m *machine) write(t *rapid.T) {
	var saves []raft.Save
	after := m.now()
	for range rapid.IntRange(1, 3).Draw(t, "saves") {
		var s raft.Save
		s, after = m.save(t, after)
		saves = append(saves, s)
	}
	m.settled() // Write syncs what was written before
	m.maybe = append(m.maybe, after)
	require.NoError(t, m.dir.Log().Write(saves...))
}

// saveAsPowerLasts cuts the power during a Save, or shortly after it, and crashes.
func (m *machine) saveAsPowerLasts(t *rapid.T) {
	m.disk.CutPower(rapid.IntRange(1, 12).Draw(t, "operations"))
	s, after := m.save(t, m.now())
	err := m.dir.Log().Save(s)
	m.maybe = append(m.maybe, after)
	if err == nil {
		m.settled()
	}
	m.crash(t)
}

// snapshot makes a snapshot and brings it into force, as far as the power lasts if it goes.
func (m *machine) snapshot(t *rapid.T, powerGoes bool) {
	before := m.now()
	s := m.install(t, before)
	if powerGoes {
		m.disk.CutPower(rapid.IntRange(1, 25).Draw(t, "operations"))
	}
	var err error
	if holds(before, s.Snapshot) {
		err = makeOwn(m.dir, s.Snapshot)
	} else {
		_, _, err = receive(m.dir, theirs(s.Snapshot), 300)
	}
	if err == nil {
		err = m.dir.Log().Save(s)
		m.maybe = append(m.maybe, stagesOf(before, s)...)
	}
	if powerGoes {
		if err == nil {
			m.settled()
		}
		m.crash(t)
		return
	}
	require.NoError(t, err)
	m.settled()
	requireLoads(t, m.dir, s.Snapshot)
}

func (m *machine) crash(t *rapid.T) {
	m.disk.Crash(sim.CrashPolicy(rapid.IntRange(0, int(sim.KillProcess)).Draw(t, "policy")))
	m.open(t)
}

func TestALogHoldsWhatItsModelHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &machine{segment: rapid.Int64Range(600, 3000).Draw(t, "segment")}
		seed := rapid.Uint64().Draw(t, "seed")
		m.disk = sim.NewDisk(rand.New(rand.NewPCG(seed, 1)))
		m.open(t)
		t.Repeat(map[string]func(*rapid.T){
			"write": m.write,
			"sync": func(t *rapid.T) {
				require.NoError(t, m.dir.Log().Sync())
				m.settled()
			},
			"mark": func(t *rapid.T) {
				require.NoError(t, m.dir.Log().MarkIdle())
				m.settled()
			},
			"close": func(t *rapid.T) {
				require.NoError(t, m.dir.Close())
				m.settled()
				m.open(t)
				require.Nil(t, m.dir.Repaired())
			},
			"crash":               m.crash,
			"crash in the middle": m.saveAsPowerLasts,
			"snapshot":            func(t *rapid.T) { m.snapshot(t, false) },
			"crash in a snapshot": func(t *rapid.T) { m.snapshot(t, true) },
		})
	})
}
