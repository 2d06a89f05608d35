package redistest

import "syscall"

// dieWithParent has the kernel kill the child when the thread that started it
// is gone; its own process group keeps a terminal's SIGINT from it, so that a
// test that is interrupted can still talk to its server.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
