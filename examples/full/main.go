// Command full serves all four middlewares in one chain. Without configuration
// it runs on an embedded Redis:
//
//	go run -C examples ./full
//	REDIS_URL=redis+cluster://h1,h2,h3 go run -C examples ./full
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
	"github.com/redishttp/redishttp/lockmw/lockkey"
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
	a, err := newApp(conn, logger)
	if err != nil {
		return err
	}
	defer a.locks.Close(context.WithoutCancel(ctx))
	defer a.responses.Close(context.WithoutCancel(ctx))

	ln, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: a.handler(), ReadHeaderTimeout: 5 * time.Second}
	fmt.Fprintf(out, "redis: %s\n%s", conn, usage(ln.Addr().String()))
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ln) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	shutdown, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second) // Shutdown alone gives a silent connection 5 s
	defer cancel()
	return errors.Join(srv.Shutdown(shutdown), ignoreClosed(<-done))
}

func ignoreClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// app is the chain and what its handlers need.
type app struct {
	limiter   *ratelimit.Limiter
	sessions  *session.Manager
	responses *cache.Cache
	locks     *lockmw.Locker
	mux       *http.ServeMux
}

func newApp(conn *connect.Conn, logger *slog.Logger) (*app, error) {
	a := &app{mux: http.NewServeMux()}
	rdb := conn.Client()
	var errs [4]error
	a.limiter, errs[0] = ratelimit.New(rdb, redis_rate.Limit{Rate: 60, Burst: 20, Period: time.Minute}, ratelimit.WithLogger(logger))
	// Plain HTTP on a loopback address; leave the option out behind TLS.
	a.sessions, errs[1] = session.New(rdb, session.WithCookie(session.Cookie{Insecure: true}), session.WithLogger(logger))
	a.responses, errs[2] = cache.New(rdb, cache.WithLogger(logger))
	a.locks, errs[3] = lockmw.New(rdb, lockmw.WithKey(lockkey.Route(a.mux)), lockmw.WithMethods(http.MethodPost), lockmw.WithWait(time.Second), lockmw.WithLogger(logger))
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	a.routes()
	return a, nil
}

// handler is the chain from the outside in; see the package doc of redishttp
// for why this order.
func (a *app) handler() http.Handler {
	chain := a.limiter.Handler(a.sessions.Handler(a.responses.Handler(a.locks.Handler(a.mux))))
	return http.NewCrossOriginProtection().Handler(chain)
}
