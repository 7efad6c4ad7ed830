package cluster

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// directoryVariable is set in the process that inNamespaces starts.
const directoryVariable = "CLUSTER_TEST_DIRECTORY"

// missingFile is where that process says what the machine lacks.
const missingFile = "missing"

// inNamespaces runs the test that calls it in a second process, which has a network,
// mounts and processes of its own, so that nothing that it makes is seen outside. It is
// process 1 there and dies with this one: then the kernel kills all that it started and
// takes its network down, however this process ended. The result is the second
// process's directory; in this process, where the work is done, it is "".
func inNamespaces(t *testing.T) (dir string) {
	t.Helper()
	if dir = os.Getenv(directoryVariable); dir != "" {
		return dir
	}
	lookAtSources()
	for _, tool := range []string{"ip", filterTool()} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("missing here: %s (iproute2, and nftables or iptables)", tool)
		}
	}
	dir = t.TempDir()
	again := exec.Command("/proc/self/exe", slices.Concat(os.Args[1:], []string{
		"-test.run=^" + t.Name() + "$", "-test.v", "-test.count=1", "-test.timeout=0",
		"-test.testlogfile=", "-test.coverprofile=", // written by this process
	})...)
	again.Env = append(os.Environ(), directoryVariable+"="+dir, binaryVariable+"="+binary)
	again.Stdout, again.Stderr = os.Stdout, os.Stderr
	again.SysProcAttr = ofItsOwn()

	runtime.LockOSThread() // the signal comes when this thread ends, not the process
	defer runtime.UnlockOSThread()
	err := again.Start()
	var no syscall.Errno
	if errors.As(err, &no) && slices.Contains([]syscall.Errno{syscall.EPERM, syscall.ENOSYS, syscall.EINVAL, syscall.ENOSPC}, no) {
		t.Skipf("missing here: the right to make namespaces: %v", err)
	}
	require.NoError(t, err)
	require.NoError(t, again.Wait(), "see the output of the second process")
	if missing, err := os.ReadFile(filepath.Join(dir, missingFile)); err == nil {
		t.Skipf("missing here: %s", missing)
	}
	return ""
}

// ofItsOwn are the namespaces. Who is not root becomes root of a user namespace.
func ofItsOwn() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID,
		Pdeathsig:  syscall.SIGKILL,
	}
	if uid, gid := os.Geteuid(), os.Getegid(); uid != 0 {
		attr.Cloneflags |= syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: gid, Size: 1}}
	}
	return attr
}

// isMissing ends the test in the second process, and has the first say why.
func isMissing(t *testing.T, dir string, err error) {
	require.NoError(t, os.WriteFile(filepath.Join(dir, missingFile), []byte(err.Error()), 0o644))
	t.SkipNow()
}
