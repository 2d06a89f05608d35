package lockmw_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw"
)

// A deny handler knows why a request was refused, and what it writes has the
// status and the headers of the default response, unless it sets others.
func TestDenyHandler(t *testing.T) {
	for name, tc := range map[string]struct {
		status int
		retry  bool
		want   error
		opts   []lockmw.Option
		fault  func(s *redistest.Server)
		next   func(s *redistest.Server) http.Handler
	}{
		"busy":        {status: 409, retry: true, want: lockmw.ErrBusy},
		"unavailable": {status: 503, retry: true, want: lockmw.ErrUnavailable, fault: func(s *redistest.Server) { s.Kill() }},
		"no key": {
			status: 500, want: lockmw.ErrNoKey,
			opts: []lockmw.Option{lockmw.WithKey(func(*http.Request) (string, error) { return "", nil })},
		},
		"lost": {
			status: 503, retry: true, want: lockmw.ErrLost,
			opts: []lockmw.Option{lockmw.WithKey(func(*http.Request) (string, error) { return "another", nil }), lockmw.WithTTL(600 * time.Millisecond), lockmw.WithTimeout(100 * time.Millisecond)},
			next: func(s *redistest.Server) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Etag", `"of the handler"`)
					s.Client(t).FlushAll(context.WithoutCancel(r.Context()))
					<-r.Context().Done()
					_, _ = io.WriteString(w, "too late")
				})
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := redistest.NewServer(t)
			prefix := redistest.Prefix(t)
			k := acquire(t, locker(t, s.Client(t), lockmw.WithKeyPrefix(prefix)), "/p")
			t.Cleanup(func() { _ = k.Release(context.Background()) })
			if tc.fault != nil {
				tc.fault(s)
			}
			next := http.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the handler ran") }))
			if tc.next != nil {
				next = tc.next(s)
			}
			var reason error
			deny := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				reason = lockmw.DenyReason(r.Context())
				w.Header().Set("Content-Type", "text/plain")
				if own, err := strconv.Atoi(r.URL.Query().Get("own")); err == nil {
					w.WriteHeader(own)
				}
				if r.URL.Query().Get("silent") == "" {
					_, _ = io.WriteString(w, "sorry")
				}
			})
			l := locker(t, s.Client(t), append([]lockmw.Option{lockmw.WithKeyPrefix(prefix), lockmw.WithWait(0), lockmw.WithDenyHandler(deny)}, tc.opts...)...)
			for target, want := range map[string]struct {
				status int
				body   string
			}{"/p": {tc.status, "sorry"}, "/p?own=423": {423, "sorry"}, "/p?own=429": {429, "sorry"}, "/p?silent=1": {tc.status, ""}} {
				reason = nil
				w := request(l.Handler(next), "POST", target)
				if w.Code != want.status || w.Body.String() != want.body || !errors.Is(reason, tc.want) {
					t.Errorf("%s: got %d %q because of %v, want %d %q because of %v", target, w.Code, w.Body, reason, want.status, want.body, tc.want)
				}
				h := w.Header()
				if (h.Get("Retry-After") != "") != tc.retry || h.Get("Cache-Control") != "no-store" || h.Get("Content-Type") != "text/plain" || h.Get("Etag") != "" {
					t.Errorf("%s: headers %v", target, h)
				}
			}
		})
	}
	if err := lockmw.DenyReason(t.Context()); err != nil {
		t.Errorf("outside of a deny handler: %v", err)
	}
}

func TestFailureModeIsChecked(t *testing.T) {
	_, err := lockmw.New(redistest.Standalone(t).Client(t), lockmw.WithFailureMode(7))
	var mistake *lockmw.OptionError
	if !errors.As(err, &mistake) || mistake.Option != "WithFailureMode" || mistake.Package != "lockmw" || !strings.HasPrefix(err.Error(), "lockmw: WithFailureMode: ") {
		t.Errorf("got %v", err)
	}
}
