package session_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/session"
)

// steps are what a request may do to its session, each with what it means.
var steps = []struct {
	name string
	do   func(m *session.Manager, ctx context.Context) error
	mean func(w *outcome)
}{
	{"Login", func(m *session.Manager, ctx context.Context) error { return m.Login(ctx, "alice", "", "") }, func(w *outcome) {
		w.renew()
		w.user = "alice"
	}},
	{"RenewToken", func(m *session.Manager, ctx context.Context) error { return m.RenewToken(ctx) }, (*outcome).renew},
	{"RevokeOthers", func(m *session.Manager, ctx context.Context) error {
		_, err := m.RevokeOthers(ctx)
		if m.User(ctx) == "" {
			return nil // refused: nobody is logged in
		}
		return err
	}, func(w *outcome) { w.other = w.other && w.user == "" }},
	{"RevokeAll", func(m *session.Manager, ctx context.Context) error { _, err := m.RevokeAll(ctx, "alice"); return err }, func(w *outcome) {
		w.other = false
		w.ended = w.ended || w.user != "" || w.stored && !w.renewed
		w.stored = false
	}},
	{"Revoke", func(m *session.Manager, ctx context.Context) error {
		devices, err := m.Sessions(ctx, m.User(ctx))
		for _, d := range devices {
			if d.Current {
				err = m.Revoke(ctx, m.User(ctx), d.Handle)
			}
		}
		return err
	}, func(w *outcome) {
		if w.user != "" && w.stored {
			w.stored = false
			w.ended = w.ended || !w.renewed
		}
	}},
	{"Destroy", func(m *session.Manager, ctx context.Context) error { return m.Destroy(ctx) }, func(w *outcome) {
		*w = outcome{destroyed: true, other: w.other}
	}},
	{"Put", func(m *session.Manager, ctx context.Context) error { m.Put(ctx, "k", "v"); return nil }, func(w *outcome) { w.k, w.dirty = "v", true }},
	{"Clear", func(m *session.Manager, ctx context.Context) error { return m.Clear(ctx) }, func(w *outcome) {
		w.dirty = w.dirty || w.user+w.k != "" || w.remember
		w.user, w.k, w.remember = "", "", false
	}},
	{"SetDeadline", func(m *session.Manager, ctx context.Context) error {
		m.SetDeadline(ctx, time.Now().Add(5*time.Hour))
		return nil
	}, func(w *outcome) { w.deadline, w.dirty = 5*time.Hour, true }},
	{"RememberMe", func(m *session.Manager, ctx context.Context) error { m.RememberMe(ctx, true); return nil }, func(w *outcome) { w.remember, w.dirty = true, true }},
	{"Expire", func(m *session.Manager, ctx context.Context) error {
		m.SetDeadline(ctx, time.Now().Add(-time.Hour))
		return nil
	}, func(w *outcome) { w.deadline, w.dirty = -time.Hour, true }},
}

// outcome is the model: what must be so at the end of the request.
type outcome struct {
	user, k   string
	remember  bool
	deadline  time.Duration // 0: the lifetime
	stored    bool          // the session of the cookie is in Redis
	renewed   bool
	ended     bool
	destroyed bool
	dirty     bool
	other     bool // the other device is logged in
}

func (w *outcome) renew() { w.renewed, w.ended, w.dirty, w.deadline = true, false, true, 0 }

func (w *outcome) kept() bool { return w.dirty && !w.ended && w.deadline >= 0 }

func (w *outcome) cookie() string {
	switch {
	case w.kept():
		return "set"
	case w.ended || w.destroyed || w.dirty:
		return "removed"
	}
	return "none"
}

// Every order of what changes or ends a session, in one request: what this
// request has itself revoked is no logout of the session that it makes, and what
// it has ended stays ended.
func TestEveryOrderInOneRequest(t *testing.T) {
	topologies(t, func(t *testing.T, g *redistest.Target) {
		longest := 2
		if g.Name == "standalone" || redistest.IsLong() {
			longest = 3
		}
		prefix := redistest.Prefix(t)
		var failed []error
		s := newSite(t, g, prefix, func(m *session.Manager, w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/login":
				_ = m.Login(r.Context(), "alice", "", "")
				m.Put(r.Context(), "k", "before")
			case "/show":
				fmt.Fprintf(w, "%s %s %t", m.User(r.Context()), m.GetString(r.Context(), "k"), m.GetBool(r.Context(), "__rememberMe"))
			case "/count":
				devices, err := m.Sessions(r.Context(), "alice")
				fmt.Fprint(w, len(devices), err)
			case "/clean":
				_, _ = m.RevokeAll(r.Context(), "alice")
			case "/do":
				_ = m.User(r.Context())
				for name := range strings.SplitSeq(r.URL.Query().Get("steps"), " ") {
					for _, step := range steps {
						if step.name == name {
							if err := step.do(m, r.Context()); err != nil {
								t.Errorf("%s: %s: %v", r.URL.Query().Get("steps"), name, err)
							}
						}
					}
				}
			}
		}, session.WithHooks(session.Hooks{Failed: func(_ context.Context, err error) { failed = append(failed, err) }}), session.WithRejectGone(true))
		try := func(loggedIn bool, picked []int) {
			want := outcome{other: true}
			other, _ := cookie(s.ask("/login", ""))
			before := ""
			if loggedIn {
				before, _ = cookie(s.ask("/login", ""))
				want.user, want.k, want.stored = "alice", "before", true
			}
			var names []string
			for _, i := range picked {
				names = append(names, steps[i].name)
				steps[i].mean(&want)
			}
			name := fmt.Sprintf("logged in %v: %s", loggedIn, strings.Join(names, ", "))
			w := s.ask("/do?steps="+strings.Join(names, "+"), before)
			value, set := cookie(w)
			got := map[bool]string{true: "set", false: "removed"}[value != ""]
			if !set {
				got = "none"
			}
			if w.Code != 200 || got != want.cookie() || len(failed) > 0 {
				t.Fatalf("%s: %d, cookie %s, failures %v; want 200 and %s", name, w.Code, got, failed, want.cookie())
			}
			current := before
			if set {
				current = value
			}
			show := " false"
			alive := want.kept() || current != "" && !set
			if alive {
				show = fmt.Sprintf("%s %s %t", want.user, want.k, want.remember)
			}
			if got := strings.TrimSpace(s.ask("/show", current).Body.String()); got != strings.TrimSpace(show) {
				t.Fatalf("%s: the session is %q, want %q", name, got, show)
			}
			if before != "" && current != before {
				if got := s.ask("/show", before).Body.String(); got != "  false" {
					t.Fatalf("%s: the old cookie is still %q", name, got)
				}
			}
			if got := strings.HasPrefix(s.ask("/show", other).Body.String(), "alice"); got != want.other {
				t.Fatalf("%s: the other device is logged in: %v, want %v", name, got, want.other)
			}
			devices := 0
			if want.other {
				devices++
			}
			if alive && want.user != "" {
				devices++
			}
			if got := s.ask("/count", "").Body.String(); got != fmt.Sprint(devices, " <nil>") {
				t.Fatalf("%s: devices %s, want %d", name, got, devices)
			}
			if c := w.Result().Cookies(); want.kept() {
				left := 12 * time.Hour
				if want.deadline != 0 {
					left = want.deadline
				}
				if age := time.Duration(c[0].MaxAge) * time.Second; want.remember && (age > left+2*time.Second || age < left-time.Minute) || !want.remember && age != 0 {
					t.Fatalf("%s: Max-Age %v, want %v: %v", name, age, left, want.remember)
				}
			}
			s.ask("/clean", "")
			if alive && want.user == "" {
				rest := s.rawKeys(g, prefix)
				if len(rest) != 1 {
					t.Fatalf("%s: left in Redis: %v", name, rest)
				}
				g.Client(t).Del(t.Context(), rest...)
			} else if rest := s.rawKeys(g, prefix); len(rest) != 0 {
				t.Fatalf("%s: left in Redis: %v", name, rest)
			}
		}
		var each func(picked []int)
		each = func(picked []int) {
			if len(picked) > 0 {
				try(true, picked)
				try(false, picked)
			}
			for i := range steps {
				if len(picked) < longest {
					each(append(slices.Clip(picked), i))
				}
			}
		}
		each(nil)
	})
}

func (s *site) rawKeys(g *redistest.Target, prefix string) []string { return keysOf(s.t, g, prefix) }

// A double click on login: both answers set a cookie that works. The same for
// two rotations at once, and for a change beside a rotation.
func TestTwoRequestsThatRotate(t *testing.T) {
	topologies(t, func(t *testing.T, g *redistest.Target) {
		for _, path := range []string{"/login", "/scs-login", "/rotate", "/put"} {
			for _, start := range []string{"/anonymous", "/login"} {
				t.Run(path[1:]+" from "+start[1:], func(t *testing.T) {
					var mu sync.Mutex
					var failed []error
					loaded, second := make(chan struct{}), make(chan struct{})
					s := newSite(t, g, redistest.Prefix(t), func(m *session.Manager, w http.ResponseWriter, r *http.Request) {
						ctx := r.Context()
						if r.URL.Query().Has("slow") {
							_ = m.User(ctx)
							close(loaded)
							<-second
						}
						switch r.URL.Path {
						case "/anonymous":
							m.Put(ctx, "cart", 1)
						case "/login":
							_ = m.Login(ctx, "alice", "", "")
						case "/scs-login":
							_ = m.RenewToken(ctx)
							m.Put(ctx, "user", "alice")
						case "/rotate":
							_ = m.RenewToken(ctx)
						case "/put":
							m.Put(ctx, "late", 1)
						case "/show":
							fmt.Fprint(w, m.User(ctx), m.GetString(ctx, "user"), m.GetInt(ctx, "cart"), m.GetInt(ctx, "late"))
						case "/logout":
							_ = m.Destroy(ctx)
						}
					}, session.WithHooks(session.Hooks{Failed: func(_ context.Context, err error) {
						mu.Lock()
						defer mu.Unlock()
						failed = append(failed, err)
					}}))
					c, _ := cookie(s.ask(start, ""))
					answer := make(chan *httptest.ResponseRecorder)
					go func() { answer <- s.ask(path+"?slow", c) }()
					<-loaded
					fast := path
					if path == "/put" {
						fast = "/rotate"
					}
					first, _ := cookie(s.ask(fast, c))
					close(second)
					w := <-answer
					later, set := cookie(w)
					if w.Code != 200 || len(failed) > 0 || set && later == "" {
						t.Fatalf("the second answer: %d, cookie %q, failures %v", w.Code, later, failed)
					}
					if first == "" || path == "/put" && set || path != "/put" && later == "" {
						t.Fatalf("cookies %q and %q", first, later)
					}
					want := s.ask("/show", first).Body.String()
					if later != "" {
						if got := s.ask("/show", later).Body.String(); got != want || got == "" {
							t.Errorf("the sessions are %q and %q", want, got)
						}
					}
					if path == "/put" && !strings.HasSuffix(want, "1") {
						t.Errorf("what was put beside a rotation is lost: %q", want)
					}
				})
			}
		}
	})
}

// What one request does while another is under way: a logout is final, whatever
// the other makes of the session, and what was kept stays.
func TestOneRequestDuringAnother(t *testing.T) {
	topologies(t, func(t *testing.T, g *redistest.Target) {
		for _, tc := range []struct {
			slow, between string // the slow one has loaded the session when the other comes, whole
			cookie        string // of the slow one: set, removed, none
			alive         int    // sessions of alice at the end
		}{
			{"/rotate", "/rotate,/logout", "removed", 0},
			{"/put", "/rotate,/logout", "removed", 0},
			{"/put", "/logout", "removed", 0},
			{"/put", "/rotate", "none", 1},
			{"/put", "/again", "none", 1},
			{"/logout", "/rotate", "removed", 0},
			{"/logout", "/put", "removed", 0},
			{"/logout", "/others", "removed", 0},
			{"/rotate", "/others", "set", 1},
			{"/rotate", "/put", "set", 1},
			{"/rotate", "/all", "removed", 0},
			{"/put", "/all", "removed", 0},
			{"/put", "/all-again", "removed", 1},
			{"/again", "/logout", "set", 1},
			{"/again", "/again", "set", 2},
			{"/change", "/put", "set", 1},
			{"/change", "/rotate", "set", 1},
			{"/others", "/rotate", "none", 0},
		} {
			t.Run(tc.slow[1:]+" during "+tc.between[1:], func(t *testing.T) {
				prefix := redistest.Prefix(t)
				var between func()
				s := newSite(t, g, prefix, func(m *session.Manager, w http.ResponseWriter, r *http.Request) {
					ctx := r.Context()
					_ = m.User(ctx)
					if r.URL.Query().Has("slow") {
						between()
					}
					var err error
					switch r.URL.Path {
					case "/rotate":
						err = m.RenewToken(ctx)
					case "/put":
						m.Put(ctx, "late", 1)
					case "/login", "/again":
						err = m.Login(ctx, "alice", "", "")
					case "/logout":
						err = m.Destroy(ctx)
					case "/others":
						_, err = m.RevokeOthers(ctx)
					case "/all":
						_, err = m.RevokeAll(ctx, "alice")
					case "/all-again":
						_, err = m.RevokeAll(ctx, "alice")
						_ = m.Login(ctx, "alice", "", "")
					case "/change":
						_, err = m.RevokeOthers(ctx)
						_ = m.RenewToken(ctx)
					case "/show":
						fmt.Fprint(w, m.User(ctx), m.GetInt(ctx, "late"))
					}
					if err != nil {
						t.Error(err)
					}
				})
				first, _ := cookie(s.ask("/login", ""))
				last := first
				between = func() {
					for path := range strings.SplitSeq(tc.between, ",") {
						if c, set := cookie(s.ask(path, last)); set {
							last = c
						}
					}
				}
				w := s.ask(tc.slow+"?slow", first)
				value, set := cookie(w)
				got := "none"
				if set {
					got = map[bool]string{true: "set", false: "removed"}[value != ""]
				}
				if got != tc.cookie || w.Code != 200 {
					t.Errorf("%d, cookie %s, want %s", w.Code, got, tc.cookie)
				}
				devices, err := s.Sessions(t.Context(), "alice")
				if n := len(keysOf(t, g, prefix)); len(devices) != tc.alive || n != tc.alive || err != nil {
					t.Errorf("%d devices, %d sessions, %v; want %d", len(devices), n, err, tc.alive)
				}
				if n, err := s.RevokeAll(t.Context(), "alice"); n != tc.alive || err != nil {
					t.Errorf("%d in the index, %v; want %d", n, err, tc.alive)
				}
			})
		}
	})
}

// What is put beside a rotation, by the old token, reaches the new session, and
// what is put into the old one before is not lost.
func TestNoUpdateIsLostBesideARotation(t *testing.T) {
	topologies(t, func(t *testing.T, g *redistest.Target) {
		for name, opts := range map[string][]session.Option{"plain": nil, "sealed": {session.WithEncryption(keyOf(7))}} {
			t.Run(name, func(t *testing.T) {
				const requests = 60
				loaded, start := make(chan struct{}, requests), make(chan struct{})
				s := newSite(t, g, redistest.Prefix(t), func(m *session.Manager, w http.ResponseWriter, r *http.Request) {
					ctx := r.Context()
					switch r.URL.Path {
					case "/login":
						_ = m.Login(ctx, "alice", "", "")
					case "/put", "/rotate":
						_ = m.User(ctx)
						loaded <- struct{}{}
						<-start
						if r.URL.Path == "/rotate" {
							_ = m.RenewToken(ctx)
							return
						}
						m.Put(ctx, r.URL.Query().Get("k"), 1)
					default:
						n := 0
						for _, key := range m.Keys(ctx) {
							if strings.HasPrefix(key, "k") {
								n++
							}
						}
						fmt.Fprint(w, m.User(ctx), n)
					}
				}, append(opts, session.WithHooks(session.Hooks{Failed: func(_ context.Context, err error) { t.Error(err) }}))...)
				c, _ := cookie(s.ask("/login", ""))
				rotated := ""
				var wg sync.WaitGroup
				wg.Go(func() { rotated, _ = cookie(s.ask("/rotate", c)) })
				for i := range requests - 1 {
					wg.Go(func() { s.ask(fmt.Sprint("/put?k=k", i), c) })
				}
				for range requests {
					<-loaded
				}
				close(start)
				wg.Wait()
				if got, want := s.ask("/", rotated).Body.String(), fmt.Sprint("alice", requests-1); got != want {
					t.Errorf("the rotated session has %s, want %s", got, want)
				}
			})
		}
	})
}

// A rotation that fails leaves the old session, and leaves it where RevokeAll
// finds it.
func TestARotationThatFailsIsStillRevoked(t *testing.T) {
	topologies(t, func(t *testing.T, g *redistest.Target) {
		for _, path := range []string{"/renew", "/login"} {
			prefix := redistest.Prefix(t)
			s := newSite(t, g, prefix, func(m *session.Manager, w http.ResponseWriter, r *http.Request) {
				ctx := r.Context()
				if r.URL.Path == "/renew" {
					_ = m.RenewToken(ctx)
				} else {
					_ = m.Login(ctx, "alice", "", "")
				}
				if r.URL.Query().Has("large") {
					m.Put(ctx, "k", strings.Repeat("x", 1<<20))
				}
			})
			first, _ := cookie(s.ask("/login", ""))
			if w := s.ask(path+"?large", first); w.Code != 500 {
				t.Errorf("%s: %d", path, w.Code)
			}
			if devices, err := s.Sessions(t.Context(), "alice"); len(devices) != 1 || err != nil {
				t.Errorf("%s: %d devices, %v", path, len(devices), err)
			}
			if _, err := s.RevokeAll(t.Context(), "alice"); err != nil || len(keysOf(t, g, prefix)) != 0 {
				t.Errorf("%s: %v, left %v", path, err, keysOf(t, g, prefix))
			}
		}
	})
}

// A rotation replaces a session, also where it is one of as many as there may be.
func TestARotationEndsNoOtherSession(t *testing.T) {
	g, prefix := redistest.Standalone(t), redistest.Prefix(t)
	s := newSite(t, g, prefix, func(m *session.Manager, _ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/renew" {
			_ = m.RenewToken(r.Context())
		} else {
			_ = m.Login(r.Context(), "alice", "", "")
		}
	}, session.WithMaxSessions(2))
	first, _ := cookie(s.ask("/login", ""))
	s.ask("/login", "")
	for range 3 {
		first, _ = cookie(s.ask("/renew", first))
		first, _ = cookie(s.ask("/login", first))
	}
	if n, err := s.RevokeAll(t.Context(), "alice"); n != 2 || err != nil {
		t.Errorf("%d sessions, %v; want 2", n, err)
	}
}
