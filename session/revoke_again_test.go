package session_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/session"
)

// failing is a client whose next deletion of sessions does not reach Redis.
type failing struct{ next bool }

func (f *failing) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (f *failing) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (f *failing) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if f.next && strings.EqualFold(cmds[0].Name(), "unlink") {
			f.next = false
			return errors.New("the connection was reset")
		}
		return next(ctx, cmds)
	}
}

// Sessions that could not be deleted are found when their user is revoked again, and
// when too many sessions are ended again.
func TestARevocationThatFailsCanBeRepeated(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	cut := &failing{}
	rdb.AddHook(cut)
	m, err := session.New(rdb, session.WithKeyPrefix(redistest.Prefix(t)), session.WithMaxSessions(2))
	redistest.NoErrors(t, err)
	h := m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/login" {
			if err := m.Login(r.Context(), "ann", "", ""); err != nil {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		}
		io.WriteString(w, m.User(r.Context()))
	}))
	get := func(path, cookie string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		if cookie != "" {
			r.Header.Set("Cookie", cookie)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	login := func() (cookie string) {
		for _, c := range get("/login", "").Result().Cookies() {
			cookie = c.Name + "=" + c.Value
		}
		return cookie
	}
	first, second := login(), login()
	cut.next = true
	if _, err := m.RevokeAll(t.Context(), "ann"); err == nil {
		t.Fatal("a deletion that failed is no error")
	}
	if n, err := m.RevokeAll(t.Context(), "ann"); n != 2 || err != nil {
		t.Errorf("again: %d, %v, want 2 sessions", n, err)
	}
	for _, cookie := range []string{first, second} {
		if user := get("/", cookie).Body.String(); user != "" {
			t.Errorf("%q is still logged in", user)
		}
	}
	if n, err := m.RevokeAll(t.Context(), "ann"); n != 0 || err != nil {
		t.Errorf("a third time: %d, %v", n, err)
	}
	first, _ = login(), login()
	cut.next = true
	login() // ends the first, which fails
	login()
	if all, err := m.Sessions(t.Context(), "ann"); len(all) != 2 || err != nil {
		t.Errorf("%d sessions, %v, want 2", len(all), err)
	}
	if user := get("/", first).Body.String(); user != "" {
		t.Errorf("%q is still logged in with the session that was too many", user)
	}
}
