package ratelimit_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/bounded"
	"github.com/redishttp/redishttp/internal/prefetch"
	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/ratelimit"
)

// reader is a middleware of this module as the limiter sees it: it reads one key.
type reader struct {
	rdb    redis.UniversalClient
	key    string
	asked  atomic.Int64
	unused atomic.Int64
	next   http.Handler
}

func (h *reader) Owner() any { return h }

func (h *reader) Prefetch(b *prefetch.Batch, r *http.Request) {
	h.asked.Add(1)
	b.Add(&prefetch.Question{
		Owner: h, Asker: h, Caller: bounded.New(h.rdb), Key: h.key, Timeout: 5 * time.Second,
		Commands: []redis.Cmder{redis.NewStringCmd(context.WithoutCancel(r.Context()), "get", h.key)},
	})
}

func (*reader) Report(error) {}

func (h *reader) Unused(prefetch.Outcome) { h.unused.Add(1) }

// ServeHTTP writes what was read, or "itself" if it must ask by itself.
func (h *reader) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Read", "itself")
	if q, outcome := prefetch.Take(r.Context(), h); q != nil && outcome == prefetch.Answered {
		cmd, _ := q.Commands[0].(*redis.StringCmd)
		w.Header().Set("Read", cmd.Val())
	}
	if h.next != nil {
		h.next.ServeHTTP(w, r)
	}
}

func newReader(t *testing.T, rdb redis.UniversalClient) *reader {
	t.Helper()
	h := &reader{rdb: rdb, key: redistest.Prefix(t) + "value"}
	redistest.NoErrors(t, rdb.Set(t.Context(), h.key, "value", time.Minute).Err())
	return h
}

func read(h http.Handler) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	return w
}

func newPrefetching(t *testing.T, rdb redis.UniversalClient, limit ratelimit.Limit, opts ...ratelimit.Option) *ratelimit.Limiter {
	t.Helper()
	l, err := ratelimit.New(rdb, limit, append([]ratelimit.Option{ratelimit.WithKeyPrefix(redistest.Prefix(t)), ratelimit.WithTimeout(5 * time.Second)}, opts...)...)
	redistest.NoErrors(t, err)
	return l
}

// One round trip decides and reads; each kind of limit, with its own script.
func TestInnerHandlersAreReadWithTheDecision(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		rdb := g.Client(t)
		for name, limit := range map[string]ratelimit.Limit{
			"bucket": ratelimit.PerHour(100), "window": ratelimit.Window(100, time.Hour), "concurrency": ratelimit.Concurrency(5),
		} {
			h := newReader(t, rdb)
			l := newPrefetching(t, rdb, limit)
			chain := l.Handler(h)
			for range 5 {
				read(chain)
			}
			count := redistest.Count(rdb)
			if w := read(chain); w.Code != 200 || w.Header().Get("Read") != "value" {
				t.Errorf("%s: %d, read %q", name, w.Code, w.Header().Get("Read"))
			}
			if got := count.Trips(); got != 1 && g.Name != "cluster" && name != "concurrency" { // which leaves its place
				t.Errorf("%s: %d round trips, %v", name, got, count.Commands())
			}
		}
	})
}

// Without the option, with an engine, and for what it lets pass, a limiter has nothing
// asked ahead.
func TestALimiterThatDoesNotPrefetch(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	h := newReader(t, rdb)
	for name, l := range map[string]*ratelimit.Limiter{
		"off":     newPrefetching(t, rdb, ratelimit.PerHour(100), ratelimit.WithPrefetch(false)),
		"skipped": newPrefetching(t, rdb, ratelimit.PerHour(100), ratelimit.WithSkip(func(*http.Request) bool { return true })),
		"free":    newPrefetching(t, rdb, ratelimit.PerHour(100), ratelimit.WithCost(func(*http.Request) int { return 0 })),
	} {
		if w := read(l.Handler(h)); w.Code != 200 || w.Header().Get("Read") != "itself" || h.asked.Load() != 0 {
			t.Errorf("%s: %d, read %q, asked %d times", name, w.Code, w.Header().Get("Read"), h.asked.Load())
		}
	}
	// Of two limiters the outer one asks, for the inner one has to wait for its decision.
	off, on := newPrefetching(t, rdb, ratelimit.PerHour(100), ratelimit.WithPrefetch(false)), newPrefetching(t, rdb, ratelimit.PerHour(100))
	if w := read(on.Handler(off.Handler(h))); w.Header().Get("Read") != "itself" {
		t.Errorf("through a limiter that does not: read %q", w.Header().Get("Read"))
	}
	asked := h.asked.Load()
	if w := read(off.Handler(on.Handler(h))); w.Header().Get("Read") != "value" || h.asked.Load() != asked+1 {
		t.Errorf("inside of a limiter that does not: read %q", w.Header().Get("Read"))
	}
	outer := newPrefetching(t, rdb, ratelimit.PerHour(100))
	asked = h.asked.Load()
	if w := read(outer.Handler(on.Handler(h))); w.Header().Get("Read") != "value" || h.asked.Load() != asked+1 {
		t.Errorf("two limiters: read %q, asked %d times", w.Header().Get("Read"), h.asked.Load()-asked)
	}
}

// What was read for a request that is refused, or delayed, is told as unused; a delayed
// one does not get an answer from before its delay.
func TestRefusedAndDelayedRequests(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	h := newReader(t, rdb)
	refusing := newPrefetching(t, rdb, ratelimit.PerHour(1), ratelimit.WithDenyCache(0, 0)).Handler(h)
	read(refusing)
	for i := range 3 {
		if w := read(refusing); w.Code != http.StatusTooManyRequests {
			t.Errorf("got %d", w.Code)
		}
		if got := h.unused.Load(); got != int64(i+1) {
			t.Errorf("%d told as unused after %d refusals", got, i+1)
		}
	}
	h = newReader(t, rdb)
	delaying := newPrefetching(t, rdb, ratelimit.PerSecond(1), ratelimit.WithDelay(10*time.Second, 10), ratelimit.WithDenyCache(0, 0)).Handler(h)
	read(delaying)
	if w := read(delaying); w.Code != 200 || w.Header().Get("Read") != "itself" || h.unused.Load() != 1 {
		t.Errorf("delayed: %d, read %q, %d unused", w.Code, w.Header().Get("Read"), h.unused.Load())
	}
}

// Many requests for one key at the same time share calls: each is charged once, and each
// gets what it asked ahead or asks by itself.
func TestSharedCallsChargeOnce(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	h := newReader(t, rdb)
	chain := newPrefetching(t, rdb, ratelimit.PerHour(150)).Handler(h)
	var admitted, refused, other atomic.Int64
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() {
			switch w := read(chain); {
			case w.Code == http.StatusTooManyRequests:
				refused.Add(1)
			case w.Code == 200 && (w.Header().Get("Read") == "value" || w.Header().Get("Read") == "itself"):
				admitted.Add(1)
			default:
				other.Add(1)
			}
		})
	}
	wg.Wait()
	if admitted.Load() != 150 || refused.Load() != 50 || other.Load() != 0 {
		t.Errorf("%d admitted, %d refused, %d other, want 150 and 50", admitted.Load(), refused.Load(), other.Load())
	}
}

// The client of a limiter that panics: what was asked with it is told.
func TestAClientThatPanics(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	h := newReader(t, rdb)
	broken := redistest.Standalone(t).Client(t)
	chain := newPrefetching(t, broken, ratelimit.PerHour(100)).Handler(h)
	h.rdb = broken
	read(chain) // with a connection that knows the script
	broken.AddHook(brokenPipelines{})
	func() {
		defer func() {
			if p := recover(); p != "a hook" {
				t.Errorf("the panic is lost: %v", p)
			}
		}()
		read(chain)
	}()
	if got := h.unused.Load(); got != 1 {
		t.Errorf("%d told as unused, want 1", got)
	}
}

type brokenPipelines struct{}

func (brokenPipelines) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (brokenPipelines) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }
func (brokenPipelines) ProcessPipelineHook(redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(context.Context, []redis.Cmder) error { panic("a hook") }
}
