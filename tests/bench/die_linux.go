package main

import (
	"os/exec"
	"syscall"
)

// dieWithUs lets the kernel end a server if this process ends in a way in which it cannot do
// that itself.
func dieWithUs(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
