package cache

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/redishttp/redishttp/internal/respw"
)

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
	a := c.attempt(w, r)
	a.wrapper, w = respw.Wrap(w, respw.Hooks{Body: a.rec.write, Header: func(status int) bool {
		h := own(a.before, a.w.Header())
		if s.ForwardStatus = status; status < 400 {
			c.invalidate(r, h)
		}
		s.Stored = a.ofPost(status, h)
		c.write(a.w.Header(), s)
		return true
	}})
	next.ServeHTTP(w, r)
	a.wrapper.Finish()
	c.served(r.Context(), s)
	if a.e != nil {
		a.finish()
	}
}

// ofPost reports whether the response to a POST is stored as that to a GET: it
// says that it is one, and how long it is fresh (RFC 9110, section 9.3.3).
func (a *attempt) ofPost(status int, h http.Header) bool {
	if a.r.Method != http.MethodPost || !successful(status) || h.Get("Content-Location") == "" {
		return false
	}
	ref, err := a.r.URL.Parse(h.Get("Content-Location"))
	if err != nil || ref.Host != "" && ref.Host != a.r.Host || target("", "", ref) != target("", "", a.r.URL) {
		return false
	}
	d, targeted := a.c.directives(h)
	if fresh, explicit := explicitFreshness(h, d, targeted, time.Now()); !explicit || fresh <= 0 {
		return false
	}
	get := a.r.WithContext(a.r.Context())
	get.Method = http.MethodGet
	f, err := a.c.ask(get.Context(), a.c.placeOf(get), get.Header, false)
	if err != nil {
		return false
	}
	a.r, a.f = get, f
	a.consider(status, h)
	a.record()
	return a.e != nil
}

// invalidate makes void what an unsafe request has changed: its URL, those of
// the same origin that the response names, and the groups that it names (RFC
// 9875, section 3).
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
		p := c.place(target, "")
		c.void(r.Context(), []string{p.log}, []string{"u:" + p.url})
	}
	if groups := groups(h["Cache-Group-Invalidation"]); len(groups) > 0 {
		fields := make([]string, len(groups))
		for i, group := range groups {
			fields[i] = "t:" + digest(group)
		}
		c.void(r.Context(), c.logs(), fields)
	}
}

// void marks, or keeps the marks for later if Redis is away. Unlike Purge this
// holds up a client, so it does not wait for a Redis that is known to be down.
func (c *Cache) void(ctx context.Context, logs, fields []string) {
	err := ErrUnavailable
	if ticket, ok := c.breaker.Allow(); ok {
		err = c.mark(ctx, logs, fields)
		c.report(ctx, ticket, err)
	}
	if err == nil {
		return
	}
	c.failed(ctx, wrapped("invalidate", err))
	c.forgetNear(fields)
	c.pending.add(logs, fields)
	c.background(c.retry)
}

// pending are marks that could not be written. Until they are, this instance
// serves nothing from their buckets.
type pending struct {
	mu      sync.Mutex
	fields  map[string][]string // by log
	whole   map[string]bool     // logs with too many: everything is purged
	running bool
}

const maxPending = 1000 // of one log

func (p *pending) add(logs, fields []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fields == nil {
		p.fields, p.whole = map[string][]string{}, map[string]bool{}
	}
	for _, log := range logs {
		for _, field := range fields {
			if !slices.Contains(p.fields[log], field) {
				p.fields[log] = append(p.fields[log], field)
			}
		}
		if len(p.fields[log]) > maxPending {
			p.fields[log], p.whole[log] = nil, true
		}
	}
}

func (p *pending) has(log string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.fields[log]) > 0 || p.whole[log]
}

// take returns one log with its fields, none for all.
func (p *pending) take() (log string, fields []string, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for log := range p.whole {
		return log, nil, true
	}
	for log, fields := range p.fields {
		return log, slices.Clone(fields), true
	}
	p.running = false
	return "", nil, false
}

func (p *pending) written(log string, fields []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if fields == nil {
		delete(p.whole, log)
	}
	left := slices.DeleteFunc(p.fields[log], func(field string) bool { return fields == nil || slices.Contains(fields, field) })
	if p.fields[log] = left; len(left) == 0 {
		delete(p.fields, log)
	}
}

// retryEvery is the pause between attempts to write what is pending.
const retryEvery = 500 * time.Millisecond

// retry writes what is pending, for as long as it takes.
func (c *Cache) retry(ctx context.Context) {
	c.pending.mu.Lock()
	already := c.pending.running
	c.pending.running = true
	c.pending.mu.Unlock()
	if already {
		return
	}
	for {
		log, fields, ok := c.pending.take()
		if !ok {
			return
		}
		err := ErrUnavailable
		if ticket, allowed := c.breaker.Allow(); allowed {
			err = c.mark(ctx, []string{log}, fields)
			c.report(ctx, ticket, err)
		}
		if err == nil {
			c.pending.written(log, fields)
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(retryEvery):
		}
	}
}
