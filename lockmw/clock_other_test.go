//go:build !linux

package lockmw_test

import "time"

// clock is the wall clock, which may be set while a test runs; on Linux there
// is a better one.
func clock() time.Duration { return time.Duration(time.Now().UnixNano()) }
