package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A process may call itself anything.
func TestCPUTimeIsFoundBehindTheName(t *testing.T) {
	cpu, err := parseCPU("42 (a) b (c) S 1 42 42 0 -1 4194560 100 0 0 0 150 25 0 0 20 0 9 0 100 1 1")
	require.NoError(t, err)
	assert.Equal(t, 1750*time.Millisecond, cpu)
	_, err = parseCPU("42 (a) S 1")
	assert.Error(t, err)
}

func TestMemoryIsFoundByItsName(t *testing.T) {
	status := "Name:\tdbdb\nVmHWM:\t    4096 kB\nVmRSS:\t    2048 kB\n"
	assert.Equal(t, 2.0, parseMemory(status, "VmRSS"))
	assert.Equal(t, 4.0, parseMemory(status, "VmHWM"))
	assert.Zero(t, parseMemory(status, "VmSwap"))
}

func TestFlushesAndBytesAreThoseOfTheDevice(t *testing.T) {
	stats := " 254 0 vda 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 4711 17\n 254 1 vda1 1 2 3 4 5 6 8 8 9 10 11 12 13 14 15 42 17\n   7 0 loop0 0\n   8 0 sda 1 2 3 4 5 6 9 8 9 10 11\n"
	for device, want := range map[[2]uint32][2]uint64{
		{254, 0}: {4711, 7 * 512},
		{254, 1}: {42, 8 * 512},
		{8, 0}:   {0, 9 * 512}, // an old kernel
		{7, 0}:   {},
		{0, 40}:  {}, // on no disk
	} {
		flushes, written := parseDisk(stats, device[0], device[1])
		assert.Equal(t, want, [2]uint64{flushes, written}, "%v", device)
	}
}
