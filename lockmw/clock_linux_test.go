package lockmw_test

import (
	"syscall"
	"time"
	"unsafe"
)

// clock is CLOCK_MONOTONIC, which the processes of a machine share, so that a
// cancellation in one and a grant in another are told apart by one clock.
func clock() time.Duration {
	const monotonic = 1
	var ts syscall.Timespec
	if _, _, errno := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, monotonic, uintptr(unsafe.Pointer(&ts)), 0); errno != 0 {
		panic(errno)
	}
	return time.Duration(ts.Nano())
}
