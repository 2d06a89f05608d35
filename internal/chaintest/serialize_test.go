package chaintest

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw"
	"github.com/redishttp/redishttp/session"
)

// A lock around the session, by the session's key, serialises the requests of
// each session: a flash message is delivered exactly once and a counter counts,
// also between two instances.
func TestRequestsOfOneSessionInTurn(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		prefix := redistest.Prefix(t)
		var delivered atomic.Int64
		Instance := func() http.Handler {
			rdb := g.Client(t)
			sessions, err := session.New(rdb, session.WithKeyPrefix(prefix+"s"), session.WithTimeouts(5*time.Second, 5*time.Second))
			if err != nil {
				t.Fatal(err)
			}
			locks, err := lockmw.New(rdb, lockmw.WithKeyPrefix(prefix+"l"), lockmw.WithWait(20*time.Second), lockmw.WithTimeout(4*time.Second),
				lockmw.WithKey(func(r *http.Request) (string, error) { return sessions.RequestKey(r), nil }))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = locks.Close(context.Background()) })
			h := sessions.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/begin" {
					sessions.AddFlash(r.Context(), "info", "saved")
					return
				}
				delivered.Add(int64(len(sessions.Flashes(r.Context()))))
				n := sessions.GetInt(r.Context(), "n") + 1
				sessions.Put(r.Context(), "n", n)
				fmt.Fprint(w, n)
			}))
			locked := locks.Handler(h)
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if sessions.RequestKey(r) == "" { // nothing to serialise yet
					h.ServeHTTP(w, r)
					return
				}
				locked.ServeHTTP(w, r)
			})
		}
		instances := []http.Handler{Instance(), Instance()}
		w := httptest.NewRecorder()
		instances[0].ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/begin", nil))
		c := w.Result().Cookies()[0]
		var wg sync.WaitGroup
		var seen sync.Map
		for i := range 20 {
			wg.Go(func() {
				r := httptest.NewRequest(http.MethodGet, "/", nil)
				r.AddCookie(c)
				w := httptest.NewRecorder()
				instances[i%2].ServeHTTP(w, r)
				if _, twice := seen.LoadOrStore(w.Body.String(), true); twice || w.Code != 200 {
					t.Errorf("got %d %s", w.Code, w.Body)
				}
			})
		}
		wg.Wait()
		if got := delivered.Load(); got != 1 {
			t.Errorf("the message was delivered %d times, want once", got)
		}
	})
}
