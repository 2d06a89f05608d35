package redishttp_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/session"
)

// deploymentPage is docs/deployment.md, whose ACL and sizes are tried out here.
func deploymentPage(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("docs/deployment.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func noErrors(t testing.TB, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// The page's column "is full": Redis refuses writes and evicts nothing.
func TestAFullRedis(t *testing.T) {
	for _, s := range subjects() {
		t.Run(s.name, func(t *testing.T) {
			rdb := redistest.NewServer(t, redistest.WithArgs("--maxmemory-policy", "noeviction")).Client(t)
			m, err := session.New(rdb, session.WithTimeouts(5*time.Second, 5*time.Second))
			noErrors(t, err)
			reader := m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodPost {
					m.Put(r.Context(), "user", "alice")
				}
				fmt.Fprint(w, m.GetString(r.Context(), "user"))
			}))
			login := httptest.NewRecorder()
			reader.ServeHTTP(login, httptest.NewRequest(http.MethodPost, "/", nil))
			noErrors(t, rdb.ConfigSet(t.Context(), "maxmemory", "100kb").Err()) // less than it uses
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
			noErrors(t, rdb.ConfigSet(t.Context(), "maxmemory", "1gb").Err())
			redistest.Eventually(t, patience, func() bool {
				w := a.get()
				return w.Code == 200 && !strings.Contains(w.Header().Get("Cache-Status"), "error")
			}, "not back when there is room")
		})
	}
}

// Every key has a TTL, so a policy that evicts keys with one evicts all:
// volatile-lru protects nothing.
func TestVolatilePoliciesEvictSessions(t *testing.T) {
	rdb := redistest.NewServer(t, redistest.WithArgs("--maxmemory", "6mb", "--maxmemory-policy", "volatile-lru")).Client(t)
	one := sessionOf(t, rdb, true)
	for i := range 200 {
		one(i)
	}
	one = pageOf(t, rdb, 16<<10, "")
	for i := range 1000 {
		one(i)
	}
	left, err := rdb.Keys(t.Context(), "session:*").Result()
	noErrors(t, err)
	if len(left) == 200 {
		t.Error("no session was evicted")
	}
	t.Logf("%d of 200 sessions are left", len(left))
}
