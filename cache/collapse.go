package cache

import (
	"context"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/redishttp/redishttp/cache/internal/rules"
)

// maxRounds is how often a request waits for others whose responses do not help
// it. After one that was abandoned it waits for the next, until its time is up.
const maxRounds = 3

// unshared says why a request does not wait for others, "" if it does.
func unshared(r *http.Request) string {
	h := r.Header
	switch {
	case r.Method != http.MethodGet:
		return "method"
	case len(h["Authorization"]) > 0 || len(h["Range"]) > 0:
		return "partial"
	case rules.Conditional(r):
		return "conditional"
	}
	return ""
}

// collapsible reports whether the request can wait for others: the response that
// they get would do for it too.
func (x *exchange) collapsible() bool {
	if x.f.target == "" || x.f.hitForMiss || x.c.waitMax == 0 || x.s.Forward == string(forwardRequest) {
		return false
	}
	return unshared(x.r) == "" || x.f.entry != nil && x.r.Method == http.MethodGet && len(x.r.Header["Authorization"]) == 0
}

// collapse has one request in the fleet call the handler, while the others wait
// for the store to have its response.
func (x *exchange) collapse() {
	c, r, begun := x.c, x.r, time.Now()
	ctx, cancel := context.WithDeadline(r.Context(), begun.Add(c.waitMax))
	defer cancel()
	of := classOf(r.Header)
	for rounds := 0; rounds < maxRounds; {
		key := x.f.hash + x.f.variant
		fl, leads := c.flights.join(key, c.store.generation(), of)
		if leads {
			x.lead = &leading{fl, key, begun}
			x.leads(ctx)
			return
		}
		select {
		case <-fl.done:
		case <-ctx.Done():
			if !x.clientGone() {
				x.fetchAlone()
			}
			return
		}
		x.s.Collapsed = true
		if x.serveUnstored(fl) {
			return
		}
		if fl.how == notStored && fl.of == of {
			break
		}
		// What was stored since is newer than this request.
		if fl.how == stored && x.find() == nil && x.serveFound() {
			return
		}
		if x.f.hitForMiss {
			break
		}
		if fl.how == stored {
			rounds++ // of a response that was not for this request
		}
	}
	x.fetchAlone()
}

// serveUnstored answers with the response of a flight that Redis could not keep,
// if it may.
func (x *exchange) serveUnstored(fl *flight) bool {
	c := x.c
	if fl.response == nil || c.store.generation() != fl.gen || fl.response.variant != c.rules.Variant(fl.response.names, x.r.Header) {
		return false
	}
	f := c.visible(x.r, *fl.response)
	if c.decide(x.d, x.r, &f) != serve {
		return false
	}
	x.f = f
	x.serve()
	return true
}

// fetchAlone calls the handler for one request only.
func (x *exchange) fetchAlone() {
	x.c.store.releaseUnused(&x.f)
	x.f.lease, x.s.Collapsed, x.lead = "", false, nil
	x.fetch()
}

// leads makes the response for this process, once it has the lease for the
// fleet, or when the time is up: later requests still wait for it.
func (x *exchange) leads(ctx context.Context) {
	flights, lead := &x.c.flights, x.lead
	defer flights.finish(lead.key, lead.flight, abandoned)
	if x.f.reachable() && !x.acquire(ctx) {
		// Another instance has made it, or none will, or the time is up.
		switch {
		case x.serveFound():
			flights.finish(lead.key, lead.flight, stored)
			return
		case x.f.hitForMiss:
			flights.finish(lead.key, lead.flight, notStored)
			x.fetchAlone()
			return
		case x.clientGone():
			return // the next one takes over
		}
	}
	x.fetch()
}

// clientGone ends a request whose client has left while it waited: a crowd that
// leaves must not call the handler for nothing.
func (x *exchange) clientGone() bool {
	if x.r.Context().Err() == nil {
		return false
	}
	x.s.Collapsed, x.s.Detail = false, "client-gone"
	x.c.served(x.r.Context(), x.s)
	x.c.write(x.w.Header(), x.s)
	http.Error(x.w, http.StatusText(http.StatusServiceUnavailable), http.StatusServiceUnavailable)
	return true
}

// find looks the store up again.
func (x *exchange) find() error {
	f, err := x.c.store.find(x.r.Context(), x.f.place, x.r.Header, false)
	if err == nil {
		x.f = x.c.visible(x.r, f)
	}
	return err
}

// serveFound answers with what was found, if that can be done without the
// handler.
func (x *exchange) serveFound() bool {
	d := x.c.decide(x.d, x.r, &x.f)
	if d == forward || !x.c.store.readable(x.r.Context(), &x.f) {
		return false
	}
	x.s.Collapsed = true
	if d == serveStale {
		x.c.refresh(x.r, x.next, x.f)
	} else {
		x.c.store.releaseUnused(&x.f)
	}
	x.serve()
	return true
}

// acquire waits until this process has the lease to make the response. It
// reports false when that is not needed any more: another instance made it, it is
// not stored, or the time is up.
func (x *exchange) acquire(ctx context.Context) bool {
	c, f := x.c, &x.f
	if f.lease != "" && c.store.claim(f.leaseKey(f.variant), f.lease) != "" {
		return true // what f says is as new as the lease
	}
	if c.store.closing() {
		return true // no one would release a lease
	}
	for {
		lease := f.leaseKey(f.variant)
		token := c.store.claim(lease, "")
		now, err := c.store.find(ctx, f.place, x.r.Header, token == "")
		if err != nil { // without a store there is no lease
			f.lease = ""
			c.store.release(returned{key: lease, token: token})
			return true
		}
		*f = c.visible(x.r, now)
		if token == "" && f.lease != "" {
			token, lease = c.store.claim(f.leaseKey(f.variant), f.lease), f.leaseKey(f.variant)
		}
		f.lease = token
		same := lease == f.leaseKey(f.variant)
		made := f.fresh() || c.decide(x.d, x.r, f) != forward
		switch {
		case token != "" && same && !made:
			return true
		case token != "":
			c.store.release(returned{key: lease, token: token})
			f.lease = ""
		}
		if made || f.hitForMiss {
			return false
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(poll(time.Since(x.lead.begun))):
		}
	}
}

// poll is how often the store is looked up while another instance makes the
// response: one request of this process does it for all.
func poll(waited time.Duration) time.Duration {
	pause := min(max(waited/16, 3*time.Millisecond), 50*time.Millisecond)
	return pause + time.Duration(rand.Int64N(int64(pause/2)))
}
