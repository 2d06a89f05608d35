// Command leaderboard ranks players by their best score, on any number of
// instances.
//
//	go run -C examples ./leaderboard
//	REDIS_URL=redis+cluster://h1,h2,h3 go run -C examples ./leaderboard
//
// Equal scores rank by who reached theirs first. Each operation is one script
// and one round trip; board.go says how the ranking is stored. The top of the
// board is in the response cache for a second: ten thousand open pages have it
// read once a second, and look it up otherwise. Who submits a score sees it at
// once.
//
// Anybody may submit any score here. A game has to find scores out for itself, on
// the server.
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

	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/connect/embedded"
)

// config is what can be set, by flags or tests.
type config struct {
	listen string
	board  string
	burst  int // scores at once from one address; then one in two seconds
}

func main() {
	c := defaults()
	flag.StringVar(&c.listen, "listen", c.listen, "address to serve on")
	flag.StringVar(&c.board, "board", c.board, "name of the board, of a-z, 0-9 and -")
	flag.IntVar(&c.burst, "burst", c.burst, "scores at once from one address; then one in two seconds")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, c, os.Getenv("REDIS_URL"), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func defaults() config { return config{listen: "127.0.0.1:8082", board: "main", burst: 10} }

// run serves until ctx ends.
func run(ctx context.Context, c config, redisURL string, out io.Writer) (err error) {
	if redisURL == "" {
		redisURL = "embedded://"
	}
	logger := slog.New(slog.NewTextHandler(out, nil))
	conn, err := connect.Open(redisURL, connect.WithName("leaderboard"), embedded.Option(embedded.WithLogger(logger)), connect.WithLogger(logger))
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	ready, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := conn.Ready(ready); err != nil {
		return err
	}
	a, err := newApp(conn, c, logger)
	if err != nil {
		return err
	}
	defer a.responses.Close(context.WithoutCancel(ctx))
	ln, err := net.Listen("tcp", c.listen)
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: a.handler(), ReadHeaderTimeout: 5 * time.Second}
	fmt.Fprintf(out, "redis: %s\nlistening on http://%s\n", conn, ln.Addr())
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
