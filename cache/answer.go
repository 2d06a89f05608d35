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
	one := make(lines, 0, 4)
	h["Age"] = one.of(strconv.FormatInt(int64(f.Age()/time.Second), 10))
	if member := c.member(s); len(h["Cache-Status"]) > 0 {
		h["Cache-Status"] = append(h["Cache-Status"], member)
	} else {
		h["Cache-Status"] = one.of(member)
	}
	inline, err := e.Inline()
	if err != nil {
		c.failed(r.Context(), store.Wrap("read", err))
		panic(http.ErrAbortHandler) //nolint:forbidigo // the header is out: only an abort tells the client
	}
	if e.Status == http.StatusOK {
		if _, typed := h["Content-Type"]; !typed {
			h["Content-Type"] = nil // as it was: none, not a guess
		}
		if rules.Conditional(r) {
			c.read(r, f, inline, func(b *store.Body) { serveContent(w, r, e, b) })
			return
		}
		h["Accept-Ranges"] = one.of("bytes")
	}
	if e.Size > 0 || e.Status == http.StatusOK {
		h["Content-Length"] = one.of(strconv.FormatInt(e.Size, 10))
	}
	w.WriteHeader(e.Status)
	switch {
	case r.Method == http.MethodHead:
	case e.ID == "":
		_, _ = w.Write(inline)
	default:
		c.read(r, f, inline, func(b *store.Body) { _, _ = io.Copy(w, b) })
	}
}

// lines are the values of fields with one line each, in one piece.
type lines []string

func (l *lines) of(line string) []string {
	*l = append(*l, line)
	return slices.Clip((*l)[len(*l)-1:])
}

// read has fn read the body.
func (c *Cache) read(r *http.Request, f *store.Found, inline []byte, fn func(*store.Body)) {
	b := c.store.Open(r.Context(), f, inline)
	defer func() {
		if b.Err() != nil { // the client must not take a part for the whole
			c.failed(r.Context(), store.Wrap("read", b.Err()))
			panic(http.ErrAbortHandler) //nolint:forbidigo // as above
		}
	}()
	fn(b)
}

// serveContent responds to a conditional or range request (RFC 9110, sections 13 and
// 14).
func serveContent(w http.ResponseWriter, r *http.Request, e *store.Entry, b *store.Body) {
	h, modified := w.Header(), time.Time{}
	if lm := h.Get("Last-Modified"); lm != "" {
		modified, _ = http.ParseTime(lm)
	} else if rules.NotModifiedSinceDate(r, h) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	http.ServeContent(w, rules.Servable(r, e.Header, e.Size), "", modified, b)
}

// restore removes what a handler did to the header, for another response.
func restore(h, before http.Header) {
	clear(h)
	maps.Copy(h, before)
}

// serve responds from the store.
func (x *exchange) serve() { x.c.answer(x.w, x.r, &x.f, x.s) }
