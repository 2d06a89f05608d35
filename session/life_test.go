package session_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/session"
)

// Two requests at once that set the deadline, remember the session, or change
// anything else: each keeps what the other has done, the cookie included.
func TestDeadlinesAreMerged(t *testing.T) {
	const long, short = 11 * time.Hour, 2 * time.Hour
	steps := map[string]func(m *session.Manager, ctx context.Context){
		"put":      func(m *session.Manager, ctx context.Context) { m.Put(ctx, "k", "v") },
		"long":     func(m *session.Manager, ctx context.Context) { m.SetDeadline(ctx, time.Now().Add(long)) },
		"short":    func(m *session.Manager, ctx context.Context) { m.SetDeadline(ctx, time.Now().Add(short)) },
		"remember": func(m *session.Manager, ctx context.Context) { m.RememberMe(ctx, true) },
		"read":     func(m *session.Manager, ctx context.Context) { _ = m.Keys(ctx) },
		"remember2": func(m *session.Manager, ctx context.Context) {
			m.RememberMe(ctx, true)
			m.SetDeadline(ctx, time.Now().Add(long))
		},
	}
	topologies(t, func(t *testing.T, g *redistest.Target) {
		for _, tc := range []struct {
			first, later string
			deadline     time.Duration
			remembered   bool
		}{
			{"long", "put", long, false},
			{"put", "long", long, false},
			{"long", "short", short, false},
			{"short", "long", long, false},
			{"remember", "put", 3 * time.Hour, true},
			{"put", "remember", 3 * time.Hour, true},
			{"remember", "long", long, true},
			{"long", "remember", long, true},
			{"remember2", "put", long, true},
			{"remember2", "read", long, true},
			{"short", "read", short, false},
		} {
			t.Run(tc.first+" then "+tc.later, func(t *testing.T) {
				rdb, prefix := g.Client(t), redistest.Prefix(t)
				var between func()
				s := newSite(t, g, prefix, func(m *session.Manager, w http.ResponseWriter, r *http.Request) {
					ctx := r.Context()
					switch name := strings.TrimPrefix(r.URL.Path, "/"); name {
					case "login":
						_ = m.Login(ctx, "alice", "", "")
					case "show":
						fmt.Fprint(w, time.Until(m.Deadline(ctx)).Round(time.Minute), m.GetBool(ctx, "__rememberMe"), m.GetString(ctx, "k"))
					default:
						_ = m.Keys(ctx)
						if f := between; f != nil && name == tc.later {
							between = nil
							f()
						}
						steps[name](m, ctx)
					}
				}, session.WithLifetime(3*time.Hour), session.WithIdleTimeout(time.Hour))
				c, _ := cookie(s.ask("/login", ""))
				key := keysOf(t, g, prefix)[0]
				rdb.PExpire(t.Context(), key, 30*time.Minute) // the later request renews it
				between = func() { s.ask("/"+tc.first, c) }
				w := s.ask("/"+tc.later, c)
				k := ""
				if tc.first == "put" || tc.later == "put" {
					k = "v"
				}
				if got, want := s.ask("/show", c).Body.String(), fmt.Sprint(tc.deadline, tc.remembered, k); got != want {
					t.Errorf("got %s, want %s", got, want)
				}
				ttl := time.Hour
				if tc.remembered {
					ttl = tc.deadline
				}
				if got := rdb.PTTL(t.Context(), key).Val(); got > ttl || got < ttl-time.Minute {
					t.Errorf("time to live %v, want %v", got, ttl)
				}
				if cookies := w.Result().Cookies(); len(cookies) > 0 && (cookies[0].MaxAge != 0) != tc.remembered {
					t.Errorf("Max-Age %d, remembered %v", cookies[0].MaxAge, tc.remembered)
				}
				if n := rdb.ZCard(t.Context(), indexKey(prefix)).Val(); n != 1 {
					t.Errorf("the index has %d sessions", n)
				}
				if left := time.Until(time.UnixMicro(int64(rdb.ZRangeWithScores(t.Context(), indexKey(prefix), 0, 0).Val()[0].Score))); left < tc.deadline-time.Minute {
					t.Errorf("the index forgets the session in %v, it lives %v", left, tc.deadline)
				}
			})
		}
	})
}

func indexKey(prefix string) string { // sha256("alice")
	return "user:" + prefix + ":v1:__Host-session:{2bd806c97f0e00af1a1fc3328fa763a9}:s"
}

// A remembered session that is not used lives until its deadline, in Redis and
// in the browser; one that is not remembered any more ends when it is idle.
func TestARememberedSessionOutlivesTheIdleTime(t *testing.T) {
	topologies(t, func(t *testing.T, g *redistest.Target) {
		rdb, prefix := g.Client(t), redistest.Prefix(t)
		const month = 30 * 24 * time.Hour
		s := newSite(t, g, prefix, func(m *session.Manager, w http.ResponseWriter, r *http.Request) {
			switch ctx := r.Context(); r.URL.Path {
			case "/login":
				_ = m.Login(ctx, "alice", "", "")
				m.SetDeadline(ctx, time.Now().Add(month))
				m.RememberMe(ctx, true)
			case "/forget":
				m.RememberMe(ctx, false)
			default:
				fmt.Fprint(w, m.User(ctx))
			}
		})
		w := s.ask("/login", "")
		c, _ := cookie(w)
		if age := time.Duration(w.Result().Cookies()[0].MaxAge) * time.Second; age < month-time.Minute || age > month+2*time.Second {
			t.Errorf("Max-Age %v, want a month", age)
		}
		key := keysOf(t, g, prefix)[0]
		lives := func(want time.Duration) {
			t.Helper()
			if got := rdb.PTTL(t.Context(), key).Val(); got > want || got < want-time.Minute {
				t.Errorf("time to live %v, want %v", got, want)
			}
		}
		lives(month)
		s.ask("/", c)
		lives(month)
		rdb.PExpire(t.Context(), key, 10*time.Minute) // whatever made it shorter: reading mends it
		second := newSite(t, g, prefix, func(m *session.Manager, w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, m.User(r.Context())) })
		second.ask("/", c)
		lives(month)
		if devices, err := s.Sessions(t.Context(), "alice"); err != nil || len(devices) != 1 || !devices[0].LastSeen.IsZero() {
			t.Errorf("devices %v, %v: last seen is not known", devices, err)
		}
		s.ask("/forget", c)
		lives(30 * time.Minute)
	})
}

// However far the application's clock is behind Redis' or ahead of it, sessions
// live as long as they should, in the index too.
func TestExpiryGoesByRedisClock(t *testing.T) {
	srv := redistest.NewServer(t, redistest.WithClock())
	rdb := srv.Client(t)
	for _, ahead := range []time.Duration{0, 2 * time.Hour, 48 * time.Hour, -2 * time.Hour, -48 * time.Hour} {
		t.Run(ahead.String(), func(t *testing.T) {
			srv.SetClock(t, ahead) // of the application's clock
			prefix := redistest.Prefix(t)
			s := newSite(t, srv.Target(), prefix, func(m *session.Manager, w http.ResponseWriter, r *http.Request) {
				switch ctx := r.Context(); r.URL.Path {
				case "/login":
					_ = m.Login(ctx, "alice", "", "")
				case "/put":
					m.Put(ctx, "k", "v")
				case "/rotate":
					_ = m.RenewToken(ctx)
				default:
					fmt.Fprint(w, m.User(ctx), m.GetString(ctx, "k"))
				}
			}, session.WithHooks(session.Hooks{Failed: func(_ context.Context, err error) { t.Error(err) }}))
			c, _ := cookie(s.ask("/login", ""))
			check := func(want string) {
				t.Helper()
				if got := s.ask("/", c).Body.String(); got != want {
					t.Errorf("the session is %q, want %q", got, want)
				}
				keys := keysOf(t, srv.Target(), prefix)
				if len(keys) != 1 {
					t.Fatalf("keys %v", keys)
				}
				if ttl := rdb.PTTL(t.Context(), keys[0]).Val(); ttl > 30*time.Minute || ttl < 29*time.Minute {
					t.Errorf("time to live %v, want the idle time", ttl)
				}
				if devices, err := s.Sessions(t.Context(), "alice"); err != nil || len(devices) != 1 || time.Since(devices[0].LastSeen).Abs() > time.Minute {
					t.Errorf("devices %v, %v", devices, err)
				}
				if ttl := rdb.PTTL(t.Context(), indexKey(prefix)).Val(); ttl > 12*time.Hour+time.Second || ttl < 11*time.Hour {
					t.Errorf("the index lives %v, want the lifetime", ttl)
				}
			}
			check("alice")
			s.ask("/put", c)
			check("alicev")
			rdb.PExpire(t.Context(), keysOf(t, srv.Target(), prefix)[0], 10*time.Minute)
			other := newSite(t, srv.Target(), prefix, func(m *session.Manager, w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, m.User(r.Context())) })
			other.ask("/", c) // renews
			check("alicev")
			c, _ = cookie(s.ask("/rotate", c))
			check("alicev")
			if n, err := s.RevokeAll(t.Context(), "alice"); n != 1 || err != nil {
				t.Errorf("revoked %d, %v", n, err)
			}
			if got := s.ask("/", c).Body.String(); got != "" {
				t.Errorf("after RevokeAll: %q", got)
			}
		})
	}
}

// A deadline that this machine's clock has passed, while Redis would keep the
// session, is a clock that is wrong: it is said.
func TestAWrongClockIsSaid(t *testing.T) {
	rdb, prefix := redistest.Standalone(t).Client(t), redistest.Prefix(t)
	var failed []error
	var log bytes.Buffer
	s := newSite(t, redistest.Standalone(t), prefix, func(m *session.Manager, w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/login" {
			_ = m.Login(r.Context(), "alice", "", "")
		}
		fmt.Fprint(w, m.User(r.Context()))
	}, session.WithLogger(slog.New(slog.NewTextHandler(&log, nil))), session.WithHooks(session.Hooks{Failed: func(_ context.Context, err error) { failed = append(failed, err) }}))
	c, _ := cookie(s.ask("/login", ""))
	// As a machine whose clock is a day behind saves it.
	key := keysOf(t, redistest.Standalone(t), prefix)[0]
	old, err := session.Codec{}.Encode(time.Now().Add(-12*time.Hour), map[string]any{"__user": "alice"})
	if err != nil {
		t.Fatal(err)
	}
	rdb.Set(t.Context(), key, old, 30*time.Minute)
	other := newSite(t, redistest.Standalone(t), prefix, func(m *session.Manager, w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, m.User(r.Context())) },
		session.WithLogger(slog.New(slog.NewTextHandler(&log, nil))), session.WithHooks(session.Hooks{Failed: func(_ context.Context, err error) { failed = append(failed, err) }}))
	for range 3 {
		if w := other.ask("/", c); w.Code != 200 || w.Body.Len() != 0 {
			t.Errorf("got %d %q", w.Code, w.Body)
		}
	}
	if len(failed) == 0 || !errors.Is(failed[0], session.ErrClock) || strings.Count(log.String(), "clock") != 1 {
		t.Errorf("failures %v, log %s", failed, log.String())
	}
}
