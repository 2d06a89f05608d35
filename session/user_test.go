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

// accounts is a site with logins.
func accounts(t *testing.T, g *redistest.Target, opts ...session.Option) *site {
	t.Helper()
	return newSite(t, g, redistest.Prefix(t), func(m *session.Manager, w http.ResponseWriter, r *http.Request) {
		ctx, q := r.Context(), r.URL.Query()
		var err error
		switch r.URL.Path {
		case "/login":
			err = m.Login(ctx, q.Get("user"), "192.0.2.1", q.Get("agent"))
		case "/who":
			fmt.Fprint(w, m.User(ctx))
		case "/devices":
			var devices []session.Device
			devices, err = m.Sessions(ctx, m.User(ctx))
			for _, d := range devices {
				fmt.Fprintln(w, d.Handle, d.UserAgent, d.Current)
			}
		case "/revoke":
			err = m.Revoke(ctx, m.User(ctx), q.Get("handle"))
		case "/others":
			_, err = m.RevokeOthers(ctx)
		case "/all":
			_, err = m.RevokeAll(ctx, q.Get("user"))
		case "/rotate":
			err = m.RenewToken(ctx)
		case "/logout":
			err = m.Destroy(ctx)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	}, opts...)
}

func (s *site) who(c string) string { return s.ask("/who", c).Body.String() }

func (s *site) login(user, agent string) string {
	c, _ := cookie(s.ask("/login?user="+user+"&agent="+agent, ""))
	return c
}

func (s *site) devices(c string) []string {
	return strings.FieldsFunc(s.ask("/devices", c).Body.String(), func(r rune) bool { return r == '\n' })
}

func TestDevicesAndRevocation(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		s := accounts(t, g)
		phone, laptop, other := s.login("alice", "phone"), s.login("alice", "laptop"), s.login("bob", "tv")
		list := s.devices(phone)
		if len(list) != 2 || strings.Count(strings.Join(list, "\n"), "phone true")+strings.Count(strings.Join(list, "\n"), "laptop false") != 2 {
			t.Fatalf("devices: %q", list)
		}
		for _, line := range list {
			handle, _, _ := strings.Cut(line, " ")
			if strings.Contains(phone+laptop, handle) {
				t.Errorf("the handle %s is part of a token", handle)
			}
			if strings.Contains(line, "laptop") {
				if w := s.ask("/revoke?handle="+handle, other); w.Code != 400 {
					t.Errorf("bob revokes alice's session: %d", w.Code)
				}
				if w := s.ask("/revoke?handle="+handle, phone); w.Code != 200 {
					t.Errorf("revoke: %d %s", w.Code, w.Body)
				}
			}
		}
		if s.who(phone) != "alice" || s.who(laptop) != "" || s.who(other) != "bob" {
			t.Errorf("after one was revoked: %q %q %q", s.who(phone), s.who(laptop), s.who(other))
		}
		// A rotated session stays in the index, once; one that logs out leaves it.
		rotated, _ := cookie(s.ask("/rotate", phone))
		if got := s.devices(rotated); len(got) != 1 || !strings.HasSuffix(got[0], "phone true") {
			t.Errorf("after a rotation: %q", got)
		}
		third, fourth := s.login("alice", "third"), s.login("alice", "fourth")
		if s.ask("/logout", third); len(s.devices(rotated)) != 2 {
			t.Errorf("after a logout: %q", s.devices(rotated))
		}
		s.ask("/others", rotated)
		if s.who(rotated) != "alice" || s.who(fourth) != "" || s.who(other) != "bob" || len(s.devices(rotated)) != 1 {
			t.Errorf("after the others were revoked: %q %q %q", s.who(rotated), s.who(fourth), s.who(other))
		}
		s.ask("/all?user=alice", "")
		if s.who(rotated) != "" || s.who(other) != "bob" {
			t.Errorf("after all were revoked: %q %q", s.who(rotated), s.who(other))
		}
		if again := s.login("alice", "again"); s.who(again) != "alice" {
			t.Error("no login after all were revoked")
		}
		if w := s.ask("/login?user=", ""); w.Code != 400 {
			t.Errorf("a login of nobody: %d", w.Code)
		}
	})
}

// Logins that race RevokeAll: whoever was told to be logged in before the
// revocation is not, and nobody survives it unseen.
func TestLoginsRacingRevokeAll(t *testing.T) {
	topologies(t, func(t *testing.T, g *redistest.Target) {
		s := accounts(t, g)
		var wg sync.WaitGroup
		stop := make(chan struct{})
		var mu sync.Mutex
		var cookies []string
		for range 8 {
			wg.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
						if c := s.login("alice", "x"); c != "" {
							mu.Lock()
							cookies = append(cookies, c)
							mu.Unlock()
						}
					}
				}
			})
		}
		some := func() bool {
			mu.Lock()
			defer mu.Unlock()
			return len(cookies) > 0
		}
		for i := 0; i < 10 || i < 1000 && !some(); i++ { // until one of them gets through
			if _, err := s.RevokeAll(t.Context(), "alice"); err != nil {
				t.Error(err)
			}
		}
		close(stop)
		wg.Wait()
		if _, err := s.RevokeAll(t.Context(), "alice"); err != nil {
			t.Fatal(err)
		}
		for _, c := range cookies {
			if s.who(c) != "" {
				t.Fatalf("a session survived RevokeAll")
			}
		}
		if len(cookies) == 0 {
			t.Error("nobody logged in: the test shows nothing")
		}
	})
}

// Also of logins that follow each other within a millisecond the oldest go.
func TestMaxSessions(t *testing.T) {
	topologies(t, func(t *testing.T, g *redistest.Target) {
		s := accounts(t, g, session.WithMaxSessions(3))
		for round := range 20 {
			user, all := fmt.Sprint("alice", round), []string(nil)
			for i := range 5 {
				all = append(all, s.login(user, fmt.Sprint(i)))
			}
			for i, c := range all {
				if got := s.who(c); (got == user) != (i >= 2) {
					t.Errorf("session %d of 5: %q", i, got)
				}
			}
		}
	})
}

// Ten thousand sessions of one user are gone within a second, on three masters.
func TestTenThousandSessionsAreRevoked(t *testing.T) {
	g := redistest.Cluster(t)
	const sessions = 10_000
	s := accounts(t, g)
	var wg sync.WaitGroup
	cookies := make([]string, sessions)
	for w := range 32 {
		wg.Go(func() {
			for i := w; i < sessions; i += 32 {
				cookies[i] = s.login("alice", "x")
			}
		})
	}
	wg.Wait()
	start := time.Now()
	n, err := s.RevokeAll(t.Context(), "alice")
	took := time.Since(start)
	if n != sessions || err != nil {
		t.Errorf("revoked %d, %v", n, err)
	}
	t.Logf("%d sessions revoked in %v", n, took.Round(time.Millisecond))
	if took > time.Second {
		t.Errorf("took %v, want below 1s", took)
	}
	for i := 0; i < sessions; i += 97 {
		if s.who(cookies[i]) != "" {
			t.Fatalf("session %d is still there", i)
		}
	}
}

// Who cannot be entered into the index is not logged in.
func TestALoginWithoutAnIndexFails(t *testing.T) {
	s := redistest.NewServer(t)
	prefix := redistest.Prefix(t)
	var failed error
	a := newSite(t, s.Target(), prefix, func(m *session.Manager, w http.ResponseWriter, r *http.Request) {
		if err := m.Login(r.Context(), "alice", "", ""); err != nil {
			t.Error(err)
		}
	}, session.WithTimeouts(200*time.Millisecond, 200*time.Millisecond), session.WithHooks(session.Hooks{Failed: func(_ context.Context, err error) { failed = err }}))
	s.Pause()
	w := a.ask("/", "")
	s.Resume()
	if _, set := cookie(w); w.Code != 503 || set || !errors.Is(failed, session.ErrUnavailable) {
		t.Errorf("got %d, cookie %v, %v; want 503 and no cookie", w.Code, set, failed)
	}
}
