//go:build unix

package sim

import (
	"syscall"
	"time"
)

// CPUTime is the processor time that this process has used: what a campaign, or a search, costs,
// whatever else the machine does meanwhile.
func CPUTime() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
