package session_test

import (
	"fmt"
	"math"
	"net/http"
	"sync"
	"testing"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/session"
)

// A getter of another type returns its zero value, and its Pop removes the value
// all the same.
func TestGettersOfAnotherType(t *testing.T) {
	a := newApp(t, redistest.Standalone(t).Client(t))
	a.request(a.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		a.Put(ctx, "n", int64(1))
		if s, n, b := a.GetString(ctx, "n"), a.GetInt(ctx, "n"), a.GetBool(ctx, "n"); s != "" || n != 0 || b {
			t.Errorf("an int64 as string, int and bool: got %q, %d, %v", s, n, b)
		}
		if n := a.GetInt64(ctx, "n"); n != 1 {
			t.Errorf("got %d, want 1", n)
		}
		if s := a.PopString(ctx, "n"); s != "" || a.Exists(ctx, "n") {
			t.Errorf("PopString of an int64: got %q, the key exists: %v", s, a.Exists(ctx, "n"))
		}
	})), "/")
}

// Reads of what is not there, and removals of it, leave a visitor without a session.
func TestNothingToRemoveBeginsNoSession(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	a := newApp(t, rdb)
	w := a.request(a.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		a.Remove(ctx, "none")
		if v := a.Pop(ctx, "none"); v != nil {
			t.Errorf("Pop: got %v", v)
		}
		if all := a.Flashes(ctx); all != nil {
			t.Errorf("Flashes: got %v", all)
		}
		if err := session.Key[float64]("nan").Put(ctx, a.Manager, math.NaN()); err == nil || a.Exists(ctx, "nan") {
			t.Errorf("a NaN was put: %v", err)
		}
	})), "/")
	if keys := a.keys(rdb); a.cookie != "" || len(keys) != 0 {
		t.Errorf("got the cookie %q and keys %v", a.cookie, keys)
	}
	if vary := w.Header().Get("Vary"); vary != "Cookie" {
		t.Errorf("Vary: got %q, for a handler that uses the session", vary)
	}
}

// Pop of a typed key removes a value that it cannot decode.
func TestPopOfWhatCannotBeDecoded(t *testing.T) {
	a := newApp(t, redistest.Standalone(t).Client(t))
	a.request(a.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		a.Put(ctx, "cart", "no JSON")
		if _, ok, err := session.Key[[]string]("cart").Pop(ctx, a.Manager); ok || err == nil || a.Exists(ctx, "cart") {
			t.Errorf("got %v, %v, the key exists: %v", ok, err, a.Exists(ctx, "cart"))
		}
	})), "/")
}

// Goroutines of one request may use its session at once.
func TestGoroutinesOfOneRequest(t *testing.T) {
	a := newApp(t, redistest.Standalone(t).Client(t))
	a.request(a.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var wg sync.WaitGroup
		for i := range 16 {
			wg.Go(func() {
				a.Put(r.Context(), fmt.Sprint("k", i), "v")
				a.GetString(r.Context(), fmt.Sprint("k", i-1))
			})
		}
		wg.Wait()
	})), "/")
	for i := range 16 {
		a.want(fmt.Sprint("/get?k=k", i), 200, "v")
	}
}
