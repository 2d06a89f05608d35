package idempotency_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw/idempotency"
)

func TestWhatIsRefused(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	ran := func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ran") }
	cases := []struct {
		name   string
		key    string
		body   string
		change change
		status int
		reason string // "" for one that runs
		opts   []idempotency.Option
	}{
		{name: "no key", status: 400, reason: "missing"},
		{name: "no key needed", status: 200, opts: []idempotency.Option{idempotency.WithRequired(false)}},
		{name: "an empty key", key: `""`, status: 400, reason: "malformed"},
		{name: "an empty key where none is needed", key: `""`, status: 400, reason: "malformed", opts: []idempotency.Option{idempotency.WithRequired(false)}},
		{name: "two lines", key: "a", change: header("Idempotency-Key", "a"), status: 400, reason: "malformed"},
		{name: "a list", key: "a, b", status: 400, reason: "malformed"},
		{name: "the longest", key: strings.Repeat("k", 255), status: 200},
		{name: "too long", key: strings.Repeat("k", 256), status: 400, reason: "malformed"},
		{name: "a method that is not covered", change: func(r *http.Request) { r.Method = "PUT" }, status: 200},
		{name: "a method that is", change: func(r *http.Request) { r.Method = "PUT" }, status: 400, reason: "missing", opts: []idempotency.Option{idempotency.WithMethods("PUT")}},
		{name: "nobody", key: "k", change: as(""), status: 500, reason: "no-scope"},
		{name: "the largest body", key: "k", body: "12345678", status: 200, opts: []idempotency.Option{idempotency.WithMaxRequestBody(8)}},
		{name: "a larger body", key: "k", body: "123456789", status: 413, reason: "too-large", opts: []idempotency.Option{idempotency.WithMaxRequestBody(8)}},
		{name: "a larger body of unknown length", key: "k", body: "123456789", change: func(r *http.Request) { r.ContentLength = -1 }, status: 413, reason: "too-large", opts: []idempotency.Option{idempotency.WithMaxRequestBody(8)}},
		{name: "a body that breaks off", key: "k", change: func(r *http.Request) { r.Body = io.NopCloser(io.MultiReader(strings.NewReader("a"), broken{})) }, status: 400, reason: "malformed"},
		{name: "a body that is gone", key: "k", body: "abc", change: func(r *http.Request) { io.Copy(io.Discard, r.Body) }, status: 500, reason: "misused"},
	}
	for _, tc := range cases {
		var refused []string
		opts := append(tc.opts, idempotency.WithHooks(idempotency.Hooks{Refused: func(_ context.Context, reason string) { refused = append(refused, reason) }}))
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
		if fmt.Sprint(refused) != fmt.Sprint([]string{tc.reason}) {
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
	want(t, "another amount", post(outer, "k", "amount=6&csrf=x", form), 422, "mismatch")
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
	for text, status := range map[string]int{"default": 400, "own": 418} {
		denied := keeper(t, rdb, redistest.Prefix(t), idempotency.WithDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if status == 418 {
				w.WriteHeader(status)
			}
			fmt.Fprint(w, text)
		})))
		wantAnswer(t, "without a key", post(denied.Handler(paid(&runs)), "", ""), status, text, false)
	}
	documented := keeper(t, rdb, redistest.Prefix(t), idempotency.WithDocs("https://example.com/docs")).Handler(paid(&runs))
	if body := post(documented, "", "").Body.String(); !strings.Contains(body, `"type":"https://example.com/docs#missing"`) {
		t.Errorf("got %s", body)
	}
}
