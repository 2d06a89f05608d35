package otelmetrics

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// Metrics holds the instruments. It is safe for concurrent use.
type Metrics struct {
	counters   map[string]metric.Int64Counter
	histograms map[string]metric.Float64Histogram
	away       metric.Int64Gauge
}

// An Option changes a default of [New].
type Option interface{ apply(*config) }

type optionFunc func(*config)

func (f optionFunc) apply(c *config) { f(c) }

type config struct{ provider metric.MeterProvider }

// WithMeterProvider sets the provider of the metrics. The default is the global one
// at the time of [New]; nil is a mistake.
func WithMeterProvider(p metric.MeterProvider) Option {
	return optionFunc(func(c *config) { c.provider = p })
}

// bounds are the limits of the histograms' buckets, in seconds: a decision takes a
// millisecond, and waiting for a lock may take a minute.
func bounds() []float64 {
	return []float64{0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60}
}

// New creates the instruments. It returns the errors of the provider, joined.
func New(opts ...Option) (*Metrics, error) {
	c := config{provider: otel.GetMeterProvider()}
	for _, opt := range opts {
		if opt != nil {
			opt.apply(&c)
		}
	}
	if c.provider == nil {
		return nil, errors.New("otelmetrics: WithMeterProvider: is nil")
	}
	meter := c.provider.Meter("github.com/redishttp/redishttp/adapters/otelmetrics")
	m := &Metrics{counters: map[string]metric.Int64Counter{}, histograms: map[string]metric.Float64Histogram{}}
	var errs []error
	for name, what := range map[string]string{
		"ratelimit.decisions": "Requests that were admitted or rejected.",
		"session.loads":       "Sessions that were looked up.",
		"session.saves":       "Sessions that were written.",
		"session.merges":      "Saves that were merged with the save of another request.",
		"session.events":      "Sessions that were created, rotated or destroyed, and tokens of no session.",
		"cache.requests":      "Requests to the cache.",
		"lock.renewals":       "Renewals of leases, done or failed.",
		"lock.lost":           "Locks that were lost while they were held.",
		"cron.runs":           "Runs of jobs on this instance.",
		"cron.skipped":        "Ticks that this instance did not run.",
		"prefetches":          "Reads in the round trip of an outer middleware, used or not.",
		"failures":            "Calls to Redis that failed, and other failures.",
	} {
		counter, err := meter.Int64Counter("redishttp."+name, metric.WithDescription(what))
		m.counters[name], errs = counter, append(errs, err)
	}
	for name, what := range map[string]string{
		"ratelimit.duration": "How long decisions took.",
		"lock.wait":          "How long requests waited for locks.",
		"lock.held":          "How long locks were held.",
		"cron.duration":      "How long jobs ran.",
	} {
		histogram, err := meter.Float64Histogram("redishttp."+name, metric.WithDescription(what), metric.WithUnit("s"), metric.WithExplicitBucketBoundaries(bounds()...))
		m.histograms[name], errs = histogram, append(errs, err)
	}
	away, err := meter.Int64Gauge("redishttp.ratelimit.unavailable", metric.WithDescription("1 while the limiter's Redis is unavailable."))
	m.away, errs = away, append(errs, err)
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return m, nil
}

// reporter reports for one middleware.
type reporter struct {
	m    *Metrics
	name attribute.KeyValue
}

func (m *Metrics) of(name string) reporter {
	return reporter{m, attribute.String("redishttp.name", name)}
}

func (r reporter) count(ctx context.Context, counter string, n int, attrs ...attribute.KeyValue) {
	r.m.counters[counter].Add(ctx, int64(n), metric.WithAttributes(append(attrs, r.name)...))
}

func (r reporter) time(ctx context.Context, histogram string, d time.Duration, attrs ...attribute.KeyValue) {
	r.m.histograms[histogram].Record(ctx, d.Seconds(), metric.WithAttributes(append(attrs, r.name)...))
}

// prefetched returns the hook that counts whether what was prefetched was used.
func (r reporter) prefetched(middleware string) func(context.Context, bool) {
	return func(ctx context.Context, used bool) {
		r.count(ctx, "prefetches", 1, attribute.String("middleware", middleware), outcome(used, "used", "unused"))
	}
}

// failed returns the hook that counts the failures of a middleware.
func (r reporter) failed(middleware string) func(context.Context, error) {
	return func(ctx context.Context, _ error) {
		r.count(ctx, "failures", 1, attribute.String("middleware", middleware))
	}
}
