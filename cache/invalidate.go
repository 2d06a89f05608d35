package cache

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/redishttp/redishttp/cache/internal/cachekey"
	"github.com/redishttp/redishttp/cache/internal/rules"
	"github.com/redishttp/redishttp/internal/bounded"
	"github.com/redishttp/redishttp/internal/respw"
)

// passThrough forwards a request with another method, and invalidates if it is
// unsafe and succeeds.
func (x *exchange) passThrough() {
	switch x.r.Method {
	case http.MethodOptions, http.MethodTrace:
		x.c.write(x.w.Header(), x.s)
		x.c.served(x.r.Context(), x.s)
		x.next.ServeHTTP(x.w, x.c.given(x.r))
		return
	}
	a := x.attempt()
	defer a.cleanUp()
	var w http.ResponseWriter
	a.wrapper, w = respw.Wrap(x.w, respw.Hooks{Body: a.rec.write, Header: func(status int) bool {
		h := rules.Own(a.before, a.w.Header())
		if x.s.ForwardStatus = status; status < 400 {
			x.c.invalidate(a.r, rules.Own(nil, a.w.Header()))
		}
		x.s.Stored = a.ofPost(status, h)
		x.c.write(a.w.Header(), x.s)
		return true
	}})
	x.next.ServeHTTP(w, a.given)
	a.wrapper.Finish()
	a.reconsider()
	x.s.Stored = a.e != nil
	x.c.served(x.r.Context(), x.s)
	if a.e != nil {
		a.finish()
	}
}

// ofPost reports whether the response to a POST is stored as that to a GET: it
// says that it is one, and how long it is fresh (RFC 9110, section 9.3.3).
func (a *attempt) ofPost(status int, h http.Header) bool {
	if a.r.Method != http.MethodPost || !rules.Successful(status) || h.Get("Content-Location") == "" {
		return false
	}
	sent := cachekey.SentURL(a.r)
	ref, err := sent.Parse(h.Get("Content-Location"))
	if err != nil || ref.Host != "" && cachekey.PurgeHost(ref.Host) != cachekey.PurgeHost(a.r.Host) || cachekey.Target("", "", ref) != cachekey.Target("", "", sent) {
		return false
	}
	if t := a.c.rules.Terms(rules.Response{Status: status, Header: h, Around: a.around}, time.Now()); !t.Explicit || t.Fresh <= 0 {
		return false
	}
	get := a.r.WithContext(a.r.Context())
	get.Method = http.MethodGet
	f, err := a.c.find(get.Context(), a.c.placeOf(get), get.Header, false)
	if err != nil {
		return false
	}
	a.r, a.f, a.own = get, f, h
	a.consider(status, h)
	a.record(h)
	return a.e != nil
}

// invalidate invalidates what an unsafe request has changed: its URL, those of
// the same origin that the response names, and the groups that it names (RFC
// 9875, section 3).
func (c *Cache) invalidate(r *http.Request, h http.Header) {
	targets := map[string]bool{c.requestTarget(r): true}
	for _, name := range []string{"Location", "Content-Location"} {
		ref, err := url.Parse(h.Get(name))
		if err != nil || h.Get(name) == "" || ref.Host != "" && cachekey.PurgeHost(ref.Host) != cachekey.PurgeHost(r.Host) {
			continue
		}
		base := *cachekey.SentURL(r)
		base.Host = r.Host
		named := *r
		named.URL, named.RequestURI = base.ResolveReference(ref), ""
		targets[c.requestTarget(&named)] = true
	}
	for target := range targets {
		p := c.place(target, "")
		c.writePurge(r.Context(), []string{p.log}, []string{"u:" + p.url})
	}
	if groups := rules.Groups(h["Cache-Group-Invalidation"]); len(groups) > 0 {
		fields := make([]string, len(groups))
		for i, group := range groups {
			fields[i] = "t:" + cachekey.Digest(group)
		}
		c.writePurge(r.Context(), c.logs(), fields)
	}
}

// writePurge writes the marks, or keeps the marks for later if Redis is away. Unlike Purge this
// holds up a client, so it does not wait for a Redis that is known to be down.
func (c *Cache) writePurge(ctx context.Context, logs, fields []string) {
	left, err := c.markReachable(ctx, logs, fields)
	if err != nil { // if nothing is left, replicas have not confirmed it
		c.failed(ctx, wrapped("invalidate", err))
	}
	if len(left) == 0 {
		return
	}
	c.forgetNear(fields)
	c.pending.add(left, fields)
	c.background(c.retry)
}

// markReachable marks the logs whose nodes are not known to be down, in one
// round trip to each, and returns those that are not marked.
func (c *Cache) markReachable(ctx context.Context, logs, fields []string) (left []string, err error) {
	calls, refused := c.nodes.AllowAll(logs)
	var sent []string
	for _, call := range calls {
		sent = append(sent, call.Keys...)
	}
	if left = refused; len(refused) > 0 {
		err = ErrUnavailable
	}
	if len(sent) == 0 {
		return left, err
	}
	errs, err2 := c.markEach(ctx, sent, fields)
	for _, call := range calls {
		var first error
		for _, log := range call.Keys {
			if e := errs[log]; e != nil {
				left = append(left, log)
				if first == nil {
					first = e
				}
			}
		}
		if len(calls) > 1 && errors.Is(first, bounded.ErrAbandoned) {
			first = context.Canceled // of which node is not known
		}
		c.report(ctx, call.Call, first)
	}
	return left, errors.Join(err, err2)
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

// logs returns those with marks. If there are none, no goroutine writes them any more.
func (p *pending) logs() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	logs := slices.AppendSeq(slices.Collect(maps.Keys(p.whole)), maps.Keys(p.fields))
	slices.Sort(logs)
	logs = slices.Compact(logs)
	p.running = len(logs) > 0
	return logs
}

// of returns the fields to mark in a log, none for all.
func (p *pending) of(log string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.whole[log] {
		return nil
	}
	return slices.Clone(p.fields[log])
}

func (p *pending) any() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.whole)+len(p.fields) > 0
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
		waiting := c.pending.logs()
		if len(waiting) == 0 {
			return
		}
		for _, log := range waiting { // a node that is away holds up no other
			fields := c.pending.of(log)
			if left, _ := c.markReachable(ctx, []string{log}, fields); len(left) == 0 {
				c.pending.written(log, fields)
			}
		}
		if !c.pending.any() {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(retryEvery):
		}
	}
}
