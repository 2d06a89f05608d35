package cache

import (
	"context"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// flights are the handler calls under way in this process that others wait
// for. Who waits never gets the response of another: it looks the store up
// again, and what the store may not give it, it does not get.
type flights struct {
	mu  sync.Mutex
	all map[string]*flight
}

type flight struct {
	done chan struct{}
	once sync.Once
	gen  uint64 // of the purges that this process knew of when it began
	of   class  // of the request that makes it
	// Set before done is closed.
	how  outcome
	kept *found // the response, when Redis was away and could not keep it
}

// outcome is how a flight ended.
type outcome int

const (
	cut    outcome = iota // it panicked, was cut short, or its client left: the next one takes over
	stored                // look the store up again
	open                  // nothing is stored for requests of its class: each makes its own
)

// join returns the flight for a key, and whether the caller is to make it.
func (fs *flights) join(key string, gen uint64, of class) (f *flight, leads bool) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if f := fs.all[key]; f != nil {
		return f, false
	}
	if fs.all == nil {
		fs.all = map[string]*flight{}
	}
	f = &flight{done: make(chan struct{}), gen: gen, of: of}
	fs.all[key] = f
	return f, true
}

// land lets those go who wait; the first time counts.
func (fs *flights) land(key string, f *flight, how outcome) {
	f.once.Do(func() {
		fs.mu.Lock()
		delete(fs.all, key)
		fs.mu.Unlock()
		f.how = how
		close(f.done)
	})
}

// poll is how often the store is looked up while another instance makes the
// response: one request of this process does it for all.
func poll(waited time.Duration) time.Duration {
	pause := min(max(waited/16, 3*time.Millisecond), 50*time.Millisecond)
	return pause + time.Duration(rand.Int64N(int64(pause/2)))
}

// collapse has one request in the fleet call the handler, and the others wait
// for the store to have its response.
func (c *Cache) collapse(w http.ResponseWriter, r *http.Request, next http.Handler, d control, f found, s Status) {
	begun := time.Now()
	ctx, cancel := context.WithDeadline(r.Context(), begun.Add(c.waitMax))
	defer cancel()
	of := classOf(r.Header)
	for rounds := 0; rounds < maxRounds; {
		key := f.hash + f.variant
		fl, leads := c.flights.join(key, c.gen.Load(), of)
		if leads {
			c.leads(ctx, w, r, next, d, f, s, &leading{fl, key, begun})
			return
		}
		select {
		case <-fl.done:
		case <-ctx.Done():
			if !c.left(w, r, s) {
				c.alone(w, r, next, d, f, s)
			}
			return
		}
		s.Collapsed = true
		if fl.kept != nil && c.gen.Load() == fl.gen && fl.kept.variant == c.variant(fl.kept.names, r.Header) {
			if k := c.seen(r, *fl.kept); c.judge(d, r, &k) == serve {
				c.answer(w, r, &k, s)
				return
			}
		}
		if fl.how == open && fl.of == of {
			break
		}
		// What was stored since is not from before this request.
		if fl.how == stored && c.again(w, r, next, d, &f, s, true) {
			return
		}
		if f.open {
			break
		}
		if fl.how == stored {
			rounds++ // of what was not for this request
		}
	}
	c.alone(w, r, next, d, f, s)
}

// alone calls the handler for one request only.
func (c *Cache) alone(w http.ResponseWriter, r *http.Request, next http.Handler, d control, f found, s Status) {
	c.giveBack(&f)
	f.lease, s.Collapsed = "", false
	c.fetch(w, r, next, d, f, s, nil)
}

// maxRounds is how often a request waits for others whose responses do not help
// it. After one that was cut it waits for the next, until its time is up.
const maxRounds = 3

type leading struct {
	*flight
	key   string
	begun time.Time
}

// leads makes the response for this process, once it has the lease for the
// fleet, or when the time is up: the requests that came later still wait for it.
func (c *Cache) leads(ctx context.Context, w http.ResponseWriter, r *http.Request, next http.Handler, d control, f found, s Status, fl *leading) {
	defer c.flights.land(fl.key, fl.flight, cut)
	if f.inc != "" && !c.lead(ctx, r, d, &f, fl.begun) {
		// Another instance has made it, or none will, or the time is up.
		if c.again(w, r, next, d, &f, s, false) {
			c.flights.land(fl.key, fl.flight, stored)
			return
		}
		if f.open {
			c.flights.land(fl.key, fl.flight, open)
			c.alone(w, r, next, d, f, s)
			return
		}
		if c.left(w, r, s) {
			return // the next one takes over
		}
	}
	c.fetch(w, r, next, d, f, s, fl)
}

// left ends a request whose client went away, or whose time was up, while it
// waited: a crowd that leaves must not call the handler for nothing.
func (c *Cache) left(w http.ResponseWriter, r *http.Request, s Status) bool {
	if r.Context().Err() == nil {
		return false
	}
	s.Collapsed, s.Detail = false, "client-gone"
	c.served(r.Context(), s)
	c.write(w.Header(), s)
	http.Error(w, http.StatusText(http.StatusServiceUnavailable), http.StatusServiceUnavailable)
	return true
}

// again looks the store up once more, or takes f as it is, and answers if that
// can be done without the handler.
func (c *Cache) again(w http.ResponseWriter, r *http.Request, next http.Handler, d control, f *found, s Status, look bool) bool {
	if look {
		now, err := c.ask(r.Context(), f.place, r.Header, false)
		if err != nil {
			return false
		}
		*f = c.seen(r, now)
	}
	v := c.judge(d, r, f)
	if v == forward || !c.readable(r.Context(), f) {
		return false
	}
	s.Collapsed = true
	if v == serveStale {
		c.refresh(r, next, *f)
	} else {
		c.giveBack(f)
	}
	c.answer(w, r, f, s)
	return true
}

// lead waits until this process has the lease to make a response. It is false
// when that is not needed any more: another made it, it is not stored, or the
// time is up.
func (c *Cache) lead(ctx context.Context, r *http.Request, d control, f *found, begun time.Time) bool {
	if f.lease != "" && c.leases.claim(f.leaseKey(f.variant), f.lease) != "" {
		return true // what f says is as new as the lease
	}
	if c.ended.Load() {
		return true // nothing would give a lease back
	}
	for {
		lease := f.leaseKey(f.variant)
		token := c.leases.claim(lease, "")
		now, err := c.ask(ctx, f.place, r.Header, token == "")
		if err != nil { // without a store there is no lease
			f.lease = ""
			c.release(returned{key: lease, token: token})
			return true
		}
		*f = c.seen(r, now)
		if token == "" && f.lease != "" {
			token, lease = c.leases.claim(f.leaseKey(f.variant), f.lease), f.leaseKey(f.variant)
		}
		f.lease = token
		same := lease == f.leaseKey(f.variant)
		made := f.fresh() || c.judge(d, r, f) != forward
		switch {
		case token != "" && same && !made:
			return true
		case token != "":
			c.release(returned{key: lease, token: token})
			f.lease = ""
		}
		if made || f.open {
			return false
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(poll(time.Since(begun))):
		}
	}
}
