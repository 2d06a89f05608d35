package cache

import (
	"fmt"
	"net/http"
	"net/textproto"
	"strconv"
	"time"

	"github.com/redishttp/redishttp/cache/internal/rules"
	"github.com/redishttp/redishttp/cache/internal/store"
	"github.com/redishttp/redishttp/internal/respw"
)

// fetch calls the handler and stores its response if it may be.
func (x *exchange) fetch() { x.attempt().run() }

// attempt returns one that is ready to run.
func (x *exchange) attempt() *attempt {
	c, r := x.c, x.r
	a := &attempt{exchange: *x, given: r, begun: time.Now(), length: -1}
	a.r = r.WithContext(r.Context())
	a.r.Header = r.Header.Clone()
	if r.URL != nil {
		u := *r.URL
		a.r.URL = &u
	}
	if o := c.outerOf(r.Context()); o != nil {
		a.given, a.around = o.given, o.around
	}
	a.before = x.w.Header().Clone() // fields of outer middlewares, on the same map
	a.rec = c.store.Record(r.Context(), &a.f, a.tooLarge, a.unkept)
	return a
}

// run calls the handler, or serves a stale response in place of its error, and
// stores what is to be stored. Locks inside are released beside that.
func (a *attempt) run() {
	defer a.tail.Wait()
	defer a.cleanUp()
	b, rw := respw.Wrap(a.w, respw.Hooks{Header: a.header, Body: a.rec.Write, Swallow: true, Tail: &a.tail})
	a.wrapper = b
	a.call(rw)
	if a.after != nil {
		a.tail.Wait() // the handler may be called again, and need the lock
		a.after()
		return
	}
	a.reconsider()
	a.c.served(a.r.Context(), a.s)
	a.finish()
}

// call runs the handler. A panic of a handler that has not responded is an
// error that a stale response may replace.
func (a *attempt) call(rw http.ResponseWriter) {
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
			a.rec.Drop()
			if a.e = nil; a.wrapper.Status() == 0 {
				a.s.ForwardStatus = http.StatusInternalServerError
			}
			panic(p) //nolint:forbidigo // the handler's own; the next request that waits takes over
		}
	}()
	a.next.ServeHTTP(rw, a.request())
	a.wrapper.Finish()
}

// request is what the handler gets: the client's, with the condition of a
// stored response in place of the client's own if there is one.
func (a *attempt) request() *http.Request {
	if a.f.Entry == nil || a.f.Entry.Status != http.StatusOK {
		return a.given
	}
	etag, modified := a.f.Entry.Header.Get("Etag"), a.f.Entry.Header.Get("Last-Modified")
	if etag == "" && modified == "" || !a.c.store.Readable(a.r.Context(), &a.f) {
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
		if rules.Preconditions[textproto.CanonicalMIMEHeaderKey(name)] {
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

// header decides, when the handler's header is known, what becomes of it. It
// returns false when a stored response has been sent instead.
func (a *attempt) header(status int) bool {
	h := rules.Own(a.before, a.w.Header())
	a.own, a.s.ForwardStatus = h, status
	switch {
	case a.asks && status == http.StatusNotModified && !rules.Identifies(h, a.f.Entry.Header):
		a.retry()
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
	a.releaseWaiters()
	a.c.write(a.w.Header(), a.s)
	return true
}

// record keeps the body from now on, if the response is stored.
func (a *attempt) record(h http.Header) {
	if a.e == nil {
		return
	}
	a.e.Added = rules.AddedTo(a.before, a.w.Header())
	if a.quiet && a.f.Entry != nil { // nothing is around a refresh
		a.e.Added = a.f.Entry.Added
	}
	if n, err := strconv.ParseInt(h.Get("Content-Length"), 10, 64); err == nil {
		a.length = n
	} else if a.f.Large { // as it was: what an entry holds itself is kept, in case it has become small
		a.rec.Max = min(a.rec.Max, store.InlineSize)
		a.s.Stored, a.s.Detail = false, "too-large"
	}
	a.rec.On = true
}

// retry calls the handler once more, without our condition: its 304 was about
// another response than the stored one, which is of no use then.
func (a *attempt) retry() {
	restore(a.w.Header(), a.before)
	a.after = func() {
		x := a.exchange
		x.f.Entry, x.s.ForwardStatus = nil, 0
		b := x.attempt()
		b.given, b.around, b.quiet = a.given, a.around, a.quiet
		a.f.Lease = "" // it is that one's now
		b.run()
	}
}
