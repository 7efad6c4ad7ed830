//go:build !unix

package explore

import "time"

// cpuTime is not known here: what a search then tells per second and core means nothing.
func cpuTime() time.Duration { return 0 }
