package otelconnect

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/redis/go-redis/extra/redisotel/v9"
	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/redishttp/redishttp/connect"
)

const scope = "github.com/redishttp/redishttp/connect/otelconnect"

// An Option changes a default of [Instrument].
type Option interface{ apply(*config) }

type optionFunc func(*config)

func (f optionFunc) apply(c *config) { f(c) }

type config struct {
	tracers    trace.TracerProvider
	meters     metric.MeterProvider
	statements bool
}

// WithTracerProvider sets the provider of spans. The default is the global one at
// the time of [Instrument]; the no-op provider turns traces off; nil is a mistake.
func WithTracerProvider(p trace.TracerProvider) Option {
	return optionFunc(func(c *config) { c.tracers = p })
}

// WithMeterProvider sets the provider of metrics. The default is the global one at
// the time of [Instrument]; the no-op provider turns metrics off; nil is a mistake.
func WithMeterProvider(p metric.MeterProvider) Option {
	return optionFunc(func(c *config) { c.meters = p })
}

// WithStatements sets whether spans contain commands with their keys and values. It
// is dangerous: these hold session tokens and personal data. The default is false.
// Turn it on for development.
func WithStatements(report bool) Option {
	return optionFunc(func(c *config) { c.statements = report })
}

// Instrumentation is the running instrumentation of a connection.
type Instrumentation struct {
	stop         sync.Once
	done         chan struct{}
	registration metric.Registration
	err          error
}

// Instrument reports the traces and metrics of conn until [Instrumentation.Close].
// Call it right after [connect.Open]: nodes of a cluster that are already connected
// are not instrumented. It fails for a nil connection or provider, and reports all
// mistakes at once.
func Instrument(conn *connect.Conn, opts ...Option) (*Instrumentation, error) {
	if conn == nil {
		return nil, errors.New("otelconnect: conn: is nil")
	}
	c := config{tracers: otel.GetTracerProvider(), meters: otel.GetMeterProvider()}
	for _, opt := range opts {
		if opt != nil {
			opt.apply(&c)
		}
	}
	var errs []error
	if c.tracers == nil {
		errs = append(errs, errors.New("otelconnect: WithTracerProvider: is nil"))
	}
	if c.meters == nil {
		errs = append(errs, errors.New("otelconnect: WithMeterProvider: is nil"))
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	i := &Instrumentation{done: make(chan struct{})}
	attrs := []attribute.KeyValue{
		attribute.String("redishttp.connection.name", conn.Name()),
		attribute.String("redishttp.connection.mode", conn.Mode().String()),
	}
	rdb := conn.Client()
	err := errors.Join(
		redisotel.InstrumentTracing(rdb, redisotel.WithTracerProvider(c.tracers), redisotel.WithAttributes(attrs...),
			redisotel.WithDBStatement(c.statements), redisotel.WithCallerEnabled(false)),
		redisotel.InstrumentMetrics(rdb, redisotel.WithMeterProvider(c.meters), redisotel.WithAttributes(attrs...),
			redisotel.WithSemConvCompliantMetrics(true), redisotel.WithCloseChan(i.done)),
	)
	if !c.statements {
		addScrubber(rdb) // after the tracer, and therefore inside it
	}
	if err == nil {
		i.registration, err = observe(c.meters.Meter(scope), conn, metric.WithAttributes(attrs...))
	}
	if err != nil {
		return nil, fmt.Errorf("otelconnect: %w", errors.Join(err, i.Close()))
	}
	return i, nil
}

// Close ends the metrics; spans are reported until the connection is closed. It may
// be called more than once.
func (i *Instrumentation) Close() error {
	i.stop.Do(func() {
		close(i.done)
		if i.registration != nil {
			i.err = i.registration.Unregister()
		}
	})
	return i.err
}

// observe reports the figures of [connect.Stats], which redisotel does not know.
func observe(meter metric.Meter, conn *connect.Conn, attrs metric.MeasurementOption) (metric.Registration, error) {
	var (
		all  []metric.Observable
		read []func(metric.Observer, connect.Stats)
		errs []error
	)
	counter := func(name, description string, value func(connect.Stats) int64) {
		c, err := meter.Int64ObservableCounter("redishttp.connection."+name, metric.WithDescription(description))
		all, errs = append(all, c), append(errs, err)
		read = append(read, func(o metric.Observer, s connect.Stats) { o.ObserveInt64(c, value(s), attrs) })
	}
	gauge := func(name, description string, value func(connect.Stats) int64) {
		g, err := meter.Int64ObservableGauge("redishttp.connection."+name, metric.WithDescription(description))
		all, errs = append(all, g), append(errs, err)
		read = append(read, func(o metric.Observer, s connect.Stats) { o.ObserveInt64(g, value(s), attrs) })
	}
	gauge("in_flight", "Calls in flight", func(s connect.Stats) int64 { return s.InFlight })
	counter("dials", "Connections dialled", func(s connect.Stats) int64 { return s.Dials })
	counter("dial_errors", "Dials that failed", func(s connect.Stats) int64 { return s.DialErrors })
	counter("batched", "Commands sent in automatic batches", func(s connect.Stats) int64 { return s.Batched })
	gauge("breaker.open", "Nodes that are cut off", func(s connect.Stats) int64 { return int64(len(s.Open)) })
	counter("breaker.opened", "How often a breaker opened", func(s connect.Stats) int64 { return s.Opened })
	counter("breaker.refused", "Calls that an open breaker refused", func(s connect.Stats) int64 { return s.Refused })
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		stats := conn.Stats()
		for _, fn := range read {
			fn(o, stats)
		}
		return nil
	}, all...)
}

func addScrubber(rdb redis.UniversalClient) {
	if cluster, ok := rdb.(*redis.ClusterClient); ok {
		cluster.OnNewNode(func(node *redis.Client) { node.AddHook(scrubber{}) })
		return
	}
	rdb.AddHook(scrubber{})
}
