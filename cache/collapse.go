package cache

import (
	"context"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/redishttp/redishttp/cache/internal/rules"
	"github.com/redishttp/redishttp/cache/internal/store"
)

// maxRounds is how often a request waits for others whose responses do not help
// it. After one that was abandoned it waits for the next, until its time is up.
const maxRounds = 3

// collapsible reports whether the request can wait for others: the response that
// they get would do for it too.
func (x *exchange) collapsible() bool {
	if x.f.Target == "" || x.f.HitForMiss || x.c.waitMax == 0 || x.s.Forward == string(rules.ForwardRequest) {
		return false
	}
	return unshared(x.r) == "" || x.f.Entry != nil && x.r.Method == http.MethodGet && len(x.r.Header["Authorization"]) == 0
}

// collapse has one request of all instances call the handler, while the others
// wait for the store to have its response.
func (x *exchange) collapse() {
	c, r, begun := x.c, x.r, time.Now()
	ctx, cancel := context.WithDeadline(r.Context(), begun.Add(c.waitMax))
	defer cancel()
	of := store.ClassOf(r.Header)
	for rounds := 0; rounds < maxRounds; {
		key := x.f.Hash + x.f.Variant
		fl, leads := c.flights.join(key, c.store.Generation(), of)
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
		if x.f.HitForMiss {
			break
		}
		if fl.how == stored {
			rounds++ // of a response that was not for this request
		}
	}
	x.fetchAlone()
}

// serveUnstored responds with the response of a flight that Redis could not
// store, if it may.
func (x *exchange) serveUnstored(fl *flight) bool {
	c := x.c
	if fl.response == nil || c.store.Generation() != fl.gen || fl.response.Variant != c.rules.Variant(fl.response.Names, x.r.Header) {
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
	x.c.store.ReleaseUnused(&x.f)
	x.f.Lease, x.s.Collapsed, x.lead = "", false, nil
	x.fetch()
}

// leads makes the response for this process, once it has the lease that all
// instances share, or when the time is up: later requests still wait for it.
func (x *exchange) leads(ctx context.Context) {
	flights, lead := &x.c.flights, x.lead
	defer flights.finish(lead.key, lead.flight, abandoned)
	if x.f.Reachable() && !x.acquire(ctx) {
		// Another instance has made it, or none will, or the time is up.
		switch {
		case x.serveFound():
			flights.finish(lead.key, lead.flight, stored)
			return
		case x.f.HitForMiss:
			flights.finish(lead.key, lead.flight, notStored)
			x.fetchAlone()
			return
		case x.clientGone():
			return // the next one takes over
		}
	}
	x.fetch()
}

// clientGone ends a request whose client has disconnected while it waited: such
// clients must not cause calls of the handler.
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
	f, err := x.c.store.Find(x.r.Context(), x.f.Place, x.r.Header, false)
	if err == nil {
		x.f = x.c.visible(x.r, f)
	}
	return err
}

// serveFound responds with what was found, if that can be done without the
// handler.
func (x *exchange) serveFound() bool {
	d := x.c.decide(x.d, x.r, &x.f)
	if d == forward || !x.c.store.Readable(x.r.Context(), &x.f) {
		return false
	}
	x.s.Collapsed = true
	if d == serveStale {
		x.c.refresh(x.r, x.next, x.f)
	} else {
		x.c.store.ReleaseUnused(&x.f)
	}
	x.serve()
	return true
}

// acquire waits until this process has the lease to make the response. It
// reports false when that is no longer needed: another instance made it, it is
// not stored, or the time is up.
func (x *exchange) acquire(ctx context.Context) bool {
	c, f := x.c, &x.f
	if f.Lease != "" && c.store.Claim(f.LeaseKey(f.Variant), f.Lease) != "" {
		return true // what f says is as new as the lease
	}
	if c.store.Closing() {
		return true // no one would release a lease
	}
	for {
		lease := f.LeaseKey(f.Variant)
		token := c.store.Claim(lease, "")
		now, err := c.store.Find(ctx, f.Place, x.r.Header, token == "")
		if err != nil { // without a store there is no lease
			f.Lease = ""
			c.store.Release(store.Lease{Key: lease, Token: token})
			return true
		}
		*f = c.visible(x.r, now)
		if token == "" && f.Lease != "" {
			token, lease = c.store.Claim(f.LeaseKey(f.Variant), f.Lease), f.LeaseKey(f.Variant)
		}
		f.Lease = token
		same := lease == f.LeaseKey(f.Variant)
		made := f.Fresh() || c.decide(x.d, x.r, f) != forward
		switch {
		case token != "" && same && !made:
			return true
		case token != "":
			c.store.Release(store.Lease{Key: lease, Token: token})
			f.Lease = ""
		}
		if made || f.HitForMiss {
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
