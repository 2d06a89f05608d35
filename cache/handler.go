package cache

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/redishttp/redishttp/internal/breaker"
	"github.com/redishttp/redishttp/internal/respw"
)

// Handler answers GET and HEAD requests from the store when it may, and stores
// what next answers when it may. Responses stream: the client sees each byte
// when the handler writes it. An unsafe request that succeeds makes the stored responses of
// its URL void before its own response goes out (RFC 9111, section 4.4).
//
// A Redis that does not answer is not shown to the client: next is called and
// Cache-Status says "fwd=bypass; detail=store-error".
func (c *Cache) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f, s, err := c.lookup(r.Context(), r)
		if err != nil {
			c.failed(r.Context(), err)
		}
		switch {
		case s.Hit:
			c.served(r.Context(), s)
			c.replay(w, r, &f)
		case s.Forward == "method":
			c.forward(w, r, next, s)
		case parseControl(r.Header).has("only-if-cached") && s.Detail != "upgrade":
			c.write(w.Header(), Status{Forward: s.Forward, Detail: "only-if-cached"})
			w.Header().Set("Cache-Control", "no-store")
			http.Error(w, http.StatusText(http.StatusGatewayTimeout), http.StatusGatewayTimeout)
		default:
			c.fetch(w, r, next, f, s)
		}
	})
}

func (c *Cache) served(ctx context.Context, s Status) {
	if c.hooks.Served != nil {
		c.hooks.Served(ctx, s)
	}
}

func (c *Cache) failed(ctx context.Context, err error) {
	if c.hooks.Failed != nil {
		c.hooks.Failed(ctx, err)
	}
}

// replay answers from the store. What middlewares further out have set stays.
func (c *Cache) replay(w http.ResponseWriter, r *http.Request, f *found) {
	h := w.Header()
	for name, values := range f.entry.header {
		if name == "Vary" {
			for _, v := range values {
				h.Add(name, v)
			}
			continue
		}
		h[name] = values
	}
	h.Set("Age", strconv.FormatInt(int64(f.age()/time.Second), 10))
	c.write(h, Status{Hit: true, TTL: f.ttl})
	if f.entry.status == http.StatusOK {
		if _, typed := h["Content-Type"]; !typed {
			h["Content-Type"] = nil // as it was: none, not a guess
		}
		modified, _ := http.ParseTime(h.Get("Last-Modified"))
		// Conditional and range requests (RFC 9110, sections 13 and 14).
		http.ServeContent(w, r, "", modified, bytes.NewReader(f.entry.body))
		return
	}
	if len(f.entry.body) > 0 {
		h.Set("Content-Length", strconv.Itoa(len(f.entry.body)))
	}
	w.WriteHeader(f.entry.status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(f.entry.body)
	}
}

// fetch calls next and stores its response if it may be.
func (c *Cache) fetch(w http.ResponseWriter, r *http.Request, next http.Handler, f found, s Status) {
	before := w.Header().Clone() // fields of middlewares further out, on the same map
	var (
		e      *entry // nil: not stored
		length = int64(-1)
	)
	tee := &tee{max: c.maxBody}
	b, rw := respw.Wrap(w, respw.Hooks{
		Header: func(status int) bool {
			e, s = c.consider(r, f, s, status, own(before, w.Header()))
			if e != nil {
				if n, err := strconv.ParseInt(w.Header().Get("Content-Length"), 10, 64); err == nil {
					length = n
				}
				tee.on = true
			}
			c.write(w.Header(), s)
			return true
		},
		Body: tee.write,
	})
	next.ServeHTTP(rw, r)
	b.Finish()
	c.served(r.Context(), s)
	complete := e != nil && tee.on && !b.Hijacked() && b.Status() != 0 && r.Context().Err() == nil && (length < 0 || length == int64(len(tee.body)))
	if !complete || bodiless(e.status) && len(tee.body) > 0 {
		return
	}
	e.body = tee.body
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), c.storeTimeout)
	defer cancel()
	err := c.fill(ctx, f, r.Header, e)
	c.report(ctx, breaker.Ticket{}, err)
	if err != nil {
		c.failed(r.Context(), fmt.Errorf("cache: store: %w", err))
	}
}

// consider decides, when the header is known, whether the response is stored.
func (c *Cache) consider(r *http.Request, f found, s Status, status int, h http.Header) (*entry, Status) {
	s.ForwardStatus = status
	if f.target == "" || s.Detail != "" {
		return nil, s // the store was not asked: no purge log to check against
	}
	if s.Detail = unstorable(r, status, h, c.maxBody); s.Detail != "" {
		return nil, s
	}
	now := time.Now()
	age := initialAge(h, now)
	life := min(freshness(h, now)-age, c.maxTTL)
	if life < time.Millisecond {
		s.Detail = "not-fresh"
		return nil, s
	}
	s.Stored = true
	return &entry{status: status, age: age, life: life, header: storedHeader(h, now)}, s
}

func bodiless(status int) bool { return status == http.StatusNoContent }

// tee keeps the body while it is small enough and arrives whole.
type tee struct {
	on   bool
	max  int
	body []byte
}

func (t *tee) write(p []byte, err error) {
	if !t.on {
		return
	}
	if err != nil || len(t.body)+len(p) > t.max {
		t.on, t.body = false, nil
		return
	}
	t.body = append(t.body, p...)
}

// forward passes a request with another method on, and invalidates if it is
// unsafe and succeeds.
func (c *Cache) forward(w http.ResponseWriter, r *http.Request, next http.Handler, s Status) {
	switch r.Method {
	case http.MethodOptions, http.MethodTrace:
		c.write(w.Header(), s)
		c.served(r.Context(), s)
		next.ServeHTTP(w, r)
		return
	}
	b, rw := respw.Wrap(w, respw.Hooks{Header: func(status int) bool {
		if s.ForwardStatus = status; status < 400 {
			c.invalidate(r, w.Header())
		}
		c.write(w.Header(), s)
		return true
	}})
	next.ServeHTTP(rw, r)
	b.Finish()
	c.served(r.Context(), s)
}

// invalidate makes void what an unsafe request has changed: its URL, and those
// of the same origin that the response names.
func (c *Cache) invalidate(r *http.Request, h http.Header) {
	targets := map[string]bool{requestTarget(r): true}
	for _, name := range []string{"Location", "Content-Location"} {
		ref, err := url.Parse(h.Get(name))
		if err != nil || h.Get(name) == "" || ref.Host != "" && ref.Host != r.Host {
			continue
		}
		base := *r.URL
		base.Host = r.Host
		named := *r
		named.URL = base.ResolveReference(ref)
		targets[requestTarget(&named)] = true
	}
	for target := range targets {
		// Unlike Purge this holds up a client, so it does not wait for a Redis
		// that is known to be down.
		err := ErrUnavailable
		if ticket, ok := c.breaker.Allow(); ok {
			p := c.place(target)
			err = c.mark(r.Context(), p.log, "u:"+p.hash)
			c.report(r.Context(), ticket, err)
		}
		if err != nil {
			c.failed(r.Context(), fmt.Errorf("cache: invalidate: %w", err))
		}
	}
}
