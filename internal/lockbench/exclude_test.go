package lockbench

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/redishttp/redishttp/internal/redistest"
)

// Each contender excludes, as a bench of those that do not would mean nothing.
func TestContendersExclude(t *testing.T) {
	rdb := redistest.NewServer(t).Client(t)
	for _, c := range []contender{mutex(), ours(t, rdb), redsyncs(rdb), redislocks(rdb)} {
		var inside, overlaps atomic.Int32
		_, err := contend(4, time.Now().Add(100*time.Millisecond), contender{c.name, func(key string) (func(), error) {
			unlock, err := c.lock(key)
			if inside.Add(1) != 1 {
				overlaps.Add(1)
			}
			return func() { inside.Add(-1); unlock() }, err
		}})
		if err != nil || overlaps.Load() > 0 {
			t.Errorf("%s: %d overlaps, %v", c.name, overlaps.Load(), err)
		}
	}
}
