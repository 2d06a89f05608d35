// Command multi spreads the middlewares over several Redis servers: sessions
// where nothing is evicted, the cache and the limiter's counters where anything
// may be. The program asks for roles, and the environment says where they are:
//
//	REDIS_SESSIONS_URL=redis+sentinel://s1,s2,s3/mymaster \
//	REDIS_CACHE_URL=redis+cluster://h1,h2,h3 \
//	REDIS_ALIASES=limits=cache,locks=sessions \
//	go run -C examples ./multi
//
// Without any of it there are two embedded servers; with REDIS_URL alone all
// roles are on that one. When the cache's Redis is down pages are made anew and
// each instance counts for itself: no session is touched, and /health says who
// is missing without taking the instance out of service.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/go-redis/redis_rate/v10"

	"github.com/redishttp/redishttp/cache"
	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/connect/embedded"
	"github.com/redishttp/redishttp/lockmw"
	"github.com/redishttp/redishttp/ratelimit"
	"github.com/redishttp/redishttp/session"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8086", "address to serve on")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *listen, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, listen string, out io.Writer) error {
	logger := slog.New(slog.NewTextHandler(out, nil))
	set, err := connections(embedded.Option(embedded.WithLogger(logger)), connect.WithLogger(logger))
	if err != nil {
		return err
	}
	defer set.Close(context.WithoutCancel(ctx))
	in, err := places(set)
	if err != nil {
		return err
	}
	ready, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	// Not set.Ready, which waits for all: without the cache's it can serve.
	if err := errors.Join(in["sessions"].Ready(ready), in["locks"].Ready(ready)); err != nil {
		return err
	}
	limiter, err1 := ratelimit.New(in["limits"].Client(), redis_rate.Limit{Rate: 600, Burst: 100, Period: time.Minute}, ratelimit.WithLogger(logger))
	// Plain HTTP on a loopback address; leave the option out behind TLS.
	sessions, err2 := session.New(in["sessions"].Client(), session.WithCookie(session.Cookie{Insecure: true}), session.WithLogger(logger))
	responses, err3 := cache.New(in["cache"].Client(), cache.WithLogger(logger))
	locks, err4 := lockmw.New(in["locks"].Client(), lockmw.WithLogger(logger))
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return err
	}
	defer locks.Close(context.WithoutCancel(ctx))
	defer responses.Close(context.WithoutCancel(ctx))

	mux := routes(sessions, locks, in)
	// Probes stand outside: they are neither limited nor cached.
	outer := http.NewServeMux()
	outer.Handle("GET /health", set.HealthHandler("sessions", "locks"))
	outer.Handle("GET /livez", set.LivenessHandler())
	outer.Handle("/", limiter.Handler(sessions.Handler(responses.Handler(mux))))
	return serve(ctx, listen, http.NewCrossOriginProtection().Handler(outer), out)
}

func routes(sessions *session.Manager, locks *lockmw.Locker, in map[string]*connect.Conn) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		for _, role := range roles {
			fmt.Fprintf(w, "%-8s  is on  %s\n", role, in[role])
		}
	})
	mux.HandleFunc("GET /time", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=5")
		fmt.Fprintln(w, "made at", time.Now().Format("15:04:05.000000"))
	})
	mux.HandleFunc("GET /visits", func(w http.ResponseWriter, r *http.Request) {
		visits := sessions.GetInt(r.Context(), "visits") + 1
		sessions.Put(r.Context(), "visits", visits)
		fmt.Fprintln(w, "your visit number", visits)
	})
	mux.Handle("POST /orders/{id}/pay", locks.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		k, _ := lockmw.FromContext(r.Context())
		fmt.Fprintf(w, "order %s paid, fence %d\n", r.PathValue("id"), k.Fence())
	})))
	return mux
}

func serve(ctx context.Context, listen string, h http.Handler, out io.Writer) error {
	ln, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	fmt.Fprintf(out, usage, "http://"+ln.Addr().String())
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ln) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	shutdown, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second) // Shutdown alone gives a silent connection 5 s
	defer cancel()
	return srv.Shutdown(shutdown)
}

const usage = `listening on %[1]s

  curl %[1]s/                            which role is on which connection
  curl -i %[1]s/health                   how each connection is; 503 only without sessions and locks
  curl -i %[1]s/time                     cache: the second answer within 5 s is a hit, see Cache-Status
  curl -i -c jar -b jar %[1]s/visits     session: counts your visits
  curl -i -X POST %[1]s/orders/7/pay     lock: one at a time for each order
`
