package main

import (
	"bytes"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// timerSlack is how many nanoseconds late the kernel may wake a thread that sleeps for a
// time. By default 50 µs. Nothing in a node sleeps for less than some milliseconds, but for
// one: a thread of Go's runtime that looks after the others, every 20 µs while any of them
// is in a system call. With an fdatasync or a read under way at all times, three servers
// spent a fifth of two cores on that. See DESIGN.md, "Speed".
const timerSlack = 500_000

// relaxTimers sets the slack of all threads. A thread inherits it from the one that makes
// it, and the runtime's was made before main; but a process that executes its program again
// keeps it. Where that cannot be done, or a debugger would lose its process, all stays as it is.
func relaxTimers() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if slack() >= timerSlack || isTraced() {
		return
	}
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, timerSlack, 0, 0, 0)
	program, err := os.Executable()
	if err != nil || slack() != timerSlack { // else it would begin again for ever
		return
	}
	_ = syscall.Exec(program, os.Args, os.Environ())
}

func slack() int {
	ns, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
	if err != nil {
		return timerSlack
	}
	return ns
}

func isTraced() bool {
	status, err := os.ReadFile("/proc/self/status")
	return err != nil || !bytes.Contains(status, []byte("\nTracerPid:\t0\n"))
}
