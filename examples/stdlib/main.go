// Command stdlib serves all four middlewares with net/http alone. Without
// configuration it runs on an embedded Redis:
//
//	go run -C examples ./stdlib
//	REDIS_URL=redis+cluster://h1,h2,h3 go run -C examples ./stdlib
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
	listen := flag.String("listen", "127.0.0.1:8080", "address to serve on")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *listen, os.Getenv("REDIS_URL"), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, listen, redisURL string, out io.Writer) error {
	if redisURL == "" {
		redisURL = "embedded://"
	}
	logger := slog.New(slog.NewTextHandler(out, nil))
	conn, err := connect.Open(redisURL, embedded.Option(embedded.WithLogger(logger)), connect.WithLogger(logger))
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	ready, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := conn.Ready(ready); err != nil {
		return err
	}
	rdb := conn.Client()
	limiter, err1 := ratelimit.New(rdb, redis_rate.Limit{Rate: 60, Burst: 20, Period: time.Minute}, ratelimit.WithLogger(logger))
	// Plain HTTP on a loopback address; leave the option out behind TLS.
	sessions, err2 := session.New(rdb, session.WithCookie(session.Cookie{Insecure: true}), session.WithLogger(logger))
	responses, err3 := cache.New(rdb, cache.WithLogger(logger))
	locks, err4 := lockmw.New(rdb, lockmw.WithWait(500*time.Millisecond), lockmw.WithLogger(logger))
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return err
	}
	defer locks.Close(context.WithoutCancel(ctx))
	defer responses.Close(context.WithoutCancel(ctx))

	// From the outside in: limiter, session, cache, and the lock on the route
	// that needs it, whose pattern and order id are its key.
	mux := routes(sessions, locks)
	return serve(ctx, listen, limiter.Handler(sessions.Handler(responses.Handler(mux))), out)
}

func routes(sessions *session.Manager, locks *lockmw.Locker) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /time", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=5")
		fmt.Fprintln(w, "made at", time.Now().Format("15:04:05.000"))
	})
	mux.HandleFunc("GET /visits", func(w http.ResponseWriter, r *http.Request) {
		visits := sessions.GetInt(r.Context(), "visits") + 1
		sessions.Put(r.Context(), "visits", visits)
		fmt.Fprintln(w, "your visit number", visits)
	})
	mux.HandleFunc("GET /orders/{id}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=5") // also that there is none
		http.Error(w, "no order "+r.PathValue("id"), http.StatusNotFound)
	})
	mux.Handle("POST /orders/{id}/pay", locks.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		k, _ := lockmw.FromContext(r.Context())
		select {
		case <-time.After(2 * time.Second): // the payment
			fmt.Fprintf(w, "order %s paid, fence %d\n", r.PathValue("id"), k.Fence())
		case <-r.Context().Done(): // the lock was lost, or the client has gone
		}
	})))
	return mux
}

func serve(ctx context.Context, listen string, h http.Handler, out io.Writer) error {
	ln, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: http.NewCrossOriginProtection().Handler(h), ReadHeaderTimeout: 5 * time.Second}
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

  curl -i %[1]s/time                        cache: the second answer within 5 s is a hit, see Cache-Status
  curl -i -c jar -b jar %[1]s/visits        session: counts your visits
  curl -i %[1]s/orders/7                    an error, which the middlewares see as well
  curl -i -X POST %[1]s/orders/7/pay        lock: takes 2 s; a second one meanwhile gets 409
  for i in $(seq 25); do curl -s -o /dev/null -w '%%{http_code} ' %[1]s/time; done   rate limit: 20 at once; then 429
`
