// Command login logs users in, shows each the devices that are logged in as
// them, and ends one, the others or all.
//
//	go run -C examples ./login
//	REDIS_URL=redis+sentinel://s1,s2,s3/mymaster go run -C examples ./login
//
// A login has a new token, so one that somebody had planted before is worth
// nothing. A device that was ended is out with its next request, on every
// instance. Attempts are limited by address and by user name, and none of it
// needs a script: the pages are forms, and net/http's CrossOriginProtection
// keeps other sites' forms out.
//
// The users and their passwords stand in users.go. A real service has them in a
// database, and a second factor.
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
	listen    string
	behindTLS bool
	byAddress int // failed attempts in 20 minutes
	byName    int // and in 30
	rounds    int // of the password's hash
}

func main() {
	c := defaults()
	flag.StringVar(&c.listen, "listen", c.listen, "address to serve on")
	flag.BoolVar(&c.behindTLS, "behind-tls", c.behindTLS, "browsers come over https: the cookie is Secure and __Host-")
	flag.IntVar(&c.byAddress, "by-address", c.byAddress, "failed attempts from one address, in 20 minutes")
	flag.IntVar(&c.byName, "by-name", c.byName, "failed attempts for one user name, in 30 minutes")
	flag.IntVar(&c.rounds, "rounds", c.rounds, "of the passwords' hash")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, c, os.Getenv("REDIS_URL"), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func defaults() config {
	return config{listen: "127.0.0.1:8085", byAddress: 20, byName: 5, rounds: 600_000}
}

// run serves until ctx ends.
func run(ctx context.Context, c config, redisURL string, out io.Writer) error {
	if redisURL == "" {
		redisURL = "embedded://"
	}
	logger := slog.New(slog.NewTextHandler(out, nil))
	conn, err := connect.Open(redisURL, connect.WithName("login"), embedded.Option(embedded.WithLogger(logger)), connect.WithLogger(logger))
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
	ln, err := net.Listen("tcp", c.listen)
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: a.handler(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second}
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
