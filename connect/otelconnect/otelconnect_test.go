package otelconnect_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/connect/otelconnect"
	"github.com/redishttp/redishttp/internal/redistest"
)

func TestMain(m *testing.M) { redistest.Main(m) }

type telemetry struct {
	*otelconnect.Instrumentation
	spans  *tracetest.InMemoryExporter
	reader *sdkmetric.ManualReader
}

func instrument(t *testing.T, url string, opts ...otelconnect.Option) (*connect.Conn, *telemetry) {
	t.Helper()
	conn, err := connect.Open(url, connect.WithName("shop"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	tel := &telemetry{spans: tracetest.NewInMemoryExporter(), reader: sdkmetric.NewManualReader()}
	tracers := sdktrace.NewTracerProvider(sdktrace.WithSyncer(tel.spans))
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(tel.reader))
	tel.Instrumentation, err = otelconnect.Instrument(conn, append([]otelconnect.Option{
		otelconnect.WithTracerProvider(tracers), otelconnect.WithMeterProvider(meters),
	}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tel.Close() })
	return conn, tel
}

func (tel *telemetry) metrics(t *testing.T) map[string]metricdata.Metrics {
	t.Helper()
	var rm metricdata.ResourceMetrics
	if err := tel.reader.Collect(t.Context(), &rm); err != nil {
		t.Fatal(err)
	}
	all := map[string]metricdata.Metrics{}
	for _, scope := range rm.ScopeMetrics {
		for _, m := range scope.Metrics {
			all[m.Name] = m
		}
	}
	return all
}

// use sends what an application sends, with a token in keys and values.
func use(t *testing.T, conn *connect.Conn, token string) {
	t.Helper()
	ctx := t.Context()
	rdb := conn.Client()
	rdb.Set(ctx, "session:"+token, "value "+token, time.Minute)
	rdb.Get(ctx, "session:"+token)
	rdb.Get(ctx, "none:"+token)
	rdb.Incr(ctx, "session:"+token) // wrong type
	rdb.Do(ctx, "NOSUCHCOMMAND", "session:"+token)
	rdb.Eval(ctx, "return redis.call('GET', KEYS[1])", []string{"session:" + token}, token)
	_, _ = rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.Set(ctx, "{"+token+"}", token, time.Minute)
		p.Do(ctx, "NOSUCHCOMMAND", "{"+token+"}")
		return nil
	})
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() { conn.Batched().Get(ctx, fmt.Sprint("session:", token, i)) })
	}
	wg.Wait()
}

func TestTracesAndMetricsWithoutStatements(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		const token = "t0kenOfTheSession"
		conn, tel := instrument(t, g.URL)
		use(t, conn, token)
		spans := tel.spans.GetSpans()
		names := map[string]int{}
		for _, s := range spans {
			names[s.Name]++
			if text := fmt.Sprintf("%+v", s); strings.Contains(text, token) {
				t.Errorf("the token is in a span: %s", text)
			}
			if !strings.Contains(fmt.Sprint(s.Attributes), "shop") {
				t.Errorf("%s: no connection name in %v", s.Name, s.Attributes)
			}
		}
		for _, want := range []string{"set", "get", "incr", "eval", "redis.dial"} {
			if names[want] == 0 {
				t.Errorf("no span %q in %v", want, names)
			}
		}
		metrics := tel.metrics(t)
		if strings.Contains(fmt.Sprintf("%+v", metrics), token) {
			t.Errorf("the token is in the metrics")
		}
		dials, ok := metrics["redishttp.connection.dials"].Data.(metricdata.Sum[int64])
		if !ok || dials.DataPoints[0].Value == 0 {
			t.Errorf("dials: got %+v", metrics["redishttp.connection.dials"])
		}
		for _, want := range []string{"redishttp.connection.breaker.open", "redishttp.connection.batched", "db.client.connections.usage", "db.client.connections.use_time"} {
			if _, ok := metrics[want]; !ok {
				t.Errorf("no metric %q in %d", want, len(metrics))
			}
		}
		if err := conn.Client().Do(t.Context(), "NOSUCHCOMMAND", token).Err(); !redis.HasErrorPrefix(err, "unknown command") || strings.Contains(err.Error(), token) {
			t.Errorf("the caller's error: %v", err)
		}

		if err := tel.Close(); err != nil {
			t.Error(err)
		}
		if err := tel.Close(); err != nil {
			t.Error(err)
		}
		redistest.Eventually(t, 10*time.Second, func() bool {
			_, still := tel.metrics(t)["redishttp.connection.dials"]
			return !still
		}, "metrics go on after Close")
	})
}

func TestStatementsOnRequest(t *testing.T) {
	conn, tel := instrument(t, redistest.Standalone(t).URL, otelconnect.WithStatements(true))
	conn.Client().Get(t.Context(), "visible")
	for _, s := range tel.spans.GetSpans() {
		if s.Name == "get" && strings.Contains(fmt.Sprint(s.Attributes), "visible") {
			return
		}
	}
	t.Error("no statement")
}

func TestAnOutageIsReported(t *testing.T) {
	s := redistest.NewServer(t)
	conn, tel := instrument(t, s.URL())
	conn.Client().Ping(t.Context())
	s.Kill()
	for range 10 {
		conn.Client().Ping(t.Context())
	}
	open, ok := tel.metrics(t)["redishttp.connection.breaker.open"].Data.(metricdata.Gauge[int64])
	if !ok || open.DataPoints[0].Value != 1 {
		t.Errorf("got %+v, want one node cut off", open)
	}
}

func TestMistakes(t *testing.T) {
	if _, err := otelconnect.Instrument(nil); err == nil {
		t.Error("a nil connection is accepted")
	}
	conn, err := connect.Open("redis://localhost", connect.WithName("c"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	_, err = otelconnect.Instrument(conn, otelconnect.WithTracerProvider(nil), otelconnect.WithMeterProvider(nil), nil)
	if err == nil || !strings.Contains(err.Error(), "WithTracerProvider") || !strings.Contains(err.Error(), "WithMeterProvider") {
		t.Errorf("got %v, want both mistakes", err)
	}
}

// value is what a metric of a connection says, with its attributes checked.
func (tel *telemetry) value(t *testing.T, name string) int64 {
	t.Helper()
	var point metricdata.DataPoint[int64]
	switch data := tel.metrics(t)["redishttp.connection."+name].Data.(type) {
	case metricdata.Sum[int64]:
		point = data.DataPoints[0]
	case metricdata.Gauge[int64]:
		point = data.DataPoints[0]
	default:
		t.Fatalf("%s is not reported", name)
	}
	for key, want := range map[attribute.Key]string{"redishttp.connection.name": "shop", "redishttp.connection.mode": "standalone"} {
		if got, _ := point.Attributes.Value(key); got.AsString() != want {
			t.Errorf("%s: %s is %q, want %q", name, key, got.AsString(), want)
		}
	}
	return point.Value
}

// The figures of an outage are those of the connection.
func TestTheFiguresAreThoseOfTheConnection(t *testing.T) {
	conn, tel := instrument(t, "redis://127.0.0.1:1")
	for range 12 {
		conn.Client().Ping(t.Context())
	}
	stats := conn.Stats()
	if stats.Opened != 1 || stats.Refused == 0 {
		t.Fatalf("no outage: %+v", stats)
	}
	for name, want := range map[string]int64{
		"dials": stats.Dials, "dial_errors": stats.DialErrors, "breaker.opened": 1, "breaker.refused": stats.Refused, "breaker.open": 1,
		"in_flight": 0, "batched": 0,
	} {
		if got := tel.value(t, name); got != want {
			t.Errorf("%s: got %d, want %d", name, got, want)
		}
	}
	for _, s := range tel.spans.GetSpans() {
		if s.Name == "redis.dial" && s.Status.Code == codes.Error {
			return
		}
	}
	t.Error("no dial is reported as failed")
}

// A Conn of a plain client is reported as well.
func TestAPlainClient(t *testing.T) {
	conn, err := connect.FromClient(redistest.Standalone(t).Client(t), connect.WithName("shop"))
	if err != nil {
		t.Fatal(err)
	}
	spans, reader := tracetest.NewInMemoryExporter(), sdkmetric.NewManualReader()
	instrumentation, err := otelconnect.Instrument(conn, otelconnect.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))),
		otelconnect.WithMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))))
	if err != nil {
		t.Fatal(err)
	}
	defer instrumentation.Close()
	conn.Client().Get(t.Context(), "hidden-key")
	if all := spans.GetSpans(); len(all) == 0 || strings.Contains(fmt.Sprintf("%+v", all), "hidden-key") {
		t.Errorf("got %d spans: %+v", len(all), all)
	}
	tel := &telemetry{instrumentation, spans, reader}
	if got := tel.value(t, "in_flight"); got != 0 {
		t.Errorf("got %d calls in flight", got)
	}
}
