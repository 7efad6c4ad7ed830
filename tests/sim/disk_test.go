package sim

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"dbdb/raft/wal"
)

// script is a Rand whose numbers the test chooses; it gives the last for ever.
type script []int

func (s *script) IntN(n int) int {
	v := (*s)[0]
	if len(*s) > 1 {
		*s = (*s)[1:]
	}
	if v >= n {
		panic(fmt.Sprintf("the script says %d of %d", v, n))
	}
	return v
}

func newTestDisk(t *testing.T, numbers ...int) *Disk {
	t.Helper()
	s := script(append(numbers, 0))
	d := NewDisk(&s)
	require.NoError(t, d.MkdirAll("data"))
	return d
}

// durableFile makes a file that a crash leaves alone.
func durableFile(t *testing.T, d *Disk, name, contents string) wal.File {
	t.Helper()
	f, err := d.Create(name)
	require.NoError(t, err)
	write(t, f, contents, 0)
	require.NoError(t, f.Sync())
	require.NoError(t, d.SyncDir("data"))
	return f
}

func write(t *testing.T, f wal.File, s string, off int64) {
	t.Helper()
	n, err := f.WriteAt([]byte(s), off)
	require.NoError(t, err)
	require.Equal(t, len(s), n)
}

func contents(t *testing.T, d *Disk, name string) string {
	t.Helper()
	b, err := d.ReadFile(name)
	require.NoError(t, err)
	return string(b)
}

func TestACrashTakesBackWhatWasNotSynced(t *testing.T) {
	d := newTestDisk(t)
	f := durableFile(t, d, "data/a", "one")
	write(t, f, "TWO and more", 0)
	write(t, f, "!", 1)
	require.Equal(t, "T!O and more", contents(t, d, "data/a"))

	d.Crash(LoseUnsynced)
	require.Equal(t, "one", contents(t, d, "data/a"))
}

func TestASyncedWriteSurvives(t *testing.T) {
	d := newTestDisk(t)
	f := durableFile(t, d, "data/a", "one")
	write(t, f, "two", 3)
	require.NoError(t, f.Sync())
	d.Crash(LoseUnsynced)
	require.Equal(t, "onetwo", contents(t, d, "data/a"))
}

func TestANameIsDurableOnlyAfterSyncDir(t *testing.T) {
	d := newTestDisk(t)
	f, err := d.Create("data/a")
	require.NoError(t, err)
	write(t, f, "one", 0)
	require.NoError(t, f.Sync())
	require.Equal(t, []string{"data/a"}, d.Files())

	d.Crash(LoseUnsynced)
	require.Empty(t, d.Files())
}

func TestARenameIsDurableOnlyAfterSyncDir(t *testing.T) {
	d := newTestDisk(t)
	durableFile(t, d, "data/a", "one")
	durableFile(t, d, "data/b", "two")
	require.NoError(t, d.Rename("data/b", "data/a"))
	require.Equal(t, "two", contents(t, d, "data/a"))

	d.Crash(LoseUnsynced)
	require.Equal(t, []string{"data/a", "data/b"}, d.Files())
	require.Equal(t, "one", contents(t, d, "data/a"))
}

func TestARemovedNameComesBackUnlessSynced(t *testing.T) {
	d := newTestDisk(t)
	durableFile(t, d, "data/a", "one")
	require.NoError(t, d.Remove("data/a"))
	require.Empty(t, d.Files())
	d.Crash(LoseUnsynced)
	require.Equal(t, "one", contents(t, d, "data/a"))

	require.NoError(t, d.Remove("data/a"))
	require.NoError(t, d.SyncDir("data"))
	d.Crash(LoseUnsynced)
	require.Empty(t, d.Files())
}

func TestADurableNameDoesNotMakeContentsDurable(t *testing.T) {
	d := newTestDisk(t)
	f, err := d.Create("data/a")
	require.NoError(t, err)
	write(t, f, "one", 0)
	require.NoError(t, d.SyncDir("data"))
	d.Crash(LoseUnsynced)
	require.Equal(t, "", contents(t, d, "data/a"))
}

func TestKeepPrefixCutsTheLastWriteAtAnyByte(t *testing.T) {
	for keep, want := range []string{"0123456789", "a123456789", "ab23456789", "ab2c456789", "ab2cd56789"} {
		d := newTestDisk(t, keep)
		f := durableFile(t, d, "data/a", "0123456789")
		write(t, f, "ab", 0)
		write(t, f, "cd", 3)
		d.Crash(KeepPrefix)
		require.Equal(t, want, contents(t, d, "data/a"), "%d bytes kept", keep)
	}
}

func TestKeepSectorsKeepsAnySubsetOfSectors(t *testing.T) {
	zeros := make([]byte, 3*sectorBytes)
	ones := make([]byte, 2*sectorBytes)
	for k := range ones {
		ones[k] = 1
	}
	for subset := range 8 {
		d := newTestDisk(t, subset&1, subset>>1&1, subset>>2&1)
		f := durableFile(t, d, "data/a", string(zeros))
		write(t, f, string(ones), 100) // touches all three sectors
		d.Crash(KeepSectors)
		got := contents(t, d, "data/a")
		for k, at := range []int{100, sectorBytes, 2 * sectorBytes} {
			require.Equal(t, byte(subset>>k&1), got[at], "sector %d of subset %b", k, subset)
		}
		require.Equal(t, byte(0), got[99])
		require.Equal(t, byte(0), got[100+len(ones)])
	}
}

func TestBytesWithoutTheirSizeAreGoneEvenWhenTheFileGrowsAgain(t *testing.T) {
	d := newTestDisk(t, 0, 1) // the size is lost, the sector is kept
	f := durableFile(t, d, "data/a", "one")
	write(t, f, "two", 3)
	d.Crash(KeepSectors)
	require.Equal(t, "one", contents(t, d, "data/a"))

	f, err := d.Open("data/a")
	require.NoError(t, err)
	require.NoError(t, f.Allocate(6))
	require.Equal(t, "one\x00\x00\x00", contents(t, d, "data/a"))
}

func TestKeepAllMakesEverythingDurable(t *testing.T) {
	d := newTestDisk(t)
	f, err := d.Create("data/a")
	require.NoError(t, err)
	write(t, f, "one", 0)
	d.Crash(KeepAll)
	d.Crash(LoseUnsynced)
	require.Equal(t, "one", contents(t, d, "data/a"))
}

func TestAKilledProcessLosesNothingAndSyncsNothing(t *testing.T) {
	d := newTestDisk(t)
	f := durableFile(t, d, "data/a", "one")
	write(t, f, "two", 0)
	d.Crash(KillProcess)
	require.Equal(t, "two", contents(t, d, "data/a"))
	d.Crash(LoseUnsynced)
	require.Equal(t, "one", contents(t, d, "data/a"))
}

func TestASyncThroughAnotherHandleCoversTheWritesOfTheFirst(t *testing.T) {
	d := newTestDisk(t)
	f := durableFile(t, d, "data/a", "one")
	write(t, f, "two", 0)
	d.Crash(KillProcess)
	f, err := d.Open("data/a")
	require.NoError(t, err)
	require.NoError(t, f.Sync())
	d.Crash(LoseUnsynced)
	require.Equal(t, "two", contents(t, d, "data/a"))
}

func TestACrashKillsFilesAndFreesLocks(t *testing.T) {
	d := newTestDisk(t)
	f := durableFile(t, d, "data/a", "one")
	_, err := d.Lock("data/LOCK")
	require.NoError(t, err)
	_, err = d.Lock("data/LOCK")
	var locked *wal.LockedError
	require.ErrorAs(t, err, &locked)

	d.Crash(LoseUnsynced)
	_, err = f.WriteAt([]byte("x"), 0)
	require.ErrorIs(t, err, ErrDead)
	_, err = f.ReadAt(make([]byte, 1), 0)
	require.ErrorIs(t, err, ErrDead)
	require.ErrorIs(t, f.Sync(), ErrDead)
	require.ErrorIs(t, f.Allocate(9), ErrDead)
	_, err = f.Size()
	require.ErrorIs(t, err, ErrDead)
	lock, err := d.Lock("data/LOCK")
	require.NoError(t, err)
	require.NoError(t, lock.Close())
	_, err = d.Lock("data/LOCK")
	require.NoError(t, err)
}

func TestWhatAFailedSyncCoveredIsLostAlsoWhenTheNextSyncSucceeds(t *testing.T) {
	d := newTestDisk(t)
	f := durableFile(t, d, "data/a", "....")
	write(t, f, "ab", 0)
	broken := errors.New("EIO")
	d.FailSync(broken)
	require.ErrorIs(t, f.Sync(), broken)
	write(t, f, "BC", 1)
	require.NoError(t, f.Sync())
	require.Equal(t, "aBC.", contents(t, d, "data/a"))

	d.Crash(LoseUnsynced)
	require.Equal(t, ".BC.", contents(t, d, "data/a"))
}

func TestAFailedWriteOrAllocationHasNoEffect(t *testing.T) {
	d := newTestDisk(t)
	f := durableFile(t, d, "data/a", "one")
	full := errors.New("ENOSPC")
	d.FailWrite(full)
	_, err := f.WriteAt([]byte("two"), 0)
	require.ErrorIs(t, err, full)
	d.FailAllocate(full)
	require.ErrorIs(t, f.Allocate(100), full)
	require.Equal(t, "one", contents(t, d, "data/a"))
}

func TestAShortWriteWritesItsFirstBytes(t *testing.T) {
	d := newTestDisk(t)
	f := durableFile(t, d, "data/a", "one")
	d.ShortWrite(2, nil)
	n, err := f.WriteAt([]byte("TWO"), 0)
	require.ErrorIs(t, err, io.ErrShortWrite)
	require.Equal(t, 2, n)
	require.Equal(t, "TWe", contents(t, d, "data/a"))
	write(t, f, "TWO", 0)
}

func TestAPowerCutStopsEverythingUntilTheCrash(t *testing.T) {
	d := newTestDisk(t)
	f := durableFile(t, d, "data/a", "one")
	d.CutPower(2)
	write(t, f, "two", 0)
	require.ErrorIs(t, f.Sync(), ErrPowerCut)
	_, err := d.Open("data/a")
	require.ErrorIs(t, err, ErrPowerCut)
	_, err = d.Create("data/b")
	require.ErrorIs(t, err, ErrPowerCut)

	d.Crash(LoseUnsynced)
	require.Equal(t, "one", contents(t, d, "data/a"))
	_, err = d.Open("data/a")
	require.NoError(t, err)
}

func TestAWriteDuringWhichThePowerGoesMaySurvive(t *testing.T) {
	d := newTestDisk(t)
	f := durableFile(t, d, "data/a", "one")
	d.CutPower(1)
	_, err := f.WriteAt([]byte("two"), 0)
	require.ErrorIs(t, err, ErrPowerCut)
	d.Crash(KeepAll)
	require.Equal(t, "two", contents(t, d, "data/a"))
}

func TestCorruptionIsInBothImages(t *testing.T) {
	d := newTestDisk(t)
	f := durableFile(t, d, "data/a", "one")
	write(t, f, "two", 0)
	d.Corrupt("data/a", 0, 0x01)
	require.Equal(t, "uwo", contents(t, d, "data/a"))
	d.Crash(LoseUnsynced)
	require.Equal(t, "nne", contents(t, d, "data/a"))
}

func TestACloneGoesItsOwnWay(t *testing.T) {
	d := newTestDisk(t)
	f := durableFile(t, d, "data/a", "one")
	write(t, f, "two", 0)
	s := script{0}
	c := d.Clone(&s)
	c.Crash(LoseUnsynced)
	d.Crash(KeepAll)
	require.Equal(t, "one", contents(t, c, "data/a"))
	require.Equal(t, "two", contents(t, d, "data/a"))
}

func TestAllocationIsLazyAndReadsAsZero(t *testing.T) {
	d := newTestDisk(t)
	f := durableFile(t, d, "data/a", "one")
	require.NoError(t, f.Allocate(1<<40))
	write(t, f, "x", 5000)
	b := make([]byte, 3)
	_, err := f.ReadAt(b, 4999)
	require.NoError(t, err)
	require.Equal(t, "\x00x\x00", string(b))
	n, err := f.ReadAt(b, 1<<40-2)
	require.Equal(t, 2, n)
	require.ErrorIs(t, err, io.EOF)
	require.ErrorIs(t, f.Allocate(1), fs.ErrInvalid)
}

func TestMissingFilesAndDirectoriesAreErrNotExist(t *testing.T) {
	d := newTestDisk(t)
	_, err := d.Open("data/a")
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = d.Create("other/a")
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = d.ReadDir("other")
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorIs(t, d.Remove("data/a"), fs.ErrNotExist)
	require.ErrorIs(t, d.Rename("data/a", "data/b"), fs.ErrNotExist)
	require.ErrorIs(t, d.SyncDir("other"), fs.ErrNotExist)
	durableFile(t, d, "data/a", "")
	_, err = d.Create("data/a")
	require.ErrorIs(t, err, fs.ErrExist)
}

// A file under any sequence of writes, syncs and crashes is compared with two
// plain byte slices.
func TestADiskBehavesLikeTwoByteSlices(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := NewDisk(rand.New(rand.NewPCG(1, 1)))
		d.WriteFile("data/a", nil)
		open := func() wal.File {
			f, err := d.Open("data/a")
			require.NoError(t, err)
			return f
		}
		f := open()
		var now, synced []byte
		extend := func(size int) {
			now = append(now, make([]byte, max(0, size-len(now)))...)
		}
		t.Repeat(map[string]func(*rapid.T){
			"write": func(t *rapid.T) {
				b := rapid.SliceOfN(rapid.Byte(), 0, 1500).Draw(t, "bytes")
				off := rapid.IntRange(0, 10_000).Draw(t, "offset")
				_, err := f.WriteAt(b, int64(off))
				require.NoError(t, err)
				if len(b) > 0 {
					extend(off + len(b))
				}
				copy(now[min(off, len(now)):], b)
			},
			"allocate": func(t *rapid.T) {
				size := len(now) + rapid.IntRange(0, 5000).Draw(t, "growth")
				require.NoError(t, f.Allocate(int64(size)))
				extend(size)
			},
			"sync": func(t *rapid.T) {
				require.NoError(t, f.Sync())
				synced = append([]byte{}, now...)
			},
			"crash": func(t *rapid.T) {
				d.Crash(LoseUnsynced)
				now, f = append([]byte{}, synced...), open()
			},
			"kill": func(t *rapid.T) {
				d.Crash(KillProcess)
				f = open()
			},
			"catch up": func(t *rapid.T) {
				d.Crash(KeepAll)
				synced, f = append([]byte{}, now...), open()
			},
			"": func(t *rapid.T) {
				got, err := d.ReadFile("data/a")
				require.NoError(t, err)
				require.Equal(t, string(now), string(got))
			},
		})
	})
}

func BenchmarkDiskWriteAndSync(b *testing.B) {
	d := NewDisk(rand.New(rand.NewPCG(1, 1)))
	d.WriteFile("data/a", nil)
	f, err := d.Open("data/a")
	require.NoError(b, err)
	require.NoError(b, f.Allocate(1<<20))
	record := make([]byte, 200)
	off := int64(0)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f.WriteAt(record, off); err != nil {
			b.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
		off = (off + 200) % (1<<20 - 200)
	}
}
