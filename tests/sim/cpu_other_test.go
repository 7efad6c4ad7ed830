//go:build !unix

package sim

import "time"

// cpuTime is not known here: what a campaign then tells per CPU-second means nothing.
func cpuTime() time.Duration { return 0 }
