package lockmw

import (
	"testing"
	"time"
)

// Whatever a server replies, a grant has a fence, and a wait is neither negative nor endless.
func FuzzDecodeReply(f *testing.F) {
	f.Add(4, int64(1), int64(1_700_000_000_000_000), int64(0), int64(1_700_000_000_000))
	f.Add(4, int64(0), int64(0), int64(9_000), int64(1_700_000_000_000))
	f.Add(3, int64(1), int64(-1), int64(-1), int64(0))
	f.Fuzz(func(t *testing.T, n int, code, fence, left, now int64) {
		v := []int64{code, fence, left, now, 0}
		a, err := decodeReply(v[:max(0, min(n, len(v)))])
		if err != nil {
			return
		}
		if n != 4 || a.granted && a.fence == 0 || a.left < 0 || a.left > 1000*time.Hour {
			t.Errorf("%d values %v: %+v", n, v, a)
		}
	})
}
