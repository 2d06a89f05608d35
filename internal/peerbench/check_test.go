package peerbench

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// addresses is how many clients the limiters tell apart.
const addresses = 16384

// sink is a ResponseWriter that compares what it gets with the body that is expected.
type sink struct {
	header http.Header
	status int
	want   []byte
	rest   []byte // of want, not yet written
	wrong  bool
}

func newSink(want []byte) *sink { return &sink{header: http.Header{}, want: want, rest: want} }

func (s *sink) Header() http.Header { return s.header }

func (s *sink) WriteHeader(status int) {
	if s.status == 0 {
		s.status = status
	}
}

func (s *sink) Write(p []byte) (int, error) {
	s.WriteHeader(http.StatusOK)
	if len(p) > len(s.rest) || !bytes.Equal(p, s.rest[:len(p)]) {
		s.wrong = true
		return len(p), nil
	}
	s.rest = s.rest[len(p):]
	if seen := lastByte.Load(); seen != nil && len(s.rest) == 0 {
		(*seen)()
	}
	return len(p), nil
}

// lastByte is called when a body is complete: a client that knows its length waits no
// longer, whatever the handler still does.
var lastByte atomic.Pointer[func()]

// check returns an error unless the response is 200 with the body.
func (s *sink) check() error {
	switch {
	case s.status != http.StatusOK && (s.status != 0 || len(s.want) > 0):
		return fmt.Errorf("status %d, %v", s.status, s.header)
	case s.wrong || len(s.rest) > 0:
		return fmt.Errorf("another body, or %d of its bytes are missing", len(s.rest))
	}
	return nil
}

// visitor is what one goroutine sends: requests with its cookie, from many addresses.
type visitor struct {
	template *http.Request
	number   int
}

func newVisitor(i int, path string) *visitor {
	return &visitor{httptest.NewRequest(http.MethodGet, path, nil).WithContext(context.Background()), i * 64}
}

// get sends a request for path, "" for the visitor's own, and checks the response.
func (v *visitor) get(h http.Handler, path string, want []byte) error {
	v.number++
	r := *v.template
	r.RemoteAddr = remotes[v.number%addresses]
	if path != "" {
		u := *r.URL
		u.Path, r.RequestURI = path, path
		r.URL = &u
	}
	w := newSink(want)
	h.ServeHTTP(w, &r)
	return w.check()
}

const user = "alice"

// data are the methods that both kinds of sessions have.
type data interface {
	GetString(ctx context.Context, key string) string
	Put(ctx context.Context, key string, value any)
}

// login puts a user and a text into the session; other paths respond with the user.
func login(m data, size ...int) http.Handler {
	text := strings.Repeat("x", append(size, sessionSize)[0])
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/login" {
			m.Put(r.Context(), "user", user)
			m.Put(r.Context(), "text", text)
			w.WriteHeader(http.StatusOK)
			return
		}
		_, _ = io.WriteString(w, m.GetString(r.Context(), "user"))
	})
}

// logIn keeps the cookie that h sets, if it brings the session back.
func (v *visitor) logIn(tb testing.TB, h http.Handler) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/login", nil))
	for _, c := range w.Result().Cookies() {
		v.template.Header.Set("Cookie", c.Name+"="+c.Value)
	}
	if err := v.get(h, "/user", []byte(user)); err != nil {
		tb.Errorf("not logged in: %v", err)
	}
}

// visit makes the calls of visitors of one page.
func visit(h http.Handler, want []byte) begin {
	return func(i int) func() error {
		v := newVisitor(i, "/")
		return func() error { return v.get(h, "", want) }
	}
}

var remotes = func() (all [addresses]string) {
	for i := range all {
		all[i] = fmt.Sprintf("10.0.%d.%d:1234", i/256, i%256)
	}
	return all
}()

// random is a body that does not get smaller by compression.
func random(size int) []byte {
	b := make([]byte, size)
	source := rand.NewChaCha8([32]byte{1})
	_, _ = source.Read(b)
	return b
}

// origin is the handler behind a cache. It counts its calls.
type origin struct {
	body  []byte
	calls atomic.Int64
}

func (o *origin) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	o.calls.Add(1)
	w.Header().Set("Cache-Control", "public, max-age=3600")
	w.Header().Set("Content-Type", "application/octet-stream")
	_, _ = w.Write(o.body)
}

// hits are calls that fail if the origin was called for them.
func (o *origin) hits(begin begin) begin {
	return func(i int) func() error {
		call := begin(i)
		return func() error {
			before := o.calls.Load()
			if err := call(); err != nil {
				return err
			}
			if o.calls.Load() != before {
				return errMiss
			}
			return nil
		}
	}
}

// misses are calls that fail if the origin was not called for them.
func (o *origin) misses(begin begin) begin {
	return func(i int) func() error {
		call := begin(i)
		return func() error {
			before := o.calls.Load()
			if err := call(); err != nil {
				return err
			}
			if o.calls.Load() == before {
				return errHit
			}
			return nil
		}
	}
}
