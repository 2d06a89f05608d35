package routertest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw"
	"github.com/redishttp/redishttp/lockmw/idempotency"
)

// A retry gets what the first request got, in all routers, also from a handler
// that writes nothing and from one that leaves its error to the router.
func TestRetriesGetTheFirstAnswer(t *testing.T) {
	answers := map[string]struct {
		answer handler
		status int
	}{
		"nothing": {func(*exchange) error { return nil }, 200},
		"empty":   {func(x *exchange) error { return x.empty(204) }, 204},
		"body":    {func(x *exchange) error { return x.send(201, "text/plain", "paid") }, 201},
		"error":   {func(x *exchange) error { return x.fail(418) }, 418},
		"crash":   {func(x *exchange) error { return x.crash() }, 500},
	}
	for _, rt := range routers() {
		for name, tc := range answers {
			t.Run(rt.name+"/"+name, func(t *testing.T) {
				rdb, prefix := redistest.Standalone(t).Client(t), redistest.Prefix(t)
				locks, err := lockmw.New(rdb, lockmw.WithKeyPrefix(prefix+"l"))
				if err != nil {
					t.Fatal(err)
				}
				redistest.CloseAfter(t, patience, locks)
				k, err := idempotency.New(locks, rdb, idempotency.DangerouslyUnscoped, idempotency.WithKeyPrefix(prefix))
				if err != nil {
					t.Fatal(err)
				}
				redistest.CloseAfter(t, patience, k)
				var runs atomic.Int32
				srv := httptest.NewServer(rt.build(app{local: []middleware{k.Handler}, methods: []string{"POST"}, h: func(x *exchange) error {
					runs.Add(1)
					return tc.answer(x)
				}}))
				defer srv.Close()
				var got [2]string
				for i := range got {
					r, err := http.NewRequest("POST", srv.URL+"/case/1", strings.NewReader("{}"))
					if err != nil {
						t.Fatal(err)
					}
					r.Header.Set("Idempotency-Key", `"k"`)
					resp, err := srv.Client().Do(r)
					if err != nil {
						t.Fatal(err)
					}
					body, _ := io.ReadAll(resp.Body)
					_ = resp.Body.Close()
					got[i] = resp.Status + " " + string(body)
					if resp.StatusCode != tc.status || (resp.Header.Get("Idempotency-Replayed") != "") != (i == 1) {
						t.Errorf("request %d: got %s, replayed %q", i+1, got[i], resp.Header.Get("Idempotency-Replayed"))
					}
				}
				if got[0] != got[1] || runs.Load() != 1 {
					t.Errorf("%d runs, first %q, second %q", runs.Load(), got[0], got[1])
				}
			})
		}
	}
}
