// Command chat is a chat over any number of instances: what is said on one is
// read on all, by server-sent events and WebSockets alike, and nothing is lost
// or doubled when a connection, an instance or Redis itself goes away for a
// while.
//
//	go run -C examples ./chat
//	REDIS_URL=redis://127.0.0.1:6379 go run -C examples ./chat -listen 127.0.0.1:8083
//	REDIS_URL=redis://127.0.0.1:6379 go run -C examples ./chat -listen 127.0.0.1:8084
//
// The messages of a room are a Redis stream, the only place where they are
// kept. A message is added and a bell is rung (pub/sub) in one script. Each
// instance hears the bell on one connection and reads what is new in its rooms,
// once for all of its clients; a bell that nobody hears costs two seconds, never
// a message. A client is where it is in the stream, and says so when it comes
// back: Last-Event-ID of server-sent events, ?after= of WebSockets.
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
	"strings"
	"syscall"
	"time"

	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/connect/embedded"
)

// config is what can be set, by flags or tests.
type config struct {
	listen  string
	rooms   []string
	keep    int           // messages of a room in the memory of each instance
	history int           // and, about, in Redis
	burst   int           // messages at once from one address; then one a second
	streams int           // open connections from one address
	stall   time.Duration // how long a client may leave a message unread
	call    time.Duration // how long Redis may take
}

func main() {
	c := defaults()
	rooms := flag.String("rooms", strings.Join(c.rooms, ","), "names of the rooms, of a-z, 0-9 and -")
	flag.StringVar(&c.listen, "listen", c.listen, "address to serve on")
	flag.IntVar(&c.history, "history", c.history, "messages of a room that Redis keeps, about")
	flag.IntVar(&c.burst, "burst", c.burst, "messages at once from one address; then one a second")
	flag.IntVar(&c.streams, "streams", c.streams, "open connections from one address")
	flag.Parse()
	c.rooms = strings.Split(*rooms, ",")
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, c, os.Getenv("REDIS_URL"), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func defaults() config {
	return config{
		listen: "127.0.0.1:8083", rooms: []string{"lobby", "music", "garden"},
		keep: 256, history: 2000, burst: 10, streams: 32, stall: 10 * time.Second, call: time.Second,
	}
}

// run serves until ctx ends.
func run(ctx context.Context, c config, redisURL string, out io.Writer) (err error) {
	if redisURL == "" {
		redisURL = "embedded://"
	}
	logger := slog.New(slog.NewTextHandler(out, nil))
	conn, err := connect.Open(redisURL, connect.WithName("chat"), embedded.Option(embedded.WithLogger(logger)), connect.WithLogger(logger))
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	ready, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := conn.Ready(ready); err != nil {
		return err
	}
	h, err := newHub(conn, c, logger)
	if err != nil {
		return err
	}
	if err := h.start(ready); err != nil {
		return err
	}
	defer h.stop()
	a, err := newApp(conn, h, c, logger)
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", c.listen)
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: a.handler(), ReadHeaderTimeout: 5 * time.Second, ConnContext: smallBuffers}
	srv.RegisterOnShutdown(a.close) // clients that listen would never leave by themselves
	fmt.Fprintf(out, "redis: %s\nlistening on http://%s\n", conn, ln.Addr())
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ln) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	// Longer than a client that does not read can hold its connection.
	shutdown, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.stall+10*time.Second)
	defer cancel()
	err = errors.Join(srv.Shutdown(shutdown), a.wait(shutdown))
	if served := <-done; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// smallBuffers bounds what the kernel holds for a client that does not read: on
// Linux it would let some four megabytes pile up for each.
func smallBuffers(ctx context.Context, c net.Conn) context.Context {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetWriteBuffer(64 << 10) // else it is as large as the system likes
	}
	return ctx
}
