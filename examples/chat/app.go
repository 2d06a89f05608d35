package main

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/go-redis/redis_rate/v10"

	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/examples/internal/web"
	"github.com/redishttp/redishttp/ratelimit"
	"github.com/redishttp/redishttp/session"
)

// app is the chat as HTTP.
type app struct {
	hub      *hub
	config   config
	conn     *connect.Conn
	sessions *session.Manager
	posts    *ratelimit.Limiter // what an address may say
	streams  *ratelimit.Limiter // how many connections it may hold
	assets   http.Handler
	logger   *slog.Logger

	serving context.Context // ends at shutdown
	close   context.CancelFunc
	sockets sync.WaitGroup
}

func newApp(conn *connect.Conn, h *hub, c config, logger *slog.Logger) (*app, error) {
	a := &app{hub: h, config: c, conn: conn, logger: logger}
	a.serving, a.close = context.WithCancel(context.Background())
	rdb := conn.Client()
	var errs [4]error
	// Plain HTTP on a loopback address; leave Insecure out behind TLS.
	a.sessions, errs[0] = session.New(rdb, session.WithCookie(session.Cookie{Insecure: true, Name: "chat", Persist: true}),
		session.WithLifetime(30*24*time.Hour), session.WithIdleTimeout(7*24*time.Hour), session.WithLogger(logger))
	// By address, for a session is had for the asking. Behind a proxy it is
	// ratelimit.ByIP that knows the address.
	a.posts, errs[1] = ratelimit.New(rdb, redis_rate.Limit{Rate: 1, Burst: c.burst, Period: time.Second},
		ratelimit.WithName("posts"), ratelimit.WithLogger(logger))
	a.streams, errs[2] = ratelimit.New(rdb, ratelimit.Concurrency(c.streams),
		ratelimit.WithName("streams"), ratelimit.WithLogger(logger))
	a.assets, errs[3] = web.Assets(staticFiles, "static")
	return a, errors.Join(errs[:]...)
}

// wait waits for the WebSockets, of which the server knows nothing.
func (a *app) wait(ctx context.Context) error {
	done := make(chan struct{})
	go func() { a.sockets.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// listening is the context of a connection that stays open, until the client or
// this instance goes away.
func (a *app) listening(r *http.Request) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(r.Context())
	stop := context.AfterFunc(a.serving, cancel)
	return ctx, func() { stop(); cancel() }
}

func (a *app) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /static/{file}", a.assets)
	mux.Handle("GET /healthz", a.conn.HealthHandler())
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/rooms/"+a.config.rooms[0], http.StatusSeeOther)
	})
	mux.HandleFunc("GET /rooms/{room}", a.inRoom(a.page))
	mux.Handle("GET /rooms/{room}/events", a.streams.Handler(a.inRoom(a.events)))
	mux.Handle("GET /rooms/{room}/socket", a.streams.Handler(a.inRoom(a.socket)))
	mux.Handle("POST /rooms/{room}/messages", a.posts.Handler(a.inRoom(a.post)))
	mux.Handle("POST /name", a.posts.Handler(http.HandlerFunc(a.rename)))
	return web.Secure(http.NewCrossOriginProtection().Handler(a.sessions.Handler(mux)))
}

func (a *app) inRoom(serve func(http.ResponseWriter, *http.Request, *room)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if room := a.hub.rooms[r.PathValue("room")]; room != nil {
			serve(w, r, room)
			return
		}
		web.Problem(w, http.StatusNotFound, "There is no such room.")
	}
}

// rename takes a name for this session. Names are not unique; the number that
// comes with the first one is.
func (a *app) rename(w http.ResponseWriter, r *http.Request) {
	var by author
	if !web.Decode(w, r, maxBody, &by) {
		return
	}
	name, err := web.Name(by.Name)
	if err != nil {
		web.Problem(w, http.StatusUnprocessableEntity, web.NameRule)
		return
	}
	ctx := r.Context()
	by = author{From: a.sessions.GetString(ctx, "from"), Name: name}
	if by.From == "" {
		by.From = rand.Text()
		a.sessions.Put(ctx, "from", by.From)
	}
	a.sessions.Put(ctx, "name", name)
	web.JSON(w, http.StatusOK, by)
}

func (a *app) author(ctx context.Context) author {
	return author{From: a.sessions.GetString(ctx, "from"), Name: a.sessions.GetString(ctx, "name")}
}
