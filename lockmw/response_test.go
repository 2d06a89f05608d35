package lockmw_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw"
	"github.com/redishttp/redishttp/lockmw/lockkey"
)

// seen counts the calls of each hook.
type seen struct {
	mu                           sync.Mutex
	acquired, busy, failed, lost int
	err                          error // of the last failure
}

func (s *seen) hooks() lockmw.Hooks {
	count := func(n *int) {
		s.mu.Lock()
		defer s.mu.Unlock()
		*n++
	}
	return lockmw.Hooks{
		Acquired: func(_ context.Context, fence uint64, waited time.Duration) {
			if fence > 0 && waited >= 0 {
				count(&s.acquired)
			}
		},
		Busy: func(_ context.Context, waited time.Duration) {
			if waited >= 0 {
				count(&s.busy)
			}
		},
		Failed: func(_ context.Context, err error) {
			count(&s.failed)
			s.mu.Lock()
			defer s.mu.Unlock()
			s.err = err
		},
		Lost: func(_ context.Context, fence uint64, reason string) {
			if fence != 0 && reason != "" {
				count(&s.lost)
			}
		},
	}
}

func (s *seen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return fmt.Sprintf("acquired %d, busy %d, failed %d, lost %d", s.acquired, s.busy, s.failed, s.lost)
}

func (s *seen) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Every answer of the middleware over a connection: its status, its headers,
// its body, whether the handler ran, and which hooks were called, each once.
func TestEveryResponse(t *testing.T) {
	wrote := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ran") })
	cases := []struct {
		name   string
		status int
		retry  string // "": no Retry-After, "lease": what is left of ten seconds
		hooks  string
		want   error // what Failed is told
		opts   []lockmw.Option
		held   bool // by another request, which releases it if the response should be 200
		fault  func(t *testing.T, s *redistest.Server, prefix string)
		next   func(t *testing.T, s *redistest.Server, l *lockmw.Locker) http.Handler // default: wrote
	}{
		{name: "200", status: 200, hooks: "acquired 1, busy 0, failed 0, lost 0"},
		{
			name: "200 after a wait", status: 200, hooks: "acquired 1, busy 0, failed 0, lost 0", held: true,
			opts: []lockmw.Option{lockmw.WithWait(patience)},
		},
		{name: "409", status: 409, retry: "lease", held: true, hooks: "acquired 0, busy 1, failed 0, lost 0", opts: []lockmw.Option{lockmw.WithWait(0)}},
		{name: "409 after a wait", status: 409, retry: "lease", held: true, hooks: "acquired 0, busy 1, failed 0, lost 0", opts: []lockmw.Option{lockmw.WithWait(50 * time.Millisecond)}},
		{
			name: "503 refused", status: 503, retry: "1", hooks: "acquired 0, busy 0, failed 1, lost 0", want: lockmw.ErrUnavailable,
			fault: func(_ *testing.T, s *redistest.Server, _ string) { s.Kill() },
		},
		{
			name: "503 hung", status: 503, retry: "1", hooks: "acquired 0, busy 0, failed 1, lost 0", want: lockmw.ErrUnavailable,
			opts:  []lockmw.Option{lockmw.WithTimeout(200 * time.Millisecond)},
			fault: func(_ *testing.T, s *redistest.Server, _ string) { s.Pause() },
		},
		{
			name: "503 without memory", status: 503, retry: "1", hooks: "acquired 0, busy 0, failed 1, lost 0", want: lockmw.ErrUnavailable,
			fault: func(t *testing.T, s *redistest.Server, _ string) {
				if err := s.Client(t).ConfigSet(t.Context(), "maxmemory", "1").Err(); err != nil {
					t.Fatal(err)
				}
			},
		},
		{
			name: "503 queue full", status: 503, retry: "1", held: true, hooks: "acquired 0, busy 0, failed 1, lost 0", want: lockmw.ErrQueueFull,
			opts: []lockmw.Option{lockmw.WithMaxWaiters(1)},
			fault: func(t *testing.T, s *redistest.Server, prefix string) {
				l := locker(t, s.Client(t), lockmw.WithKeyPrefix(prefix))
				ctx, cancel := context.WithCancel(context.Background())
				gone := make(chan struct{})
				go func() { defer close(gone); _, _ = l.Acquire(ctx, "/p") }()
				t.Cleanup(func() { cancel(); <-gone })
				waitQueued(t, s.Client(t), prefix)
			},
		},
		{
			name: "503 lost before the first byte", status: 503, retry: "1", hooks: "acquired 1, busy 0, failed 0, lost 1",
			opts: []lockmw.Option{lockmw.WithTTL(1200 * time.Millisecond), lockmw.WithTimeout(500 * time.Millisecond)},
			next: func(t *testing.T, s *redistest.Server, _ *lockmw.Locker) http.Handler {
				rdb := s.Client(t)
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Etag", `"of what did not happen"`)
					rdb.FlushAll(context.Background())
					<-r.Context().Done()
					_, _ = io.WriteString(w, "ran")
				})
			},
		},
		{
			name: "200 lost after the first byte", status: 200, hooks: "acquired 1, busy 0, failed 0, lost 1",
			opts: []lockmw.Option{lockmw.WithTTL(1200 * time.Millisecond), lockmw.WithTimeout(500 * time.Millisecond)},
			next: func(t *testing.T, s *redistest.Server, _ *lockmw.Locker) http.Handler {
				rdb := s.Client(t)
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					_, _ = io.WriteString(w, "ran")
					_ = http.NewResponseController(w).Flush()
					rdb.FlushAll(context.Background())
					<-r.Context().Done()
				})
			},
		},
		{
			name: "500 no key", status: 500, hooks: "acquired 0, busy 0, failed 1, lost 0",
			opts: []lockmw.Option{lockmw.WithKey(func(*http.Request) (string, error) { return "", nil })},
		},
		{
			name: "500 no pattern", status: 500, hooks: "acquired 0, busy 0, failed 1, lost 0", want: lockkey.ErrNoPattern,
			opts: []lockmw.Option{lockmw.WithKey(lockkey.Pattern)},
		},
		{
			name: "500 nested", status: 500, hooks: "acquired 1, busy 0, failed 1, lost 0", want: lockmw.ErrNested,
			next: func(_ *testing.T, _ *redistest.Server, l *lockmw.Locker) http.Handler { return l.Handler(wrote) },
		},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			s := redistest.NewServer(t)
			prefix := redistest.Prefix(t)
			var hooks seen
			l, err := lockmw.New(s.Client(t), append([]lockmw.Option{lockmw.WithKeyPrefix(prefix), lockmw.WithTimeout(2 * time.Second), lockmw.WithKey(byPath), lockmw.WithHooks(hooks.hooks())}, tc.opts...)...)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close(context.Background())
			if tc.held {
				k := acquire(t, locker(t, s.Client(t), lockmw.WithKeyPrefix(prefix)), "/p")
				if tc.status == 200 {
					time.AfterFunc(100*time.Millisecond, func() { _ = k.Release(context.Background()) })
				} else {
					defer k.Release(context.Background())
				}
			}
			if tc.fault != nil {
				tc.fault(t, s, prefix)
			}
			next := http.Handler(wrote)
			if tc.next != nil {
				next = tc.next(t, s, l)
			}
			srv := httptest.NewServer(l.Handler(next))
			defer srv.Close()
			resp, err := srv.Client().Post(srv.URL+"/p", "", nil)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, _ := io.ReadAll(resp.Body)
			if resp.StatusCode != tc.status {
				t.Errorf("got %d %s, want %d", resp.StatusCode, body, tc.status)
			}
			checkAnswer(t, resp, body, tc.retry)
			if err := l.Close(context.Background()); err != nil {
				t.Error(err)
			}
			if strings.HasSuffix(tc.hooks, "lost 1") { // the hook is called when the handler has been told already
				redistest.Eventually(t, patience, func() bool { return hooks.String() == tc.hooks }, "hooks: got %v, want %s", &hooks, tc.hooks)
			}
			if got := hooks.String(); got != tc.hooks {
				t.Errorf("hooks: got %s, want %s", got, tc.hooks)
			}
			if err := hooks.failure(); tc.want != nil && !errors.Is(err, tc.want) {
				t.Errorf("Failed was told %v, want %v", err, tc.want)
			}
		})
	}
}

// checkAnswer checks all but the status.
func checkAnswer(t *testing.T, resp *http.Response, body []byte, retry string) {
	t.Helper()
	after := resp.Header.Get("Retry-After")
	if n, err := strconv.Atoi(after); retry == "lease" {
		if err != nil || n < 1 || n > 10 {
			t.Errorf("Retry-After %q, want 1 to 10", after)
		}
	} else if after != retry {
		t.Errorf("Retry-After %q, want %q", after, retry)
	}
	if resp.StatusCode == http.StatusOK {
		if string(body) != "ran" || resp.Header.Get("Cache-Control") != "" {
			t.Errorf("got %q %v, want the handler's answer as it is", body, resp.Header)
		}
		return
	}
	var problem struct {
		Title  string
		Status int
	}
	if err := json.Unmarshal(body, &problem); err != nil || problem.Status != resp.StatusCode || problem.Title != http.StatusText(resp.StatusCode) {
		t.Errorf("body %q: %v", body, err)
	}
	for name, want := range map[string]string{"Content-Type": "application/problem+json", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Etag": ""} {
		if got := resp.Header.Get(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

// A client that hangs up while its request is queued leaves the queue, and its
// handler never runs.
func TestAClientHangsUpInTheQueue(t *testing.T) {
	s := redistest.NewServer(t)
	prefix := redistest.Prefix(t)
	var hooks seen
	l := locker(t, s.Client(t), lockmw.WithKeyPrefix(prefix), lockmw.WithKey(byPath), lockmw.WithWait(time.Minute), lockmw.WithHooks(hooks.hooks()))
	k := acquire(t, locker(t, s.Client(t), lockmw.WithKeyPrefix(prefix)), "/p")
	over := make(chan struct{})
	h := l.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the handler ran") }))
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(over)
		h.ServeHTTP(w, r)
	}))
	defer srv.Close()
	ctx, hangUp := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, srv.URL+"/p", nil)
	if err != nil {
		t.Fatal(err)
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		if resp, err := srv.Client().Do(req); err == nil {
			resp.Body.Close()
			t.Errorf("got %d, want that the client hung up", resp.StatusCode)
		}
	}()
	waitQueued(t, s.Client(t), prefix)
	hangUp()
	<-gone
	<-over
	redistest.Eventually(t, patience, func() bool {
		info, err := l.Inspect(t.Context(), "/p")
		return err == nil && info.Held && info.Waiters == 0
	}, "it is still in the queue")
	if got := hooks.String(); got != "acquired 0, busy 1, failed 0, lost 0" {
		t.Errorf("hooks: %s", got)
	}
	if err := k.Release(t.Context()); err != nil {
		t.Error(err)
	}
	nothingIsLeft(t, s.Client(t), prefix)
}
