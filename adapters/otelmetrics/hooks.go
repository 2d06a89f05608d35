package otelmetrics

import (
	"context"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/redishttp/redishttp/cache"
	"github.com/redishttp/redishttp/lockmw"
	"github.com/redishttp/redishttp/lockmw/cronlock"
	"github.com/redishttp/redishttp/ratelimit"
	"github.com/redishttp/redishttp/session"
)

func outcome(yes bool, one, other string) attribute.KeyValue {
	if yes {
		return attribute.String("outcome", one)
	}
	return attribute.String("outcome", other)
}

// RateLimit returns hooks that report as name.
func (m *Metrics) RateLimit(name string) ratelimit.Hooks {
	r := m.of(name)
	return ratelimit.Hooks{
		Decided: func(ctx context.Context, d ratelimit.Decision, took time.Duration) {
			r.count(ctx, "ratelimit.decisions", 1, outcome(d.Allowed, "allowed", "refused"), attribute.String("source", d.Source), attribute.String("policy", d.Policy))
			r.time(ctx, "ratelimit.duration", took)
		},
		Outage: func(ctx context.Context, unavailable bool) {
			value := int64(0)
			if unavailable {
				value = 1
			}
			m.away.Record(ctx, value, metric.WithAttributes(r.name))
		},
		Failed: r.failed("ratelimit"),
	}
}

// Session returns hooks that report as name.
func (m *Metrics) Session(name string) session.Hooks {
	r := m.of(name)
	return session.Hooks{
		Loaded: func(ctx context.Context, found bool) {
			r.count(ctx, "session.loads", 1, attribute.Bool("found", found))
		},
		Saved:  func(ctx context.Context) { r.count(ctx, "session.saves", 1) },
		Merged: func(ctx context.Context, times int) { r.count(ctx, "session.merges", times) },
		Event: func(ctx context.Context, e session.Event) {
			r.count(ctx, "session.events", 1, attribute.String("kind", e.Kind))
		},
		Prefetched: r.prefetched("session"),
		Failed:     r.failed("session"),
	}
}

// Cache returns hooks that report as name.
func (m *Metrics) Cache(name string) cache.Hooks {
	r := m.of(name)
	return cache.Hooks{
		Served: func(ctx context.Context, s cache.Status) {
			attrs := []attribute.KeyValue{outcome(s.Hit, "hit", "forward"), attribute.Bool("stored", s.Stored), attribute.Bool("collapsed", s.Collapsed)}
			switch {
			case s.Hit && s.TTL < 0:
				attrs[0] = attribute.String("outcome", "stale")
			case !s.Hit:
				attrs = append(attrs, attribute.String("reason", s.Forward))
			}
			if s.ForwardStatus > 0 {
				attrs = append(attrs, attribute.String("status", strconv.Itoa(s.ForwardStatus/100)+"xx"))
			}
			r.count(ctx, "cache.requests", 1, attrs...)
		},
		Prefetched: r.prefetched("cache"),
		Failed:     r.failed("cache"),
	}
}

// Locks returns hooks that report as name, for locks with a lease of ttl: a
// renewal when less than half of it is left is late.
func (m *Metrics) Locks(name string, ttl time.Duration) lockmw.Hooks {
	r := m.of(name)
	return lockmw.Hooks{
		Acquired: func(ctx context.Context, _ uint64, waited time.Duration) {
			r.time(ctx, "lock.wait", waited, attribute.String("outcome", "acquired"))
		},
		Busy: func(ctx context.Context, waited time.Duration) {
			r.time(ctx, "lock.wait", waited, attribute.String("outcome", "busy"))
		},
		Released: func(ctx context.Context, _ uint64, held time.Duration) { r.time(ctx, "lock.held", held) },
		Renewed: func(ctx context.Context, left time.Duration, err error) {
			state := outcome(left < ttl/2, "late", "ok")
			if err != nil {
				state = attribute.String("outcome", "failed")
			}
			r.count(ctx, "lock.renewals", 1, state)
		},
		Lost: func(ctx context.Context, _ uint64, reason string) {
			r.count(ctx, "lock.lost", 1, attribute.String("reason", reason))
		},
		Failed: r.failed("lock"),
	}
}

// Cron returns hooks that report as name.
func (m *Metrics) Cron(name string) cronlock.Hooks {
	r := m.of(name)
	failed := r.failed("cron")
	return cronlock.Hooks{
		Finished: func(ctx context.Context, run cronlock.Run, took time.Duration, err error) {
			job := attribute.String("job", run.Job)
			r.count(ctx, "cron.runs", 1, job, outcome(err == nil, "ok", "error"))
			r.time(ctx, "cron.duration", took, job)
		},
		Skipped: func(ctx context.Context, job string, o cronlock.Outcome) {
			r.count(ctx, "cron.skipped", 1, attribute.String("job", job), attribute.String("outcome", string(o)))
		},
		Failed: func(ctx context.Context, _ string, err error) { failed(ctx, err) },
	}
}
