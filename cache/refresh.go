package cache

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"time"
)

// early reports whether a fresh response is refreshed before it is stale, as
// one request in a while does, the sooner the longer the handler takes (Vattani
// et al., Optimal Probabilistic Cache Stampede Prevention, 2015).
func (c *Cache) early(f *found) bool {
	e := f.entry
	if c.beta == 0 || e.delta <= 0 || e.flags&steadyFlag != 0 || f.left() <= 0 {
		return false
	}
	return float64(e.delta)*c.beta*-math.Log(1-rand.Float64()) >= float64(f.left())
}

// refresh makes a stored response anew in the background, once in the fleet. It
// runs with the values of the request but not until its end.
func (c *Cache) refresh(r *http.Request, next http.Handler, f found) {
	if len(r.Header["Authorization"]) > 0 {
		return // the handler would answer this client
	}
	key := f.hash + f.variant
	fl, leads := c.flights.join(key, c.gen.Load())
	if !leads {
		return
	}
	lead := &leading{fl, key, time.Now()}
	from := r.Context()
	if c.refreshContext != nil {
		from = c.carry(r, c.refreshContext(from))
	}
	clone := r.Clone(from) // while the request is here: what is around may change it afterwards
	started := c.background(func(ctx context.Context) {
		defer c.flights.land(key, fl, false)
		defer func() {
			if p := recover(); p != nil {
				c.failed(from, fmt.Errorf("cache: refresh: the handler panicked: %v", p))
			}
		}()
		ctx, cancel := context.WithTimeout(ctx, c.refreshTimeout)
		defer cancel()
		ctx = values{ctx, from}
		lease := f.leaseKey(f.variant)
		if f.lease == "" || c.leases.claim(lease, f.lease) == "" {
			token := c.take(ctx, lease)
			if token == "" {
				return // another instance does it
			}
			now, err := c.ask(ctx, f.place, clone.Header, false) // it may just have been done
			if err != nil || now.fresh() && !c.due(&now) || now.variant != f.variant {
				c.release(lease)
				return
			}
			f = now
			f.lease = token
		}
		clone = clone.WithContext(ctx)
		clone.Method, clone.Body = http.MethodGet, http.NoBody
		for _, name := range []string{"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range", "Range", "Cache-Control", "Pragma"} {
			delete(clone.Header, name)
		}
		c.stats.refreshes.Add(1)
		a := c.attempt(nobody{http.Header{}, ctx}, clone)
		a.given = c.respelled(clone)
		a.f, a.s, a.fl, a.quiet = f, Status{Forward: "stale"}, lead, true
		a.run(next)
	})
	if !started {
		c.flights.land(key, fl, false)
	}
}

// due reports whether a fresh response is near its end, so that a refresh that was asked
// for is still wanted.
func (c *Cache) due(f *found) bool {
	return f.left() < max(f.entry.fresh/10, 20*f.entry.delta)
}

// values has the values of one context and the end of another.
type values struct {
	context.Context
	from context.Context
}

func (v values) Value(key any) any {
	if found := v.Context.Value(key); found != nil {
		return found
	}
	return v.from.Value(key)
}

// nobody takes a response that no client waits for. It offers what handlers
// demand of the writer for a client, but no connection to take over.
type nobody struct {
	h   http.Header
	ctx context.Context // of the refresh
}

func (n nobody) Header() http.Header         { return n.h }
func (n nobody) Write(p []byte) (int, error) { return len(p), nil }
func (n nobody) WriteHeader(int)             {}
func (n nobody) Flush()                      {}

// CloseNotify tells when the refresh has to end. gin's Context.Stream panics over
// a writer without it.
func (n nobody) CloseNotify() <-chan bool {
	gone := make(chan bool, 1)
	context.AfterFunc(n.ctx, func() { gone <- true })
	return gone
}
