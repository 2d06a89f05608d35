package main

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/go-redis/redis_rate/v10"

	"github.com/redishttp/redishttp/cache"
	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/examples/internal/web"
	"github.com/redishttp/redishttp/ratelimit"
	"github.com/redishttp/redishttp/session"
)

// app is the board as HTTP.
type app struct {
	board     *Board
	conn      *connect.Conn
	submits   *ratelimit.Limiter
	sessions  *session.Manager // who am I
	responses *cache.Cache
	assets    http.Handler
	logger    *slog.Logger
}

func newApp(conn *connect.Conn, c config, logger *slog.Logger) (*app, error) {
	a := &app{conn: conn, logger: logger}
	rdb := conn.Client()
	var errs [5]error
	a.board, errs[0] = NewBoard(conn, c.board)
	// By address, for a session is had for the asking. Behind a proxy it is
	// ratelimit.ByIP that knows the address.
	a.submits, errs[1] = ratelimit.New(rdb, redis_rate.Limit{Rate: 30, Burst: c.burst, Period: time.Minute}, ratelimit.WithLogger(logger))
	// Plain HTTP on a loopback address; leave Insecure out behind TLS.
	a.sessions, errs[2] = session.New(rdb, session.WithCookie(session.Cookie{Insecure: true, Name: "leaderboard", Persist: true}),
		session.WithLifetime(30*24*time.Hour), session.WithIdleTimeout(14*24*time.Hour), session.WithLogger(logger))
	a.responses, errs[3] = cache.New(rdb, cache.WithLogger(logger))
	a.assets, errs[4] = web.Assets(staticFiles, "static")
	return a, errors.Join(errs[:]...)
}

// handler serves the board. A score is posted to the URL that the top is read
// from: so the cache knows that what it has of it is void.
func (a *app) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", a.page)
	mux.HandleFunc("GET /api/scores", a.top)
	mux.HandleFunc("GET /api/around", a.around)
	mux.Handle("POST /api/scores", a.submits.Handler(http.HandlerFunc(a.submit)))
	mux.Handle("POST /{$}", a.submits.Handler(http.HandlerFunc(a.form)))
	mux.Handle("GET /static/{file}", a.assets)
	mux.Handle("GET /healthz", a.conn.HealthHandler())
	return web.Secure(http.NewCrossOriginProtection().Handler(a.sessions.Handler(a.responses.Handler(mux))))
}

// me is who a session is: a number that nobody else has, and a name that anybody
// may take.
func (a *app) me(ctx context.Context) (player, name string) {
	return a.sessions.GetString(ctx, "player"), a.sessions.GetString(ctx, "name")
}

// enter enters a score for the session, which becomes somebody with the first.
func (a *app) enter(ctx context.Context, name string, score int64) (Standing, error) {
	player, before := a.me(ctx)
	if player == "" {
		player = rand.Text()
		a.sessions.Put(ctx, "player", player)
	}
	if name != before {
		a.sessions.Put(ctx, "name", name)
	}
	s, err := a.board.Submit(ctx, player, name, score)
	if err != nil && !errors.Is(err, ErrScore) {
		a.logger.LogAttrs(ctx, slog.LevelWarn, "score not entered", slog.String("cause", err.Error()))
	}
	return s, err
}
