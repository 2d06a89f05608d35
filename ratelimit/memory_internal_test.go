package ratelimit

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/redistest"
)

// dead is a client whose Redis is away.
type dead struct{ redis.UniversalClient }

var errDead = errors.New("dead")

func (dead) Process(_ context.Context, cmd redis.Cmder) error { cmd.SetErr(errDead); return errDead }

func (dead) ScriptLoad(ctx context.Context, _ string) *redis.StringCmd {
	cmd := redis.NewStringCmd(ctx, "script", "load")
	cmd.SetErr(errDead)
	return cmd
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// Five million different addresses, in the long run of the tests, while Redis is
// away and when all of them are refused, fill no memory. Half a million would
// already, if each were kept.
func TestMemoryIsBounded(t *testing.T) {
	addresses := 500_000
	if redistest.IsLong() {
		addresses = 5_000_000
	}
	l, err := New(dead{}, redis_rate.PerHour(1))
	if err != nil {
		t.Fatal(err)
	}
	before := heap()
	h := l.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	r := httptest.NewRequest("GET", "/", nil)
	address := make([]byte, 0, 32)
	grown := func() uint64 {
		if now := heap(); now > before {
			return now - before
		}
		return 0
	}
	for i := range addresses {
		address = append(address[:0], "10."...)
		for shift := 16; shift >= 0; shift -= 8 {
			address = strconv.AppendInt(address, int64(i>>shift&0xff), 10)
			address = append(address, '.')
		}
		address[len(address)-1] = ':'
		key := string(address[:len(address)-1])
		if i%50 == 0 { // the whole handler is slow under the race detector
			r.RemoteAddr = string(append(address, '1'))
			h.ServeHTTP(nothing{http.Header{}}, r)
		} else if _, err := l.Allow(t.Context(), key); err == nil {
			t.Fatal("the dead answer")
		}
	}
	local := grown()
	for i := range addresses {
		l.denied.put(strconv.Itoa(i), &refusal{cost: 1, notBefore: 1 << 60, last: Decision{set: l.static, State: State{RetryAfter: time.Hour}}})
	}
	all := grown()
	t.Logf("%d addresses: %d MiB without redis, %d MiB with as many refusals", addresses, local>>20, all>>20)
	if local > 64<<20 || all > 128<<20 {
		t.Errorf("the heap grew by %d and %d MiB, want at most 64 and 128", local>>20, all>>20)
	}
	if n := len(l.local.buckets); n > 100_000 {
		t.Errorf("%d buckets", n)
	}
	runtime.KeepAlive(l)
}

type nothing struct{ h http.Header }

func (n nothing) Header() http.Header         { return n.h }
func (n nothing) Write(p []byte) (int, error) { return len(p), nil }
func (n nothing) WriteHeader(int)             {}
