package session_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/ratelimit"
	"github.com/redishttp/redishttp/session"
)

// ahead is a manager behind a limiter, whose handler uses the session unless the path
// is under /static.
type ahead struct {
	*app
	used, unused atomic.Int64 // by the hook
	count        *redistest.Counter
}

func newAhead(t *testing.T, between func(http.Handler) http.Handler, opts ...session.Option) *ahead {
	t.Helper()
	rdb, prefix := redistest.Standalone(t).Client(t), redistest.Prefix(t)
	a := &ahead{}
	a.app = newApp(t, rdb, append([]session.Option{session.WithHooks(session.Hooks{Prefetched: func(_ context.Context, used bool) {
		if used {
			a.used.Add(1)
		} else {
			a.unused.Add(1)
		}
	}})}, opts...)...)
	l, err := ratelimit.New(rdb, ratelimit.PerHour(10_000), ratelimit.WithKeyPrefix(prefix), ratelimit.WithTimeout(5*time.Second))
	redistest.NoErrors(t, err)
	m, inner := a.Manager, a.h
	a.h = l.Handler(between(m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/static") {
			m.GetString(r.Context(), "user")
		}
	}))))
	if a.request(inner, "/put?k=user&v=alice"); a.cookie == "" {
		t.Fatal("no cookie")
	}
	a.get("/user")
	a.count = redistest.Count(rdb)
	return a
}

func directly(next http.Handler) http.Handler { return next }

// A route that does not use its session costs four reads, then none, until one uses it.
func TestStaticRoutesAreNotReadAhead(t *testing.T) {
	a := newAhead(t, directly)
	for range 30 {
		a.get("/static/a.css")
	}
	if got := a.count.Commands()["get"]; got != 4 || a.unused.Load() != 4 {
		t.Errorf("static: %d reads, %d told as unused, want 4", got, a.unused.Load())
	}
	a.count.Reset()
	a.used.Store(0)
	for range 5 { // of another kind
		a.get("/user")
	}
	if got := a.count.Trips(); got != 5 || a.used.Load() != 5 {
		t.Errorf("5 requests that use it: %d round trips, %d told as used", got, a.used.Load())
	}
}

// Without a cookie, or with one that is no token, nothing is read.
func TestNothingIsReadAheadWithoutAToken(t *testing.T) {
	a := newAhead(t, directly)
	name, _, _ := strings.Cut(a.cookie, "=")
	for _, cookie := range []string{"", name + "=short", name + "=" + strings.Repeat("!", 43), "other=" + a.token()} {
		a.count.Reset()
		r := httptest.NewRequest(http.MethodGet, "/user", nil)
		r.Header.Set("Cookie", cookie)
		a.h.ServeHTTP(httptest.NewRecorder(), r)
		if got := a.count.Commands()["get"]; got != 0 {
			t.Errorf("%q: %d reads", cookie, got)
		}
	}
}

// A middleware that replaces the cookie gets the session of its cookie, and seldom has
// the other one read in vain.
func TestAReplacedCookieIsReadAtItsTurn(t *testing.T) {
	other := ""
	a := newAhead(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if other != "" {
				r.Header.Set("Cookie", other)
			}
			next.ServeHTTP(w, r)
		})
	})
	name, _, _ := strings.Cut(a.cookie, "=")
	other = name + "=" + strings.Repeat("A", 43)
	for range 50 {
		a.get("/user")
	}
	if got := a.count.Commands()["get"]; got > 52 {
		t.Errorf("50 requests: %d reads", got)
	}
}
