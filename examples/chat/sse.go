package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/redishttp/redishttp/examples/internal/web"
)

// events is a room as server-sent events. A browser that loses the connection
// comes back by itself, with Last-Event-ID.
func (a *app) events(w http.ResponseWriter, r *http.Request, room *room) {
	after, err := resumeAt(r)
	if err != nil {
		web.Problem(w, http.StatusBadRequest, "That is not the id of a message.")
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // nginx would wait for more
	c := &eventClient{w: w, control: http.NewResponseController(w), stall: a.config.stall}
	// Not all at once, when an instance goes away with ten thousand clients.
	if err := c.write(fmt.Appendf(nil, "retry: %d\n\n", 500+rand.IntN(1500))); err != nil {
		return
	}
	ctx, cancel := a.listening(r)
	defer cancel()
	_ = room.follow(ctx, after, c) // whatever ends it, the client comes back
}

// resumeAt is the last message that a client has seen, nil for none. EventSource
// repeats the URL it was made with, so the header counts for more.
func resumeAt(r *http.Request) (*id, error) {
	s := r.Header.Get("Last-Event-ID")
	if s == "" {
		s = r.URL.Query().Get("after")
	}
	if s == "" {
		return nil, nil
	}
	at, err := parseID(s)
	return &at, err
}

type eventClient struct {
	w       http.ResponseWriter
	control *http.ResponseController
	stall   time.Duration
	buf     []byte
}

func (c *eventClient) send(_ context.Context, messages []message) error {
	for _, m := range messages {
		c.buf = fmt.Appendf(c.buf[:0], "id: %s\ndata: %s\n\n", m.id, m.json) // JSON has no line breaks
		if err := c.put(c.buf); err != nil {
			return err
		}
	}
	return c.flush()
}

func (c *eventClient) gap(context.Context) error { return c.write([]byte("event: gap\ndata: {}\n\n")) }

func (c *eventClient) beat(context.Context) error { return c.write([]byte(":\n\n")) }

func (c *eventClient) write(b []byte) error {
	if err := c.put(b); err != nil {
		return err
	}
	return c.flush()
}

// put bounds each write by itself: a slow client may take its time, one that has
// stopped may not.
func (c *eventClient) put(b []byte) error {
	if err := c.control.SetWriteDeadline(time.Now().Add(c.stall)); err != nil {
		return err
	}
	_, err := c.w.Write(b)
	return err
}

func (c *eventClient) flush() error { return c.control.Flush() }
