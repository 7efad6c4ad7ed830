package sim

import (
	"syscall"
	"testing"

	"dbdb/raft"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTheNewestFrameIsSparedUntilAMarkProvesIt(t *testing.T) {
	w := quietWorld()
	n := w.nodes[0]
	newest, saves := n.newestFrames()
	require.Equal(t, newest, saves, "nothing proves the first Save")
	require.NoError(t, n.dir.Log().Save(raft.Save{Seq: 2, Term: 2}))
	next, saves := n.newestFrames()
	assert.Equal(t, next, saves)
	assert.Equal(t, newest.to, next.from)
	require.NoError(t, n.dir.Log().MarkIdle())
	mark, proved := n.newestFrames()
	assert.Equal(t, next, proved)
	assert.Equal(t, next.to, mark.from)
}

func TestEachKindOfDamageIsRefusedOrOfNoImportance(t *testing.T) {
	kinds := map[string]func(w *world, n *node, newest, saves extent) []string{
		"a bit flips": func(w *world, n *node, newest, saves extent) []string {
			return w.flip(n, n.logFiles()[0], newest, saves)
		},
		"sectors are lost": func(w *world, n *node, newest, saves extent) []string {
			return w.loseSectors(n, n.logFiles()[0], newest, saves)
		},
		"two copies are mixed": func(w *world, n *node, newest, saves extent) []string {
			return w.mixCopies(n, newest, saves)
		},
		"sectors go elsewhere": func(w *world, n *node, newest, saves extent) []string {
			return w.misdirect(n, n.logFiles()[0], n.logFiles(), newest, saves)
		},
	}
	for name, hurt := range kinds {
		t.Run(name, func(t *testing.T) {
			refused := 0
			for seed := range uint64(30) {
				w := quietWorld()
				n := w.nodes[0]
				w.rare = stream(seed, streamRare)
				for k := range 60 {
					save := raft.Save{Seq: uint64(k + 1), Term: raft.Term(k + 2)}
					require.NoError(t, n.dir.Log().Save(save))
					w.check.durable(n, save)
				}
				n.crash(edgeAny)
				n.disk.Crash(LoseUnsynced)
				newest, saves := n.newestFrames()
				if n.damaged = hurt(w, n, newest, saves); n.damaged == nil {
					continue
				}
				require.Empty(t, broken(n.start), "seed %d", seed)
				require.NotEqual(t, n.up, n.broken)
				if n.broken {
					refused++
				}
			}
			assert.Positive(t, refused)
		})
	}
}

func TestOnlyAMinorityIsDamaged(t *testing.T) {
	for nodes, most := range map[int]int{1: 0, 2: 0, 3: 1, 4: 1, 5: 2, 7: 3} {
		w := stillWorld(nodes, extremes{decays: nodes})
		w.check.configurations = []configurationAt{{1, w.founding()}}
		damaged := 0
		for _, n := range w.nodes {
			if w.mayDecay(n) {
				n.damaged = []string{"some file"}
				damaged++
			}
		}
		assert.Equal(t, most, damaged, "of %d", nodes)
	}
}

func TestAFullDiskRefusesWhatItHasNoRoomFor(t *testing.T) {
	d := NewDisk(stream(1, 1))
	d.WriteFile("d/before", nil)
	f, err := d.Create("d/x")
	require.NoError(t, err)
	require.NoError(t, f.Allocate(100))
	d.full = nothingGrows
	d.Crash(KeepAll) // which makes no room
	_, err = d.Create("d/y")
	require.ErrorIs(t, err, syscall.ENOSPC)
	f, err = d.Open("d/x")
	require.NoError(t, err)
	_, err = f.WriteAt([]byte("ab"), 98)
	require.NoError(t, err)
	_, err = f.WriteAt([]byte("ab"), 99)
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.ErrorIs(t, f.Allocate(101), syscall.ENOSPC)
	d.full = nothingGoesIn
	_, err = f.WriteAt([]byte("ab"), 0)
	require.ErrorIs(t, err, syscall.ENOSPC)
	d.full = hasRoom
	_, err = f.WriteAt([]byte("ab"), 99)
	require.NoError(t, err)
}
