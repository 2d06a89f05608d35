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
	locks, err := lockmw.New(rdb, append([]lockmw.Option{lockmw.WithKeyPrefix(prefix + "l"), lockmw.WithNodeTimeout(4 * time.Second)}, opts...)...)
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
func want(t testing.TB, what string, w *httptest.ResponseRecorder, status int, reason idempotency.Reason) {
	t.Helper()
	var problem struct {
		Type, Title, Detail string
		Status              int
	}
	err := json.Unmarshal(w.Body.Bytes(), &problem)
	if w.Code != status || err != nil || problem.Status != status || problem.Title == "" || !strings.HasSuffix(problem.Type, "/idempotency.md#"+string(reason)) {
		t.Errorf("%s: got %d %s, want %d %s", what, w.Code, w.Body, status, reason)
	}
	retry := reason == idempotency.Busy || reason == idempotency.Unavailable
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
		want(t, "another payload", post(other, "k1", "6 EUR"), 422, idempotency.Mismatch)
		want(t, "another query", post(h, "k1", "5 EUR", to("/payments?dry=1")), 422, idempotency.Mismatch)
		want(t, "another type", post(h, "k1", "5 EUR", header("Content-Type", "text/plain")), 422, idempotency.Mismatch)
		wantAnswer(t, "another key", post(h, "k2", "5 EUR"), 201, "payment 2 of 5 EUR", false)
		wantAnswer(t, "another path", post(h, "k1", "5 EUR", to("/refunds")), 201, "payment 3 of 5 EUR", false)
		wantAnswer(t, "another user", post(h, "k1", "5 EUR", as("bob")), 201, "payment 4 of 5 EUR", false)
		wantAnswer(t, "another method", post(h, "k1", "5 EUR", func(r *http.Request) { r.Method = "PATCH" }), 201, "payment 5 of 5 EUR", false)
		wantAnswer(t, "another user's retry", post(other, "k1", "5 EUR", as("bob")), 201, "payment 4 of 5 EUR", true)
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
		if got := fmt.Sprint(count.Trips(), count.Commands()); got != "5 map[evalsha:4 hmget:1]" {
			t.Errorf("the first: %s", got)
		}
		count.Reset()
		post(h, "k", "")
		if got := fmt.Sprint(count.Trips(), count.Commands()); got != "1 map[hmget:1]" {
			t.Errorf("the retry: %s", got)
		}
	})
}

func TestWhatIsRefused(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	ran := func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ran") }
	cases := []struct {
		name   string
		key    string
		body   string
		change change
		status int
		reason idempotency.Reason // "" for one that runs
		opts   []idempotency.Option
	}{
		{name: "no key", status: 400, reason: idempotency.Missing},
		{name: "no key needed", status: 200, opts: []idempotency.Option{idempotency.WithRequired(false)}},
		{name: "an empty key", key: `""`, status: 400, reason: idempotency.Malformed},
		{name: "an empty key where none is needed", key: `""`, status: 400, reason: idempotency.Malformed, opts: []idempotency.Option{idempotency.WithRequired(false)}},
		{name: "two lines", key: "a", change: header("Idempotency-Key", "a"), status: 400, reason: idempotency.Malformed},
		{name: "a list", key: "a, b", status: 400, reason: idempotency.Malformed},
		{name: "the longest", key: strings.Repeat("k", 255), status: 200},
		{name: "too long", key: strings.Repeat("k", 256), status: 400, reason: idempotency.Malformed},
		{name: "a method that is not covered", change: func(r *http.Request) { r.Method = "PUT" }, status: 200},
		{name: "a method that is", change: func(r *http.Request) { r.Method = "PUT" }, status: 400, reason: idempotency.Missing, opts: []idempotency.Option{idempotency.WithMethods("PUT")}},
		{name: "nobody", key: "k", change: as(""), status: 500, reason: idempotency.NoScope},
		{name: "the largest body", key: "k", body: "12345678", status: 200, opts: []idempotency.Option{idempotency.WithMaxRequestBody(8)}},
		{name: "a larger body", key: "k", body: "123456789", status: 413, reason: idempotency.TooLarge, opts: []idempotency.Option{idempotency.WithMaxRequestBody(8)}},
		{name: "a larger body of unknown length", key: "k", body: "123456789", change: func(r *http.Request) { r.ContentLength = -1 }, status: 413, reason: idempotency.TooLarge, opts: []idempotency.Option{idempotency.WithMaxRequestBody(8)}},
		{name: "a body that breaks off", key: "k", change: func(r *http.Request) { r.Body = io.NopCloser(io.MultiReader(strings.NewReader("a"), broken{})) }, status: 400, reason: idempotency.Malformed},
		{name: "a body that is gone", key: "k", body: "abc", change: func(r *http.Request) { io.Copy(io.Discard, r.Body) }, status: 500, reason: idempotency.Misused},
	}
	for _, tc := range cases {
		var refused []idempotency.Reason
		opts := append(tc.opts, idempotency.WithHooks(idempotency.Hooks{Refused: func(_ context.Context, reason idempotency.Reason) { refused = append(refused, reason) }}))
		h := keeper(t, rdb, redistest.Prefix(t), opts...).Handler(http.HandlerFunc(ran))
		changes := []change{}
		if tc.change != nil {
			changes = append(changes, tc.change)
		}
		w := post(h, tc.key, tc.body, changes...)
		if tc.reason == "" {
			if w.Code != tc.status || w.Body.String() != "ran" || len(refused) != 0 {
				t.Errorf("%s: got %d %s, refused %v", tc.name, w.Code, w.Body, refused)
			}
			continue
		}
		want(t, tc.name, w, tc.status, tc.reason)
		if fmt.Sprint(refused) != fmt.Sprint([]idempotency.Reason{tc.reason}) {
			t.Errorf("%s: the hook got %v", tc.name, refused)
		}
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("the client hung up") }

// A form that a middleware further out has read still tells payloads apart.
func TestFormsReadBefore(t *testing.T) {
	var runs atomic.Int32
	h := keeper(t, redistest.Standalone(t).Client(t), redistest.Prefix(t)).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		runs.Add(1)
		fmt.Fprint(w, r.PostFormValue("amount"))
	}))
	outer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.PostFormValue("csrf")
		h.ServeHTTP(w, r)
	})
	form := header("Content-Type", "application/x-www-form-urlencoded")
	wantAnswer(t, "first", post(outer, "k", "amount=5&csrf=x", form), 200, "5", false)
	wantAnswer(t, "retry", post(outer, "k", "amount=5&csrf=x", form), 200, "5", true)
	want(t, "another amount", post(outer, "k", "amount=6&csrf=x", form), 422, idempotency.Mismatch)
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
			wg.Go(func() { want(t, "the same instance", post(a, "k", "5"), 409, idempotency.Busy) })
			wg.Go(func() { want(t, "another instance", post(b, "k", "5"), 409, idempotency.Busy) })
		}
		want(t, "another payload meanwhile", post(b, "k", "6"), 422, idempotency.Mismatch)
		wg.Wait()
		close(leave)
		first.Wait()
		wantAnswer(t, "retry", post(b, "k", "5"), 200, "done", true)
		want(t, "another payload after it", post(a, "k", "6"), 422, idempotency.Mismatch)
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
							want(t, "meanwhile", w, 409, idempotency.Busy)
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

// The handler that a client has left goes on, and its retry finds the result.
func TestAClientThatHangsUp(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	for _, cancels := range []bool{false, true} {
		for _, fails := range []bool{false, true} {
			ctx, cancel := context.WithCancelCause(t.Context())
			gone := errors.New("the client is gone")
			h := keeper(t, rdb, redistest.Prefix(t), idempotency.WithCancellation(cancels)).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				cancel(gone)
				if cancels {
					<-r.Context().Done()
					if !errors.Is(context.Cause(r.Context()), gone) {
						t.Errorf("cause %v", context.Cause(r.Context()))
					}
				}
				if err := r.Context().Err(); (err != nil) != cancels {
					t.Errorf("cancellation %v: %v", cancels, err)
				}
				if fails {
					w.WriteHeader(http.StatusServiceUnavailable)
				}
				io.WriteString(w, "done")
			}))
			post(h, "k", "5", func(r *http.Request) { *r = *r.WithContext(ctx) })
			w := post(h, "k", "5")
			switch {
			case cancels && fails: // did it give up before or after it was done?
				want(t, "retry", w, 409, idempotency.UnknownOutcome)
			case fails:
				wantAnswer(t, "retry", w, 503, "done", true)
			default:
				wantAnswer(t, "retry", w, 200, "done", true)
			}
		}
	}
}

func TestAPanicLeavesTheOutcomeUnknown(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	for _, rerun := range []bool{false, true} {
		var runs atomic.Int32
		var outcomes []string
		h := keeper(t, rdb, redistest.Prefix(t), idempotency.WithRerun(rerun), idempotency.WithHooks(idempotency.Hooks{Ran: func(_ context.Context, a idempotency.Attempt, o idempotency.Outcome) {
			outcomes = append(outcomes, fmt.Sprint(a.Number, " ", o))
		}})).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			a, ok := idempotency.FromContext(r.Context())
			if n := runs.Add(1); !ok || a.Number != int(n) || a.Fence == 0 {
				t.Errorf("run %d: attempt %+v", n, a)
			}
			io.WriteString(w, "half")
			if runs.Load() < 3 {
				panic("boom")
			}
		}))
		call := func() (p any) {
			defer func() { p = recover() }()
			post(h, "k", "5")
			return nil
		}
		if p := call(); p != "boom" {
			t.Errorf("the panic: %v", p)
		}
		if !rerun {
			want(t, "retry", post(h, "k", "5"), 409, idempotency.UnknownOutcome)
			want(t, "retry with another payload", post(h, "k", "6"), 422, idempotency.Mismatch)
			want(t, "retry", post(h, "k", "5"), 409, idempotency.UnknownOutcome)
			if fmt.Sprint(runs.Load(), outcomes) != "1 [1 unknown]" {
				t.Errorf("%d runs, outcomes %v", runs.Load(), outcomes)
			}
			continue
		}
		want(t, "retry with another payload", post(h, "k", "6"), 422, idempotency.Mismatch)
		if p := call(); p != "boom" {
			t.Errorf("the second panic: %v", p)
		}
		wantAnswer(t, "third", post(h, "k", "5"), 200, "half", false)
		wantAnswer(t, "retry", post(h, "k", "5"), 200, "half", true)
		if fmt.Sprint(runs.Load(), outcomes) != "3 [1 unknown 2 unknown 3 kept]" {
			t.Errorf("%d runs, outcomes %v", runs.Load(), outcomes)
		}
	}
}

func TestForgetAndKeep(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	var runs atomic.Int32
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := runs.Add(1)
		if a, _ := idempotency.FromContext(r.Context()); a.Number != 1 {
			t.Errorf("run %d is attempt %d", n, a.Number)
		}
		if r.URL.Path == "/forget" && n == 1 && !idempotency.Forget(r.Context()) {
			t.Error("no run to forget")
		}
		if n == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		fmt.Fprint(w, "run ", n)
	})
	h := keeper(t, rdb, redistest.Prefix(t), idempotency.WithKeep(func(status int) bool { return status < 500 })).Handler(handler)
	for _, path := range []string{"/forget", "/keep"} {
		runs.Store(0)
		wantAnswer(t, path+" first", post(h, "k", "5", to(path)), 503, "run 1", false)
		wantAnswer(t, path+" retry with a corrected payload", post(h, "k", "6", to(path)), 200, "run 2", false)
		wantAnswer(t, path+" again", post(h, "k", "6", to(path)), 200, "run 2", true)
	}
	runs.Store(0)
	all := keeper(t, rdb, redistest.Prefix(t)).Handler(handler) // keeps errors
	wantAnswer(t, "first", post(all, "k", "5"), 503, "run 1", false)
	wantAnswer(t, "retry", post(all, "k", "5"), 503, "run 1", true)
	if idempotency.Forget(t.Context()) {
		t.Error("forgot a run that is none")
	}
}

// An attempt that forgets does not make those before it undone.
func TestForgettingALaterAttempt(t *testing.T) {
	rdb, prefix := redistest.Standalone(t).Client(t), redistest.Prefix(t)
	var attempts []int
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a, _ := idempotency.FromContext(r.Context())
		attempts = append(attempts, a.Number)
		switch len(attempts) {
		case 1:
			panic(http.ErrAbortHandler)
		case 2:
			idempotency.Forget(r.Context())
		}
		io.WriteString(w, "done")
	})
	h := keeper(t, rdb, prefix, idempotency.WithRerun(true)).Handler(handler)
	func() {
		defer func() { _ = recover() }()
		post(h, "k", "5")
	}()
	wantAnswer(t, "second", post(h, "k", "5"), 200, "done", false)
	careful := keeper(t, rdb, prefix).Handler(handler)
	want(t, "without rerun", post(careful, "k", "5"), 409, idempotency.UnknownOutcome)
	wantAnswer(t, "third", post(h, "k", "5"), 200, "done", false)
	if fmt.Sprint(attempts) != "[1 2 2]" {
		t.Errorf("attempts %v: the first may have done something", attempts)
	}
}

// A handler that loses its lock is told. Its record still stands for it as long
// as no other attempt has begun.
func TestALostLock(t *testing.T) {
	for _, fails := range []bool{false, true} {
		for _, wiped := range []bool{false, true} {
			s := redistest.NewServer(t)
			rdb := s.Client(t)
			locks := locker(t, rdb, "p", lockmw.WithTTL(600*time.Millisecond), lockmw.WithNodeTimeout(200*time.Millisecond))
			var runs atomic.Int32
			h := keeperOver(t, locks, rdb, "p").Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				runs.Add(1)
				if wiped {
					rdb.FlushAll(context.Background())
				} else {
					rdb.Del(context.Background(), rdb.Keys(context.Background(), "pl:*").Val()...)
				}
				<-r.Context().Done()
				if !errors.Is(context.Cause(r.Context()), lockmw.ErrLost) {
					t.Errorf("cause %v", context.Cause(r.Context()))
				}
				if fails {
					w.WriteHeader(500)
				}
				io.WriteString(w, "done")
			}))
			first := post(h, "k", "5")
			if !fails {
				wantAnswer(t, "first", first, 200, "done", false)
				wantAnswer(t, "retry", post(h, "k", "5"), 200, "done", true)
			} else {
				wantAnswer(t, "first", first, 500, "done", false)
				if !wiped { // else nothing is known of it: what Redis loses is lost
					want(t, "retry", post(h, "k", "5"), 409, idempotency.UnknownOutcome)
				}
			}
			if runs.Load() != 1 {
				t.Errorf("%d runs", runs.Load())
			}
		}
	}
}

// An attempt that lost its lock, and whose place another has taken, answers
// what the other one's retries get.
func TestASupersededAttempt(t *testing.T) {
	s := redistest.NewServer(t)
	rdb := s.Client(t)
	var failures []error
	locks := locker(t, rdb, "p", lockmw.WithTTL(600*time.Millisecond), lockmw.WithNodeTimeout(200*time.Millisecond))
	fences := make(chan uint64, 2)
	lost, second, rest := make(chan struct{}), make(chan struct{}), make(chan struct{})
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a, _ := idempotency.FromContext(r.Context())
		fences <- a.Fence
		if a.Number == 1 {
			rdb.Del(context.Background(), rdb.Keys(context.Background(), "pl:*").Val()...)
			<-r.Context().Done()
			close(lost)
			<-second
		} else if r.URL.Path == "/slow" {
			close(second)
			<-rest
		}
		fmt.Fprint(w, "attempt ", a.Number)
	})
	one := keeperOver(t, locks, rdb, "p", idempotency.WithRerun(true), idempotency.WithHooks(idempotency.Hooks{Failed: func(_ context.Context, err error) { failures = append(failures, err) }})).Handler(handler)
	two := keeper(t, rdb, "p", idempotency.WithRerun(true)).Handler(handler)
	var wg sync.WaitGroup
	var first *httptest.ResponseRecorder
	wg.Go(func() { first = post(one, "k", "5") })
	<-lost
	wantAnswer(t, "the other", post(two, "k", "5"), 200, "attempt 2", false)
	close(second)
	wg.Wait()
	wantAnswer(t, "the first", first, 200, "attempt 2", true)
	if a, b := <-fences, <-fences; a >= b {
		t.Errorf("fences %d, %d", a, b)
	}
	if len(failures) != 1 || !errors.Is(failures[0], idempotency.ErrSuperseded) {
		t.Errorf("failures %v", failures)
	}

	lost, second = make(chan struct{}), make(chan struct{})
	wg.Go(func() { first = post(one, "k", "5", to("/slow")) })
	<-lost
	var other sync.WaitGroup
	other.Go(func() { wantAnswer(t, "the other", post(two, "k", "5", to("/slow")), 200, "attempt 2", false) })
	wg.Wait() // while the other one runs
	want(t, "the first", first, 409, idempotency.Busy)
	close(rest)
	other.Wait()
	wantAnswer(t, "retry", post(one, "k", "5", to("/slow")), 200, "attempt 2", true)
}

// Nothing a client or the application calls secret is logged.
func TestNothingSecretIsLogged(t *testing.T) {
	s := redistest.NewServer(t)
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	rdb := s.Client(t)
	locks := locker(t, rdb, "p", lockmw.WithNodeTimeout(100*time.Millisecond))
	k, err := idempotency.New(locks, rdb, func(r *http.Request) (string, error) {
		if r.URL.Path == "/fail" {
			return "secret-user", errors.New("secret-error")
		}
		return "secret-user", nil
	}, idempotency.WithLogger(logger), idempotency.WithTimeout(50*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	h := k.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.Kill()
		io.WriteString(w, "done")
	}))
	w := post(h, "secret-key", "secret-body", to("/fail"))
	want(t, "no scope", w, 500, idempotency.NoScope)
	wantAnswer(t, "cannot be recorded", post(h, "secret-key", "secret-body"), 200, "done", false)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := k.Close(ctx); err == nil {
		t.Error("Close does not say that a result is lost")
	}
	want(t, "closed", post(h, "secret-key", "secret-body"), 503, idempotency.Unavailable)
	if text := log.String() + w.Body.String(); strings.Contains(text, "secret") || strings.Count(log.String(), "\n") != 2 {
		t.Errorf("logged:\n%s", text)
	}
}

// Without HTTP.
func TestBegin(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		k := keeper(t, g.Client(t), redistest.Prefix(t))
		op := idempotency.Operation{Scope: "alice", Name: "transfer", Key: "k", Fingerprint: [32]byte{1}}
		begin := func(op idempotency.Operation, wanted error) (*idempotency.Run, []byte) {
			t.Helper()
			run, kept, err := k.Begin(t.Context(), op)
			if !errors.Is(err, wanted) {
				t.Fatalf("got %v, want %v", err, wanted)
			}
			return run, kept
		}
		run, _ := begin(op, nil)
		if run == nil || run.Attempt().Number != 1 {
			t.Fatal("no run")
		}
		begin(op, lockmw.ErrBusy)
		_, _, err := k.Begin(run.Context(), op)
		if !errors.Is(err, lockmw.ErrNested) {
			t.Errorf("nested: %v", err)
		}
		if err := run.Keep([]byte{}); err != nil { // nothing is a result too
			t.Fatal(err)
		}
		if err := run.Forget(); err != nil { // it is over
			t.Fatal(err)
		}
		run.Release()
		run.Release()
		if run, kept := begin(op, nil); run != nil || len(kept) != 0 {
			t.Errorf("got %v, %q", run, kept)
		}
		other := op
		other.Fingerprint[0] = 2
		begin(other, idempotency.ErrMismatch)
		op.Key = "spent"
		run, _ = begin(op, nil)
		if err := run.Spend(); err != nil {
			t.Fatal(err)
		}
		run.Release()
		begin(op, idempotency.ErrNotKept)
		op.Key = "unknown"
		run, _ = begin(op, nil)
		run.Release()
		begin(op, idempotency.ErrUnknown)
		op.Key = "forgotten"
		for range 3 {
			run, _ = begin(op, nil)
			if err := run.Forget(); err != nil {
				t.Fatal(err)
			}
			run.Release()
		}
		op.Scope = ""
		begin(op, idempotency.ErrIncomplete)
	})
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
		reason       idempotency.Reason
	}{
		{"r", "\x09of a later version", 409, idempotency.ResponseNotKept},
		{"s", "later", 503, idempotency.Unavailable},
		{"p", "short", 503, idempotency.Unavailable},
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
	want(t, "another type", post(h, "k", "5"), 503, idempotency.Unavailable)
	if runs.Load() != 1 {
		t.Errorf("%d runs", runs.Load())
	}
}

func TestDenyHandlerDocsAndFingerprint(t *testing.T) {
	var runs atomic.Int32
	rdb := redistest.Standalone(t).Client(t)
	k := keeper(t, rdb, redistest.Prefix(t),
		idempotency.WithFingerprint(func(_ *http.Request, body []byte) []byte { return bytes.ToUpper(body) }),
		idempotency.WithDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ref, ok := idempotency.RefusalFromContext(r.Context())
			w.WriteHeader(ref.Status)
			fmt.Fprint(w, ref.Reason, " ", ok)
		})))
	h := k.Handler(paid(&runs))
	wantAnswer(t, "first", post(h, "k", "eur"), 201, "payment 1 of eur", false)
	wantAnswer(t, "the same to it", post(h, "k", "EUR"), 201, "payment 1 of eur", true)
	wantAnswer(t, "another", post(h, "k", "USD"), 422, "mismatch true", false)
	if _, ok := idempotency.RefusalFromContext(t.Context()); ok {
		t.Error("a refusal of nothing")
	}
	documented := keeper(t, rdb, redistest.Prefix(t), idempotency.WithDocs("https://example.com/docs")).Handler(paid(&runs))
	if body := post(documented, "", "").Body.String(); !strings.Contains(body, `"type":"https://example.com/docs#missing"`) {
		t.Errorf("got %s", body)
	}
}

func TestEveryMistakeIsReported(t *testing.T) {
	_, err := idempotency.New(nil, nil, nil, nil, idempotency.WithName("{"), idempotency.WithKeyPrefix(""), idempotency.WithTTL(0), idempotency.WithTimeout(0), idempotency.WithMethods(),
		idempotency.WithMaxRequestBody(-1), idempotency.WithMaxResponseBody(1<<40), idempotency.WithKeep(nil), idempotency.WithFingerprint(nil), idempotency.WithWaitReplicas(1, 0), idempotency.WithDocs("docs"), idempotency.WithLogger(nil))
	for _, option := range []string{"locks", "rdb", "scope", "WithName", "WithKeyPrefix", "WithTTL", "WithTimeout", "WithMethods", "WithMaxRequestBody", "WithMaxResponseBody", "WithKeep", "WithFingerprint", "WithWaitReplicas", "WithDocs", "WithLogger"} {
		if err == nil || !strings.Contains(err.Error(), "idempotency: "+option+": ") {
			t.Errorf("%s is not reported in:\n%v", option, err)
		}
	}
	rdb := redistest.Standalone(t).Client(t)
	if _, err := idempotency.New(locker(t, rdb, redistest.Prefix(t)), rdb, idempotency.DangerouslyUnscoped); err != nil {
		t.Error(err)
	}
}

func ranInto(outcomes *[]idempotency.Outcome) func(context.Context, idempotency.Attempt, idempotency.Outcome) {
	return func(_ context.Context, _ idempotency.Attempt, o idempotency.Outcome) {
		*outcomes = append(*outcomes, o)
	}
}
