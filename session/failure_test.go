package session_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/session"
)

type mute struct{} // neither gob nor the codec takes it

type broken2 struct{ scs.Codec }

func (broken2) Encode(time.Time, map[string]any) ([]byte, error) { panic("a codec of one's own") }

// watched is a site that keeps its log and its failures.
type watched struct {
	*site
	mu     sync.Mutex
	log    bytes.Buffer
	failed []error
}

func (w *watched) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.Write(b)
}

func (w *watched) text() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.String()
}

func watch(t *testing.T, g *redistest.Target, prefix string, handler func(m *session.Manager, w http.ResponseWriter, r *http.Request), opts ...session.Option) *watched {
	t.Helper()
	w := &watched{}
	w.site = newSite(t, g, prefix, handler, append([]session.Option{session.WithLogger(slog.New(slog.NewTextHandler(w, nil))), session.WithHooks(session.Hooks{Failed: func(_ context.Context, err error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.failed = append(w.failed, err)
	}})}, opts...)...)
	return w
}

// What can never be saved is a 500 without Retry-After, logged, and the old
// session stays.
func TestWhatCanNeverBeSavedIs500(t *testing.T) {
	topologies(t, func(t *testing.T, g *redistest.Target) {
		for name, value := range map[string]any{"channel": make(chan int), "function": func() {}, "unregistered": mute{}, "nil in a map": map[string]any{"a": mute{}}, "too large": strings.Repeat("x", 40<<10), "year 20000": time.Date(20000, 1, 1, 0, 0, 0, 0, time.FixedZone("", 1))} {
			for _, start := range []string{"", "/begin"} {
				s := watch(t, g, redistest.Prefix(t), func(m *session.Manager, w http.ResponseWriter, r *http.Request) {
					switch r.URL.Path {
					case "/begin":
						m.Put(r.Context(), "k", "before")
					case "/put":
						m.Put(r.Context(), "v", value)
						fmt.Fprint(w, "done")
					default:
						fmt.Fprint(w, m.GetString(r.Context(), "k"))
					}
				})
				c, want := "", ""
				if start != "" {
					c, _ = cookie(s.ask(start, ""))
					want = "before"
				}
				w := s.ask("/put", c)
				if name == "year 20000" && w.Code == 200 {
					continue // time.Time's own matter
				}
				if w.Code != 500 || w.Header().Get("Retry-After") != "" || strings.Contains(w.Body.String(), "done") || w.Header().Get("Set-Cookie") != "" {
					t.Errorf("%s: %d %v %q", name, w.Code, w.Header(), w.Body)
				}
				is := session.ErrEncode
				if name == "too large" {
					is = session.ErrTooLarge
				}
				if len(s.failed) != 1 || !errors.Is(s.failed[0], is) || strings.Count(s.text(), "a session failed") != 1 || strings.Contains(s.text(), "xxx") {
					t.Errorf("%s: failures %v, log %s", name, s.failed, s.text())
				}
				if got := s.ask("/", c).Body.String(); got != want {
					t.Errorf("%s: the session is %q, want %q", name, got, want)
				}
			}
		}
	})
	s := watch(t, redistest.Standalone(t), redistest.Prefix(t), func(m *session.Manager, _ http.ResponseWriter, r *http.Request) { m.Put(r.Context(), "k", 1) }, session.WithCodec(broken2{session.Codec{}}))
	if w := s.ask("/", ""); w.Code != 500 || !errors.Is(s.failed[0], session.ErrEncode) {
		t.Errorf("a codec that panics: %d, %v", w.Code, s.failed)
	}
}

// A key of another type, a right that is missing, a full Redis: what Redis
// answers for one session is said to its request, and the others go on.
func TestWhatRedisRefusesForOneSession(t *testing.T) {
	srv := redistest.NewServer(t)
	rdb, prefix := srv.Client(t), redistest.Prefix(t)
	s := watch(t, srv.Target(), prefix, func(m *session.Manager, w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/put" {
			m.Put(r.Context(), "k", r.URL.RawQuery)
		}
		fmt.Fprint(w, m.GetString(r.Context(), "k"))
		if r.URL.Path == "/late" {
			key := keysOf(t, srv.Target(), prefix)[0]
			rdb.Del(r.Context(), key)
			rdb.RPush(r.Context(), key, "a list")
		}
	})
	c, _ := cookie(s.ask("/put?1", ""))
	key := keysOf(t, srv.Target(), prefix)[0]
	rdb.Del(t.Context(), key)
	rdb.RPush(t.Context(), key, "a list")
	if w := s.ask("/", c); w.Code != 200 || w.Body.Len() != 0 || w.Header().Get("Set-Cookie") == "" || !errors.Is(s.failed[0], session.ErrCorrupt) || rdb.Exists(t.Context(), key).Val() != 0 {
		t.Errorf("a list: %d %q %v, failures %v; want a new session", w.Code, w.Body, w.Header(), s.failed)
	}
	// While the request runs.
	s.failed = nil
	c, _ = cookie(s.ask("/put?1", ""))
	key = keysOf(t, srv.Target(), prefix)[0]
	h := s.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.Put(r.Context(), "k", "2")
		rdb.Del(r.Context(), key)
		rdb.RPush(r.Context(), key, "a list")
	}))
	before := s.h
	s.h = h
	if w := s.ask("/", c); w.Code != 500 || w.Header().Get("Retry-After") != "" || !errors.Is(s.failed[0], session.ErrRefused) || errors.Is(s.failed[0], session.ErrUnavailable) {
		t.Errorf("a list under a save: %d %v, failures %v", w.Code, w.Header(), s.failed)
	}
	s.h = before
	rdb.Del(t.Context(), key)
	// A Redis that is full refuses to write: that passes.
	s.failed = nil
	c, _ = cookie(s.ask("/put?1", ""))
	rdb.ConfigSet(t.Context(), "maxmemory", "1")
	if w := s.ask("/put?2", c); w.Code != 503 || w.Header().Get("Retry-After") == "" || len(s.failed) != 1 || !errors.Is(s.failed[0], session.ErrUnavailable) {
		t.Errorf("full: %d %v, failures %v", w.Code, w.Header(), s.failed)
	}
	if got := s.ask("/", c); got.Code != 200 || got.Body.String() != "1" {
		t.Errorf("full, reading: %d %q", got.Code, got.Body)
	}
	rdb.ConfigSet(t.Context(), "maxmemory", "0")
	// A right that is missing does not pass.
	s.failed = nil
	rdb.Do(t.Context(), "acl", "setuser", "default", "-evalsha", "-eval", "-set")
	if w := s.ask("/put?3", c); w.Code != 500 || w.Header().Get("Retry-After") != "" || !errors.Is(s.failed[0], session.ErrRefused) {
		t.Errorf("no right: %d %v, failures %v", w.Code, w.Header(), s.failed)
	}
	rdb.Do(t.Context(), "acl", "setuser", "default", "-get")
	if w := s.ask("/", c); w.Code != 500 || w.Header().Get("Retry-After") != "" {
		t.Errorf("no right to read: %d %v", w.Code, w.Header())
	}
	if _, token, _ := strings.Cut(c, "="); strings.Contains(s.text(), token) || !strings.Contains(s.text(), "refuses") {
		t.Errorf("log %s", s.text())
	}
}

// A key of another type hides no other session from a list, an inspection or an
// iteration.
func TestAForeignKeyHidesNoSession(t *testing.T) {
	topologies(t, func(t *testing.T, g *redistest.Target) {
		rdb, prefix := g.Client(t), redistest.Prefix(t)
		s := accounts(t, g, session.WithKeyPrefix(prefix))
		for range 3 {
			s.login("alice", "x")
		}
		keys := keysOf(t, g, prefix)
		rdb.Del(t.Context(), keys[0])
		rdb.RPush(t.Context(), keys[0], "a list")
		var hashes []string
		for _, key := range keys {
			hashes = append(hashes, key[strings.LastIndex(key, ":")+1:])
		}
		if devices, err := s.Sessions(t.Context(), "alice"); len(devices) != 2 || err != nil {
			t.Errorf("devices %v, %v", devices, err)
		}
		if found, err := s.Inspect(t.Context(), hashes...); len(found) != 2 || !errors.Is(err, session.ErrCorrupt) {
			t.Errorf("inspected %d, %v", len(found), err)
		}
		n := 0
		if err := s.Iterate(t.Context(), func(context.Context) error { n++; return nil }); n != 2 || err != nil {
			t.Errorf("visited %d, %v", n, err)
		}
		if n, err := s.RevokeAll(t.Context(), "alice"); n != 3 || err != nil {
			t.Errorf("revoked %d, %v", n, err)
		}
	})
}

// An outage is a line or two in the log, not one for each request, and says how
// many it left out.
func TestFailuresDoNotFloodTheLog(t *testing.T) {
	srv := redistest.NewServer(t)
	s := watch(t, srv.Target(), redistest.Prefix(t), func(m *session.Manager, _ http.ResponseWriter, r *http.Request) { m.Put(r.Context(), "k", "v") }, session.WithTimeouts(100*time.Millisecond, 100*time.Millisecond))
	srv.Kill()
	for range 50 {
		if w := s.ask("/", ""); w.Code != 503 {
			t.Errorf("got %d", w.Code)
		}
	}
	if n := strings.Count(s.text(), "a session failed"); n != 1 || len(s.failed) != 50 {
		t.Errorf("%d lines and %d calls of the hook, want 1 and 50:\n%s", n, len(s.failed), s.text())
	}
}

// Encryption was turned off, or the key is not known: the user can log in, the
// old session stays for instances that have the key, and it is logged once.
func TestAnUnreadableSessionBlocksNoLogin(t *testing.T) {
	topologies(t, func(t *testing.T, g *redistest.Target) {
		for name, opts := range map[string][]session.Option{"turned off": nil, "another key": {session.WithEncryption(keyOf(2))}} {
			prefix := redistest.Prefix(t)
			handler := func(m *session.Manager, w http.ResponseWriter, r *http.Request) {
				switch r.URL.Path {
				case "/login":
					if err := m.Login(r.Context(), "alice", "", ""); err != nil {
						t.Errorf("%s: %v", name, err)
					}
				case "/scs-login":
					if err := m.RenewToken(r.Context()); err != nil {
						t.Errorf("%s: %v", name, err)
					}
					m.Put(r.Context(), "k", "v")
				case "/logout":
					_ = m.Destroy(r.Context())
				}
				fmt.Fprint(w, m.User(r.Context()), m.GetString(r.Context(), "k"))
			}
			with, without := watch(t, g, prefix, handler, session.WithEncryption(keyOf(1))), watch(t, g, prefix, handler, opts...)
			c, _ := cookie(with.ask("/login", ""))
			for range 5 {
				if w := without.ask("/", c); w.Code != 200 || w.Body.Len() != 0 || w.Header().Get("Set-Cookie") != "" {
					t.Errorf("%s: reading: %d %q %v", name, w.Code, w.Body, w.Header())
				}
			}
			for path, want := range map[string]string{"/login": "alice", "/scs-login": "v"} {
				w := without.ask(path, c)
				fresh, _ := cookie(w)
				if w.Code != 200 || fresh == "" || without.ask("/", fresh).Body.String() != want {
					t.Errorf("%s: %s: %d, cookie %q", name, path, w.Code, fresh)
				}
			}
			if got := with.ask("/", c).Body.String(); got != "alice" {
				t.Errorf("%s: the old session is %q where its key is known", name, got)
			}
			if w := without.ask("/logout", c); w.Code != 200 || with.ask("/", c).Body.String() != "" {
				t.Errorf("%s: logout: %d, and the session is still there", name, w.Code)
			}
			if n := strings.Count(without.text(), "a session failed"); n != 1 {
				t.Errorf("%s: %d lines, want 1:\n%s", name, n, without.text())
			}
		}
	})
}

// A Redis that takes no more clients says so with a plain ERR. It passes.
func TestTooManyClientsIsAnOutage(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for conn, err := l.Accept(); err == nil; conn, err = l.Accept() {
			go func() {
				defer conn.Close()
				for b := make([]byte, 4096); ; {
					n, err := conn.Read(b)
					if err != nil {
						return
					}
					commands := bytes.Count(b[:n], []byte("*"))
					if _, err := conn.Write(bytes.Repeat([]byte("-ERR max number of clients reached\r\n"), commands)); err != nil {
						return
					}
				}
			}()
		}
	}()
	rdb := redis.NewClient(&redis.Options{Addr: l.Addr().String(), Protocol: 2, DisableIdentity: true, MaxRetries: -1, ContextTimeoutEnabled: true})
	t.Cleanup(func() { rdb.Close() })
	var failed error
	m, err := session.New(rdb, session.WithHooks(session.Hooks{Failed: func(_ context.Context, err error) { failed = err }}))
	if err != nil {
		t.Fatal(err)
	}
	s := &site{m, m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, m.User(r.Context())) })), t}
	w := s.ask("/", "__Host-session="+strings.Repeat("A", 43))
	if w.Code != 503 || w.Header().Get("Retry-After") == "" || !errors.Is(failed, session.ErrUnavailable) || !strings.Contains(failed.Error(), "max number") {
		t.Errorf("%d %v, %v", w.Code, w.Header(), failed)
	}
}
