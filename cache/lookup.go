package cache

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/redishttp/redishttp/cache/internal/store"
)

// Response is a stored response, see [Cache.Lookup]. Do not change its Body,
// which may be shared.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
	Age    time.Duration // since the origin made it
	TTL    time.Duration // for which it stays fresh
}

// Lookup returns the stored response for a GET or HEAD request, nil if there is
// none that is fresh and suits the request's Cache-Control; then the Status
// says why. It runs no handler, refreshes nothing, and calls no hook. The whole
// body is read into memory. Use it in tests, or to build one page from stored
// parts. While Redis is unavailable the error matches [ErrUnavailable].
func (c *Cache) Lookup(ctx context.Context, r *http.Request) (*Response, Status, error) {
	f, s, err := c.lookup(ctx, r)
	if err != nil || !s.Hit || f.Left() <= 0 {
		return nil, s, err
	}
	inline, err := f.Entry.Inline()
	if err == nil && f.Entry.ID != "" {
		inline, err = io.ReadAll(c.store.Open(ctx, &f, inline))
	}
	if err != nil {
		return nil, s, store.Wrap("read", err)
	}
	return &Response{Status: f.Entry.Status, Header: f.Entry.Header.Clone(), Body: inline, Age: f.Age(), TTL: f.Left()}, s, nil
}

// lookup is that of a request without a response writer, and without hooks.
func (c *Cache) lookup(ctx context.Context, r *http.Request) (store.Found, Status, error) {
	if ctx != r.Context() {
		r = r.WithContext(ctx)
	}
	r = c.annotate(nil, r)
	x := exchange{c: c, r: r, d: c.demands(r)}
	_, err := x.lookup(false)
	return x.f, x.s, err
}
