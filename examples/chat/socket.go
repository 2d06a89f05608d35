package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/coder/websocket"

	"github.com/redishttp/redishttp/examples/internal/web"
	"github.com/redishttp/redishttp/ratelimit"
)

// socket is a room as a WebSocket, which also takes what its client says. The
// library lets pages of this origin in and no others.
func (a *app) socket(w http.ResponseWriter, r *http.Request, room *room) {
	after, err := resumeAt(r)
	if err != nil {
		web.Problem(w, http.StatusBadRequest, "That is not the id of a message.")
		return
	}
	by := a.author(r.Context()) // as of now: who takes another name connects anew
	a.sockets.Add(1)
	defer a.sockets.Done()
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return // it has answered
	}
	conn.SetReadLimit(maxBody)
	c := &socketClient{conn: conn, stall: a.config.stall}
	ctx, cancel := a.listening(r)
	defer cancel()
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		defer cancel()
		a.hear(r, room, by, c) // under the request's own context, for one that ends closes the connection
	}()
	defer func() { _ = conn.CloseNow(); <-gone }()
	switch err := room.follow(ctx, after, c); {
	case errors.Is(err, errBehind):
		_ = conn.Close(websocket.StatusTryAgainLater, "behind")
	case a.serving.Err() != nil:
		_ = conn.Close(websocket.StatusGoingAway, "shutting down")
	}
}

// hear takes what a client says, one after the other, until it goes away.
func (a *app) hear(r *http.Request, room *room, by author, c *socketClient) {
	ctx := r.Context()
	key, err := ratelimit.ByIP(nil)(r)
	if err != nil {
		return
	}
	for {
		_, body, err := c.conn.Read(ctx)
		if err != nil {
			return
		}
		var d draft
		if err := json.Unmarshal(body, &d); err != nil {
			_ = c.conn.Close(websocket.StatusInvalidFramePayloadData, "not the JSON that was expected")
			return
		}
		// The error is that of Redis; the decision was made without it.
		allowed, _ := a.posts.Allow(ctx, key)
		o := outcome{
			Type: "refused", Nonce: d.Nonce, Status: http.StatusTooManyRequests, Detail: "Not so fast.",
			Retry: int((allowed.RetryAfter + time.Second - 1) / time.Second),
		}
		if allowed.Allowed {
			o = a.say(ctx, room, by, d)
		}
		answer, err := json.Marshal(o)
		if err != nil || c.write(ctx, answer) != nil {
			return
		}
	}
}

type socketClient struct {
	conn  *websocket.Conn
	stall time.Duration
}

func (c *socketClient) send(ctx context.Context, messages []message) error {
	for _, m := range messages {
		if err := c.write(ctx, m.json); err != nil {
			return err
		}
	}
	return nil
}

func (c *socketClient) gap(ctx context.Context) error { return c.write(ctx, []byte(`{"type":"gap"}`)) }

func (c *socketClient) beat(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.stall)
	defer cancel()
	return c.conn.Ping(ctx)
}

func (c *socketClient) write(ctx context.Context, b []byte) error {
	ctx, cancel := context.WithTimeout(ctx, c.stall)
	defer cancel()
	return c.conn.Write(ctx, websocket.MessageText, b)
}
