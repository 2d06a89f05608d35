package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/redishttp/redishttp/examples/internal/exampletest"
	"github.com/redishttp/redishttp/examples/internal/programtest"
	"github.com/redishttp/redishttp/internal/redistest"
)

func TestMain(m *testing.M) { redistest.Main(m) }

// patience bounds what should happen at once, on a machine that is busy.
const patience = time.Minute

// environment is that of the program: these variables and none of the machine's.
func environment(t *testing.T, variables map[string]string) {
	t.Helper()
	for _, pair := range os.Environ() {
		if name, _, _ := strings.Cut(pair, "="); strings.HasPrefix(name, "REDIS_") {
			t.Setenv(name, "")
		}
	}
	for name, value := range variables {
		t.Setenv(name, value)
	}
}

// start runs the program in this process and returns its base URL.
func start(t *testing.T) string {
	t.Helper()
	base, _ := programtest.Serve(t, func(ctx context.Context, out io.Writer) error { return run(ctx, "127.0.0.1:0", out) })
	return base
}

// visitor has a session.
type visitor struct {
	t    *testing.T
	base string
	http.Client
}

func newVisitor(t *testing.T, base string) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	v := &visitor{t: t, base: base, Client: http.Client{Jar: jar, Timeout: patience}}
	t.Cleanup(v.CloseIdleConnections)
	return v
}

type answer struct {
	status int
	body   string
	cache  string // Cache-Status
}

func (v *visitor) once(method, path string) answer {
	v.t.Helper()
	req, err := http.NewRequestWithContext(v.t.Context(), method, v.base+path, nil)
	if err != nil {
		v.t.Fatal(err)
	}
	resp, err := v.Do(req)
	if err != nil {
		v.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return answer{resp.StatusCode, string(body), resp.Header.Get("Cache-Status")}
}

// do asks until the answer is 200: a session has a quarter of a second, which
// may be short here.
func (v *visitor) do(method, path string) (a answer) {
	v.t.Helper()
	redistest.Eventually(v.t, patience, func() bool {
		a = v.once(method, path)
		return a.status == http.StatusOK
	}, "%s %s: %+v", method, path, &a)
	return a
}

func (v *visitor) get(path string) answer { v.t.Helper(); return v.do(http.MethodGet, path) }

// visit counts a visit and returns its number.
func (v *visitor) visit() (n int) {
	v.t.Helper()
	a := v.get("/visits")
	if _, err := fmt.Sscanf(a.body, "your visit number %d\n", &n); err != nil {
		v.t.Fatalf("%+v: %v", a, err)
	}
	return n
}

// hit asks until the cache answers.
func (v *visitor) hit() {
	v.t.Helper()
	var a answer
	redistest.Eventually(v.t, patience, func() bool {
		a = v.once(http.MethodGet, "/time")
		return a.status == http.StatusOK && strings.Contains(a.cache, "hit")
	}, "nothing comes from the cache: %+v", &a)
}

type health struct {
	Status      string
	Connections map[string]struct {
		OK    bool
		Error string
	}
}

// health waits until the connections are as they should be, as a probe sees it:
// an answer may be half a second old.
func (v *visitor) health(status int, ok map[string]bool) (h health) {
	v.t.Helper()
	var a answer
	redistest.Eventually(v.t, patience, func() bool {
		a = v.once(http.MethodGet, "/health")
		h = health{}
		if err := json.Unmarshal([]byte(a.body), &h); err != nil {
			v.t.Fatalf("%+v: %v", a, err)
		}
		for name, want := range ok {
			if c, there := h.Connections[name]; !there || c.OK != want {
				return false
			}
		}
		return len(h.Connections) == len(ok) && a.status == status
	}, "want %d, %v: %+v", status, ok, &a)
	return h
}

// tour does what the program's help says.
func tour(t *testing.T, base string) {
	t.Helper()
	v := newVisitor(t, base)
	if first, second := v.visit(), v.visit(); second <= first {
		t.Errorf("visits %d and %d", first, second)
	}
	v.hit()
	if a := v.do(http.MethodPost, "/orders/7/pay"); !strings.HasPrefix(a.body, "order 7 paid, fence ") {
		t.Errorf("got %+v", a)
	}
	if a := v.get("/livez"); a.status != http.StatusOK {
		t.Errorf("got %+v", a)
	}
}

// two starts two servers and the program, each role where the comment of the
// program has it.
func two(t *testing.T) (sessions, cache *redistest.Server, v *visitor) {
	t.Helper()
	sessions, cache = redistest.NewServer(t), redistest.NewServer(t)
	environment(t, map[string]string{
		"REDIS_SESSIONS_URL": sessions.URL(), "REDIS_CACHE_URL": cache.URL(), "REDIS_ALIASES": "limits=cache,locks=sessions",
	})
	return sessions, cache, newVisitor(t, start(t))
}

func TestTheProgram(t *testing.T) {
	binary := exampletest.Build(t)
	t.Run("embedded", func(t *testing.T) {
		environment(t, nil)
		base := exampletest.Start(t, binary, "").URL
		tour(t, base)
		newVisitor(t, base).health(http.StatusOK, map[string]bool{"sessions": true, "cache": true})
	})
	t.Run("two", func(t *testing.T) {
		environment(t, map[string]string{
			"REDIS_SESSIONS_URL": redistest.NewServer(t).URL(), "REDIS_CACHE_URL": redistest.NewServer(t).URL(), "REDIS_ALIASES": "limits=cache,locks=sessions",
		})
		tour(t, exampletest.Start(t, binary, "").URL)
	})
	t.Run("one for all", func(t *testing.T) {
		server := redistest.NewServer(t)
		environment(t, map[string]string{"REDIS_ALIASES": "sessions=default"}) // the others follow
		tour(t, exampletest.Start(t, binary, server.URL()).URL)
		if got, want := fmt.Sprint(prefixes(t, server)), "map[cache:true lockmw:true ratelimit:true session:true]"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}

// prefixes are the first words of all keys that a server has.
func prefixes(t *testing.T, server *redistest.Server) map[string]bool {
	t.Helper()
	keys, err := server.Client(t).Keys(t.Context(), "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]bool{}
	for _, key := range keys {
		prefix, _, _ := strings.Cut(key, ":")
		all[prefix] = true
	}
	return all
}

func TestEachKeyIsInItsPlace(t *testing.T) {
	sessions, cache, v := two(t)
	tour(t, v.base)
	if got, want := fmt.Sprint(prefixes(t, sessions)), "map[lockmw:true session:true]"; got != want {
		t.Errorf("the sessions' Redis has %s, want %s", got, want)
	}
	if got, want := fmt.Sprint(prefixes(t, cache)), "map[cache:true ratelimit:true]"; got != want {
		t.Errorf("the cache's Redis has %s, want %s", got, want)
	}
	page := v.get("/").body
	for role, server := range map[string]*redistest.Server{"sessions": sessions, "locks": sessions, "cache": cache, "limits": cache} {
		found := false
		for line := range strings.Lines(page) {
			found = found || strings.HasPrefix(line, role+" ") && strings.Contains(line, server.Addr())
		}
		if !found {
			t.Errorf("%s is not said to be on %s: %s", role, server.Addr(), page)
		}
	}
}

func TestTheCacheIsDown(t *testing.T) {
	_, cache, v := two(t)
	tour(t, v.base)
	before := v.visit()
	v.health(http.StatusOK, map[string]bool{"sessions": true, "cache": true})
	cache.Kill()
	made := map[string]bool{}
	for range 20 { // through the breaker
		a := v.once(http.MethodGet, "/time")
		if a.status != http.StatusOK || strings.Contains(a.cache, "hit") || !strings.Contains(a.cache, "store-error") {
			t.Errorf("a page: %+v", a)
		}
		made[a.body] = true
		if now := v.visit(); now <= before {
			t.Errorf("visit %d after %d", now, before)
		} else {
			before = now
		}
	}
	if len(made) < 2 {
		t.Errorf("all are of one time: %v", made)
	}
	if a := v.do(http.MethodPost, "/orders/8/pay"); !strings.HasPrefix(a.body, "order 8 paid") {
		t.Errorf("a lock: %+v", a)
	}
	h := v.health(http.StatusOK, map[string]bool{"sessions": true, "cache": false}) // in service
	if e := h.Connections["cache"].Error; !strings.Contains(e, cache.Addr()) {
		t.Errorf("the cause is %q", e)
	}
	cache.Restart(t)
	v.hit()
	v.health(http.StatusOK, map[string]bool{"sessions": true, "cache": true})
	if now := v.visit(); now <= before {
		t.Errorf("visit %d after %d", now, before)
	}
}

func TestTheSessionsAreDown(t *testing.T) {
	sessions, _, v := two(t)
	tour(t, v.base)
	sessions.Kill()
	v.hit()
	if a := v.once(http.MethodGet, "/visits"); a.status != http.StatusServiceUnavailable {
		t.Errorf("a session: %+v", a)
	}
	if a := v.once(http.MethodPost, "/orders/9/pay"); a.status != http.StatusServiceUnavailable {
		t.Errorf("a lock: %+v", a)
	}
	if h := v.health(http.StatusServiceUnavailable, map[string]bool{"sessions": false, "cache": true}); h.Status != "unavailable" {
		t.Errorf("got %+v", h)
	}
	if a := v.once(http.MethodGet, "/livez"); a.status != http.StatusOK {
		t.Errorf("restarted for an outage of Redis: %+v", a)
	}
}

// The program starts when nobody but the cache is missing.
func TestStartingWithoutTheCache(t *testing.T) {
	sessions, cache := redistest.NewServer(t), redistest.NewServer(t)
	cache.Kill()
	environment(t, map[string]string{
		"REDIS_SESSIONS_URL": sessions.URL(), "REDIS_CACHE_URL": cache.URL(), "REDIS_ALIASES": "limits=cache locks=sessions",
	})
	v := newVisitor(t, start(t))
	if a := v.get("/time"); strings.Contains(a.cache, "hit") {
		t.Errorf("got %+v", a)
	}
	v.visit()
	v.health(http.StatusOK, map[string]bool{"sessions": true, "cache": false})
	limited := false
	for i := 0; i < 10_000 && !limited; i++ { // by what this instance counts
		limited = v.once(http.MethodGet, "/").status == http.StatusTooManyRequests
	}
	if !limited {
		t.Error("nothing is limited")
	}
	cache.Restart(t)
	v.hit()
}

func TestAMistypedNameIsSaidClearly(t *testing.T) {
	const url = "redis://:hunter2@127.0.0.1:1"
	for name, test := range map[string]struct {
		variables map[string]string
		want      []string
	}{
		"a connection": {
			map[string]string{"REDIS_SESSION_URL": url, "REDIS_CACHE_URL": url, "REDIS_ALIASES": "limits=cache,locks=cache"},
			[]string{`no connection "sessions"`, `did you mean "session"?`},
		},
		"the target of an alias": {
			map[string]string{"REDIS_SESSIONS_URL": url, "REDIS_CACHE_URL": url, "REDIS_ALIASES": "limits=cahce,locks=sessions"},
			[]string{`no connection "cahce"`, `did you mean "cache"?`},
		},
		"an alias": {
			map[string]string{"REDIS_SESSIONS_URL": url, "REDIS_CACHE_URL": url, "REDIS_ALIASES": "limit=cache,lock=sessions"},
			[]string{`no connection "limits"`, `did you mean "limit"?`, `no connection "locks"`, `did you mean "lock"?`},
		},
		"a role that nobody has placed": {
			map[string]string{"REDIS_URL": url, "REDIS_CACHE_URL": url},
			[]string{`no connection "sessions", known are: cache, default`},
		},
		"aliases alone": {
			map[string]string{"REDIS_ALIASES": "limits=cache"},
			[]string{"REDIS_URL: is not set"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			environment(t, test.variables)
			err := run(t.Context(), "127.0.0.1:0", io.Discard)
			if err == nil || strings.Contains(err.Error(), "hunter2") {
				t.Fatalf("got %v", err)
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("without %s: %v", want, err)
				}
			}
		})
	}
}
