//go:build !unix

package sim

import "time"

// cpuTime is not known here; a campaign then tells no virtual seconds per CPU-second.
func cpuTime() time.Duration { return 0 }
