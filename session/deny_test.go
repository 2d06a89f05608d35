package session_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/session"
)

// refusals are requests that a session refuses, with the response and reason.
var refusals = map[string]struct {
	handler func(m *session.Manager, r *http.Request)
	opts    []session.Option
	status  int
	retry   string
	reason  error
}{
	"too large": {
		func(m *session.Manager, r *http.Request) { m.Put(r.Context(), "a", make([]byte, 100)) },
		[]session.Option{session.WithMaxSize(50)},
		500, "", session.ErrTooLarge,
	},
	"not encodable": {
		func(m *session.Manager, r *http.Request) { m.Put(r.Context(), "a", make(chan int)) },
		nil, 500, "", session.ErrEncode,
	},
	"Redis is away": {
		func(m *session.Manager, r *http.Request) { m.Put(r.Context(), "a", 1) },
		[]session.Option{session.WithTimeouts(time.Nanosecond, time.Nanosecond)},
		503, "1", session.ErrUnavailable,
	},
}

func TestRefusalsAreProblems(t *testing.T) {
	for name, tc := range refusals {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, redistest.Standalone(t).Client(t), tc.opts...)
			w := a.request(a.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { tc.handler(a.Manager, r) })), "/")
			h := w.Header()
			if w.Code != tc.status || h.Get("Retry-After") != tc.retry || h.Get("Cache-Control") != "no-store" || h.Get("Content-Type") != "application/problem+json" {
				t.Errorf("got %d %v, want %d and Retry-After %q", w.Code, h, tc.status, tc.retry)
			}
			var body struct{ Status int }
			if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || body.Status != tc.status {
				t.Errorf("body %q: %v", w.Body, err)
			}
		})
	}
}

func TestDenyHandler(t *testing.T) {
	for name, tc := range refusals {
		for own, want := range map[int]int{0: tc.status, http.StatusTeapot: http.StatusTeapot} {
			t.Run(fmt.Sprint(name, " ", own), func(t *testing.T) {
				var reason error
				deny := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					reason = session.DenyReason(r.Context())
					if own != 0 {
						w.WriteHeader(own)
					}
					fmt.Fprint(w, "sorry")
				})
				a := newApp(t, redistest.Standalone(t).Client(t), append(tc.opts, session.WithDenyHandler(deny))...)
				w := a.request(a.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("X-Handler", "dropped")
					tc.handler(a.Manager, r)
				})), "/")
				h := w.Header()
				if w.Code != want || w.Body.String() != "sorry" || !errors.Is(reason, tc.reason) {
					t.Errorf("got %d %q for %v, want %d for %v", w.Code, w.Body, reason, want, tc.reason)
				}
				if h.Get("Retry-After") != tc.retry || h.Get("Cache-Control") != "no-store" || h.Get("X-Handler") != "" {
					t.Errorf("header %v, want Retry-After %q, no-store and nothing of the handler", h, tc.retry)
				}
			})
		}
	}
}

func TestDenyReasonOfAnyOtherContextIsNil(t *testing.T) {
	if err := session.DenyReason(context.Background()); err != nil {
		t.Errorf("got %v", err)
	}
}

func TestRequireOutsideOfHandler(t *testing.T) {
	m, err := session.New(redistest.Standalone(t).Client(t))
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	m.Require(http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if w.Code != http.StatusInternalServerError || w.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("got %d %v, want 500 as a problem", w.Code, w.Header())
	}
}

func TestErrorsNameThePackageOnce(t *testing.T) {
	s := redistest.NewServer(t)
	m, err := session.New(s.Client(t))
	if err != nil {
		t.Fatal(err)
	}
	s.Kill()
	_, err = m.Sessions(t.Context(), "alice")
	if !errors.Is(err, session.ErrUnavailable) || len(err.Error()) < 9 || err.Error()[:9] != "session: " {
		t.Errorf("got %v", err)
	}
}
