package cache

import (
	"context"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
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
	b := &body{ctx: r.Context(), c: c, f: f, inline: inline}
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

// body reads a stored body: the inline part, then chunks, each when it is
// needed. It holds one chunk at a time.
type body struct {
	ctx    context.Context
	c      *Cache
	f      *found
	inline []byte
	at     int64
	chunk  []byte
	number int // of chunk
	err    error
}

func (b *body) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += b.at
	case io.SeekEnd:
		offset += b.f.entry.size
	}
	b.at = offset
	return offset, nil
}

func (b *body) Read(p []byte) (int, error) {
	part, err := b.part()
	if err != nil {
		return 0, err
	}
	n := copy(p, part)
	b.at += int64(n)
	return n, nil
}

// part is what there is from here on, in one piece.
func (b *body) part() ([]byte, error) {
	e := b.f.entry
	switch {
	case b.err != nil:
		return nil, b.err
	case b.at >= e.size:
		return nil, io.EOF
	case b.at < int64(len(b.inline)):
		return b.inline[b.at:], nil
	}
	n := int((b.at - int64(len(b.inline))) / chunkSize)
	if b.chunk == nil || b.number != n {
		if b.chunk, b.err = b.c.readChunk(b.ctx, b.f, n); b.err != nil {
			return nil, b.err
		}
		b.number = n
	}
	return b.chunk[(b.at-int64(len(b.inline)))%chunkSize:], nil
}

func (c *Cache) readChunk(ctx context.Context, f *found, n int) ([]byte, error) {
	bound, cancel := context.WithTimeout(ctx, c.storeTimeout)
	defer cancel()
	var got *redis.StringCmd
	if err := c.pipeline(bound, func(p redis.Pipeliner) { got = p.Get(bound, f.chunkKey(f.entry.id, n)) }); err != nil {
		return nil, err
	}
	b, err := got.Bytes()
	want := min(chunkSize, f.entry.size-inlineSize-int64(n)*chunkSize)
	if err != nil || int64(len(b)) != want {
		return nil, errChunk
	}
	return b, nil
}

// readable reports whether all chunks of a body are there.
func (c *Cache) readable(ctx context.Context, f *found) bool {
	if f.entry == nil || f.entry.id == "" {
		return true
	}
	keys := make([]string, f.entry.chunks())
	for n := range keys {
		keys[n] = f.chunkKey(f.entry.id, n)
	}
	bound, cancel := context.WithTimeout(ctx, c.storeTimeout)
	defer cancel()
	var there *redis.IntCmd
	err := c.pipeline(bound, func(p redis.Pipeliner) { there = p.Exists(bound, keys...) })
	return err == nil && there.Val() == int64(len(keys))
}

// restore takes back what a handler did to the header, for another answer.
func restore(h, before http.Header) {
	clear(h)
	maps.Copy(h, before)
}
