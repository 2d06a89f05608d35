package idempotency_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw"
	"github.com/redishttp/redishttp/lockmw/idempotency"
)

// The test binary is also a process of the tests with kill -9.
func TestMain(m *testing.M) {
	if addr := os.Getenv("IDEMPOTENCY_TEST_ADDR"); addr != "" {
		process(addr)
		return
	}
	redistest.Main(m)
}

const patience = 30 * time.Second

func user(r *http.Request) (string, error) { return r.Header.Get("User"), nil }

func locker(t testing.TB, rdb lockmw.Client, prefix string, opts ...lockmw.Option) *lockmw.Locker {
	t.Helper()
	locks, err := lockmw.New(rdb, append([]lockmw.Option{lockmw.WithKeyPrefix(prefix + "l"), lockmw.WithTimeout(4 * time.Second)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := locks.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return locks
}

func keeperOver(t testing.TB, locks *lockmw.Locker, rdb idempotency.Client, prefix string, opts ...idempotency.Option) *idempotency.Keeper {
	t.Helper()
	k, err := idempotency.New(locks, rdb, user, append([]idempotency.Option{idempotency.WithKeyPrefix(prefix), idempotency.WithTimeout(4 * time.Second)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := k.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return k
}

func keeper(t testing.TB, rdb redis.UniversalClient, prefix string, opts ...idempotency.Option) *idempotency.Keeper {
	t.Helper()
	return keeperOver(t, locker(t, rdb, prefix), rdb, prefix, opts...)
}

// paid is a handler that does something once, and says how often it did.
func paid(runs *atomic.Int32) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		n := runs.Add(1)
		w.Header().Set("Location", fmt.Sprint("/payments/", n))
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, "payment %d of %s", n, body)
	})
}

type change func(*http.Request)

func as(user string) change        { return func(r *http.Request) { r.Header.Set("User", user) } }
func header(name, v string) change { return func(r *http.Request) { r.Header.Add(name, v) } }
func to(target string) change {
	return func(r *http.Request) { r.URL = httptest.NewRequest("POST", target, nil).URL }
}

func request(key, body string, changes ...change) *http.Request {
	r := httptest.NewRequest("POST", "/payments", strings.NewReader(body))
	r.Header.Set("User", "alice")
	if key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	for _, change := range changes {
		change(r)
	}
	return r
}

func post(h http.Handler, key, body string, changes ...change) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, request(key, body, changes...))
	return w
}

// want checks a refusal: its status, problem type and hint.
func want(t testing.TB, what string, w *httptest.ResponseRecorder, status int, reason string) {
	t.Helper()
	var problem struct {
		Type, Title, Detail string
		Status              int
	}
	err := json.Unmarshal(w.Body.Bytes(), &problem)
	if w.Code != status || err != nil || problem.Status != status || problem.Title == "" || !strings.HasSuffix(problem.Type, "/idempotency.md#"+reason) {
		t.Errorf("%s: got %d %s, want %d %s", what, w.Code, w.Body, status, reason)
	}
	retry := reason == "busy" || reason == "unavailable"
	if h := w.Header(); h.Get("Content-Type") != "application/problem+json" || h.Get("Cache-Control") != "no-store" || (h.Get("Retry-After") != "") != retry || h.Get("Idempotency-Replayed") != "" {
		t.Errorf("%s: header %v", what, h)
	}
}

func wantAnswer(t testing.TB, what string, w *httptest.ResponseRecorder, status int, body string, replayed bool) {
	t.Helper()
	if w.Code != status || w.Body.String() != body || (w.Header().Get("Idempotency-Replayed") == "true") != replayed {
		t.Errorf("%s: got %d %q replayed %q, want %d %q replayed %v", what, w.Code, w.Body, w.Header().Get("Idempotency-Replayed"), status, body, replayed)
	}
}

func TestOnceAndReplayed(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		rdb, prefix := g.Client(t), redistest.Prefix(t)
		var runs atomic.Int32
		h := keeper(t, rdb, prefix).Handler(paid(&runs))
		other := keeper(t, g.Client(t), prefix).Handler(paid(&runs)) // another instance
		first := post(h, `"k1"`, "5 EUR")
		wantAnswer(t, "first", first, 201, "payment 1 of 5 EUR", false)
		for what, h := range map[string]http.Handler{"retry": h, "retry elsewhere": other} {
			w := post(h, "k1", "5 EUR")
			wantAnswer(t, what, w, 201, "payment 1 of 5 EUR", true)
			if got := w.Header().Get("Location"); got != "/payments/1" {
				t.Errorf("%s: Location %q", what, got)
			}
		}
		want(t, "another payload", post(other, "k1", "6 EUR"), 422, "mismatch")
		want(t, "another query", post(h, "k1", "5 EUR", to("/payments?dry=1")), 422, "mismatch")
		want(t, "another type", post(h, "k1", "5 EUR", header("Content-Type", "text/plain")), 422, "mismatch")
		wantAnswer(t, "another key", post(h, "k2", "5 EUR"), 201, "payment 2 of 5 EUR", false)
		wantAnswer(t, "another path", post(h, "k1", "5 EUR", to("/refunds")), 201, "payment 3 of 5 EUR", false)
		wantAnswer(t, "another user", post(h, "k1", "5 EUR", as("bob")), 201, "payment 4 of 5 EUR", false)
		wantAnswer(t, "another method", post(h, "k1", "5 EUR", func(r *http.Request) { r.Method = "PATCH" }), 201, "payment 5 of 5 EUR", false)
		wantAnswer(t, "another user's retry", post(other, "k1", "5 EUR", as("bob")), 201, "payment 4 of 5 EUR", true)
		wantAnswer(t, "another spelling of the path", post(h, "k1", "5 EUR", to("/%70ayments")), 201, "payment 1 of 5 EUR", true)
		wantAnswer(t, "another name of the host", post(h, "k1", "5 EUR", func(r *http.Request) { r.Host = "api2.example.com" }), 201, "payment 1 of 5 EUR", true)
		if runs.Load() != 5 {
			t.Errorf("%d runs, want 5", runs.Load())
		}
	})
}

// What it costs: five round trips for the first, two of them the lock's, and
// one for each retry.
func TestRoundTrips(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		rdb := g.Client(t)
		var runs atomic.Int32
		h := keeper(t, rdb, redistest.Prefix(t)).Handler(paid(&runs))
		for i := range 10 { // every node learns the scripts
			post(h, fmt.Sprint("warm", i), "")
		}
		count := redistest.Count(rdb)
		post(h, "k", "")
		// The lock is released by SET … IFEQ where the server has it.
		if got := count.Commands(); count.Trips() != 5 || got["evalsha"]+got["set"] != 4 || got["hmget"] != 1 {
			t.Errorf("the first: %d, %v", count.Trips(), got)
		}
		count.Reset()
		post(h, "k", "")
		if got := fmt.Sprint(count.Trips(), count.Commands()); got != "1 map[hmget:1]" {
			t.Errorf("the retry: %s", got)
		}
	})
}

// Two instances, each with a locker of its own, and a crowd with one key: one
// run, and the others are told that it is under way, whatever their payload.
func TestConcurrentRequests(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		prefix := redistest.Prefix(t)
		entered, leave := make(chan struct{}), make(chan struct{})
		var runs atomic.Int32
		handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if runs.Add(1) == 1 {
				close(entered)
			}
			<-leave
			io.WriteString(w, "done")
		})
		a, b := keeper(t, g.Client(t), prefix).Handler(handler), keeper(t, g.Client(t), prefix).Handler(handler)
		var first, wg sync.WaitGroup
		first.Go(func() { wantAnswer(t, "first", post(a, "k", "5"), 200, "done", false) })
		<-entered
		for range 10 {
			wg.Go(func() { want(t, "the same instance", post(a, "k", "5"), 409, "busy") })
			wg.Go(func() { want(t, "another instance", post(b, "k", "5"), 409, "busy") })
		}
		want(t, "another payload meanwhile", post(b, "k", "6"), 422, "mismatch")
		wg.Wait()
		close(leave)
		first.Wait()
		wantAnswer(t, "retry", post(b, "k", "5"), 200, "done", true)
		want(t, "another payload after it", post(a, "k", "6"), 422, "mismatch")
		if runs.Load() != 1 {
			t.Errorf("%d runs", runs.Load())
		}
	})
}

// A race from the first moment on.
func TestOnlyOneOfARace(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		prefix := redistest.Prefix(t)
		var runs [20]atomic.Int32
		var hs []http.Handler
		handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var n int
			fmt.Fscan(r.Body, &n)
			runs[n].Add(1)
			fmt.Fprint(w, "done ", n)
		})
		for range 3 {
			hs = append(hs, keeper(t, g.Client(t), prefix).Handler(handler))
		}
		var wg sync.WaitGroup
		for n := range runs {
			for i := range 6 {
				wg.Go(func() {
					redistest.Eventually(t, patience, func() bool {
						w := post(hs[i%3], fmt.Sprint("key", n), fmt.Sprint(n))
						if w.Code == 409 {
							want(t, "meanwhile", w, 409, "busy")
							return false
						}
						if w.Code != 200 || w.Body.String() != fmt.Sprint("done ", n) {
							t.Errorf("got %d %s", w.Code, w.Body)
						}
						return true
					}, "key %d is not answered", n)
				})
			}
		}
		wg.Wait()
		for n := range runs {
			if got := runs[n].Load(); got != 1 {
				t.Errorf("key %d ran %d times", n, got)
			}
		}
	})
}

func TestExpiry(t *testing.T) {
	rdb, prefix := redistest.Standalone(t).Client(t), redistest.Prefix(t)
	var runs atomic.Int32
	h := keeper(t, rdb, prefix, idempotency.WithTTL(time.Hour)).Handler(paid(&runs))
	post(h, "k", "5")
	keys := rdb.Keys(t.Context(), prefix+":*").Val()
	if len(keys) != 1 || !strings.HasPrefix(keys[0], prefix+":v1:default:{") || rdb.Type(t.Context(), keys[0]).Val() != "hash" {
		t.Fatalf("keys %v", keys)
	}
	if ttl := rdb.PTTL(t.Context(), keys[0]).Val(); ttl < 59*time.Minute || ttl > time.Hour {
		t.Errorf("TTL %v", ttl)
	}
	rdb.PExpire(t.Context(), keys[0], time.Millisecond)
	redistest.Eventually(t, patience, func() bool { return rdb.Exists(t.Context(), keys[0]).Val() == 0 }, "does not expire")
	wantAnswer(t, "after it", post(h, "k", "6"), 201, "payment 2 of 6", false)
}

// Nothing a client or the application calls secret is logged.
func TestNothingSecretIsLogged(t *testing.T) {
	s := redistest.NewServer(t)
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	rdb := s.Client(t)
	locks := locker(t, rdb, "p", lockmw.WithTimeout(500*time.Millisecond))
	k, err := idempotency.New(locks, rdb, func(r *http.Request) (string, error) {
		if r.URL.Path == "/fail" {
			return "secret-user", errors.New("secret-error")
		}
		return "secret-user", nil
	}, idempotency.WithLogger(logger), idempotency.WithTimeout(500*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	h := k.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.Kill()
		io.WriteString(w, "done")
	}))
	w := post(h, "secret-key", "secret-body", to("/fail"))
	want(t, "no scope", w, 500, "no-scope")
	wantAnswer(t, "cannot be recorded", post(h, "secret-key", "secret-body"), 200, "done", false)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := k.Close(ctx); err == nil {
		t.Error("Close does not say that a result is lost")
	}
	want(t, "closed", post(h, "secret-key", "secret-body"), 503, "unavailable")
	if text := log.String() + w.Body.String(); strings.Contains(text, "secret") || strings.Count(log.String(), "\n") != 2 {
		t.Errorf("logged:\n%s", text)
	}
}

func TestRecordsThatCannotBeRead(t *testing.T) {
	rdb, prefix := redistest.Standalone(t).Client(t), redistest.Prefix(t)
	var runs, failed atomic.Int32
	h := keeper(t, rdb, prefix, idempotency.WithHooks(idempotency.Hooks{Failed: func(context.Context, error) { failed.Add(1) }})).Handler(paid(&runs))
	post(h, "k", "5")
	key := rdb.Keys(t.Context(), prefix+":*").Val()[0]
	for _, tc := range []struct {
		field, value string
		status       int
		reason       string
	}{
		{"r", "\x09of a later version", 409, "not-kept"},
		{"s", "later", 503, "unavailable"},
		{"p", "short", 503, "unavailable"},
	} {
		failed.Store(0)
		rdb.HSet(t.Context(), key, tc.field, tc.value)
		want(t, tc.field, post(h, "k", "5"), tc.status, tc.reason)
		if failed.Load() == 0 {
			t.Errorf("%s: no hook", tc.field)
		}
	}
	rdb.Del(t.Context(), key)
	rdb.Set(t.Context(), key, "a string", time.Minute)
	want(t, "another type", post(h, "k", "5"), 503, "unavailable")
	if runs.Load() != 1 {
		t.Errorf("%d runs", runs.Load())
	}
}

func TestEveryMistakeIsReported(t *testing.T) {
	_, err := idempotency.New(nil, nil, nil, nil, idempotency.WithName("{"), idempotency.WithKeyPrefix(""), idempotency.WithTTL(0), idempotency.WithTimeout(0), idempotency.WithMethods(),
		idempotency.WithMaxRequestBody(-1), idempotency.WithMaxResponseBody(1<<40), idempotency.WithKeepStatus(nil), idempotency.WithFingerprint(nil), idempotency.WithWaitReplicas(1, 0), idempotency.WithDocs("docs"), idempotency.WithLogger(nil))
	for _, option := range []string{"locks", "rdb", "scope", "WithName", "WithKeyPrefix", "WithTTL", "WithTimeout", "WithMethods", "WithMaxRequestBody", "WithMaxResponseBody", "WithKeepStatus", "WithFingerprint", "WithWaitReplicas", "WithDocs", "WithLogger"} {
		if err == nil || !strings.Contains(err.Error(), "idempotency: "+option+": ") {
			t.Errorf("%s is not reported in:\n%v", option, err)
		}
	}
	rdb := redistest.Standalone(t).Client(t)
	locks := locker(t, rdb, redistest.Prefix(t))
	if _, err := idempotency.New(locks, rdb, idempotency.DangerouslyUnscoped); err != nil {
		t.Error(err)
	}
	for option, opts := range map[string][]idempotency.Option{
		"WithMethods":      {idempotency.WithMethods("post"), idempotency.WithMethods("POST", " PATCH"), idempotency.WithMethods("")},
		"WithDenyHandler":  {idempotency.WithDenyHandler(http.HandlerFunc(nil))},
		"WithWaitReplicas": {idempotency.WithWaitReplicas(-1, time.Second), idempotency.WithWaitReplicas(1, time.Microsecond)},
		"WithDocs":         {idempotency.WithDocs("https:"), idempotency.WithDocs("https://a/#b")},
		"WithTTL":          {idempotency.WithTTL(-time.Hour)},
	} {
		for i, opt := range opts {
			if _, err := idempotency.New(locks, rdb, user, opt); err == nil || !strings.Contains(err.Error(), "idempotency: "+option+": ") {
				t.Errorf("%s, %d: got %v", option, i, err)
			}
		}
	}
}
