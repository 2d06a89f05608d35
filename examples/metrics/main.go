// Command metrics serves the chain and what it decides, for Prometheus, on
// /metrics. dashboard.json is a Grafana dashboard of it. With -traffic it is its own client.
//
//	go run -C examples ./metrics -traffic
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/sdk/metric"

	"github.com/redishttp/redishttp/adapters/otelmetrics"
	"github.com/redishttp/redishttp/cache"
	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/connect/embedded"
	"github.com/redishttp/redishttp/lockmw"
	"github.com/redishttp/redishttp/ratelimit"
	"github.com/redishttp/redishttp/session"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "address to serve on")
	traffic := flag.Bool("traffic", false, "send requests to itself")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *listen, os.Getenv("REDIS_URL"), *traffic, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, listen, redisURL string, traffic bool, out io.Writer) error {
	if redisURL == "" {
		redisURL = "embedded://"
	}
	conn, err := connect.Open(redisURL, embedded.Option())
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	registry := prometheus.NewRegistry()
	exporter, err := otelprometheus.New(otelprometheus.WithRegisterer(registry))
	if err != nil {
		return err
	}
	m, err := otelmetrics.New(otelmetrics.WithMeterProvider(metric.NewMeterProvider(metric.WithReader(exporter))))
	if err != nil {
		return err
	}
	chain, closeAll, err := newChain(conn, m)
	if err != nil {
		return err
	}
	defer closeAll(context.WithoutCancel(ctx))
	mux := http.NewServeMux()
	mux.Handle("/", chain)
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{})) // for Prometheus alone: not on a public address

	ln, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	fmt.Fprintf(out, "listening on http://%s\nmetrics on http://%[1]s/metrics, dashboard.json is for Grafana\n", ln.Addr())
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ln) }()
	if traffic {
		go visit(ctx, "http://"+ln.Addr().String())
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	shutdown, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second) // Shutdown alone gives a silent connection 5 s
	defer cancel()
	return srv.Shutdown(shutdown)
}

// newChain is the four middlewares around a few routes, all of them measured.
func newChain(conn *connect.Conn, m *otelmetrics.Metrics) (http.Handler, func(context.Context), error) {
	rdb, mux := conn.Client(), http.NewServeMux()
	const ttl = 10 * time.Second
	limiter, err1 := ratelimit.New(rdb, redis_rate.Limit{Rate: 600, Burst: 100, Period: time.Minute}, ratelimit.WithHooks(m.RateLimit("site")))
	sessions, err2 := session.New(rdb, session.WithCookie(session.Cookie{Insecure: true}), session.WithHooks(m.Session("site"))) // plain HTTP on loopback
	responses, err3 := cache.New(rdb, cache.WithHooks(m.Cache("site")))
	locks, err4 := lockmw.New(rdb, lockmw.WithTTL(ttl), lockmw.WithWait(time.Second), lockmw.WithHooks(m.Locks("orders", ttl)))
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return nil, nil, err
	}
	mux.HandleFunc("GET /time", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=2")
		fmt.Fprintln(w, time.Now().Format(time.TimeOnly))
	})
	mux.HandleFunc("GET /visits", func(w http.ResponseWriter, r *http.Request) {
		visits := sessions.GetInt(r.Context(), "visits") + 1
		sessions.Put(r.Context(), "visits", visits)
		fmt.Fprintln(w, visits)
	})
	mux.Handle("POST /orders/{id}/pay", locks.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(200 * time.Millisecond): // the payment
			fmt.Fprintln(w, "paid")
		case <-r.Context().Done():
		}
	})))
	closeAll := func(ctx context.Context) { _ = errors.Join(locks.Close(ctx), responses.Close(ctx)) }
	return limiter.Handler(sessions.Handler(responses.Handler(mux))), closeAll, nil
}

// visit is a few clients that come again and again.
func visit(ctx context.Context, base string) {
	for n := 0; ; n++ {
		for _, to := range []string{"GET /time", "GET /visits", fmt.Sprintf("POST /orders/%d/pay", n%3), "GET /nothing"} {
			go func() {
				var method, path string
				_, _ = fmt.Sscan(to, &method, &path)
				if r, err := http.NewRequestWithContext(ctx, method, base+path, nil); err == nil {
					if resp, err := http.DefaultClient.Do(r); err == nil {
						_ = resp.Body.Close()
					}
				}
			}()
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(150 * time.Millisecond):
		}
	}
}
