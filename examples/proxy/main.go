// Command proxy is a caching reverse proxy: the cache with its default
// configuration in front of an origin.
//
//	go run -C examples ./proxy -origin http://127.0.0.1:8000 -listen 127.0.0.1:8081
//
// Without REDIS_URL it keeps its responses in an embedded Redis.
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
	"net/http/httputil"
	"net/url"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/redishttp/redishttp/cache"
	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/connect/embedded"
)

func main() {
	origin := flag.String("origin", "", "URL of the origin")
	listen := flag.String("listen", "127.0.0.1:8081", "address to serve on")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *listen, *origin, os.Getenv("REDIS_URL"), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, listen, origin, redisURL string, out io.Writer) (err error) {
	target, err := url.Parse(origin)
	if err != nil || target.Host == "" {
		return errors.New("-origin: not an absolute URL")
	}
	if redisURL == "" {
		redisURL = "embedded://"
	}
	logger := slog.New(slog.NewTextHandler(out, nil))
	conn, err := connect.Open(redisURL, connect.WithName("cache"), embedded.Option(), connect.WithLogger(logger))
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	responses, err := cache.New(conn.Client(), cache.WithLogger(logger))
	if err != nil {
		return err
	}
	defer responses.Close(context.WithoutCancel(ctx))

	ln, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: responses.Handler(proxy(target, logger)), ReadHeaderTimeout: 5 * time.Second}
	fmt.Fprintf(out, "redis: %s\nproxy: http://%s -> %s\n", conn, ln.Addr(), target)
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ln) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	shutdown, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second) // Shutdown alone gives a silent connection 5 s
	defer cancel()
	err = srv.Shutdown(shutdown)
	if served := <-done; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// proxy forwards to the origin. It asks for what the client asked for, so that
// what is stored is what the origin sent.
func proxy(target *url.URL, logger *slog.Logger) http.Handler {
	transport, _ := http.DefaultTransport.(*http.Transport)
	transport = transport.Clone()
	transport.DisableCompression = true
	transport.MaxIdleConnsPerHost = 64
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.SetXForwarded()
		},
		Transport: transport,
		ErrorLog:  slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
}
