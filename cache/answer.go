package cache

import (
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/redishttp/redishttp/cache/internal/rules"
)

// answer answers from the store. What outer middlewares have set stays.
func (c *Cache) answer(w http.ResponseWriter, r *http.Request, f *found, s Status) {
	if s.Collapsed {
		s.Hit, s.ForwardStatus = false, 0
	}
	c.served(r.Context(), s)
	e, h := f.entry, w.Header()
	for name, values := range e.header {
		if name == "Vary" {
			rules.AddVaryLines(h, values)
			continue
		}
		if slices.Contains(e.added, name) {
			values = slices.Concat(h[name], values)
		}
		h[name] = slices.Clip(values) // shared with other requests: an append copies
	}
	h["Age"] = []string{strconv.FormatInt(int64(f.age()/time.Second), 10)}
	c.write(h, s)
	inline, err := e.inline()
	if err != nil {
		c.failed(r.Context(), wrapped("read", err))
		panic(http.ErrAbortHandler) //nolint:forbidigo // the header is out: only an abort tells the client
	}
	b := c.store.open(r.Context(), f, inline)
	defer func() {
		if b.err != nil { // the client must not take a part for the whole
			c.failed(r.Context(), wrapped("read", b.err))
			panic(http.ErrAbortHandler) //nolint:forbidigo // as above
		}
	}()
	if e.status == http.StatusOK {
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
			http.ServeContent(w, rules.Servable(r, e.header, e.size), "", modified, b)
			return
		}
		h["Accept-Ranges"] = []string{"bytes"}
	}
	if e.size > 0 || e.status == http.StatusOK {
		h["Content-Length"] = []string{strconv.FormatInt(e.size, 10)}
	}
	w.WriteHeader(e.status)
	switch {
	case r.Method == http.MethodHead:
	case e.id == "":
		_, _ = w.Write(inline)
	default:
		_, _ = io.Copy(w, b)
	}
}

// restore takes back what a handler did to the header, for another answer.
func restore(h, before http.Header) {
	clear(h)
	maps.Copy(h, before)
}
