package lockmw_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw"
)

type traceKey struct{}

// traced records the traces of the contexts in which commands are sent.
type traced struct {
	mu  sync.Mutex
	all []any
}

func (*traced) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h *traced) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		h.mu.Lock()
		h.all = append(h.all, ctx.Value(traceKey{}))
		h.mu.Unlock()
		return next(ctx, cmd)
	}
}

func (*traced) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (h *traced) last() any {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.all) == 0 {
		return nil
	}
	return h.all[len(h.all)-1]
}

// Release uses the values of its context, such as a trace, but not its
// cancellation: the lock is free afterwards.
func TestReleaseUsesTheValuesOfItsContext(t *testing.T) {
	for name, opts := range map[string][]lockmw.Option{"one": nil, "permits": {lockmw.WithPermits(2)}} {
		rdb := redistest.NewServer(t).Client(t)
		hook := &traced{}
		rdb.AddHook(hook)
		l := locker(t, rdb, opts...)
		k := acquire(t, l, "key")
		ctx, cancel := context.WithCancel(context.WithValue(t.Context(), traceKey{}, "trace of the release"))
		cancel()
		if err := k.Release(ctx); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := hook.last(); got != "trace of the release" {
			t.Errorf("%s: the release was sent with the trace %v", name, got)
		}
		if info, err := l.Inspect(t.Context(), "key"); err != nil || info.Held {
			t.Errorf("%s: held after the release: %+v, %v", name, info, err)
		}
	}
}

// An outage has one name in all packages, and its error says once where it came
// from.
func TestErrorsOfAnOutage(t *testing.T) {
	s := redistest.NewServer(t)
	l := locker(t, s.Client(t))
	k := acquire(t, l, "held")
	s.Kill()
	_, acquireErr := l.TryAcquire(t.Context(), "key")
	_, inspectErr := l.Inspect(t.Context(), "key")
	_, forceErr := l.ForceRelease(t.Context(), l.RedisKey("key"), "x")
	for what, err := range map[string]error{"acquire": acquireErr, "inspect": inspectErr, "force release": forceErr, "release": k.Release(t.Context())} {
		if prefix := "lockmw: " + what + ": redis is unavailable: "; !errors.Is(err, lockmw.ErrUnavailable) || !strings.HasPrefix(err.Error(), prefix) || strings.Count(err.Error(), "lockmw") != 1 {
			t.Errorf("got %q, want %s…", err, prefix)
		}
	}
}
