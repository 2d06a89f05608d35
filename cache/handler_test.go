package cache_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/cache"
	"github.com/redishttp/redishttp/internal/redistest"
)

func server(t *testing.T, h2 bool, h http.Handler) *httptest.Server {
	t.Helper()
	srv := httptest.NewUnstartedServer(h)
	srv.EnableHTTP2 = h2
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv
}

// Fields of middlewares further out are on the same map: never stored, and
// kept on a hit.
func TestOuterHeadersAreNeitherStoredNorReplayed(t *testing.T) {
	user := ""
	outer := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if user != "alice" { // a response of the first would not be stored
				w.Header().Add("Set-Cookie", "session="+user)
			}
			w.Header().Add("Vary", "Origin")
			w.Header().Set("RateLimit", `"p";r=`+user)
			w.Header().Set("X-RateLimit-Remaining", user)
			w.Header().Set("X-Outer", user)
			next.ServeHTTP(w, r)
		})
	}
	h := outer(newCache(t, redistest.Standalone(t).Client(t)).Handler(origin(200, "Cache-Control: max-age=60", "Vary: Accept", "X-Inner: 1", "X-RateLimit-Limit: 5", "Retry-After: 3")))
	for _, user = range []string{"alice", "bob"} {
		w := do(h, "GET", "/")
		if got, want := fmt.Sprint(w.Header()["Set-Cookie"], w.Header()["Vary"], w.Header()["Ratelimit"], w.Header()["X-Outer"], w.Header()["X-Inner"]),
			map[string]string{"alice": `[] [Origin Accept] ["p";r=alice] [alice] [1]`, "bob": `[session=bob] [Origin Accept] ["p";r=bob] [bob] [1]`}[user]; got != want {
			t.Errorf("%s:\n got %s\nwant %s", user, got, want)
		}
		if hit := w.Header().Get("Age") != ""; hit != (user == "bob") {
			t.Errorf("%s: hit %v", user, hit)
		} else if hit && (w.Header().Get("X-RateLimit-Limit") != "" || w.Header().Get("Retry-After") != "" || w.Header().Get("X-RateLimit-Remaining") != "bob") {
			t.Errorf("limits replayed: %v", w.Header())
		}
	}
}

func TestStreamsWhileItStores(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		more := make(chan bool)
		srv := server(t, h2, newCache(t, redistest.Standalone(t).Client(t)).Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			io.WriteString(w, "first\n")
			http.NewResponseController(w).Flush()
			<-more
			io.WriteString(w, "second\n")
		})))
		resp, err := srv.Client().Get(srv.URL)
		if err != nil {
			t.Fatal(err)
		}
		body := bufio.NewReader(resp.Body)
		if line, _ := body.ReadString('\n'); line != "first\n" {
			t.Errorf("http2=%v: %q", h2, line)
		}
		close(more)
		io.Copy(io.Discard, body)
		resp.Body.Close()
		redistest.Eventually(t, patience, func() bool {
			resp, err := srv.Client().Get(srv.URL)
			if err != nil {
				return false
			}
			defer resp.Body.Close()
			b, _ := io.ReadAll(resp.Body)
			return resp.Header.Get("Age") != "" && string(b) == "first\nsecond\n"
		}, "http2=%v: not stored whole", h2)
	}
}

// Responses that are not whole are never stored.
func TestIncompleteResponses(t *testing.T) {
	cases := map[string]http.HandlerFunc{
		"panic": func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "half"); panic(http.ErrAbortHandler) },
		"short body": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "10")
			io.WriteString(w, "half")
		},
		"nothing written": func(http.ResponseWriter, *http.Request) {},
		"too large":       func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, strings.Repeat("x", 2000)) },
		"client gone": func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "half")
			r.Context().Value(cancelKey{}).(context.CancelFunc)()
		},
		"write error": func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "fail") },
	}
	for name, handler := range cases {
		c := newCache(t, redistest.Standalone(t).Client(t), cache.WithMaxBody(1000))
		h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			handler(w, r)
		}))
		func() {
			defer func() { recover() }()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			ctx = context.WithValue(ctx, cancelKey{}, cancel)
			var w http.ResponseWriter = httptest.NewRecorder()
			if name == "write error" {
				w = failing{w}
			}
			h.ServeHTTP(w, httptest.NewRequestWithContext(ctx, "GET", "/", nil))
		}()
		if resp, _, err := c.Lookup(t.Context(), httptest.NewRequest("GET", "/", nil)); resp != nil || err != nil {
			t.Errorf("%s: stored: %+v, %v", name, resp, err)
		}
	}
}

type cancelKey struct{}

type failing struct{ http.ResponseWriter }

func (failing) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

// Nobody gets another's response: requests in flight together share nothing.
func TestConcurrentRequestsShareNothing(t *testing.T) {
	for _, lines := range [][]string{{"Cache-Control: no-store"}, {"Cache-Control: private"}, {"Cache-Control: max-age=60", "Vary: Cookie"}, {"Cache-Control: max-age=60", "Set-Cookie: a=b"}, nil} {
		h := newCache(t, redistest.Standalone(t).Client(t)).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for _, line := range lines {
				name, value, _ := strings.Cut(line, ": ")
				w.Header().Add(name, value)
			}
			io.WriteString(w, r.Header.Get("Cookie"))
		}))
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				user := fmt.Sprint("user=", i)
				if w := do(h, "GET", "/", "Cookie: "+user); w.Body.String() != user {
					t.Errorf("%v: %s got the page of %s", lines, user, w.Body)
				}
			})
		}
		wg.Wait()
	}
}

func TestRedisDownAndMute(t *testing.T) {
	s := redistest.NewServer(t)
	p := redistest.NewProxy(t, s.Addr())
	rdb := redis.NewClient(&redis.Options{Addr: p.Addr()}) // go-redis' defaults: deadlines ignored
	defer rdb.Close()
	var mu sync.Mutex
	var failed []error
	h := newCache(t, rdb, cache.WithTimeouts(50*time.Millisecond, 100*time.Millisecond), cache.WithHooks(cache.Hooks{Failed: func(_ context.Context, err error) {
		mu.Lock()
		defer mu.Unlock()
		failed = append(failed, err)
	}})).Handler(origin(200, "Cache-Control: max-age=60"))
	redistest.Eventually(t, patience, func() bool { return do(h, "GET", "/").Header().Get("Age") != "" }, "not up")
	for name, fault := range map[string]func(){"mute": p.Mute, "down": p.Refuse} {
		fault()
		start := time.Now()
		for range 8 {
			w := do(h, "GET", "/")
			if w.Code != 200 || w.Header().Get("Cache-Status") != "redishttp; fwd=bypass; fwd-status=200; detail=store-error" {
				t.Errorf("%s: got %d %s", name, w.Code, w.Header().Get("Cache-Status"))
			}
		}
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("%s: 8 requests took %v with a budget of 50ms and a guard", name, took)
		}
		if w := do(h, "POST", "/"); w.Code != 200 {
			t.Errorf("%s: POST: got %d", name, w.Code)
		}
		p.CloseConns()
		p.Heal()
		redistest.Eventually(t, patience, func() bool { return do(h, "GET", "/").Header().Get("Age") != "" }, "%s: not back", name)
	}
	mu.Lock()
	defer mu.Unlock()
	if text := errors.Join(failed...).Error(); !strings.Contains(text, "cache: lookup") || !strings.Contains(text, "cache: invalidate") {
		t.Errorf("hook: got %v", text)
	}
}
