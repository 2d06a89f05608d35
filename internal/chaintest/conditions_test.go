package chaintest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/cache"
	"github.com/redishttp/redishttp/connect/connecttest"
	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw"
	"github.com/redishttp/redishttp/ratelimit"
	"github.com/redishttp/redishttp/session"
)

// served is what clients get of one server: the limiter's decision, a page that reads
// its session, one that changes it, a page that is stored, one that is not, a route
// with a lock.
type served struct {
	limiter             string
	read, write         int
	stored, other, lock string
}

// shop has all middlewares on one connection.
type shop struct {
	limiter  *ratelimit.Limiter
	sessions app
	pages    http.Handler
	locks    http.Handler
	put      bool
	n        int
}

func newShop(t testing.TB, rdb redis.UniversalClient) *shop {
	prefix := redistest.Prefix(t)
	s := &shop{limiter: must(ratelimit.New(rdb, ratelimit.PerMinute(1_000_000), ratelimit.WithKeyPrefix(prefix+"r")))}
	m := must(session.New(rdb, session.WithKeyPrefix(prefix+"s")))
	s.sessions.h = m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if n := m.GetInt(r.Context(), "n"); s.put {
			m.Put(r.Context(), "n", n+1)
		}
	}))
	c := must(cache.New(rdb, cache.WithKeyPrefix(prefix+"c")))
	redistest.CloseAfter(t, Patience, c)
	s.pages = c.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=600")
		io.WriteString(w, "page")
	}))
	l := must(lockmw.New(rdb, lockmw.WithKeyPrefix(prefix+"l"), lockmw.WithWait(200*time.Millisecond),
		lockmw.WithKey(func(*http.Request) (string, error) { return "k", nil })))
	redistest.CloseAfter(t, Patience, l)
	s.locks = l.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	return s
}

// serve sends a request of each kind, and says how long the slowest took.
func (s *shop) serve() (got served, slowest time.Duration) {
	s.n++
	timed := func(fn func()) {
		begun := time.Now()
		fn()
		slowest = max(slowest, time.Since(begun))
	}
	page := func(h http.Handler, method, path string) string {
		w := httptest.NewRecorder()
		timed(func() { h.ServeHTTP(w, httptest.NewRequest(method, path, nil)) })
		status := fmt.Sprint(w.Code)
		for _, word := range []string{"hit", "store-error"} {
			if strings.Contains(w.Header().Get("Cache-Status"), word) {
				status += " " + word
			}
		}
		return status
	}
	timed(func() {
		d, _ := s.limiter.Allow(context.Background(), "client")
		got.limiter = d.Source
		if !d.Allowed {
			got.limiter += ", refused"
		}
	})
	s.put = false
	timed(func() { got.read = s.sessions.get().Code })
	s.put = true
	timed(func() { got.write = s.sessions.get().Code })
	got.stored, got.other = page(s.pages, http.MethodGet, "/"), page(s.pages, http.MethodGet, fmt.Sprint("/", s.n))
	got.lock = page(s.locks, http.MethodPost, "/")
	return got, slowest
}

// A server that answers, and cannot do what it is asked: what clients get meanwhile is
// the table of docs/failure.md, nobody waits longer than for a server that is away,
// and all is as before with the first calls after it.
func TestAServerThatCannotServe(t *testing.T) {
	well := served{"redis", 200, 200, "200 hit", "200", "200"}
	readOnly := served{"local", 200, 503, "200 hit", "200", "503"}
	away := served{"local", 503, 503, "200 store-error", "200 store-error", "503"}
	set := func(t *testing.T, rdb *redis.Client, args ...any) {
		t.Helper()
		redistest.NoErrors(t, rdb.Do(context.WithoutCancel(t.Context()), args...).Err())
	}
	for name, c := range map[string]struct {
		want   served
		args   []string
		make   func(t *testing.T, rdb *redis.Client)
		mended func(t *testing.T, rdb *redis.Client)
	}{
		"READONLY": {
			readOnly, nil, func(t *testing.T, rdb *redis.Client) { set(t, rdb, "replicaof", "127.0.0.1", "1") },
			func(t *testing.T, rdb *redis.Client) { set(t, rdb, "replicaof", "no", "one") },
		},
		"MASTERDOWN": {away, nil, func(t *testing.T, rdb *redis.Client) {
			set(t, rdb, "config", "set", "replica-serve-stale-data", "no")
			set(t, rdb, "replicaof", "127.0.0.1", "1")
		}, func(t *testing.T, rdb *redis.Client) { set(t, rdb, "replicaof", "no", "one") }},
		"NOREPLICAS": {
			readOnly, nil, func(t *testing.T, rdb *redis.Client) { set(t, rdb, "config", "set", "min-replicas-to-write", "1") },
			func(t *testing.T, rdb *redis.Client) { set(t, rdb, "config", "set", "min-replicas-to-write", "0") },
		},
		"OOM": {
			readOnly, nil, func(t *testing.T, rdb *redis.Client) { set(t, rdb, "config", "set", "maxmemory", "1") },
			func(t *testing.T, rdb *redis.Client) { set(t, rdb, "config", "set", "maxmemory", "0") },
		},
		"BUSY": {away, []string{"--busy-reply-threshold", "1"}, func(t *testing.T, rdb *redis.Client) {
			go rdb.Eval(context.WithoutCancel(t.Context()), "while true do end", nil)
			redistest.Eventually(t, Patience, func() bool { return redis.HasErrorPrefix(rdb.Get(t.Context(), "x").Err(), "BUSY") }, "it is not busy")
		}, func(t *testing.T, rdb *redis.Client) { set(t, rdb, "script", "kill") }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.NewServer(t, redistest.WithArgs(c.args...))
			direct := server.Client(t)
			for client, rdb := range map[string]redis.UniversalClient{"plain": server.Client(t), "connect": connecttest.Open(t, server.URL()).Client()} {
				s := newShop(t, rdb)
				redistest.Eventually(t, Patience, func() bool { got, _ := s.serve(); return got == well }, "%s: not up", client)
				c.make(t, direct)
				for round := range 8 { // past the point at which a breaker would open
					if got, slowest := s.serve(); got != c.want || slowest > time.Second+slack {
						t.Errorf("%s, round %d: got %+v after %v at most, want %+v", client, round, got, slowest, c.want)
					}
				}
				c.mended(t, direct)
				redistest.Eventually(t, Patience, func() bool { got, _ := s.serve(); return got == well }, "%s: not as before", client)
			}
		})
	}
}
