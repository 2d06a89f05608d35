package main

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/go-redis/redis_rate/v10"

	"github.com/redishttp/redishttp/admin"
	"github.com/redishttp/redishttp/cache"
	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/lockmw"
	"github.com/redishttp/redishttp/lockmw/cronlock"
	"github.com/redishttp/redishttp/lockmw/lockkey"
	"github.com/redishttp/redishttp/ratelimit"
	"github.com/redishttp/redishttp/session"
)

// shop is the chain, the panel, and what their handlers need.
type shop struct {
	limiter   *ratelimit.Limiter
	sessions  *session.Manager
	responses *cache.Cache
	locks     *lockmw.Locker
	jobs      *cronlock.Runner
	report    *cronlock.Job
	panel     *admin.Panel
	mux       *http.ServeMux
}

func newShop(set *connect.Set, password string, logger *slog.Logger) (*shop, error) {
	conn, err := set.Get("default")
	if err != nil {
		return nil, err
	}
	s, rdb := &shop{mux: http.NewServeMux()}, conn.Client()
	var errs [6]error
	s.limiter, errs[0] = ratelimit.New(rdb, redis_rate.Limit{Rate: 20, Burst: 40, Period: time.Second}, ratelimit.WithKey(visitor), ratelimit.WithName("api"))
	// Plain HTTP on a loopback address; leave the option out behind TLS.
	s.sessions, errs[1] = session.New(rdb, session.WithCookie(session.Cookie{Insecure: true}))
	s.responses, errs[2] = cache.New(rdb)
	s.locks, errs[3] = lockmw.New(rdb, lockmw.WithKey(lockkey.Route(s.mux)), lockmw.WithMethods(http.MethodPost), lockmw.WithWait(5*time.Second))
	s.jobs, errs[4] = cronlock.New(rdb)
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	if s.report, errs[5] = s.jobs.Job("report", report); errs[5] != nil {
		return nil, errs[5]
	}
	s.panel, err = admin.New(set, admin.WithTitle("The shop"), admin.WithLogger(logger),
		admin.WithAuthorizer(func(r *http.Request) (admin.Access, error) {
			user, given, _ := r.BasicAuth()
			if user != "operator" || subtle.ConstantTimeCompare([]byte(given), []byte(password)) != 1 {
				return admin.Access{}, errors.New("wrong user or password")
			}
			return admin.Access{User: user, Read: true, Write: true}, nil
		}),
		admin.WithDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", `Basic realm="panel", charset="UTF-8"`)
			http.Error(w, "who is it?", http.StatusUnauthorized)
		})),
		admin.WithAudit(func(_ context.Context, e admin.Event) {
			logger.Info("a write of the panel", "user", e.User, "action", e.Action, "key", e.Key, "detail", e.Detail, "error", e.Err)
		}),
		admin.WithLimiter("default", "api", s.limiter), admin.WithSessions("default", "shop", s.sessions), admin.WithCache("default", "pages", s.responses),
		admin.WithLocks("default", "orders", s.locks), admin.WithJobs("default", s.report))
	s.routes()
	return s, err
}

// visitor is whom the limiter counts. All of the traffic comes from this
// machine, so its users say who they are; a real shop believes no such header.
func visitor(r *http.Request) (string, error) {
	if v := r.Header.Get("X-Visitor"); v != "" {
		return v, nil
	}
	return ratelimit.ByIP(nil)(r)
}

// handler is the panel beside the chain: an operator must not be limited.
func (s *shop) handler() http.Handler {
	chain := s.limiter.Handler(s.sessions.Handler(s.responses.Handler(s.locks.Handler(s.mux))))
	outer := http.NewServeMux()
	outer.Handle("/admin/", s.panel.Handler())
	outer.Handle("/", http.NewCrossOriginProtection().Handler(chain))
	return outer
}

func (s *shop) routes() {
	s.mux.HandleFunc("GET /products/{id}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=20, stale-while-revalidate=20")
		w.Header().Set("Surrogate-Key", "shelf product-"+r.PathValue("id"))
		fmt.Fprintf(w, "product %s, as of %s\n", r.PathValue("id"), time.Now().Format(time.TimeOnly))
	})
	s.mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		if err := s.sessions.Login(r.Context(), r.FormValue("user"), r.RemoteAddr, r.UserAgent()); err != nil {
			http.Error(w, "try again", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "welcome")
	})
	s.mux.HandleFunc("GET /basket", func(w http.ResponseWriter, r *http.Request) {
		n := s.sessions.GetInt(r.Context(), "things") + 1
		s.sessions.Put(r.Context(), "things", n)
		fmt.Fprintf(w, "%d things\n", n)
	})
	s.mux.HandleFunc("POST /orders/{id}/pay", func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(time.Second + rand.N(2*time.Second)): // the payment
			fmt.Fprintln(w, "paid")
		case <-r.Context().Done(): // the lock was taken away, or the client has gone
		}
	})
}

func report(ctx context.Context) error {
	select {
	case <-time.After(3 * time.Second):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// everyMinute runs the report at each full minute, on one instance.
func (s *shop) everyMinute(ctx context.Context) {
	for {
		tick := time.Now().Truncate(time.Minute)
		_, _ = s.report.Run(ctx, tick) // the panel shows what came of it
		select {
		case <-time.After(time.Until(tick.Add(time.Minute))):
		case <-ctx.Done():
			return
		}
	}
}

func (s *shop) close(ctx context.Context) {
	_ = s.jobs.Close(ctx)
	_ = s.locks.Close(ctx)
	_ = s.responses.Close(ctx)
}
