package wal_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"dbdb/raft"
	"dbdb/raft/wal"
)

// BenchmarkAppend writes and syncs one entry at a time, on a real disk.
func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{128, 4 << 10, 64 << 10} {
		b.Run(fmt.Sprintf("%dB", size), func(b *testing.B) {
			d, err := wal.Open(wal.OS{}, b.TempDir(), wal.Options{Node: "node1"})
			require.NoError(b, err)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			e := entry(1, 1, size)
			for b.Loop() {
				if err := d.Log().Save(raft.Save{Seq: uint64(e.Index), Term: 1, VotedFor: "node1.01020304", Entries: []raft.Entry{e}}); err != nil {
					b.Fatal(err)
				}
				e.Index++
			}
			require.NoError(b, d.Close())
		})
	}
}

// BenchmarkRestart opens a log of a million entries of 32 bytes, 10 in a frame.
func BenchmarkRestart(b *testing.B) {
	const total, batch = 1_000_000, 10
	dir := b.TempDir()
	d, err := wal.Open(wal.OS{}, dir, wal.Options{Node: "node1"})
	require.NoError(b, err)
	write := wal.NoSync(d.Log())
	for i := raft.Index(1); i <= total; i += batch {
		s := raft.Save{Seq: uint64(i), Term: 1, VotedFor: "node1.01020304"}
		for k := range raft.Index(batch) {
			s.Entries = append(s.Entries, entry(i+k, 1, 32))
		}
		require.NoError(b, write(s))
	}
	require.NoError(b, d.Close())
	for b.Loop() {
		d, err := wal.Open(wal.OS{}, dir, wal.Options{Node: "node1"})
		require.NoError(b, err)
		r := d.Log().Restored()
		require.Len(b, r.Entries, total)
		b.StopTimer()
		require.NoError(b, d.Close())
		d = nil
		var peak, live runtime.MemStats
		runtime.ReadMemStats(&peak)
		runtime.GC()
		runtime.ReadMemStats(&live)
		b.ReportMetric(float64(peak.HeapSys-peak.HeapReleased)/(1<<20), "MiB-heap")
		b.ReportMetric(float64(live.HeapAlloc)/(1<<20), "MiB-live")
		runtime.KeepAlive(r)
		b.StartTimer()
	}
}
