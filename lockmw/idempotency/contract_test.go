package idempotency_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw/idempotency"
)

// A scope function may read the body, as a form too: the handler gets it again.
func TestAScopeThatReadsTheBody(t *testing.T) {
	rdb, prefix := redistest.Standalone(t).Client(t), redistest.Prefix(t)
	k, err := idempotency.New(locker(t, rdb, prefix), rdb, func(r *http.Request) (string, error) {
		return r.FormValue("account"), r.ParseForm()
	}, idempotency.WithKeyPrefix(prefix))
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close(context.Background())
	var runs atomic.Int32
	h := k.Handler(paid(&runs))
	form := header("Content-Type", "application/x-www-form-urlencoded")
	w := post(h, "key", "account=alice&amount=5", form)
	if w.Code != http.StatusCreated || w.Body.String() != "payment 1 of account=alice&amount=5" {
		t.Errorf("got %d %q", w.Code, w.Body)
	}
	if w := post(h, "key", "account=bob&amount=5", form); w.Header().Get("Idempotency-Replayed") != "" || runs.Load() != 2 {
		t.Errorf("another user got %d %q", w.Code, w.Body)
	}
}

// Only what is covered needs a key, and without one a request that may have none
// runs each time.
func TestOptionalKeys(t *testing.T) {
	var runs atomic.Int32
	h := keeper(t, redistest.Standalone(t).Client(t), redistest.Prefix(t), idempotency.WithRequired(false), idempotency.WithMethods("PUT")).Handler(paid(&runs))
	put := func() int {
		r := request("", "5 EUR")
		r.Method = http.MethodPut
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code
	}
	for range 2 {
		if code := put(); code != http.StatusCreated {
			t.Errorf("PUT without a key: got %d", code)
		}
		if w := post(h, "same", "5 EUR"); w.Code != http.StatusCreated {
			t.Errorf("POST, which is not covered: got %d", w.Code)
		}
	}
	if runs.Load() != 4 {
		t.Errorf("ran %d times, want 4", runs.Load())
	}
}
