package cronlock_test

import (
	"context"
	"testing"
	"time"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw/cronlock"
)

func TestNameAndKeyOfAJob(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	j := job(t, runner(t, rdb), func(context.Context) error { return nil })
	if j.Name() != "job" {
		t.Errorf("the name is %q", j.Name())
	}
	if n := rdb.Exists(t.Context(), j.Key()).Val(); n != 0 {
		t.Errorf("%s is there before it has run", j.Key())
	}
	if o, err := j.Run(t.Context(), time.Now()); o != cronlock.Ran {
		t.Fatalf("it is %s, %v", o, err)
	}
	if host := rdb.HGet(t.Context(), j.Key(), "host").Val(); host == "" {
		t.Errorf("%s does not say where it ran", j.Key())
	}
}
