package lockmw_test

import (
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

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw"
	"github.com/redishttp/redishttp/lockmw/lockkey"
)

func byPath(r *http.Request) (string, error) { return r.URL.Path, nil }

func request(h http.Handler, method, target string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, target, nil))
	return w
}

func TestOneRequestAtATime(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		l := locker(t, g.Client(t), lockmw.WithWait(patience))
		inside := 0 // the race detector checks too
		mux := http.NewServeMux()
		mux.Handle("POST /orders/{id}/pay", l.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			inside++
			k, ok := lockmw.FromContext(r.Context())
			if !ok || k.Fence() == 0 || inside != 1 {
				t.Errorf("inside %d, lock %v", inside, ok)
			}
			inside--
			io.WriteString(w, "paid")
		})))
		for _, h2 := range []bool{false, true} {
			srv := httptest.NewUnstartedServer(mux)
			srv.EnableHTTP2 = h2
			srv.StartTLS()
			var wg sync.WaitGroup
			for range 12 {
				wg.Go(func() {
					resp, err := srv.Client().Post(srv.URL+"/orders/7/pay", "", nil)
					if err != nil {
						t.Error(err)
						return
					}
					defer resp.Body.Close()
					if body, _ := io.ReadAll(resp.Body); resp.StatusCode != 200 || string(body) != "paid" {
						t.Errorf("got %d %q", resp.StatusCode, body)
					}
				})
			}
			wg.Wait()
			srv.Close()
		}
	})
}

func TestRefusals(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	noKey := func(*http.Request) (string, error) { return "", nil }
	badKey := func(*http.Request) (string, error) { return "k", errors.New("secret") }
	cases := []struct {
		name   string
		status int
		retry  bool
		opts   []lockmw.Option
	}{
		{"busy", 409, true, []lockmw.Option{lockmw.WithKey(byPath), lockmw.WithWait(0)}},
		{"busy after a wait", 409, true, []lockmw.Option{lockmw.WithKey(byPath), lockmw.WithWait(50 * time.Millisecond)}},
		{"other method", 200, false, []lockmw.Option{lockmw.WithKey(byPath), lockmw.WithMethods("PUT")}},
		{"no pattern", 500, false, []lockmw.Option{lockmw.WithKey(lockkey.Pattern)}},
		{"no key", 500, false, []lockmw.Option{lockmw.WithKey(noKey)}},
		{"key error", 500, false, []lockmw.Option{lockmw.WithKey(badKey)}},
	}
	for _, tc := range cases {
		prefix := redistest.Prefix(t)
		holder := locker(t, rdb, lockmw.WithKeyPrefix(prefix))
		k := acquire(t, holder, "/p")
		h := locker(t, rdb, append(tc.opts, lockmw.WithKeyPrefix(prefix))...).Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ran") }))
		w := request(h, "POST", "/p")
		if w.Code != tc.status || (w.Header().Get("Retry-After") != "") != tc.retry || strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%s: got %d %v %s, want %d", tc.name, w.Code, w.Header(), w.Body, tc.status)
		}
		if tc.status != 200 && (w.Header().Get("Content-Type") != "application/problem+json" || w.Header().Get("Cache-Control") != "no-store") {
			t.Errorf("%s: %v", tc.name, w.Header())
		}
		k.Release(t.Context())
	}
}

func TestRedisDown(t *testing.T) {
	for mode, status := range map[lockmw.FailureMode]int{lockmw.FailClosed: 503, lockmw.DangerouslyFailOpen: 200} {
		s := redistest.NewServer(t)
		h := locker(t, s.Client(t), lockmw.WithKey(byPath), lockmw.WithFailureMode(mode)).Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "ran")
		}))
		for _, fault := range []func(){s.Pause, s.Kill} {
			fault()
			w := request(h, "POST", "/p")
			if w.Code != status || strings.Contains(w.Body.String(), "refused") {
				t.Errorf("mode %v: got %d %s, want %d", mode, w.Code, w.Body, status)
			}
		}
	}
}

func TestALockLostBeforeTheFirstByteIs503(t *testing.T) {
	s := redistest.NewServer(t)
	rdb := s.Client(t)
	h := locker(t, rdb, lockmw.WithKey(byPath), lockmw.WithTTL(600*time.Millisecond), lockmw.WithTimeout(100*time.Millisecond)).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Secret", "1")
		rdb.FlushAll(r.Context())
		<-r.Context().Done()
		if !errors.Is(context.Cause(r.Context()), lockmw.ErrLost) {
			t.Errorf("cause: %v", context.Cause(r.Context()))
		}
		if _, err := io.WriteString(w, "too late"); err == nil {
			t.Error("a write after the loss was taken")
		}
	}))
	if w := request(h, "POST", "/p"); w.Code != 503 || strings.Contains(w.Body.String(), "too late") || w.Header().Get("X-Secret") != "" {
		t.Errorf("got %d %s %v", w.Code, w.Body, w.Header())
	}
}

// A handler that writes nothing, not even a status, is one that wrote nothing when its lock
// is lost; else its answer is 200.
func TestAHandlerThatWritesNothing(t *testing.T) {
	s := redistest.NewServer(t)
	rdb := s.Client(t)
	l := locker(t, rdb, lockmw.WithTTL(600*time.Millisecond), lockmw.WithTimeout(100*time.Millisecond))
	for lost, status := range map[bool]int{false: 200, true: 503} {
		srv := httptest.NewServer(l.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if lost {
				rdb.FlushAll(context.WithoutCancel(r.Context()))
				<-r.Context().Done()
			}
		})))
		resp, err := srv.Client().Post(srv.URL+"/p", "", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != status {
			t.Errorf("lost %v: got %d, want %d", lost, resp.StatusCode, status)
		}
		srv.Close()
	}
}

func TestPanicNestingAndHangUp(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	l := locker(t, rdb, lockmw.WithKey(byPath), lockmw.WithWait(0))
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		request(l.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("boom") })), "POST", "/p")
	}()
	free := func() {
		t.Helper()
		k, err := l.TryAcquire(t.Context(), "/p")
		if err != nil {
			t.Fatalf("still held: %v", err)
		}
		k.Release(t.Context())
	}
	free()
	if w := request(l.Handler(l.Handler(http.NotFoundHandler())), "POST", "/p"); w.Code != 500 {
		t.Errorf("nested in itself: got %d, want 500", w.Code)
	}
	free()
	if w := request(l.Handler(locker(t, rdb, lockmw.WithKey(byPath)).Handler(http.NotFoundHandler())), "POST", "/p"); w.Code != 404 {
		t.Errorf("another locker inside: got %d, want 404", w.Code)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r := httptest.NewRequestWithContext(ctx, "POST", "/p", nil)
	l.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { cancel() })).ServeHTTP(httptest.NewRecorder(), r)
	free()
}

// However a client spells it, and whichever method it uses, one request for a
// resource runs at a time, or its readers: with the default key, where the lock
// wraps the routes, the mux, or a router that sets no pattern.
func TestOneResourceHasOneLock(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	for name, readWrite := range map[string]bool{"one": false, "readers and writers": true} {
		for where, wrap := range map[string]func(l *lockmw.Locker, h http.Handler) http.Handler{
			"routes": func(l *lockmw.Locker, h http.Handler) http.Handler {
				mux := http.NewServeMux()
				for _, pattern := range []string{"GET /orders/{id}", "PUT /orders/{id}", "POST /orders/{id}"} {
					mux.Handle(pattern, l.Handler(h))
				}
				return mux
			},
			"the mux": func(l *lockmw.Locker, h http.Handler) http.Handler {
				mux := http.NewServeMux()
				for _, pattern := range []string{"GET /orders/{id}", "PUT /orders/{id}", "POST /orders/{id}"} {
					mux.Handle(pattern, h)
				}
				return l.Handler(mux)
			},
			"a router without patterns": func(l *lockmw.Locker, h http.Handler) http.Handler { return l.Handler(h) },
		} {
			t.Run(name+", around "+where, func(t *testing.T) {
				t.Parallel()
				var mu sync.Mutex
				readers, writers, most := 0, 0, 0
				l := locker(t, rdb, lockmw.WithReadWrite(readWrite), lockmw.WithWait(patience))
				h := wrap(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					reads := readWrite && r.Method == "GET"
					mu.Lock()
					if reads {
						readers++
					} else {
						writers++
					}
					if most = max(most, readers+writers); writers > 1 || writers == 1 && readers > 0 {
						t.Errorf("%s %s: %d writers and %d readers are inside", r.Method, r.URL, writers, readers)
					}
					mu.Unlock()
					<-time.After(5 * time.Millisecond)
					mu.Lock()
					defer mu.Unlock()
					if reads {
						readers--
					} else {
						writers--
					}
				}))
				var wg sync.WaitGroup
				for _, method := range []string{"GET", "PUT", "POST", "GET"} {
					for _, target := range []string{"/orders/1", "/orders/%31", "http://A/orders/1", "http://a:80/orders/1"} {
						wg.Go(func() {
							if w := request(h, method, target); w.Code != 200 {
								t.Errorf("%s %s: %d %s", method, target, w.Code, w.Body)
							}
						})
					}
				}
				wg.Wait()
				if most == 0 {
					t.Error("no handler ran")
				}
			})
		}
	}
}

func FuzzJoin(f *testing.F) {
	f.Add("a:b", "c", "a", "b:c")
	f.Fuzz(func(t *testing.T, a, b, c, d string) {
		if (a != c || b != d) && lockmw.Join(a, b) == lockmw.Join(c, d) {
			t.Errorf("(%q, %q) and (%q, %q) are one key", a, b, c, d)
		}
	})
}

func ExampleLocker_Handler() {
	var rdb lockmw.Client // from connect
	locks, err := lockmw.New(rdb, lockmw.WithWait(2*time.Second))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer locks.Close(context.Background())
	mux := http.NewServeMux()
	mux.Handle("POST /orders/{id}/pay", locks.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		k, _ := lockmw.FromContext(r.Context())
		// UPDATE orders SET paid = true, fence = $1 WHERE id = $2 AND fence < $1
		_ = k.Fence()
	})))
	// Output: lockmw: rdb: is nil
}
