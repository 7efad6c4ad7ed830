//go:build !unix

package sim

import "time"

// CPUTime is not known here: what is then told per CPU-second means nothing.
func CPUTime() time.Duration { return 0 }
