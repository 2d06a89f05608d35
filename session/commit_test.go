package session_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/session"
)

// Commit saves at once and completely: the index, the old session of a rotation;
// what comes after it is saved too, and one cookie is set.
func TestCommit(t *testing.T) {
	topologies(t, func(t *testing.T, g *redistest.Target) {
		prefix := redistest.Prefix(t)
		s := newSite(t, g, prefix, func(m *session.Manager, w http.ResponseWriter, r *http.Request) {
			ctx := r.Context()
			switch r.URL.Path {
			case "/login":
				if token, _, err := m.Commit(ctx); token != m.Token(ctx) || err != nil {
					t.Errorf("nothing to save: %v", err)
				}
				_ = m.Login(ctx, "alice", "", "")
				if token, until, err := m.Commit(ctx); token == "" || !until.Equal(m.Deadline(ctx)) || err != nil {
					t.Errorf("commit: %v, %v", until, err)
				}
				if n, err := m.RevokeOthers(ctx); n != 0 || err != nil {
					t.Errorf("revoked %d others, %v", n, err)
				}
				if devices, err := m.Sessions(ctx, "alice"); len(devices) != 1 || !devices[0].Current || err != nil {
					t.Errorf("devices %v, %v", devices, err)
				}
				m.Put(ctx, "k", "v")
			case "/destroyed":
				_ = m.Destroy(ctx)
				if token, _, err := m.Commit(ctx); token != "" || err != nil {
					t.Errorf("after Destroy: %q, %v", token, err)
				}
			default:
				fmt.Fprint(w, m.User(ctx), m.GetString(ctx, "k"))
			}
		})
		c := ""
		for range 2 { // the second rotates
			w := s.ask("/login", c)
			old := c
			if c, _ = cookie(w); len(w.Result().Cookies()) != 1 || c == old {
				t.Fatalf("cookies %v", w.Result().Cookies())
			}
			if got := s.ask("/", c).Body.String(); got != "alicev" {
				t.Errorf("got %q", got)
			}
			if old != "" && s.ask("/", old).Body.Len() != 0 {
				t.Error("the old session is still there")
			}
			if keys := keysOf(t, g, prefix); len(keys) != 1 {
				t.Errorf("keys %v", keys)
			}
		}
		if value, set := cookie(s.ask("/destroyed", c)); value != "" || !set || len(keysOf(t, g, prefix)) != 0 {
			t.Errorf("after Destroy and Commit: cookie %q, keys %v", value, keysOf(t, g, prefix))
		}
	})
}

// MergeSession takes over another session and ends that; the request's own stays
// guarded and keeps its token.
func TestMergeSession(t *testing.T) {
	topologies(t, func(t *testing.T, g *redistest.Target) {
		prefix := redistest.Prefix(t)
		s := newSite(t, g, prefix, func(m *session.Manager, w http.ResponseWriter, r *http.Request) {
			ctx, q := r.Context(), r.URL.Query()
			switch r.URL.Path {
			case "/put":
				m.Put(ctx, q.Get("k"), q.Get("k"))
			case "/merge":
				if err := m.MergeSession(ctx, q.Get("token")); err != nil {
					t.Error(err)
				}
			default:
				fmt.Fprint(w, m.Keys(ctx))
			}
		})
		mine, _ := cookie(s.ask("/put?k=mine", ""))
		other, _ := cookie(s.ask("/put?k=other", ""))
		token := other[len("__Host-session="):]
		w := s.ask("/merge?token="+token, mine)
		if c, set := cookie(w); w.Code != 200 || set && c != mine {
			t.Errorf("got %d, cookie %q", w.Code, c)
		}
		if got := s.ask("/", mine).Body.String(); got != "[mine other]" || s.ask("/", other).Body.String() != "[]" || len(keysOf(t, g, prefix)) != 1 {
			t.Errorf("merged: %s, and the other is %s", got, s.ask("/", other).Body)
		}
		for _, unknown := range []string{token, "short", ""} {
			if s.ask("/merge?token="+unknown, mine); s.ask("/", mine).Body.String() != "[mine other]" {
				t.Errorf("%q: got %s", unknown, s.ask("/", mine).Body)
			}
		}
	})
}
