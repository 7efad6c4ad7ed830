package cluster

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// machine watches what the nodes run on, beside them: a gap may be the disk's or the
// processor's, and not theirs.
type machine struct {
	slowestSync time.Duration // of a page, on the nodes' disk
	latest      time.Duration // that a timer was late
}

// watchMachine looks ten times a second until stop is called, or the test ends.
func watchMachine(t *testing.T, dir string) (m *machine, stop func()) {
	m = &machine{}
	file, err := os.Create(filepath.Join(dir, "watch"))
	require.NoError(t, err)
	quit := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		for page := make([]byte, 4096); ; {
			due := time.Now().Add(100 * time.Millisecond)
			select {
			case <-quit:
				return
			case <-time.After(time.Until(due)):
			}
			begun := time.Now()
			m.latest = max(m.latest, begun.Sub(due))
			_, err := file.WriteAt(page, 0)
			if !assert.NoError(t, err) || !assert.NoError(t, file.Sync()) {
				return
			}
			m.slowestSync = max(m.slowestSync, time.Since(begun))
		}
	})
	stop = sync.OnceFunc(func() {
		close(quit)
		watching.Wait()
		_ = file.Close()
	})
	t.Cleanup(stop)
	return m, stop
}

func (m *machine) String() string {
	return fmt.Sprintf("slowest sync of a page %v, latest timer %v", m.slowestSync.Round(time.Millisecond), m.latest.Round(time.Millisecond))
}
