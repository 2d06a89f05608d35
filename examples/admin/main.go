// Command admin serves a small shop behind all four middlewares, sends itself
// traffic, and shows what goes on in the panel of package admin. Without
// configuration it runs on an embedded Redis:
//
//	go run -C examples ./admin
//	REDIS_URL=redis+cluster://h1,h2,h3 go run -C examples ./admin
//
// The panel is at /admin/, for the user "operator" and the password that the
// program prints, or that PANEL_PASSWORD holds.
package main

import (
	"cmp"
	"context"
	"crypto/rand"
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

func main() {
	s := settings{redisURL: os.Getenv("REDIS_URL"), password: os.Getenv("PANEL_PASSWORD")}
	flag.StringVar(&s.listen, "listen", "127.0.0.1:8080", "address to serve on")
	flag.IntVar(&s.users, "users", 8, "how many of its own users visit the shop, 0 for none")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, s, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type settings struct {
	listen, redisURL, password string
	users                      int
}

// run serves until ctx ends.
func run(ctx context.Context, s settings, out io.Writer) error {
	logger := slog.New(slog.NewTextHandler(out, nil))
	s.redisURL, s.password = cmp.Or(s.redisURL, "embedded://"), cmp.Or(s.password, rand.Text())
	set := connect.NewSet(embedded.Option(embedded.WithLogger(logger)), connect.WithLogger(logger))
	if err := set.Add("default", s.redisURL); err != nil {
		return err
	}
	last := context.WithoutCancel(ctx)
	defer set.Close(last)
	ready, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := set.Ready(ready); err != nil {
		return err
	}
	shop, err := newShop(set, s.password, logger)
	if err != nil {
		return err
	}
	defer shop.close(last)

	ln, err := net.Listen("tcp", s.listen)
	if err != nil {
		return err
	}
	srv := &http.Server{
		Handler: shop.handler(), ReadHeaderTimeout: 5 * time.Second,
		BaseContext: func(net.Listener) context.Context { return ctx },
	} // so that streams end when the program does
	base := "http://" + ln.Addr().String()
	fmt.Fprintf(out, "listening on %s\n  the panel: %s/admin/  user operator, password %s\n  the shop:  %s/products/7\n", base, base, s.password, base)
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ln) }()
	visits, leave := context.WithCancel(ctx)
	defer leave()
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		traffic(visits, base, s.users)
	}()
	go shop.everyMinute(visits)
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	leave()
	<-gone
	shutdown, cancel := context.WithTimeout(last, 5*time.Second)
	defer cancel()
	if err := errors.Join(srv.Shutdown(shutdown), <-done); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
