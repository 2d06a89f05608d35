package ratelimit_test

import (
	"net/http"
	"testing"

	"github.com/go-redis/redis_rate/v10"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/ratelimit"
)

// A place whose reply was lost is free as soon as Redis answers, not when its
// lease is over.
func TestAPlaceWhoseReplyWasLost(t *testing.T) {
	redistest.NoLeaks(t)
	for _, policy := range []ratelimit.FailureMode{ratelimit.FailLocal, ratelimit.FailClosed} {
		l, direct, p := flaky(t, redis_rate.Limit{}, ratelimit.WithLimits(ratelimit.Concurrency(1)), ratelimit.WithFailureMode(policy))
		free := func() bool {
			d, leave, err := direct.Enter(t.Context(), "192.0.2.1/32", 1)
			leave()
			return err == nil && d.Allowed
		}
		p.SwallowReplies()
		d, leave, err := l.Enter(t.Context(), "192.0.2.1/32", 1)
		if err == nil || d.Source == "redis" {
			t.Fatalf("got %+v, %v", d, err)
		}
		leave()
		redistest.Eventually(t, patience, func() bool {
			d, err := direct.AllowN(t.Context(), "192.0.2.1/32", 0)
			return err == nil && d.Remaining == 0
		}, "not taken")
		p.Heal()
		p.CloseConns()
		redistest.Eventually(t, patience/4, free, "policy %d: the place stays taken", policy)

		// Through the handler, and of a command that reaches Redis late.
		p.Mute()
		request(l.Handler(served), http.MethodGet)
		p.Heal()
		redistest.Eventually(t, patience/4, func() bool {
			d, err := direct.AllowN(t.Context(), "192.0.2.1/32", 0)
			return err == nil && d.Remaining == 1 && free()
		}, "policy %d: the place of a late command stays taken", policy)
	}
}

// So is one that could not be given back when its request was over.
func TestAPlaceThatCouldNotBeReleased(t *testing.T) {
	l, direct, p := flaky(t, redis_rate.PerHour(100), ratelimit.WithLimits(ratelimit.Concurrency(1)))
	d, leave, err := l.Enter(t.Context(), "k", 1)
	if err != nil || !d.Allowed {
		t.Fatalf("got %+v, %v", d, err)
	}
	p.Refuse()
	leave()
	if d, _, err := direct.Enter(t.Context(), "k", 1); err != nil || d.Allowed {
		t.Fatalf("the place is free: %+v, %v", d, err)
	}
	p.Heal()
	redistest.Eventually(t, patience/4, func() bool {
		d, leave, err := direct.Enter(t.Context(), "k", 1)
		leave()
		return err == nil && d.Allowed
	}, "the place stays taken")
}
