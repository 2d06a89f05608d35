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
	// Set before done is closed.
	open bool   // nothing is stored here: everybody for themselves
	kept *found // the response, when Redis was away and could not keep it
	gen  uint64 // of the purges that this process knew of when it began
}

// join returns the flight for a key, and whether the caller is to make it.
func (fs *flights) join(key string, gen uint64) (f *flight, leads bool) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if f := fs.all[key]; f != nil {
		return f, false
	}
	if fs.all == nil {
		fs.all = map[string]*flight{}
	}
	f = &flight{done: make(chan struct{}), gen: gen}
	fs.all[key] = f
	return f, true
}

// land lets everybody go who waits, to look the store up again unless nothing is
// stored here; the first time counts.
func (fs *flights) land(key string, f *flight, open bool) {
	f.once.Do(func() {
		fs.mu.Lock()
		delete(fs.all, key)
		fs.mu.Unlock()
		f.open = open
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
	for range maxRounds {
		key := f.hash + f.variant
		fl, leads := c.flights.join(key, c.gen.Load())
		if !leads {
			select {
			case <-fl.done:
			case <-ctx.Done():
				c.alone(w, r, next, d, f, s)
				return
			}
			s.Collapsed = true
			if fl.kept != nil && c.gen.Load() == fl.gen && fl.kept.variant == c.variant(fl.kept.names, r.Header) {
				if k := c.seen(r, *fl.kept); c.judge(d, r, &k) == serve {
					c.answer(w, r, &k, s)
					return
				}
			}
			if fl.open {
				c.alone(w, r, next, d, f, s)
				return
			}
			// What was stored since is not from before this request.
			if c.again(w, r, next, d, &f, s, true) {
				return
			}
			if f.open {
				break
			}
			continue
		}
		c.leads(ctx, w, r, next, d, f, s, &leading{fl, key, begun})
		return
	}
	c.alone(w, r, next, d, f, s)
}

// alone calls the handler for one request only.
func (c *Cache) alone(w http.ResponseWriter, r *http.Request, next http.Handler, d control, f found, s Status) {
	c.giveBack(&f)
	f.lease, s.Collapsed = "", false
	c.fetch(w, r, next, d, f, s, nil)
}

// maxRounds is how often a request waits for others.
const maxRounds = 3

type leading struct {
	*flight
	key   string
	begun time.Time
}

// leads makes the response for this process, once it has the lease for the fleet.
func (c *Cache) leads(ctx context.Context, w http.ResponseWriter, r *http.Request, next http.Handler, d control, f found, s Status, fl *leading) {
	defer c.flights.land(fl.key, fl.flight, false)
	if f.inc != "" && !c.lead(ctx, r, d, &f, fl.begun) {
		// Another instance has made it, or none will, or the time is up.
		if c.again(w, r, next, d, &f, s, false) {
			c.flights.land(fl.key, fl.flight, false)
			return
		}
		c.flights.land(fl.key, fl.flight, true)
		c.alone(w, r, next, d, f, s)
		return
	}
	c.fetch(w, r, next, d, f, s, fl)
}

// again looks the store up once more, or takes f as it is, and answers if that
// can be done without the handler.
func (c *Cache) again(w http.ResponseWriter, r *http.Request, next http.Handler, d control, f *found, s Status, look bool) bool {
	if look {
		now, err := c.ask(r.Context(), f.place, r.Header, true)
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
	for {
		lease := f.leaseKey(f.variant)
		token := c.leases.claim(lease, "")
		now, err := c.ask(ctx, f.place, r.Header, token == "")
		if err != nil {
			return true // without a store there is no lease
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
			c.release(lease)
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
