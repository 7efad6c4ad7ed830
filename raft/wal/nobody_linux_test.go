package wal_test

import (
	"os"
	"runtime"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// asNobody goes on with the permissions of somebody who owns nothing, if it is root who runs
// the test: root may write everywhere. Linux knows them for each thread.
func asNobody(t *testing.T) {
	if os.Geteuid() != 0 {
		return
	}
	const nobody = 65534
	runtime.LockOSThread()
	t.Cleanup(func() {
		require.NoError(t, syscall.Setfsuid(0))
		runtime.UnlockOSThread()
	})
	require.NoError(t, syscall.Setfsuid(nobody))
}
