package cluster

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What would tell of it otherwise is a benchmark.
func TestThreadsOfANodeMayBeWokenLate(t *testing.T) {
	servers := newCluster(t, 1)
	servers[0].start()
	pid := servers[0].cmd.Process.Pid
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	require.NoError(t, err)
	for _, task := range tasks {
		slack, err := os.ReadFile(fmt.Sprintf("/proc/%s/timerslack_ns", task.Name()))
		if errors.Is(err, fs.ErrPermission) {
			t.Skip("only root may look: ", err)
		}
		require.NoError(t, err)
		assert.Equal(t, "500000", strings.TrimSpace(string(slack)))
	}
	comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	require.NoError(t, err)
	assert.Equal(t, "dbdb", strings.TrimSpace(string(comm)), "it is still found by its name")
}
