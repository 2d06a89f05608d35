package otelmetrics_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"sort"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/redishttp/redishttp/adapters/otelmetrics"
	"github.com/redishttp/redishttp/cache"
	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw"
	"github.com/redishttp/redishttp/lockmw/cronlock"
	"github.com/redishttp/redishttp/ratelimit"
	"github.com/redishttp/redishttp/session"
)

func TestMain(m *testing.M) { redistest.Main(m) }

// collect is what was reported, "name{attributes}" to the value of a counter or
// gauge, or the count of a histogram.
func collect(t *testing.T, reader *metric.ManualReader) map[string]int64 {
	t.Helper()
	var data metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &data); err != nil {
		t.Fatal(err)
	}
	found := map[string]int64{}
	key := func(name string, set attribute.Set) string {
		var attrs []string
		for _, kv := range set.ToSlice() {
			attrs = append(attrs, string(kv.Key)+"="+kv.Value.String())
		}
		sort.Strings(attrs)
		return strings.TrimPrefix(name, "redishttp.") + "{" + strings.Join(attrs, ",") + "}"
	}
	for _, scope := range data.ScopeMetrics {
		for _, m := range scope.Metrics {
			switch d := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range d.DataPoints {
					found[key(m.Name, p.Attributes)] = p.Value
				}
			case metricdata.Gauge[int64]:
				for _, p := range d.DataPoints {
					found[key(m.Name, p.Attributes)] = p.Value
				}
			case metricdata.Histogram[float64]:
				for _, p := range d.DataPoints {
					found[key(m.Name, p.Attributes)] = int64(p.Count)
				}
			}
		}
	}
	return found
}

// All middlewares on a real server: what they did is what is reported.
func TestWhatIsReported(t *testing.T) {
	s := redistest.NewServer(t)
	rdb := s.Client(t)
	reader := metric.NewManualReader()
	m, err := otelmetrics.New(otelmetrics.WithMeterProvider(metric.NewMeterProvider(metric.WithReader(reader))))
	if err != nil {
		t.Fatal(err)
	}
	const ttl = 900 * time.Millisecond
	limiter, err1 := ratelimit.New(rdb, ratelimit.PerHour(4), ratelimit.WithName("four"), ratelimit.WithHooks(m.RateLimit("api")))
	sessions, err2 := session.New(rdb, session.WithHooks(m.Session("site")))
	responses, err3 := cache.New(rdb, cache.WithHooks(m.Cache("pages")))
	locks, err4 := lockmw.New(rdb, lockmw.WithTTL(ttl), lockmw.WithTimeout(ttl/4), lockmw.WithHooks(m.Locks("orders", ttl)))
	runner, err5 := cronlock.New(rdb, cronlock.WithHooks(m.Cron("jobs")))
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		t.Fatal(err)
	}
	defer locks.Close(context.Background())
	defer runner.Close(context.Background())
	defer responses.Close(context.Background())

	h := limiter.Handler(sessions.Handler(responses.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/login" {
			sessions.Put(r.Context(), "user", "alice")
			return
		}
		w.Header().Set("Cache-Control", "public, max-age=60")
		fmt.Fprint(w, "page")
	}))))
	for _, path := range []string{"/", "/", "/login", "/", "/"} {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", path, nil))
	}
	k, err := locks.Acquire(t.Context(), "key")
	if err != nil {
		t.Fatal(err)
	}
	others, err := lockmw.New(rdb, lockmw.WithTTL(ttl), lockmw.WithTimeout(ttl/4), lockmw.WithHooks(m.Locks("others", ttl)))
	if err != nil {
		t.Fatal(err)
	}
	defer others.Close(context.Background())
	if _, err := others.TryAcquire(t.Context(), "key"); !errors.Is(err, lockmw.ErrBusy) {
		t.Error(err)
	}
	<-time.After(ttl / 2) // it is renewed once
	if err := k.Release(t.Context()); err != nil {
		t.Error(err)
	}
	job, err := runner.Job("report", func(context.Context) error { return errors.New("no") })
	if err != nil {
		t.Fatal(err)
	}
	tick := time.Now().Truncate(time.Second)
	for range 2 {
		_, _ = job.Run(t.Context(), tick)
	}
	got := collect(t, reader)
	for key, want := range map[string]int64{
		"ratelimit.decisions{outcome=allowed,policy=four,redishttp.name=api,source=redis}":                            4,
		"ratelimit.decisions{outcome=refused,policy=four,redishttp.name=api,source=deny-cache}":                       1,
		"ratelimit.duration{redishttp.name=api}":                                                                      5,
		"session.saves{redishttp.name=site}":                                                                          1,
		"session.events{kind=created,redishttp.name=site}":                                                            1,
		"cache.requests{collapsed=false,outcome=hit,redishttp.name=pages,stored=false}":                               2,
		"cache.requests{collapsed=false,outcome=forward,reason=uri-miss,redishttp.name=pages,status=2xx,stored=true}": 1,
		"prefetches{middleware=cache,outcome=used,redishttp.name=pages}":                                              3, // not with the first, whose script is not loaded
		"lock.wait{outcome=acquired,redishttp.name=orders}":                                                           1,
		"lock.wait{outcome=busy,redishttp.name=others}":                                                               1,
		"lock.held{redishttp.name=orders}":                                                                            1,
		"lock.renewals{outcome=ok,redishttp.name=orders}":                                                             1,
		"cron.runs{job=report,outcome=error,redishttp.name=jobs}":                                                     1,
		"cron.skipped{job=report,outcome=already,redishttp.name=jobs}":                                                1,
	} {
		if got[key] != want {
			t.Errorf("%s: got %d, want %d", key, got[key], want)
		}
	}
	// Redis goes away.
	k, err = locks.Acquire(t.Context(), "key")
	if err != nil {
		t.Fatal(err)
	}
	s.Kill()
	<-k.Context().Done()
	_ = k.Release(t.Context())
	client := 0
	redistest.Eventually(t, 20*time.Second, func() bool {
		r := httptest.NewRequest("GET", "/login", nil)
		client++
		r.RemoteAddr = fmt.Sprintf("192.0.2.%d:1234", client%250)
		h.ServeHTTP(httptest.NewRecorder(), r)
		got = collect(t, reader)
		return got["ratelimit.unavailable{redishttp.name=api}"] == 1
	}, "the limiter's outage is not reported")
	if got["lock.lost{reason=expired,redishttp.name=orders}"] != 1 || got["lock.renewals{outcome=failed,redishttp.name=orders}"] == 0 {
		t.Errorf("a lock that was lost: %v", got)
	}
	for _, middleware := range []string{"ratelimit", "session"} {
		key := "failures{middleware=" + middleware + ",redishttp.name=" + map[string]string{"ratelimit": "api", "session": "site"}[middleware] + "}"
		if got[key] == 0 {
			t.Errorf("no %s in %v", key, got)
		}
	}
}

func TestANilProviderIsAMistake(t *testing.T) {
	if _, err := otelmetrics.New(otelmetrics.WithMeterProvider(nil)); err == nil {
		t.Error("no error")
	}
}

func ExampleNew() {
	provider := metric.NewMeterProvider() // with your reader
	m, err := otelmetrics.New(otelmetrics.WithMeterProvider(provider))
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = ratelimit.WithHooks(m.RateLimit("api"))
	_ = session.WithHooks(m.Session("site"))
	_ = cache.WithHooks(m.Cache("pages"))
	_ = lockmw.WithHooks(m.Locks("orders", 10*time.Second))
	_ = cronlock.WithHooks(m.Cron("jobs"))
	// Output:
}

// metrics are new ones, with the reader of what they report.
func metrics(t *testing.T) (*otelmetrics.Metrics, *metric.ManualReader) {
	t.Helper()
	reader := metric.NewManualReader()
	m, err := otelmetrics.New(otelmetrics.WithMeterProvider(metric.NewMeterProvider(metric.WithReader(reader))))
	if err != nil {
		t.Fatal(err)
	}
	return m, reader
}

// Each event is counted once, under the name and with the attributes of the docs.
func TestEveryHookIsCounted(t *testing.T) {
	failure := errors.New("no")
	for name, tc := range map[string]struct {
		call func(ctx context.Context, m *otelmetrics.Metrics)
		want map[string]int64
	}{
		"sessions found and not": {func(ctx context.Context, m *otelmetrics.Metrics) {
			h := m.Session("site")
			h.Loaded(ctx, true)
			h.Loaded(ctx, true)
			h.Loaded(ctx, false)
		}, map[string]int64{"session.loads{found=true,redishttp.name=site}": 2, "session.loads{found=false,redishttp.name=site}": 1}},
		"merges are added up": {func(ctx context.Context, m *otelmetrics.Metrics) {
			h := m.Session("site")
			h.Merged(ctx, 3)
			h.Merged(ctx, 2)
			h.Saved(ctx)
		}, map[string]int64{"session.merges{redishttp.name=site}": 5, "session.saves{redishttp.name=site}": 1}},
		"failures of each middleware": {func(ctx context.Context, m *otelmetrics.Metrics) {
			m.RateLimit("a").Failed(ctx, failure)
			m.Session("b").Failed(ctx, failure)
			m.Cache("c").Failed(ctx, failure)
			m.Locks("d", time.Second).Failed(ctx, failure)
			m.Cron("e").Failed(ctx, "job", failure)
		}, map[string]int64{
			"failures{middleware=ratelimit,redishttp.name=a}": 1, "failures{middleware=session,redishttp.name=b}": 1, "failures{middleware=cache,redishttp.name=c}": 1,
			"failures{middleware=lock,redishttp.name=d}": 1, "failures{middleware=cron,redishttp.name=e}": 1,
		}},
		"an outage begins and ends": {func(ctx context.Context, m *otelmetrics.Metrics) {
			m.RateLimit("api").Outage(ctx, true)
			m.RateLimit("api").Outage(ctx, false)
			m.RateLimit("other").Outage(ctx, true)
		}, map[string]int64{"ratelimit.unavailable{redishttp.name=api}": 0, "ratelimit.unavailable{redishttp.name=other}": 1}},
		"renewals by what was left": {func(ctx context.Context, m *otelmetrics.Metrics) {
			h := m.Locks("orders", 10*time.Second)
			h.Renewed(ctx, 6*time.Second, nil)
			h.Renewed(ctx, 5*time.Second, nil)
			h.Renewed(ctx, 4*time.Second, nil)
			h.Renewed(ctx, 9*time.Second, failure)
		}, map[string]int64{
			"lock.renewals{outcome=ok,redishttp.name=orders}": 2, "lock.renewals{outcome=late,redishttp.name=orders}": 1,
			"lock.renewals{outcome=failed,redishttp.name=orders}": 1,
		}},
		"waits and holds of locks": {func(ctx context.Context, m *otelmetrics.Metrics) {
			h := m.Locks("orders", time.Second)
			h.Acquired(ctx, 1, time.Millisecond)
			h.Acquired(ctx, 2, time.Millisecond)
			h.Busy(ctx, time.Second)
			h.Released(ctx, 1, time.Second)
		}, map[string]int64{"lock.wait{outcome=acquired,redishttp.name=orders}": 2, "lock.wait{outcome=busy,redishttp.name=orders}": 1, "lock.held{redishttp.name=orders}": 1}},
	} {
		t.Run(name, func(t *testing.T) {
			m, reader := metrics(t)
			tc.call(t.Context(), m)
			if got := collect(t, reader); !maps.Equal(got, tc.want) {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}

// Histograms tell a decision of a millisecond from a lock of a minute.
func TestBucketsOfTheHistograms(t *testing.T) {
	m, reader := metrics(t)
	h := m.Locks("orders", time.Second)
	for _, d := range []time.Duration{300 * time.Microsecond, 3 * time.Millisecond, 40 * time.Second, 2 * time.Minute} {
		h.Acquired(t.Context(), 1, d)
	}
	var data metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &data); err != nil {
		t.Fatal(err)
	}
	histogram, ok := data.ScopeMetrics[0].Metrics[0].Data.(metricdata.Histogram[float64])
	if !ok || len(histogram.DataPoints) != 1 {
		t.Fatalf("got %+v", data.ScopeMetrics[0].Metrics)
	}
	used := 0
	for _, n := range histogram.DataPoints[0].BucketCounts {
		if n > 1 {
			t.Errorf("one bucket has %d of four durations", n)
		}
		used += int(n)
	}
	if used != 4 || data.ScopeMetrics[0].Metrics[0].Unit != "s" {
		t.Errorf("got %d durations in %q", used, data.ScopeMetrics[0].Metrics[0].Unit)
	}
}
