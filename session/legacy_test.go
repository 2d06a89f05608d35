package session_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/alexedwards/scs/redisstore"
	"github.com/alexedwards/scs/v2"

	"github.com/redishttp/redishttp/connect/redigopool"
	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/session"
)

// A service on scs.LoadAndSave with redisstore and gob moves over: everybody
// stays logged in, with what scs itself has written.
func TestScsSessionsMoveOver(t *testing.T) {
	topologies(t, func(t *testing.T, g *redistest.Target) {
		rdb := g.Client(t)
		pool, err := redigopool.New(rdb)
		if err != nil {
			t.Fatal(err)
		}
		defer pool.Close()
		oldPrefix := redistest.Prefix(t) + "scs:"
		old := scs.New()
		old.Store = redisstore.NewWithPrefix(pool, oldPrefix)
		before := old.LoadAndSave(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			old.Put(r.Context(), "user", "alice")
			old.Put(r.Context(), "count", 41)
			old.Put(r.Context(), "admin", true)
		}))
		w := httptest.NewRecorder()
		before.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		c, _ := cookie(w)

		s := newSite(t, g, redistest.Prefix(t), func(m *session.Manager, w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/logout":
				_ = m.Destroy(r.Context())
			default:
				fmt.Fprint(w, m.GetString(r.Context(), "user"), m.GetInt(r.Context(), "count"), m.GetBool(r.Context(), "admin"))
			}
		}, session.WithScsSessions(oldPrefix), session.WithCookie(session.Cookie{Insecure: true, Name: "session"}), session.WithHooks(session.Hooks{Failed: func(_ context.Context, err error) { t.Error(err) }}))
		for range 2 {
			if got := s.ask("/", c).Body.String(); got != "alice41 true" {
				t.Errorf("got %s", got)
			}
		}
		token := c[len("session="):]
		if n := rdb.Exists(t.Context(), oldPrefix+token).Val(); n != 0 {
			t.Error("the session is in both places")
		}
		s.ask("/logout", c)
		if got := s.ask("/", c).Body.String(); got != "0 false" {
			t.Errorf("after the logout: %s", got)
		}
		// A logout as the first thing finds the old place too.
		w = httptest.NewRecorder()
		before.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		c, _ = cookie(w)
		s.ask("/logout", c)
		if got := s.ask("/", c).Body.String(); got != "0 false" {
			t.Errorf("after a logout before any other use: %s", got)
		}
	})
	if _, err := session.New(redistest.Standalone(t).Client(t), session.WithKeyPrefix("s:"), session.WithScsSessions("s:")); err == nil {
		t.Error("the same prefix is accepted")
	}
}
