package main

import (
	"bytes"
	"os"
	"os/exec"
	"sync/atomic"
)

// node is one server process.
type node struct {
	name       string
	raft, http string // addresses; etcd has gRPC where the others have HTTP
	dir        string
	logFile    string // what it prints
	late       bool   // added to a cluster that is there already

	cmd   *exec.Cmd
	ended atomic.Pointer[chan struct{}] // closed at the end of the process
}

func (n *node) start(c *cluster) error {
	log, err := os.OpenFile(n.logFile, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	n.cmd = exec.Command(c.binary, c.args(c, n)...)
	n.cmd.Dir, n.cmd.Stdout, n.cmd.Stderr = c.dir, log, log
	dieWithUs(n.cmd)
	if err := n.cmd.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	n.ended.Store(&ended)
	go func() {
		_ = n.cmd.Wait()
		close(ended)
	}()
	return nil
}

func (n *node) running() bool {
	ended := n.ended.Load()
	if ended == nil {
		return false
	}
	select {
	case <-*ended:
		return false
	default:
		return true
	}
}

// kill is kill -9, and waits for the end.
func (n *node) kill() {
	if n.running() {
		_ = n.cmd.Process.Kill()
		<-*n.ended.Load()
	}
}

// lastWords are the last lines that it printed.
func (n *node) lastWords() string {
	const few = 1000
	text, _ := os.ReadFile(n.logFile)
	return string(bytes.TrimSpace(text[max(0, len(text)-few):]))
}
