package session_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/session"
)

// A rotation that cannot be saved leaves the old session where RevokeAll finds it.
func TestAFailedRotationStaysInTheIndex(t *testing.T) {
	topologies(t, func(t *testing.T, g *redistest.Target) {
		s := newSite(t, g, redistest.Prefix(t), func(m *session.Manager, w http.ResponseWriter, r *http.Request) {
			ctx := r.Context()
			switch r.URL.Path {
			case "/login":
				_ = m.Login(ctx, "alice", "", "")
			case "/rotate":
				_ = m.RenewToken(ctx)
				m.Put(ctx, "k", make(chan int))
			case "/relogin":
				_ = m.Login(ctx, "alice", "", "")
				m.Put(ctx, "k", make([]byte, 40<<10))
			case "/who":
				fmt.Fprint(w, m.User(ctx))
			}
		})
		for _, path := range []string{"/rotate", "/relogin"} {
			c, _ := cookie(s.ask("/login", ""))
			if w := s.ask(path, c); w.Code != 500 {
				t.Fatalf("%s: %d", path, w.Code)
			}
			devices, err := s.Sessions(t.Context(), "alice")
			if len(devices) != 1 || err != nil {
				t.Errorf("%s: devices %v, %v", path, devices, err)
			}
			if n, err := s.RevokeAll(t.Context(), "alice"); n != 1 || err != nil {
				t.Errorf("%s: revoked %d, %v", path, n, err)
			}
			if got := s.ask("/who", c).Body.String(); got != "" {
				t.Errorf("%s: after RevokeAll the session still is %q's", path, got)
			}
		}
	})
}

// Of two rotations at once the second ends the first's session when there may be
// one only; it takes that for no logout.
func TestTwoRotationsWithABound(t *testing.T) {
	topologies(t, func(t *testing.T, g *redistest.Target) {
		var between func()
		s := newSite(t, g, redistest.Prefix(t), func(m *session.Manager, w http.ResponseWriter, r *http.Request) {
			ctx := r.Context()
			_ = m.User(ctx)
			if r.URL.Query().Has("slow") {
				between()
			}
			switch r.URL.Path {
			case "/login":
				_ = m.Login(ctx, "alice", "", "")
			case "/rotate":
				_ = m.RenewToken(ctx)
			case "/who":
				fmt.Fprint(w, m.User(ctx))
			}
		}, session.WithMaxSessions(1))
		for _, path := range []string{"/rotate", "/login"} {
			c, _ := cookie(s.ask("/login", ""))
			between = func() { s.ask(path, c) }
			later, _ := cookie(s.ask(path+"?slow", c))
			if got := s.ask("/who", later).Body.String(); got != "alice" {
				t.Errorf("%s: the later cookie %q is %q's", path, later, got)
			}
		}
	})
}

// MergeSession of this request's own token, before or after a rotation, changes nothing.
func TestMergeOfItself(t *testing.T) {
	topologies(t, func(t *testing.T, g *redistest.Target) {
		for _, order := range []string{"renew merge", "merge renew", "login merge", "commit"} {
			s := newSite(t, g, redistest.Prefix(t), func(m *session.Manager, w http.ResponseWriter, r *http.Request) {
				ctx := r.Context()
				token := r.URL.Query().Get("token")
				var err error
				switch r.URL.Path {
				case "/start":
					m.Put(ctx, "cart", "full")
				case "/do":
					switch order {
					case "renew merge":
						_ = m.RenewToken(ctx)
						err = m.MergeSession(ctx, token)
					case "merge renew":
						err = m.MergeSession(ctx, token)
						_ = m.RenewToken(ctx)
					case "login merge":
						_ = m.Login(ctx, "alice", "", "")
						err = m.MergeSession(ctx, token)
					case "commit":
						_ = m.Login(ctx, "alice", "", "")
						_, _, err = m.Commit(ctx)
						if err == nil {
							err = m.MergeSession(ctx, token)
						}
					}
				case "/show":
					fmt.Fprint(w, m.GetString(ctx, "cart"))
				}
				if err != nil {
					t.Error(order, err)
				}
			})
			c, _ := cookie(s.ask("/start", ""))
			_, token, _ := strings.Cut(c, "=")
			w := s.ask("/do?token="+token, c)
			later, set := cookie(w)
			if !set {
				later = c
			}
			if got := s.ask("/show", later).Body.String(); got != "full" {
				t.Errorf("%s: %d, cookie %q set %v, cart %q", order, w.Code, later, set, got)
			}
		}
	})
}

// A Domain that net/http leaves out without a word to the program.
func TestDomainsThatNetHTTPLeavesOut(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	for domain, ok := range map[string]bool{"my_shop.example.com": false, "_x.example.com": false, "EXAMPLE.com": true, ".example.com": true, "xn--bcher-kva.example": true} {
		if _, err := session.New(rdb, session.WithCookie(session.Cookie{Name: "s", Domain: domain})); (err == nil) != ok {
			t.Errorf("%s: %v", domain, err)
		}
		if c := (&http.Cookie{Name: "s", Domain: domain}); (c.Valid() == nil) != ok {
			t.Errorf("%s: net/http says %v", domain, c.Valid())
		}
	}
}

// When a cookie ends cannot be changed after the header: the session is saved,
// and that the cookie is not is said.
func TestWhenACookieEndsAfterTheHeader(t *testing.T) {
	for _, tc := range []struct {
		name     string
		do       func(m *session.Manager, ctx context.Context)
		remember bool // before
		failures int
	}{
		{"remembered", func(m *session.Manager, ctx context.Context) { m.RememberMe(ctx, true) }, false, 1},
		{"no longer remembered", func(m *session.Manager, ctx context.Context) { m.RememberMe(ctx, false) }, true, 1},
		{"a deadline", func(m *session.Manager, ctx context.Context) { m.SetDeadline(ctx, time.Now().Add(11*time.Hour)) }, false, 0},
		{"a deadline of one that is remembered", func(m *session.Manager, ctx context.Context) { m.SetDeadline(ctx, time.Now().Add(11*time.Hour)) }, true, 1},
		{"a value of one that is remembered", func(m *session.Manager, ctx context.Context) { m.Put(ctx, "late", 1) }, true, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := watch(t, redistest.Standalone(t), redistest.Prefix(t), func(m *session.Manager, w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/start" {
					m.RememberMe(r.Context(), tc.remember)
					return
				}
				w.WriteHeader(http.StatusOK)
				tc.do(m, r.Context())
			})
			c, _ := cookie(s.ask("/start", ""))
			s.ask("/", c)
			if len(s.failed) != tc.failures || tc.failures > 0 && !errors.Is(s.failed[0], session.ErrHeadersSent) {
				t.Errorf("failures %v, want %d", s.failed, tc.failures)
			}
		})
	}
}

// Commit takes nothing from the response: the cookie that RememberMe makes outlive
// the browser is sent all the same, and no cookie for a mere value.
func TestTheCookieAfterCommit(t *testing.T) {
	topologies(t, func(t *testing.T, g *redistest.Target) {
		for name, age := range map[string]int{"remember": 12 * 3600, "deadline": 5 * 3600, "value": 0} {
			s := newSite(t, g, redistest.Prefix(t), func(m *session.Manager, _ http.ResponseWriter, r *http.Request) {
				ctx := r.Context()
				switch {
				case r.URL.Path == "/start":
					m.RememberMe(ctx, name != "remember")
					return
				case name == "remember":
					m.RememberMe(ctx, true)
				case name == "deadline":
					m.SetDeadline(ctx, time.Now().Add(5*time.Hour))
				default:
					m.Put(ctx, "k", 1)
				}
				if _, _, err := m.Commit(ctx); err != nil {
					t.Error(err)
				}
			})
			c, _ := cookie(s.ask("/start", ""))
			cookies := s.ask("/", c).Result().Cookies()
			if age == 0 && len(cookies) != 0 || age > 0 && (len(cookies) != 1 || cookies[0].MaxAge < age-60 || cookies[0].MaxAge > age+2) {
				t.Errorf("%s: %v, want Max-Age %d", name, cookies, age)
			}
		}
	})
}

// A request that has not looked at its session revokes it: the cookie goes, and
// a Login that follows stays.
func TestRevokedUnread(t *testing.T) {
	topologies(t, func(t *testing.T, g *redistest.Target) {
		s := newSite(t, g, redistest.Prefix(t), func(m *session.Manager, w http.ResponseWriter, r *http.Request) {
			ctx := r.Context()
			if strings.Contains(r.URL.Path, "/all") {
				_, _ = m.RevokeAll(ctx, "alice")
			}
			if strings.Contains(r.URL.Path, "/put") {
				m.Put(ctx, "k", 1)
			}
			if strings.Contains(r.URL.Path, "/login") {
				_ = m.Login(ctx, "alice", "", "")
			}
			if r.URL.Path == "/who" {
				fmt.Fprint(w, m.User(ctx))
			}
		})
		for path, stays := range map[string]bool{"/all": false, "/all/put": false, "/all/login": true} {
			c, _ := cookie(s.ask("/login", ""))
			later, set := cookie(s.ask(path, c))
			if !set || (later != "") != stays || s.ask("/who", later).Body.String() != map[bool]string{true: "alice"}[stays] {
				t.Errorf("%s: cookie %q, set %v", path, later, set)
			}
			if later, set := cookie(s.ask("/all", "")); set {
				t.Errorf("one without a session got %q", later)
			}
		}
	})
}

// A double click on login over two instances, from the same old cookie and with
// none: both cookies are logins, also while the other is under way.
func TestADoubleClickOverTwoInstances(t *testing.T) {
	topologies(t, func(t *testing.T, g *redistest.Target) {
		for _, opts := range [][]session.Option{nil, {session.WithRejectGone(true)}, {session.WithEncryption(keyOf(1), keyOf(2))}} {
			prefix := redistest.Prefix(t)
			var arrive sync.WaitGroup
			handler := func(m *session.Manager, w http.ResponseWriter, r *http.Request) {
				ctx := r.Context()
				switch r.URL.Path {
				case "/begin":
					m.Put(ctx, "cart", "full")
				case "/login":
					_ = m.User(ctx)
					arrive.Done()
					arrive.Wait()
					_ = m.Login(ctx, "alice", "", "")
					if _, err := m.RevokeAll(context.Background(), "bob"); err != nil {
						t.Error(err)
					}
				case "/who":
					fmt.Fprint(w, m.User(ctx), m.GetString(ctx, "cart"))
				}
			}
			two := []*site{newSite(t, g, prefix, handler, opts...), newSite(t, g, prefix, handler, opts...)}
			for round := range 20 {
				c, want := "", "alice"
				if round%2 == 0 {
					c, _ = cookie(two[0].ask("/begin", ""))
					want = "alicefull"
				}
				var cookies [2]string
				arrive.Add(2)
				var wg sync.WaitGroup
				for i, s := range two {
					wg.Go(func() { cookies[i], _ = cookie(s.ask("/login", c)) })
				}
				wg.Wait()
				for i := range cookies {
					if got := two[1-i].ask("/who", cookies[i]).Body.String(); got != want {
						t.Errorf("round %d, cookie %d: %q, want %q", round, i, got, want)
					}
				}
			}
		}
	})
}

// A session that another request has rotated, and that this one then logs in: the
// response of the login sets its cookie.
func TestLoginAfterFollowingARotation(t *testing.T) {
	topologies(t, func(t *testing.T, g *redistest.Target) {
		var between func()
		s := newSite(t, g, redistest.Prefix(t), func(m *session.Manager, w http.ResponseWriter, r *http.Request) {
			ctx := r.Context()
			switch r.URL.Path {
			case "/start":
				m.Put(ctx, "cart", "full")
			case "/rotate":
				_ = m.RenewToken(ctx)
			case "/login":
				_ = m.GetString(ctx, "cart")
				between()
				m.Put(ctx, "coupon", "yes")
				if _, _, err := m.Commit(ctx); err != nil {
					t.Error(err)
				}
				if err := m.Login(ctx, "alice", "", ""); err != nil {
					t.Error(err)
				}
			default:
				fmt.Fprint(w, m.User(ctx), m.GetString(ctx, "coupon"))
			}
		})
		c, _ := cookie(s.ask("/start", ""))
		between = func() { s.ask("/rotate", c) }
		later, set := cookie(s.ask("/login", c))
		if got := s.ask("/", later).Body.String(); !set || got != "aliceyes" {
			t.Errorf("the cookie %q is a session of %q", later, got)
		}
	})
}
