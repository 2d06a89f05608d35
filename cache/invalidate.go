package cache

import (
	"net/http"
	"net/url"
	"time"

	"github.com/redishttp/redishttp/cache/internal/cachekey"
	"github.com/redishttp/redishttp/cache/internal/rules"
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
	a.wrapper, w = respw.Wrap(x.w, respw.Hooks{Body: a.rec.Write, Header: func(status int) bool {
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

// ofPost reports whether the response to a POST is stored as that to a GET: its
// Content-Location is the URL of the request, and it has a lifetime (RFC 9110,
// section 9.3.3).
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
	f, err := a.c.store.Find(get.Context(), a.c.placeOf(get), get.Header, false)
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
		p := c.store.Place(target, "")
		c.store.Invalidate(r.Context(), p.Mark(false))
	}
	if groups := rules.Groups(h["Cache-Group-Invalidation"]); len(groups) > 0 {
		c.store.Invalidate(r.Context(), c.store.Tagged(groups, false))
	}
}
