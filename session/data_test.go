package session_test

import (
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/session"
)

// What is put as it is already writes nothing; what is changed in place is
// saved, although scs sees neither.
func TestOnlyChangesAreSaved(t *testing.T) {
	gob.Register(map[string]any{})
	for name, codec := range map[string]scs.Codec{"own": session.Codec{}, "gob": scs.GobCodec{}} {
		t.Run(name, func(t *testing.T) {
			g := redistest.Standalone(t)
			rdb := g.Client(t)
			m, err := session.New(rdb, session.WithKeyPrefix(redistest.Prefix(t)), session.WithCodec(codec))
			if err != nil {
				t.Fatal(err)
			}
			h := m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				ctx := r.Context()
				switch r.URL.Path {
				case "/begin":
					m.Put(ctx, "user", "alice")
					m.Put(ctx, "blob", []byte("abc"))
					m.Put(ctx, "cart", map[string]any{"a": 1, "b": 2, "c": 3})
				case "/same":
					m.Put(ctx, "user", "alice")
					m.Put(ctx, "cart", map[string]any{"c": 3, "b": 2, "a": 1})
				case "/inplace":
					m.Get(ctx, "cart").(map[string]any)["a"] = 5
					m.Get(ctx, "blob").([]byte)[0] = 'X'
				case "/late":
					fmt.Fprint(w, "header")
					http.NewResponseController(w).Flush()
					m.Get(ctx, "cart").(map[string]any)["b"] = 6
					return
				}
				cart, _ := m.Get(ctx, "cart").(map[string]any)
				fmt.Fprintf(w, "%s %v %s", m.GetString(ctx, "user"), cart, m.GetBytes(ctx, "blob"))
			}))
			c := ""
			ask := func(path string) *httptest.ResponseRecorder {
				r := httptest.NewRequest(http.MethodGet, path, nil)
				r.Header.Set("Cookie", c)
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				return w
			}
			c, _ = cookie(ask("/begin"))
			count := redistest.Count(rdb)
			for range 5 {
				if w := ask("/same"); len(w.Result().Cookies()) != 0 {
					t.Error("a session that did not change sets its cookie")
				}
			}
			if got := fmt.Sprint(count.Commands()); got != "map[get:5 pttl:1]" {
				t.Errorf("putting what is there: %s, want five reads, the first with its time to live", got)
			}
			ask("/inplace")
			ask("/late")
			if got, want := ask("/").Body.String(), "alice map[a:5 b:6 c:3] Xbc"; got != want {
				t.Errorf("changed in place: got %s, want %s", got, want)
			}
		})
	}
}

func keyOf(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }

// Encrypted at rest: nothing readable, nothing movable, keys can be changed,
// and what was stored in the clear before is taken over.
func TestEncryption(t *testing.T) {
	topologies(t, func(t *testing.T, g *redistest.Target) {
		rdb, prefix := g.Client(t), redistest.Prefix(t)
		instance := func(opts ...session.Option) *app {
			a := newApp(t, rdb, append(opts, session.WithKeyPrefix(prefix))...)
			a.prefix = prefix
			return a
		}
		plain := instance()
		plain.get("/put?k=user&v=before")
		a := instance(session.WithEncryption(keyOf(1)), session.WithReadPlaintext(true))
		a.cookie = plain.cookie
		a.want("/get?k=user", 200, "before")
		a.get("/put?k=user&v=secret-alice")
		for _, key := range a.keys(rdb) {
			if raw, err := rdb.Get(t.Context(), key).Result(); err != nil || strings.Contains(raw, "alice") || strings.Contains(raw, "user") {
				t.Errorf("readable: %q, %v", raw, err)
			}
		}

		next := instance(session.WithEncryption(keyOf(2), keyOf(1))) // the new key writes, the old one reads
		next.cookie = a.cookie
		next.want("/get?k=user", 200, "secret-alice")
		next.get("/put?k=n&v=1")
		after := instance(session.WithEncryption(keyOf(2)))
		after.cookie = a.cookie
		after.want("/get?k=user", 200, "secret-alice")

		// An instance that has not got the key deletes nothing.
		old := instance(session.WithEncryption(keyOf(1)))
		old.cookie = a.cookie
		if w := old.get("/get?k=user"); w.Code != http.StatusOK || w.Body.Len() != 0 || w.Header().Get("Set-Cookie") != "" || !strings.Contains(old.failures(), session.ErrUnknownKey.Error()) {
			t.Errorf("unknown key: got %d %q %v, %s", w.Code, w.Body, w.Header(), old.failures())
		}
		after.want("/get?k=user", 200, "secret-alice")

		// A value of another session, and one that was altered, are worth nothing.
		mallory := instance(session.WithEncryption(keyOf(2)))
		mallory.get("/put?k=user&v=mallory")
		keys := a.keys(rdb)
		if len(keys) != 2 {
			t.Fatalf("%d keys, want 2", len(keys))
		}
		values := []string{}
		for _, key := range keys {
			values = append(values, rdb.Get(t.Context(), key).Val())
		}
		rdb.Set(t.Context(), keys[0], values[1], time.Minute)
		altered := []byte(values[1])
		altered[len(altered)-1] ^= 1
		rdb.Set(t.Context(), keys[1], altered, time.Minute)
		for _, each := range []*app{after, mallory} {
			each.want("/get?k=user", 200, "")
			if !strings.Contains(each.failures(), session.ErrCorrupt.Error()) {
				t.Errorf("failures: %s", each.failures())
			}
		}
	})
}

// The concurrency guard and the device list work on encrypted values too.
func TestEncryptedUpdatesAreMerged(t *testing.T) {
	topologies(t, func(t *testing.T, g *redistest.Target) {
		s := newSite(t, g, redistest.Prefix(t), func(m *session.Manager, w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/login":
				_ = m.Login(r.Context(), "alice", "", "x")
			case "/put":
				m.Put(r.Context(), r.URL.Query().Get("k"), true)
			case "/devices":
				devices, err := m.Sessions(r.Context(), "alice")
				fmt.Fprint(w, len(devices), err)
			default:
				fmt.Fprint(w, len(m.Keys(r.Context())))
			}
		}, session.WithEncryption(keyOf(3)))
		c, _ := cookie(s.ask("/login", ""))
		before := s.ask("/", c).Body.String()
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() { s.ask(fmt.Sprint("/put?k=", i), c) })
		}
		wg.Wait()
		var was, now int
		fmt.Sscan(before, &was)
		fmt.Sscan(s.ask("/", c).Body.String(), &now)
		if now != was+100 {
			t.Errorf("%d keys, want %d", now, was+100)
		}
		if got := s.ask("/devices", c).Body.String(); got != "1 <nil>" {
			t.Errorf("devices: %s", got)
		}
	})
}

// An operator visits every session, sees the user, and logs some out.
func TestIterateActsOnSessions(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		s := accounts(t, g)
		cookies := map[string]string{}
		for i := range 12 {
			user := fmt.Sprint("user", i)
			cookies[user] = s.login(user, "x")
		}
		var visited []string
		err := s.Iterate(t.Context(), func(ctx context.Context) error {
			user := s.User(ctx)
			visited = append(visited, user)
			switch user {
			case "user3":
				return s.Destroy(ctx)
			case "user4":
				s.Put(ctx, "note", "seen")
				_, _, err := s.Commit(ctx)
				return err
			}
			return nil
		})
		if slices.Sort(visited); err != nil || len(slices.Compact(visited)) != 12 {
			t.Fatalf("visited %v, %v", visited, err)
		}
		for user, c := range cookies {
			if got, want := s.who(c), user; (got == want) == (user == "user3") {
				t.Errorf("%s: got %q", user, got)
			}
		}
		notes := 0
		err = s.Iterate(t.Context(), func(ctx context.Context) error {
			if s.GetString(ctx, "note") == "seen" && s.User(ctx) == "user4" {
				notes++
			}
			return nil
		})
		if devices, derr := s.Sessions(t.Context(), "user3"); err != nil || notes != 1 || derr != nil || len(devices) != 0 {
			t.Errorf("notes %d, devices %v, %v, %v", notes, devices, err, derr)
		}
		stop := errors.New("stop")
		if err := s.Iterate(t.Context(), func(context.Context) error { return stop }); !errors.Is(err, stop) {
			t.Errorf("got %v, want the error of the function", err)
		}
	})
}

func TestLastSeen(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	prefix := redistest.Prefix(t)
	m, err := session.New(rdb, session.WithKeyPrefix(prefix), session.WithIdleTimeout(10*time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	h := m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if err := m.Login(r.Context(), "alice", "", ""); err != nil {
			t.Error(err)
		}
	}))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	seen := func() time.Duration {
		t.Helper()
		devices, err := m.Sessions(t.Context(), "alice")
		if err != nil || len(devices) != 1 {
			t.Fatalf("devices: %v, %v", devices, err)
		}
		return time.Since(devices[0].LastSeen)
	}
	if d := seen(); d < 0 || d > time.Minute {
		t.Errorf("last seen %v ago, want just now", d)
	}
	keys, err := rdb.Keys(t.Context(), prefix+"*").Result()
	if err != nil || len(keys) != 1 {
		t.Fatal(keys, err)
	}
	rdb.PExpire(t.Context(), keys[0], 4*time.Minute)
	if d := seen(); d < 5*time.Minute || d > 7*time.Minute {
		t.Errorf("last seen %v ago, want 6 minutes", d)
	}
}

// What happens to sessions reaches the hook, with handles and never a token.
func TestEvents(t *testing.T) {
	var mu sync.Mutex
	var got []string
	tokens := []string{}
	s := newSite(t, redistest.Standalone(t), redistest.Prefix(t), func(m *session.Manager, _ http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/put":
			m.Put(r.Context(), "k", "v")
		case "/put2":
			m.Put(r.Context(), "k", "v2")
		case "/rotate":
			_ = m.RenewToken(r.Context())
		case "/logout":
			_ = m.Destroy(r.Context())
		}
		_ = m.GetString(r.Context(), "k")
	}, session.WithHooks(session.Hooks{Event: func(_ context.Context, e session.Event) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, e.Kind)
		for _, token := range tokens {
			if strings.Contains(token, e.Handle) || len(e.Handle) != 16 {
				t.Errorf("handle %q", e.Handle)
			}
		}
	}}))
	c, _ := cookie(s.ask("/put", ""))
	tokens = append(tokens, c)
	s.ask("/put2", c)
	s.ask("/", c)
	c, _ = cookie(s.ask("/rotate", c))
	s.ask("/logout", c)
	s.ask("/", c)
	if want := "[created rotated destroyed unknown]"; fmt.Sprint(got) != want {
		t.Errorf("events: got %v, want %s", got, want)
	}
}

// With replicas to confirm a logout, it survives the failover that follows; when
// they cannot, it says so.
func TestLogoutsConfirmedByReplicas(t *testing.T) {
	servers := redistest.NewSentinel(t)
	g := servers.Target()
	s := newSite(t, g, redistest.Prefix(t), func(m *session.Manager, w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/login":
			if err := m.Login(r.Context(), "alice", "", ""); err != nil {
				t.Error(err)
			}
		case "/logout":
			if err := m.Destroy(r.Context()); err != nil {
				http.Error(w, err.Error(), http.StatusBadGateway)
			}
		default:
			fmt.Fprint(w, m.User(r.Context()))
		}
	}, session.WithWaitReplicas(1, 500*time.Millisecond))
	login := func() string { c, _ := cookie(s.ask("/login", "")); return c }
	stays, gone, doubtful := login(), login(), login()
	redistest.Eventually(t, patience, func() bool { return s.ask("/logout", login()).Code == 200 }, "no replica confirms")
	if w := s.ask("/logout", gone); w.Code != 200 {
		t.Fatalf("logout: %d %s", w.Code, w.Body)
	}
	if _, err := s.RevokeAll(t.Context(), "nobody"); err != nil {
		t.Errorf("revoke of nothing: %v", err)
	}
	// Replicas that do not answer: the logout is done, and not confirmed.
	replicas := servers.Replicas()
	for _, replica := range replicas {
		replica.Pause()
	}
	if w := s.ask("/logout", doubtful); w.Code != http.StatusBadGateway || !strings.Contains(w.Body.String(), session.ErrUnconfirmed.Error()) {
		t.Errorf("logout without replicas: %d %s", w.Code, w.Body)
	}
	if got := s.who(doubtful); got != "" {
		t.Errorf("an unconfirmed logout left %q", got)
	}
	for _, replica := range replicas {
		replica.Resume()
	}
	redistest.Eventually(t, patience, func() bool { return s.ask("/logout", login()).Code == 200 }, "the replicas do not catch up")
	servers.Failover(t)
	redistest.Eventually(t, patience, func() bool { return s.ask("/", stays).Code == 200 && s.who(stays) == "alice" }, "a session is lost in the failover")
	if got := s.who(gone); got != "" {
		t.Errorf("a confirmed logout came back as %q", got)
	}
}
