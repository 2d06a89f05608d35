package cache

import (
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/redishttp/redishttp/cache/internal/rules"
	"github.com/redishttp/redishttp/cache/internal/store"
)

// answer responds from the store. What outer middlewares have set stays.
func (c *Cache) answer(w http.ResponseWriter, r *http.Request, f *store.Found, s Status) {
	if s.Collapsed {
		s.Hit, s.ForwardStatus = false, 0
	}
	c.served(r.Context(), s)
	e, h := f.Entry, w.Header()
	for name, values := range e.Header {
		if name == "Vary" {
			rules.AddVaryLines(h, values)
			continue
		}
		if slices.Contains(e.Added, name) {
			values = slices.Concat(h[name], values)
		}
		h[name] = slices.Clip(values) // shared with other requests: an append copies
	}
	h["Age"] = []string{strconv.FormatInt(int64(f.Age()/time.Second), 10)}
	c.write(h, s)
	inline, err := e.Inline()
	if err != nil {
		c.failed(r.Context(), store.Wrap("read", err))
		panic(http.ErrAbortHandler) //nolint:forbidigo // the header is out: only an abort tells the client
	}
	b := c.store.Open(r.Context(), f, inline)
	defer func() {
		if b.Err() != nil { // the client must not take a part for the whole
			c.failed(r.Context(), store.Wrap("read", b.Err()))
			panic(http.ErrAbortHandler) //nolint:forbidigo // as above
		}
	}()
	if e.Status == http.StatusOK {
		if _, typed := h["Content-Type"]; !typed {
			h["Content-Type"] = nil // as it was: none, not a guess
		}
		if rules.Conditional(r) {
			modified := time.Time{}
			if lm := h.Get("Last-Modified"); lm != "" {
				modified, _ = http.ParseTime(lm)
			} else if rules.NotModifiedSinceDate(r, h) {
				w.WriteHeader(http.StatusNotModified)
				return
			}
			// Conditional and range requests (RFC 9110, sections 13 and 14).
			http.ServeContent(w, rules.Servable(r, e.Header, e.Size), "", modified, b)
			return
		}
		h["Accept-Ranges"] = []string{"bytes"}
	}
	if e.Size > 0 || e.Status == http.StatusOK {
		h["Content-Length"] = []string{strconv.FormatInt(e.Size, 10)}
	}
	w.WriteHeader(e.Status)
	switch {
	case r.Method == http.MethodHead:
	case e.ID == "":
		_, _ = w.Write(inline)
	default:
		_, _ = io.Copy(w, b)
	}
}

// restore removes what a handler did to the header, for another response.
func restore(h, before http.Header) {
	clear(h)
	maps.Copy(h, before)
}

// serve responds from the store.
func (x *exchange) serve() { x.c.answer(x.w, x.r, &x.f, x.s) }
