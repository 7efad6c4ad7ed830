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
// return, any of which a crash may leave.
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
	r.Term, r.VotedFor = s.Term, s.VotedFor
	if last := len(r.Entries); last > 0 && rapid.IntRange(0, 3).Draw(t, "truncate?") == 0 {
		s.TruncateFrom = raft.Index(rapid.IntRange(max(1, last-3), last).Draw(t, "truncate from"))
		r.Entries = r.Entries[:s.TruncateFrom-1]
	}
	r.Entries = r.Entries[:len(r.Entries):len(r.Entries)]
	if s.Term > 0 {
		for range rapid.IntRange(0, 3).Draw(t, "entries") {
			size := rapid.SampledFrom([]int{0, 1, 30, 30, 30, 700, 3000}).Draw(t, "size")
			e := entry(raft.Index(len(r.Entries))+1, s.Term, size)
			s.Entries, r.Entries = append(s.Entries, e), append(r.Entries, e)
		}
	}
	return s, r
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
		})
	})
}
