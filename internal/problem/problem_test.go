package problem_test

import (
	"math"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/redishttp/redishttp/internal/problem"
)

func TestWrite(t *testing.T) {
	for name, tc := range map[string]struct {
		problem problem.Problem
		method  string
		body    string
	}{
		"status only": {problem.Of(503, ""), "GET", `{"title":"Service Unavailable","status":503}` + "\n"},
		"detail":      {problem.Of(409, "Another request holds the lock."), "POST", `{"title":"Conflict","status":409,"detail":"Another request holds the lock."}` + "\n"},
		"typed": {
			problem.Problem{Type: "about:blank", Title: "Forbidden", Status: 403, Violated: []string{}},
			"GET",
			`{"type":"about:blank","title":"Forbidden","status":403,"violated-policies":[]}` + "\n",
		},
		"HEAD": {problem.Of(503, ""), "HEAD", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := httptest.NewRecorder()
			tc.problem.Write(w, httptest.NewRequest(tc.method, "/", nil))
			if w.Code != tc.problem.Status || w.Body.String() != tc.body {
				t.Errorf("got %d %q, want %d %q", w.Code, w.Body, tc.problem.Status, tc.body)
			}
			for field, want := range map[string]string{"Content-Type": "application/problem+json", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"} {
				if got := w.Header().Get(field); got != want {
					t.Errorf("%s: got %q, want %q", field, got, want)
				}
			}
		})
	}
}

func TestRetryAfterIsRoundedUp(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "", -time.Second: "", 1: "1", time.Second: "1", time.Second + 1: "2", 90 * time.Second: "90", math.MaxInt64: "9223372037",
	} {
		h := http.Header{}
		problem.RetryAfter(h, d)
		if got := h.Get("Retry-After"); got != want {
			t.Errorf("%v: got %q, want %q", d, got, want)
		}
	}
}
