package main

import (
	"debug/buildinfo"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// machine is what a result depends on.
type machine struct {
	CPU        string `json:"cpu"`
	Cores      int    `json:"cores"`
	MemoryMiB  int    `json:"memoryMiB"`
	Kernel     string `json:"kernel"`
	Filesystem string `json:"filesystem"`
	Go         string `json:"go"`
	Load       string `json:"loadAverage"` // at the start: others on the machine
}

func describeMachine(dir string) machine {
	m := machine{Cores: runtime.NumCPU(), Go: runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH}
	m.CPU = field("/proc/cpuinfo", "model name")
	var kib int
	_, _ = fmt.Sscan(field("/proc/meminfo", "MemTotal"), &kib)
	m.MemoryMiB = kib / 1024
	m.Kernel = "Linux " + firstLine("/proc/sys/kernel/osrelease")
	m.Load = firstLine("/proc/loadavg")
	m.Filesystem = filesystem(dir)
	return m
}

func (m machine) String() string {
	return fmt.Sprintf("%s, %d cores, %d MiB, %s, %s, %s; load average at the start: %s",
		m.CPU, m.Cores, m.MemoryMiB, m.Kernel, m.Filesystem, m.Go, m.Load)
}

func field(file, name string) string {
	text, _ := os.ReadFile(file)
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

func firstLine(file string) string {
	text, _ := os.ReadFile(file)
	line, _, _ := strings.Cut(string(text), "\n")
	return line
}

// inMemory is a file system on which no sync costs anything.
const inMemory = "tmpfs"

// filesystem is the kind that a directory is on.
func filesystem(dir string) string {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return "unknown"
	}
	switch int64(st.Type) {
	case unix.EXT4_SUPER_MAGIC:
		return "ext4"
	case unix.XFS_SUPER_MAGIC:
		return "xfs"
	case unix.BTRFS_SUPER_MAGIC:
		return "btrfs"
	case unix.OVERLAYFS_SUPER_MAGIC:
		return "overlayfs"
	case unix.TMPFS_MAGIC:
		return inMemory
	}
	return fmt.Sprintf("file system %#x", st.Type)
}

// told are the modules whose version a reader wants to know.
var told = []string{
	"go.etcd.io/etcd/server/v3", "go.etcd.io/raft/v3", "go.etcd.io/bbolt", "google.golang.org/grpc",
	"github.com/hashicorp/raft", "github.com/hashicorp/raft-boltdb/v2", "github.com/boltdb/bolt", "github.com/tidwall/btree",
}

// version is what a binary was built of.
func version(binary string) string {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return err.Error()
	}
	versions := []string{info.GoVersion}
	for _, d := range info.Deps {
		if slices.Contains(told, d.Path) {
			versions = append(versions, d.Path+" "+d.Version)
		}
	}
	return strings.Join(versions, ", ")
}

// revision is the commit of this repository, if git is there to say.
func revision() string {
	out, err := exec.Command("git", "describe", "--always", "--dirty").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}
