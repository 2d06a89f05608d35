package session_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/session"
)

// site is one instance of a service; instances share a prefix.
type site struct {
	*session.Manager
	h http.Handler
	t *testing.T
}

func newSite(t *testing.T, g *redistest.Target, prefix string, handler func(m *session.Manager, w http.ResponseWriter, r *http.Request), opts ...session.Option) *site {
	t.Helper()
	m, err := session.New(g.Client(t), append([]session.Option{session.WithKeyPrefix(prefix), session.WithTimeouts(20*time.Second, 20*time.Second)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	return &site{m, m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler(m, w, r) })), t}
}

func (s *site) ask(path, cookie string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Header.Set("Cookie", cookie)
	w := httptest.NewRecorder()
	s.h.ServeHTTP(w, r)
	return w
}

// cookie is what a response sets, "" for a removal; ok is false for nothing.
func cookie(w *httptest.ResponseRecorder) (value string, ok bool) {
	cookies := w.Result().Cookies()
	if len(cookies) == 0 {
		return "", false
	}
	if cookies[0].MaxAge < 0 {
		return "", true
	}
	return cookies[0].Name + "=" + cookies[0].Value, true
}

// topologies are those the guard is tested on.
func topologies(t *testing.T, fn func(t *testing.T, g *redistest.Target)) {
	for _, get := range []func(testing.TB) *redistest.Target{redistest.Standalone, redistest.Sentinel, redistest.Cluster} {
		g := get(t)
		t.Run(g.Name, func(t *testing.T) { fn(t, g) })
	}
}

// A thousand requests at once change a thousand keys of one session, on two
// instances: all are there.
func TestNoUpdateIsLost(t *testing.T) {
	topologies(t, func(t *testing.T, g *redistest.Target) {
		const requests = 1000
		prefix := redistest.Prefix(t)
		var merged atomic.Int64
		hooks := session.WithHooks(session.Hooks{Merged: func(_ context.Context, n int) { merged.Add(int64(n)) }, Failed: func(_ context.Context, err error) { t.Error(err) }})
		start := make(chan struct{})
		loaded := make(chan struct{}, requests)
		var sites []*site
		for range 2 {
			sites = append(sites, newSite(t, g, prefix, func(m *session.Manager, w http.ResponseWriter, r *http.Request) {
				switch r.URL.Path {
				case "/put":
					m.GetString(r.Context(), "first")
					loaded <- struct{}{}
					<-start // all have read the same before any writes
					m.Put(r.Context(), r.URL.Query().Get("k"), r.URL.Query().Get("k"))
				case "/count":
					fmt.Fprint(w, len(m.Keys(r.Context())))
				default:
					m.Put(r.Context(), "first", "v")
				}
			}, hooks, session.WithMaxSize(1<<20)))
		}
		c, _ := cookie(sites[0].ask("/", ""))
		var wg sync.WaitGroup
		for i := range requests {
			wg.Go(func() {
				if w := sites[i%2].ask(fmt.Sprintf("/put?k=k%d", i), c); w.Code != 200 {
					t.Errorf("request %d: %d", i, w.Code)
				}
			})
		}
		for range requests {
			<-loaded
		}
		close(start)
		wg.Wait()
		if got := sites[0].ask("/count", c).Body.String(); got != fmt.Sprint(requests+1) {
			t.Errorf("the session has %s keys, want %d", got, requests+1)
		}
		t.Logf("%d requests met %d saves of others", requests, merged.Load())
	})
}

// A logout while slow requests are under way: they finish, and the session
// stays gone.
func TestALogoutIsFinal(t *testing.T) {
	topologies(t, func(t *testing.T, g *redistest.Target) {
		for _, reject := range []bool{false, true} {
			const slow = 50
			prefix := redistest.Prefix(t)
			logout := make(chan struct{})
			loaded := make(chan struct{}, slow)
			var gone atomic.Int64
			s := newSite(t, g, prefix, func(m *session.Manager, w http.ResponseWriter, r *http.Request) {
				switch r.URL.Path {
				case "/slow":
					m.GetString(r.Context(), "user")
					loaded <- struct{}{}
					<-logout
					m.Put(r.Context(), "late", r.URL.RawQuery)
					fmt.Fprint(w, "done")
				case "/logout":
					if err := m.Destroy(r.Context()); err != nil {
						t.Error(err)
					}
				case "/who":
					fmt.Fprint(w, m.GetString(r.Context(), "user"))
				default:
					m.Put(r.Context(), "user", "alice")
				}
			}, session.WithRejectGone(reject), session.WithHooks(session.Hooks{Failed: func(_ context.Context, err error) {
				if !errors.Is(err, session.ErrGone) {
					t.Error(err)
				}
				gone.Add(1)
			}}))
			c, _ := cookie(s.ask("/login", ""))
			var wg sync.WaitGroup
			for i := range slow {
				wg.Go(func() {
					w := s.ask(fmt.Sprint("/slow?", i), c)
					value, set := cookie(w)
					want, body := 200, "done"
					if reject {
						want, body = 401, `{"title":"Unauthorized","status":401}`+"\n"
					}
					if w.Code != want || w.Body.String() != body || !set || value != "" {
						t.Errorf("a request during the logout: %d %q, cookie %q %v; want %d and the cookie removed", w.Code, w.Body, value, set, want)
					}
				})
			}
			for range slow {
				<-loaded
			}
			s.ask("/logout", c)
			close(logout)
			wg.Wait()
			if got := s.ask("/who", c).Body.String(); got != "" {
				t.Errorf("after the logout the session is %q's", got)
			}
			if keys := keysOf(t, g, prefix); len(keys) != 0 {
				t.Errorf("left in Redis: %v", keys)
			}
			if gone.Load() != slow {
				t.Errorf("%d requests were told, want %d", gone.Load(), slow)
			}
		}
	})
}

func keysOf(t *testing.T, g *redistest.Target, prefix string) []string {
	t.Helper()
	var mu sync.Mutex
	var keys []string
	each := func(ctx context.Context, c redis.Cmdable) error {
		found, err := c.Keys(ctx, prefix+"*").Result()
		mu.Lock()
		defer mu.Unlock()
		keys = append(keys, found...)
		return err
	}
	rdb, err := g.Client(t), error(nil)
	if cluster, ok := rdb.(*redis.ClusterClient); ok {
		err = cluster.ForEachMaster(t.Context(), func(ctx context.Context, c *redis.Client) error { return each(ctx, c) })
	} else {
		err = each(t.Context(), rdb)
	}
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// A rotation that meets a logout of the old session is undone; one that meets
// its expiry as well.
func TestARotationDoesNotOutliveALogout(t *testing.T) {
	topologies(t, func(t *testing.T, g *redistest.Target) {
		prefix := redistest.Prefix(t)
		var between func()
		s := newSite(t, g, prefix, func(m *session.Manager, w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/rotate":
				if err := m.RenewToken(r.Context()); err != nil {
					t.Error(err)
				}
				between()
				fmt.Fprint(w, "rotated")
			case "/logout":
				_ = m.Destroy(r.Context())
			case "/who":
				fmt.Fprint(w, m.GetString(r.Context(), "user"))
			default:
				m.Put(r.Context(), "user", "alice")
			}
		})
		c, _ := cookie(s.ask("/login", ""))
		between = func() {}
		w := s.ask("/rotate", c)
		rotated, _ := cookie(w)
		if rotated == "" || rotated == c || s.ask("/who", rotated).Body.String() != "alice" || s.ask("/who", c).Body.String() != "" {
			t.Fatalf("rotation: %q became %q", c, rotated)
		}
		between = func() { s.ask("/logout", rotated) }
		w = s.ask("/rotate", rotated)
		if value, set := cookie(w); !set || value != "" {
			t.Errorf("rotated during a logout: cookie %q", value)
		}
		if keys := keysOf(t, g, prefix); len(keys) != 0 {
			t.Errorf("left in Redis: %v", keys)
		}
	})
}

// What two requests do to the same keys, and what WithMerge makes of it.
func TestMerges(t *testing.T) {
	topologies(t, func(t *testing.T, g *redistest.Target) {
		for _, tc := range []struct {
			name         string
			first, later func(m *session.Manager, ctx context.Context)
			merge        func(key string, base, mine, theirs any) any
			want         string
		}{
			{"different keys", func(m *session.Manager, ctx context.Context) { m.Put(ctx, "a", 2) }, func(m *session.Manager, ctx context.Context) { m.Put(ctx, "b", 2) }, nil, "a=2 b=2"},
			{"the later wins", func(m *session.Manager, ctx context.Context) { m.Put(ctx, "a", 2) }, func(m *session.Manager, ctx context.Context) { m.Put(ctx, "a", 3) }, nil, "a=3 b=1"},
			{"removed and untouched", func(m *session.Manager, ctx context.Context) { m.Remove(ctx, "a") }, func(m *session.Manager, ctx context.Context) { m.Put(ctx, "b", 2) }, nil, "a=0 b=2"},
			{"untouched and removed", func(m *session.Manager, ctx context.Context) { m.Put(ctx, "b", 2) }, func(m *session.Manager, ctx context.Context) { m.Remove(ctx, "a") }, nil, "a=0 b=2"},
			{"cleared", func(m *session.Manager, ctx context.Context) { m.Put(ctx, "c", 9) }, func(m *session.Manager, ctx context.Context) { _ = m.Clear(ctx) }, nil, "a=0 b=0 c=9"},
			{
				"counters add", func(m *session.Manager, ctx context.Context) { m.Put(ctx, "a", m.GetInt(ctx, "a")+10) }, func(m *session.Manager, ctx context.Context) { m.Put(ctx, "a", m.GetInt(ctx, "a")+5) },
				func(_ string, base, mine, theirs any) any { return mine.(int) + theirs.(int) - base.(int) }, "a=16 b=1",
			},
			{
				"the merge removes", func(m *session.Manager, ctx context.Context) { m.Put(ctx, "a", 2) }, func(m *session.Manager, ctx context.Context) { m.Remove(ctx, "a") },
				func(string, any, any, any) any { return nil }, "a=0 b=1",
			},
		} {
			t.Run(tc.name, func(t *testing.T) {
				var do func(m *session.Manager, ctx context.Context)
				var between func()
				opts := []session.Option{}
				if tc.merge != nil {
					opts = append(opts, session.WithMerge(tc.merge))
				}
				s := newSite(t, g, redistest.Prefix(t), func(m *session.Manager, w http.ResponseWriter, r *http.Request) {
					ctx := r.Context()
					switch r.URL.Path {
					case "/do":
						do(m, ctx)
						if next := between; next != nil {
							between = nil
							next()
						}
					case "/show":
						fmt.Fprintf(w, "a=%d b=%d", m.GetInt(ctx, "a"), m.GetInt(ctx, "b"))
						if c := m.GetInt(ctx, "c"); c != 0 {
							fmt.Fprintf(w, " c=%d", c)
						}
					default:
						m.Put(ctx, "a", 1)
						m.Put(ctx, "b", 1)
					}
				}, opts...)
				c, _ := cookie(s.ask("/", ""))
				do = tc.later
				between = func() { // while the later request runs, the first comes and is done
					do = tc.first
					s.ask("/do", c)
				}
				if w := s.ask("/do", c); w.Code != 200 {
					t.Errorf("got %d", w.Code)
				}
				if got := s.ask("/show", c).Body.String(); got != tc.want {
					t.Errorf("got %s, want %s", got, tc.want)
				}
			})
		}
	})
}
