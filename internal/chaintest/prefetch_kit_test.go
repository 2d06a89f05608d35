package chaintest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/cache"
	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/ratelimit"
	"github.com/redishttp/redishttp/session"
)

// trio is limiter, session and cache, each over its own client, with the hooks that
// they called.
type trio struct {
	limiter   *ratelimit.Limiter
	sessions  *session.Manager
	responses *cache.Cache
	rdb       redis.UniversalClient

	mu     sync.Mutex
	events []string
}

// trioOptions is how a trio differs from the usual one.
type trioOptions struct {
	off      bool // without prefetching
	defaults bool // with the timeouts that the packages have by default
	rdbs     [3]redis.UniversalClient
	limiter  []ratelimit.Option
	session  []session.Option
	cache    []cache.Option
}

func newTrio(t testing.TB, rdb redis.UniversalClient, o trioOptions) *trio {
	t.Helper()
	c := &trio{rdb: rdb}
	prefix, on := redistest.Prefix(t), !o.off
	for i := range o.rdbs {
		if o.rdbs[i] == nil {
			o.rdbs[i] = rdb
		}
	}
	lo := []ratelimit.Option{ratelimit.WithKeyPrefix(prefix + "r"), ratelimit.WithPrefetch(on), ratelimit.WithHooks(ratelimit.Hooks{
		Decided: func(_ context.Context, d ratelimit.Decision, _ time.Duration) {
			c.note("limiter: allowed %t by %s, %d left", d.Allowed, d.Source, d.Remaining)
		},
		Failed: func(_ context.Context, err error) { c.note("limiter: %T", err) },
	})}
	so := []session.Option{session.WithKeyPrefix(prefix + "s"), session.WithPrefetch(on), session.WithCookie(session.Cookie{Insecure: true}), session.WithHooks(session.Hooks{
		Loaded: func(_ context.Context, found bool) { c.note("session: loaded, found %t", found) },
		Saved:  func(context.Context) { c.note("session: saved") },
		Event:  func(_ context.Context, e session.Event) { c.note("session: %s", e.Kind) },
		Failed: func(_ context.Context, err error) { c.note("session: %s", err) },
	})}
	co := []cache.Option{cache.WithKeyPrefix(prefix + "c"), cache.WithPrefetch(on), cache.WithEarlyRefresh(0), cache.WithBuckets(1), cache.WithHooks(cache.Hooks{
		Served: func(_ context.Context, s cache.Status) { s.TTL = 0; c.note("cache: %s", s) },
		Failed: func(_ context.Context, err error) { c.note("cache: %s", err) },
	})}
	if !o.defaults { // a busy machine is no outage
		lo = append(lo, ratelimit.WithTimeout(5*time.Second))
		so = append(so, session.WithTimeouts(5*time.Second, 5*time.Second))
		co = append(co, cache.WithTimeouts(5*time.Second, 5*time.Second))
	}
	var errs [3]error
	c.limiter, errs[0] = ratelimit.New(o.rdbs[0], ratelimit.PerHour(1000), append(lo, o.limiter...)...)
	c.sessions, errs[1] = session.New(o.rdbs[1], append(so, o.session...)...)
	c.responses, errs[2] = cache.New(o.rdbs[2], append(co, o.cache...)...)
	redistest.NoErrors(t, errs[:]...)
	redistest.CloseAfter(t, Patience, c.responses)
	return c
}

func (c *trio) note(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.events = append(c.events, fmt.Sprintf(format, args...))
}

// noted returns the events since the last call.
func (c *trio) noted() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := c.events
	c.events = nil
	return all
}

// handler is the three around h, directly.
func (c *trio) handler(h http.Handler) http.Handler {
	return c.limiter.Handler(c.sessions.Handler(c.responses.Handler(h)))
}

// learn serves requests until each middleware and node knows its scripts, without
// the answers that are in the process only.
func learn(t testing.TB, h http.Handler, cookie string) {
	t.Helper()
	for i := range 12 {
		ask(h, http.MethodGet, fmt.Sprint("/page/learn", i), cookie)
	}
}

// ask serves a request with a Cookie field.
func ask(h http.Handler, method, target, cookie string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	if cookie != "" {
		r.Header.Set("Cookie", cookie)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// foreign is a middleware of another module.
func foreign(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(w, r) })
}

// page is a response for all.
func page(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "public, max-age=60")
	_, _ = io.WriteString(w, "page "+r.URL.Path)
}

// login returns the cookie of a new session with the value user=name.
func (c *trio) login(t testing.TB, name string) string {
	t.Helper()
	h := c.sessions.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { c.sessions.Put(r.Context(), "user", name) }))
	cookies := ask(h, http.MethodGet, "/login", "").Result().Cookies()
	if len(cookies) != 1 {
		t.Fatalf("login: %d cookies", len(cookies))
	}
	c.noted()
	return cookies[0].Name + "=" + cookies[0].Value
}

func get(target string) *http.Request { return httptest.NewRequest(http.MethodGet, target, nil) }

func ignored() *httptest.ResponseRecorder { return httptest.NewRecorder() }

// meeting is a hook in which calls wait until n of them are under way.
type meeting struct {
	passing
	came chan struct{}
	all  chan struct{}
}

func newMeeting(n int) *meeting {
	m := &meeting{came: make(chan struct{}, 100), all: make(chan struct{})}
	go func() {
		for range n {
			<-m.came
		}
		close(m.all)
	}()
	return m
}

// complete reports whether all have been under way at the same time.
func (m *meeting) complete() bool {
	select {
	case <-m.all:
		return true
	default:
		return false
	}
}

func (m *meeting) wait(ctx context.Context) error {
	m.came <- struct{}{}
	select {
	case <-m.all:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (m *meeting) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if err := m.wait(ctx); err != nil {
			cmd.SetErr(err)
			return err
		}
		return next(ctx, cmd)
	}
}

func (m *meeting) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if err := m.wait(ctx); err != nil {
			return err
		}
		return next(ctx, cmds)
	}
}
