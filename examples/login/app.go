package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/go-redis/redis_rate/v10"

	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/examples/internal/web"
	"github.com/redishttp/redishttp/ratelimit"
	"github.com/redishttp/redishttp/session"
)

// maxBody is more than any of the forms needs.
const maxBody = 4 << 10

// app is the pages and what they need.
type app struct {
	conn     *connect.Conn
	users    *users
	sessions *session.Manager
	attempts [2]*ratelimit.Limiter // by address, by user name
	assets   http.Handler
	logger   *slog.Logger
}

func newApp(conn *connect.Conn, c config, logger *slog.Logger) (*app, error) {
	a := &app{conn: conn, logger: logger}
	var errs [5]error
	a.users, errs[0] = newUsers(c.rounds, demoUsers)
	a.sessions, errs[1] = session.New(conn.Client(), session.WithCookie(session.Cookie{Insecure: !c.behindTLS}), session.WithLogger(logger), session.WithHooks(session.Hooks{
		Event: func(ctx context.Context, e session.Event) { // who came and went; many "unknown" are guesses
			logger.LogAttrs(ctx, slog.LevelInfo, "session", slog.String("event", e.Kind), slog.String("device", e.Handle))
		},
	}))
	// Behind a proxy it is ratelimit.ByIP that knows the address.
	a.attempts[0], errs[2] = a.attemptsBy(ratelimit.ByIP(nil), "login-address", redis_rate.Limit{Rate: c.byAddress, Burst: c.byAddress, Period: 20 * time.Minute})
	// The names are counted whether or not anybody has them, or it would show
	// who does. Whoever fails on purpose keeps the user from new logins, not
	// from the devices that are logged in.
	a.attempts[1], errs[3] = a.attemptsBy(func(r *http.Request) (string, error) {
		return ratelimit.Join("name", userName(r.PostFormValue("user"))), nil
	}, "login-name", redis_rate.Limit{Rate: c.byName, Burst: c.byName, Period: 30 * time.Minute})
	a.assets, errs[4] = web.Assets(staticFiles, "static")
	return a, errors.Join(errs[:]...)
}

// attemptsBy limits what failed: who knows the password never keeps himself out.
func (a *app) attemptsBy(key ratelimit.KeyFunc, name string, limit redis_rate.Limit) (*ratelimit.Limiter, error) {
	return ratelimit.New(a.conn.Client(), limit, ratelimit.WithKey(key), ratelimit.WithName(name), ratelimit.WithRefund(ratelimit.RefundStatus(100, 399)),
		ratelimit.WithHeaders(ratelimit.Headers{Off: true}), ratelimit.WithDenyHandler(http.HandlerFunc(a.tooMany)), ratelimit.WithLogger(a.logger))
}

// handler serves the pages. What changes anything is a POST, which no other site
// can send.
func (a *app) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /login", a.loginPage)
	mux.Handle("POST /login", a.attempts[0].Handler(a.attempts[1].Handler(http.HandlerFunc(a.login))))
	mux.Handle("GET /{$}", a.loggedIn(a.devicesPage))
	mux.Handle("POST /logout", a.loggedIn(a.logout))
	mux.Handle("POST /devices/{handle}/revoke", a.loggedIn(a.revoke))
	mux.Handle("POST /devices/revoke-others", a.loggedIn(a.revokeOthers))
	mux.Handle("POST /devices/revoke-all", a.loggedIn(a.revokeAll))
	mux.Handle("GET /static/{file}", a.assets)
	mux.Handle("GET /healthz", a.conn.HealthHandler())
	return web.Secure(http.NewCrossOriginProtection().Handler(http.MaxBytesHandler(a.sessions.Handler(mux), maxBody)))
}

// loggedIn lets users through, and shows all others the way to the login.
func (a *app) loggedIn(next func(w http.ResponseWriter, r *http.Request, user string)) http.Handler {
	return a.sessions.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user := a.sessions.User(r.Context())
		switch {
		case user != "":
			w.Header().Set("Cache-Control", "no-store") // nor for the browser's back button
			next(w, r, user)
		case a.sessions.RequestKey(r) != "": // it had one, which has ended
			http.Redirect(w, r, "/login?notice=ended", http.StatusSeeOther)
		default:
			http.Redirect(w, r, "/login", http.StatusSeeOther)
		}
	}))
}

func (a *app) login(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	user := userName(r.PostFormValue("user"))
	if !a.users.check(user, r.PostFormValue("password")) {
		a.showLogin(w, http.StatusUnauthorized, r.PostFormValue("user"), notice{"error", "The user name or the password is wrong."})
		return
	}
	address, _, _ := net.SplitHostPort(r.RemoteAddr)
	if err := a.sessions.Login(ctx, user, address, r.UserAgent()); err != nil {
		a.unavailable(w, r, err)
		return
	}
	a.sessions.RememberMe(ctx, r.PostFormValue("remember") != "")
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (a *app) logout(w http.ResponseWriter, r *http.Request, _ string) {
	if err := a.sessions.Destroy(r.Context()); err != nil {
		a.unavailable(w, r, err)
		return
	}
	http.Redirect(w, r, "/login?notice=out", http.StatusSeeOther)
}

// unavailable answers 503. What went wrong is for the log, not for the client.
func (a *app) unavailable(w http.ResponseWriter, r *http.Request, err error) {
	a.logger.LogAttrs(r.Context(), slog.LevelWarn, "not served", slog.String("cause", err.Error()))
	web.Unavailable(w)
}
