package problem_test

import (
	"encoding/json"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
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

// A refusal says the same whatever text is in it, and whatever the handlers
// before it have set.
func TestWriteOverridesAndEscapes(t *testing.T) {
	w := httptest.NewRecorder()
	w.Header().Set("Cache-Control", "public, max-age=60")
	w.Header().Set("Content-Type", "text/html")
	hostile := "</script>\"\n\x00\xff"
	problem.Of(429, hostile).Write(w, httptest.NewRequest("GET", "/", nil))
	if got := w.Header(); got.Get("Cache-Control") != "no-store" || got.Get("Content-Type") != "application/problem+json" || len(got.Values("Content-Type")) != 1 {
		t.Errorf("headers: %v", got)
	}
	var body problem.Problem
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || body.Status != 429 || body.Detail != "</script>\"\n\x00\ufffd" {
		t.Errorf("got %+v, %v", body, err)
	}
	if strings.Contains(w.Body.String(), "<") {
		t.Errorf("markup in %q", w.Body)
	}
}
