package routertest

import (
	"net/http"
	"strings"
	"testing"

	"github.com/redishttp/redishttp/internal/redistest"
)

// between is a middleware of another module, as routers have many.
func between(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Between", "yes")
		next.ServeHTTP(w, r)
	})
}

// In every router a hit costs one round trip from the second request on, whether the
// middlewares are nested directly, one by one over an adapter, or with others between
// them, and whether the client has a session or not.
func TestAHitIsOneRoundTripInEveryRouter(t *testing.T) {
	for _, rt := range routers() {
		for _, foreign := range []bool{false, true} {
			name := map[bool]string{false: rt.name, true: rt.name + ", others between"}[foreign]
			t.Run(name, func(t *testing.T) {
				rdb := redistest.Standalone(t).Client(t)
				c := newChain(t, "chain", settings{rdb: rdb})
				a := app{c.global, c.local, []string{"GET"}, func(x *exchange) error {
					if x.id == "login" {
						c.visit(x)
						return x.send(200, text, "welcome")
					}
					public(x)
					return x.send(200, text, "page "+x.id)
				}}
				if foreign {
					a.global = []middleware{between, c.limiter.Handler, between, c.sessions.Handler, between, c.responses.Handler, between}
				}
				srv := serve(t, rt.build(a))
				who, base := client(t), srv.URL
				do(t, who, base, "GET /case/7", nil)
				count := redistest.Count(rdb)
				for _, ask := range []string{"GET /case/7", "GET /case/login", "GET /case/7", "GET /case/7", "GET /case/7"} {
					count.Reset()
					got := do(t, who, base, ask, nil)
					if strings.HasSuffix(ask, "login") {
						continue
					}
					if status := strings.Join(got.header["Cache-Status"], ""); !strings.Contains(status, "hit") || got.body != "page 7" {
						t.Errorf("no hit: %v", got)
					}
					if trips := count.Trips(); trips != 1 {
						t.Errorf("%d round trips, %v", trips, count.Commands())
					}
				}
			})
		}
	}
}
