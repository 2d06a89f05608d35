package cache

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"time"

	"github.com/redishttp/redishttp/internal/personal"
	"github.com/redishttp/redishttp/internal/respw"
)

// attempt is one call of the handler.
type attempt struct {
	c       *Cache
	w       http.ResponseWriter
	r       *http.Request // as it came: the handler may change its own
	given   *http.Request // the handler's
	d       control       // of the request
	f       found
	s       Status
	fl      *leading // nil when nobody waits
	before  http.Header
	around  http.Header // what outer middlewares say, see [config.around]
	own     http.Header // what the handler says
	begun   time.Time
	asks    bool // with a condition of ours
	quiet   bool // there is no client
	e       *entry
	length  int64 // what Content-Length promises, -1 for nothing
	rec     *recorder
	wrapper *respw.Writer
	next    http.Handler
	after   func() // what is to be stored instead of the handler's response
	filled  bool   // something was stored
}

// fetch calls next and stores its response if it may be.
func (c *Cache) fetch(w http.ResponseWriter, r *http.Request, next http.Handler, d control, f found, s Status, fl *leading) {
	a := c.attempt(w, r)
	a.d, a.f, a.s, a.fl = d, f, s, fl
	a.run(next)
}

// attempt returns one that is ready to run.
func (c *Cache) attempt(w http.ResponseWriter, r *http.Request) *attempt {
	a := &attempt{c: c, w: w, r: r.WithContext(r.Context()), given: r, begun: time.Now(), length: -1}
	a.r.Header = r.Header.Clone()
	if r.URL != nil {
		u := *r.URL
		a.r.URL = &u
	}
	if q := c.askedOf(r.Context()); q != nil {
		a.given, a.around = q.given, q.around
	}
	a.before = w.Header().Clone() // fields of outer middlewares, on the same map
	a.rec = &recorder{c: c, ctx: r.Context(), f: &a.f, max: c.maxBody, over: a.tooLarge, lost: a.unkept}
	return a
}

func (a *attempt) run(next http.Handler) {
	defer a.settle()
	b, rw := respw.Wrap(a.w, respw.Hooks{Header: a.header, Body: a.rec.write, Swallow: true})
	a.wrapper, a.next = b, next
	a.call(next, rw)
	if a.after != nil {
		a.after()
		return
	}
	a.reconsider()
	a.c.served(a.r.Context(), a.s)
	a.finish()
}

// call runs the handler. A panic of a handler that has not answered is an error
// that a stale response may stand in for.
func (a *attempt) call(next http.Handler, rw http.ResponseWriter) {
	defer func() {
		p := recover()
		switch {
		case p == nil:
		case a.after != nil && p == http.ErrAbortHandler: //nolint:errorlint // it is compared by identity
			return // a proxy that saw its response replaced
		case a.after == nil && a.wrapper.Status() == 0 && !a.wrapper.Hijacked() && onError(a.d, &a.f):
			a.c.failed(a.r.Context(), fmt.Errorf("cache: the handler panicked: %v", p))
			a.stale(http.StatusInternalServerError)
		default:
			a.rec.drop()
			if a.e = nil; a.wrapper.Status() == 0 {
				a.s.ForwardStatus = http.StatusInternalServerError
			}
			panic(p) // the next of those who wait takes over
		}
	}()
	next.ServeHTTP(rw, a.request())
	a.wrapper.Finish()
}

// request is what the handler gets: the client's, with the condition of a
// stored response in place of the client's own if there is one.
func (a *attempt) request() *http.Request {
	if a.f.entry == nil || a.f.entry.status != http.StatusOK {
		return a.given
	}
	etag, modified := a.f.entry.header.Get("Etag"), a.f.entry.header.Get("Last-Modified")
	if etag == "" && modified == "" || !a.c.readable(a.r.Context(), &a.f) {
		return a.given
	}
	a.asks = true
	r := a.given.WithContext(a.given.Context())
	r.Header = a.given.Header.Clone()
	if a.given.URL != nil { // this handler may change it, and be called again
		u := *a.given.URL
		r.URL = &u
	}
	for name := range r.Header {
		if preconditions[textproto.CanonicalMIMEHeaderKey(name)] {
			delete(r.Header, name)
		}
	}
	if etag != "" {
		r.Header.Set("If-None-Match", etag)
	}
	if modified != "" {
		r.Header.Set("If-Modified-Since", modified)
	}
	return r
}

// preconditions are the fields that ask for less than the whole.
var preconditions = map[string]bool{"If-Match": true, "If-None-Match": true, "If-Modified-Since": true, "If-Unmodified-Since": true, "If-Range": true, "Range": true}

// header decides, when the handler's header is known, what becomes of it. It
// returns false when a stored response has been sent instead.
func (a *attempt) header(status int) bool {
	h := own(a.before, a.w.Header())
	a.own, a.s.ForwardStatus = h, status
	switch {
	case a.asks && status == http.StatusNotModified && !identifies(h, a.f.entry.header):
		a.again()
		return false
	case a.asks && status == http.StatusNotModified:
		a.validated(h)
		return false
	case (status == 500 || status >= 502 && status <= 504) && onError(a.d, &a.f):
		a.stale(status)
		return false
	}
	a.outdates(status, h)
	a.consider(status, h)
	a.record(h)
	a.opened()
	a.c.write(a.w.Header(), a.s)
	return true
}

// record keeps the body from now on, if the response is stored.
func (a *attempt) record(h http.Header) {
	if a.e == nil {
		return
	}
	a.e.added = addedTo(a.before, a.w.Header())
	if a.quiet && a.f.entry != nil { // nothing is around a refresh
		a.e.added = a.f.entry.added
	}
	if n, err := strconv.ParseInt(h.Get("Content-Length"), 10, 64); err == nil {
		a.length = n
	} else if a.f.large { // as it was: what an entry holds itself is kept, in case it has become small
		a.rec.max = min(a.rec.max, inlineSize)
		a.s.Stored, a.s.Detail = false, "too-large"
	}
	a.rec.on = true
}

// consider decides whether the response is stored.
func (a *attempt) consider(status int, h http.Header) {
	now := time.Now()
	if a.f.target == "" || a.s.Detail != "" && a.f.inc != "" {
		return // none of the cache's business
	}
	e := entry{status: status, age: initialAge(h, now), delta: now.Sub(a.begun), header: h}
	if detail := a.assess(a.r, &e, now); detail != "" {
		if a.s.Detail == "" {
			a.s.Detail = detail
		}
		return
	}
	a.s.Stored = a.f.inc != ""
	e.header = storedHeader(h, now)
	addVary(e.header, varyNames(a.around))
	a.e = &e
}

// assess sets what follows from the status, the header and the age of e, the
// response to r, and from what outer middlewares say, or says why it must not be stored.
func (a *attempt) assess(r *http.Request, e *entry, now time.Time) (detail string) {
	t := a.c.terms(e.status, e.header, a.around, now)
	var ok bool
	e.tags, ok = tagsOf(http.Header{"Surrogate-Key": together("Surrogate-Key", e.header, a.around),
		"Cache-Tag": together("Cache-Tag", e.header, a.around), "Cache-Groups": together("Cache-Groups", e.header, a.around)})
	e.lives = a.c.lifetimes(r, e, t, now)
	e.flags &^= sharedFlag | steadyFlag
	if t.shared {
		e.flags |= sharedFlag
	}
	if t.has("immutable") {
		e.flags |= steadyFlag
	}
	if detail := a.c.unstorable(r, e, a.around, t); detail != "" {
		return detail
	}
	switch {
	case !ok:
		return "tags"
	case !t.forAll && personal.Touched(a.r.Context()):
		return "session" // the handler has read who asks
	case e.keep >= time.Millisecond:
		return ""
	case t.has("no-cache"):
		return "no-cache" // and nothing to validate with
	}
	return "not-fresh"
}

const (
	// openFor is how long requests for something that is not stored do not wait
	// for each other, after the last that was not.
	openFor = 10 * time.Second
	// passing is the same for what passes.
	passing = time.Second
	// largeFor is how long a body that was too large is taken to be so.
	largeFor = 10 * time.Minute
)

// opened lets those go who wait for a response that will not help them, before
// its body is there, once that was seen twice running. After the first time the next one tries.
func (a *attempt) opened() {
	if a.e != nil && a.e.serves() && !a.f.large || a.r.Context().Err() != nil {
		return // of a client that left, the response says nothing
	}
	d := openFor
	if a.s.ForwardStatus == 0 || a.s.ForwardStatus >= 500 || a.s.ForwardStatus == http.StatusNotModified || a.s.ForwardStatus == http.StatusPartialContent {
		d = passing
	}
	switch {
	case a.fl == nil:
		// Nothing waits for this one, because that is how it was. Say that it still is,
		// now and then, or a crowd would wait for a header each time that the mark ends.
		if a.f.open && !a.f.large && a.f.openLeft < openFor/2 && d == openFor && lonely(a.r) == "" {
			a.c.markOpen(a.r.Context(), &a.f, classOf(a.r.Header), d)
		}
	case a.f.large || a.c.markOpen(a.r.Context(), &a.f, a.fl.of, d):
		a.c.flights.land(a.fl.key, a.fl.flight, open)
	default:
		a.c.flights.land(a.fl.key, a.fl.flight, cut)
	}
}

// tooLarge remembers that, so that not each download is written and deleted.
func (a *attempt) tooLarge() {
	a.e = nil
	if !a.f.large {
		a.f.large = true
		a.c.markLarge(a.r.Context(), &a.f)
	}
	a.unkept()
}

// unkept lets those go who wait, because the store does not keep the response: the
// next one would fare no better.
func (a *attempt) unkept() {
	if a.fl != nil {
		a.c.flights.land(a.fl.key, a.fl.flight, open)
	}
}

// settle gives the lease back that nothing was done with, and removes the pieces of
// what was not stored, however the attempt ends.
func (a *attempt) settle() {
	if !a.filled {
		a.rec.drop()
	}
	lease := returned{key: a.f.leaseKey(a.f.variant), token: a.f.lease}
	a.f.lease = ""
	a.c.release(lease)
}

// finish stores what was recorded, if it is whole.
func (a *attempt) finish() {
	ctx := a.r.Context()
	whole := a.e != nil && a.rec.on && !a.wrapper.Hijacked() && a.wrapper.Status() != 0 && ctx.Err() == nil &&
		(a.length < 0 || a.length == a.rec.size) && (a.e.status != http.StatusNoContent || a.rec.size == 0)
	if !whole || !a.rec.finish(a.e) {
		a.rec.drop()
		return
	}
	a.keep(a.e)
}

// keep stores an entry, or leaves it to those who wait if Redis is away.
func (a *attempt) keep(e *entry) {
	c := a.c
	if a.f.inc == "" {
		if a.fl != nil && e.id == "" {
			names := varyNames(e.header)
			a.fl.kept = &found{place: a.f.place, names: names, variant: c.variant(names, a.r.Header), entry: e}
			c.flights.land(a.fl.key, a.fl.flight, stored)
		}
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(a.r.Context()), c.storeTimeout)
	defer cancel()
	err := ErrUnavailable
	if call, ok := c.nodes.Allow(a.f.log); ok {
		err = c.fill(ctx, a.f, a.r.Header, e)
		c.report(a.r.Context(), call, err)
	}
	switch {
	case err == nil:
		a.filled, a.f.lease = true, ""
		c.stats.fills.Add(1)
		c.near.forget(a.f.url)
		if a.fl != nil {
			c.flights.land(a.fl.key, a.fl.flight, stored)
		}
	case errors.Is(err, errVary):
		a.e = nil
		a.opened()
	default:
		a.unkept()
		c.failed(a.r.Context(), wrapped("store", err))
	}
}

// validated answers with the stored response that a 304 has made fresh (RFC
// 9111, section 4.3.4).
func (a *attempt) validated(h http.Header) {
	c, now := a.c, time.Now()
	merged := *a.f.entry
	merged.header = updated(a.f.entry.header, h, now)
	merged.added = slices.Concat(merged.added, addedTo(a.before, a.w.Header()))
	slices.Sort(merged.added)
	merged.added = slices.Compact(merged.added)
	merged.age = initialAge(merged.header, now)
	if len(h["Age"]) == 0 && len(h["Date"]) == 0 { // as old as its validation
		merged.age = 0
		merged.header.Set("Date", now.UTC().Format(http.TimeFormat))
		delete(merged.header, "Age")
	}
	get := *a.r
	get.Method = http.MethodGet // which what is stored answers, also to a HEAD
	a.s.Stored = a.assess(&get, &merged, now) == "" && a.f.inc != ""
	addVary(merged.header, varyNames(a.around))
	restore(a.w.Header(), a.before)
	for _, line := range h["Set-Cookie"] { // this client's, nobody else's
		a.w.Header().Add("Set-Cookie", line)
	}
	shown := a.f
	shown.entry, shown.elapsed, shown.soft = &merged, 0, false
	a.e = nil
	if !merged.serves() || !a.s.Stored {
		a.opened()
	}
	a.own = maps.Clone(merged.header) // what is shown; more than that has come late
	a.own["Set-Cookie"] = h["Set-Cookie"]
	a.after = func() {
		a.around = a.alsoLate(merged.status)
		if a.s.Stored && a.assess(&get, &merged, now) == "" { // as the handler left it
			addVary(merged.header, varyNames(a.around))
			a.keep(&merged)
		}
	}
	if !a.quiet {
		c.answer(a.w, a.r, &shown, a.s)
	}
}

// stale answers with a stale response instead of an error.
func (a *attempt) stale(status int) {
	a.s.ForwardStatus, a.s.Detail = status, "stale-if-error"
	restore(a.w.Header(), a.before)
	a.opened()
	a.after = func() {}
	if !a.quiet {
		a.c.answer(a.w, a.r, &a.f, a.s)
	}
}

func wrapped(what string, err error) error { return fmt.Errorf("cache: %s: %w", what, err) }
