package chaintest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/session"
)

// The page's column "is full": Redis refuses writes and evicts nothing.
func TestAFullRedis(t *testing.T) {
	for _, s := range Subjects() {
		t.Run(s.Name, func(t *testing.T) {
			rdb := redistest.NewServer(t, redistest.WithArgs("--maxmemory-policy", "noeviction")).Client(t)
			m, err := session.New(rdb, session.WithTimeouts(5*time.Second, 5*time.Second))
			redistest.NoErrors(t, err)
			reader := m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodPost {
					m.Put(r.Context(), "user", "alice")
				}
				fmt.Fprint(w, m.GetString(r.Context(), "user"))
			}))
			login := httptest.NewRecorder()
			reader.ServeHTTP(login, httptest.NewRequest(http.MethodPost, "/", nil))
			redistest.NoErrors(t, rdb.ConfigSet(t.Context(), "maxmemory", "100kb").Err()) // less than it uses
			a := newApp(t, s, rdb, "t")
			for i := range 7 { // more than a breaker counts to
				start := time.Now()
				w := a.get()
				check(t, s, fmt.Sprintf("full, request %d", i), w, time.Since(start))
			}
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.AddCookie(login.Result().Cookies()[0])
			w := httptest.NewRecorder()
			if reader.ServeHTTP(w, r); w.Code != 200 || w.Body.String() != "alice" {
				t.Errorf("a session cannot be read: %d %s", w.Code, w.Body)
			}
			redistest.NoErrors(t, rdb.ConfigSet(t.Context(), "maxmemory", "1gb").Err())
			redistest.Eventually(t, Patience, func() bool {
				w := a.get()
				return w.Code == 200 && !strings.Contains(w.Header().Get("Cache-Status"), "error")
			}, "not back when there is room")
		})
	}
}
