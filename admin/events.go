package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/redis/go-redis/v9"
)

// streamLife is how long one stream of samples lasts. After it the browser opens
// another, for which the authorizer is asked again.
const streamLife = 5 * time.Minute

// events sends one sample of a server per interval, as server-sent events, until the
// request ends. While the server does not answer it sends the event "down".
func (p *Panel) events(w http.ResponseWriter, r *http.Request) {
	select {
	case p.streams <- struct{}{}:
		defer func() { <-p.streams }()
	default:
		http.Error(w, "too many charts are open", http.StatusServiceUnavailable)
		return
	}
	conn, err := p.conn(r)
	if err != nil {
		http.Error(w, http.StatusText(http.StatusNotFound), http.StatusNotFound)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), streamLife)
	defer cancel()
	opening, opened := context.WithTimeout(ctx, p.timeout)
	server, err := conn.Server(opening, r.URL.Query().Get("addr"))
	opened()
	if err != nil {
		http.Error(w, http.StatusText(http.StatusBadGateway), http.StatusBadGateway)
		return
	}
	defer server.Close()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // nginx buffers responses otherwise
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return
	}
	out := stream{w, http.NewResponseController(w), p.timeout}
	_ = out.send("retry: 2000\n\n")
	tick := time.NewTicker(p.interval)
	defer tick.Stop()
	var last reading
	for {
		if last, err = p.sample(ctx, server, last, out); err != nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// sample asks the server once and sends the result. It returns an error only if the
// client is gone.
func (p *Panel) sample(ctx context.Context, server *redis.Client, last reading, out stream) (reading, error) {
	bound, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	now, err := read(bound, server)
	if err != nil {
		return last, out.send("event: down\ndata: \n\n")
	}
	b, err := json.Marshal(now.since(last))
	if err != nil {
		return last, err
	}
	return now, out.send(fmt.Sprintf("data: %s\n\n", b))
}

// stream writes events, each with a deadline of its own: a client that does not read
// must not occupy a stream, and the http.Server's deadline is meant for pages.
type stream struct {
	w       http.ResponseWriter
	rc      *http.ResponseController
	timeout time.Duration
}

func (s stream) send(event string) error {
	_ = s.rc.SetWriteDeadline(time.Now().Add(s.timeout + time.Second)) // not all writers have one
	if _, err := s.w.Write([]byte(event)); err != nil {
		return err
	}
	return s.rc.Flush()
}
