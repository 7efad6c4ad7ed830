package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// usage is what servers, the load and the disk have used up to one moment.
type usage struct {
	servers time.Duration // CPU time, user and system, of all servers
	load    time.Duration // of this process
	flushes uint64        // of the disk, by whomever
	written uint64        // bytes, to the disk, by whomever
}

func (c *cluster) usage() (u usage, err error) {
	for _, n := range c.nodes {
		cpu, err := cpuTime(n.cmd.Process.Pid)
		if err != nil {
			return u, err
		}
		u.servers += cpu
	}
	var own syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &own); err != nil {
		return u, err
	}
	u.load = time.Duration(own.Utime.Nano() + own.Stime.Nano())
	u.flushes, u.written, err = disk(c.dir)
	return u, err
}

// clockTick is the unit of /proc/<pid>/stat: 100 a second on every Linux that Go runs on.
const clockTick = time.Second / 100

func cpuTime(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	return parseCPU(string(text))
}

// parseCPU reads utime and stime, the 14th and 15th field; the second one is the name in
// brackets, and may have spaces and brackets in it.
func parseCPU(stat string) (time.Duration, error) {
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("no CPU time in %q", stat)
	}
	user, err := strconv.ParseUint(fields[11], 10, 63)
	if err != nil {
		return 0, err
	}
	system, err := strconv.ParseUint(fields[12], 10, 63)
	return time.Duration(user+system) * clockTick, err
}

// memory is VmRSS and VmHWM, its peak, in MiB: the mean of a cluster's servers.
func (c *cluster) memory() (rss, peak float64, err error) {
	n := 0
	for _, node := range c.nodes {
		if !node.running() {
			continue
		}
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", node.cmd.Process.Pid))
		if err != nil {
			return 0, 0, err
		}
		n++
		rss += parseMemory(string(text), "VmRSS")
		peak += parseMemory(string(text), "VmHWM")
	}
	return rss / float64(n), peak / float64(n), nil
}

func parseMemory(status, name string) float64 {
	_, rest, _ := strings.Cut(status, name+":")
	number, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	kib, _ := strconv.ParseFloat(number, 64)
	return kib / 1024
}

// disk is how often the disk under a directory was flushed since the machine started, and
// how many bytes were written to it. It counts everybody's, and those of journals beside
// those of files. What a process has written (/proc/<pid>/io) is no substitute: a page that
// it touches counts with all its neighbours in one folio, up to a hundred times too much.
func disk(dir string) (flushes, written uint64, err error) {
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return 0, 0, err
	}
	text, err := os.ReadFile("/proc/diskstats")
	if err != nil {
		return 0, 0, err
	}
	flushes, written = parseDisk(string(text), unix.Major(st.Dev), unix.Minor(st.Dev))
	return flushes, written, nil
}

// parseDisk reads the 16th counter of a device, and the 7th, which is in sectors of 512
// bytes whatever the disk has. Kernels before 5.5 do not count flushes; a directory that is
// on no disk has neither.
func parseDisk(diskstats string, major, minor uint32) (flushes, written uint64) {
	const names, sectorsAt, flushesAt, sector = 3, 6, 15, 512
	for line := range strings.Lines(diskstats) {
		f := strings.Fields(line)
		if len(f) <= names+sectorsAt || f[0] != strconv.FormatUint(uint64(major), 10) || f[1] != strconv.FormatUint(uint64(minor), 10) {
			continue
		}
		sectors, _ := strconv.ParseUint(f[names+sectorsAt], 10, 54)
		if len(f) > names+flushesAt {
			flushes, _ = strconv.ParseUint(f[names+flushesAt], 10, 64)
		}
		return flushes, sectors * sector
	}
	return 0, 0
}
