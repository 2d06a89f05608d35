package session_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/session"
)

// broken returns an app whose Redis can be broken through the proxy, logged in.
func broken(t *testing.T, opts ...session.Option) (*app, *redistest.Proxy) {
	s := redistest.NewServer(t)
	p := redistest.NewProxy(t, s.Addr())
	rdb := redis.NewClient(&redis.Options{Addr: p.Addr(), ContextTimeoutEnabled: true, MaxRetries: -1, DialerRetries: 1})
	t.Cleanup(func() { rdb.Close() })
	a := newApp(t, rdb, append([]session.Option{session.WithTimeouts(200*time.Millisecond, 300*time.Millisecond)}, opts...)...)
	redistest.Eventually(t, patience, func() bool { return a.get("/put?k=a&v=1").Code == 200 }, "not up")
	return a, p
}

func TestRedisDown(t *testing.T) {
	a, p := broken(t)
	cookie := a.cookie
	p.Refuse()
	for range 8 {
		start := time.Now()
		w := a.get("/get?k=a")
		if w.Code != 503 || w.Header().Get("Retry-After") != "1" || a.cookie != cookie || w.Header().Get("Set-Cookie") != "" {
			t.Fatalf("reading: got %d %v, cookie kept %v", w.Code, w.Header(), a.cookie == cookie)
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("took %v", took)
		}
	}
	a.want("/static", 200, "static")
	a.cookie = ""
	if w := a.get("/put?k=a&v=1"); w.Code != 503 || w.Header().Get("Set-Cookie") != "" || strings.Contains(w.Body.String(), "put") {
		t.Errorf("a new session: got %d %v %q, want the whole response replaced", w.Code, w.Header(), w.Body)
	}
	a.cookie = cookie
	p.Heal()
	redistest.Eventually(t, patience, func() bool { return a.get("/get?k=a").Body.String() == "1" }, "not back, or logged out")
}

func TestRedisMute(t *testing.T) {
	a, p := broken(t)
	p.Mute()
	start := time.Now()
	if w := a.get("/get?k=a"); w.Code != 503 {
		t.Errorf("got %d, want 503", w.Code)
	}
	if took := time.Since(start); took > 600*time.Millisecond {
		t.Errorf("took %v with a budget of 200ms", took)
	}
}

func TestRequire(t *testing.T) {
	a, p := broken(t)
	ran := false
	h := a.Handler(a.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ran = true
		io.WriteString(w, a.GetString(r.Context(), "a"))
	})))
	if w := a.request(h, "/"); w.Body.String() != "1" {
		t.Errorf("healthy: got %q", w.Body)
	}
	ran = false
	p.Refuse()
	if w := a.request(h, "/"); w.Code != 503 || ran {
		t.Errorf("down: got %d, handler ran %v", w.Code, ran)
	}
	if w := a.request(a.Require(h), "/"); w.Code != 500 {
		t.Errorf("outside of Handler: got %d, want 500", w.Code)
	}
}

func TestFailAnonymous(t *testing.T) {
	a, p := broken(t, session.WithFailureMode(session.FailAnonymous))
	cookie := a.cookie
	p.Refuse()
	w := a.get("/get?k=a")
	if w.Code != 200 || w.Body.String() != "" || a.cookie != cookie || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("reading: got %d %q %v", w.Code, w.Body, w.Header())
	}
	if w := a.get("/put?k=a&v=2"); w.Code != 503 || a.cookie != cookie {
		t.Errorf("writing: got %d, want 503 and the cookie kept", w.Code)
	}
}

// A rotation whose save fails must not log the user out.
func TestRotationThatFailsKeepsTheOldSession(t *testing.T) {
	a, p := broken(t)
	cookie := a.cookie
	w := a.request(a.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := a.RenewToken(r.Context()); err != nil {
			t.Error(err)
		}
		p.Refuse()
		w.WriteHeader(http.StatusCreated)
		if _, err := io.WriteString(w, "secret"); err == nil {
			t.Error("the body of a replaced response was taken")
		}
	})), "/")
	if w.Code != 503 || strings.Contains(w.Body.String(), "secret") || a.cookie != cookie {
		t.Errorf("got %d %q", w.Code, w.Body)
	}
	p.Heal()
	redistest.Eventually(t, patience, func() bool { return a.get("/get?k=a").Body.String() == "1" }, "logged out")
}
