// Package chaintest tests what the middlewares promise together and on every
// kind of Redis: the chain, outages of single nodes, failovers, missing rights,
// any go-redis client. The contract of each alone is middleware_test.go at the
// root, which takes its subjects from here.
package chaintest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/cache"
	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw"
	"github.com/redishttp/redishttp/ratelimit"
	"github.com/redishttp/redishttp/session"
)

// Patience is how long a test waits for what is sure to come.
const Patience = 20 * time.Second

// Instance is one configured middleware.
type Instance struct {
	Wrap func(http.Handler) http.Handler
	// Use does in a handler what makes the middleware work for this request;
	// it may be nil. What it returns goes into the body.
	Use func(r *http.Request) string
}

// Subject is one row of the suite.
type Subject struct {
	Name string
	// Make builds an Instance; prefix keeps tests apart, name two instances of
	// one application.
	Make func(t testing.TB, rdb redis.UniversalClient, prefix, name string) Instance
	// Budget is the longest a request may be held by default when Redis does
	// not answer; Mute is the status it then gets.
	Budget time.Duration
	Mute   int
}

// Subjects are the middlewares of the suite.
func Subjects() []Subject {
	return []Subject{
		{Name: "ratelimit", Make: newLimiter, Budget: 100 * time.Millisecond, Mute: http.StatusOK},
		{Name: "session", Make: newSessions, Budget: 250 * time.Millisecond, Mute: http.StatusServiceUnavailable},
		{Name: "cache", Make: newCache, Budget: 50 * time.Millisecond, Mute: http.StatusOK},
		{Name: "lockmw", Make: newLocks, Budget: 250 * time.Millisecond, Mute: http.StatusServiceUnavailable},
	}
}

func newLimiter(t testing.TB, rdb redis.UniversalClient, prefix, name string) Instance {
	t.Helper()
	l, err := ratelimit.New(rdb, redis_rate.PerMinute(1000), ratelimit.WithKeyPrefix(prefix), ratelimit.WithName(name))
	if err != nil {
		t.Fatal(err)
	}
	return Instance{Wrap: l.Handler}
}

func newSessions(t testing.TB, rdb redis.UniversalClient, prefix, name string) Instance {
	t.Helper()
	m, err := session.New(rdb, session.WithKeyPrefix(prefix+":"+name), session.WithCookie(session.Cookie{Name: "__Host-" + name}))
	if err != nil {
		t.Fatal(err)
	}
	return Instance{Wrap: m.Handler, Use: func(r *http.Request) string {
		n := m.GetInt(r.Context(), "visits") + 1
		m.Put(r.Context(), "visits", n)
		return fmt.Sprintf(" visits=%d", n)
	}}
}

func newCache(t testing.TB, rdb redis.UniversalClient, prefix, name string) Instance {
	t.Helper()
	c, err := cache.New(rdb, cache.WithKeyPrefix(prefix), cache.WithName(name))
	if err != nil {
		t.Fatal(err)
	}
	return Instance{Wrap: c.Handler}
}

func newLocks(t testing.TB, rdb redis.UniversalClient, prefix, name string) Instance {
	t.Helper()
	l, err := lockmw.New(rdb,
		lockmw.WithKeyPrefix(prefix),
		lockmw.WithName(name),
		lockmw.WithKey(func(r *http.Request) (string, error) { return r.URL.Path, nil }),
	)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := l.Close(ctx); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return Instance{Wrap: l.Handler}
}

// Serve starts a server, over TLS so that HTTP/2 can be spoken.
func Serve(t testing.TB, h2 bool, h http.Handler) *httptest.Server {
	t.Helper()
	srv := httptest.NewUnstartedServer(h)
	srv.EnableHTTP2 = h2
	srv.Config.ErrorLog = nil
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv
}

// Get gets a path, with its body.
func Get(t testing.TB, srv *httptest.Server, path string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := srv.Client().Do(r)
	if err != nil {
		t.Fatalf("GET %s: %v", path, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("GET %s: body: %v", path, err)
	}
	return resp, string(body)
}

// Each runs one promise for every middleware on every topology.
func Each(t *testing.T, promise func(t *testing.T, s Subject, g *redistest.Target)) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		for _, s := range Subjects() {
			t.Run(s.Name, func(t *testing.T) { promise(t, s, g) })
		}
	})
}
