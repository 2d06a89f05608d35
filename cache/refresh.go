package cache

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/redishttp/redishttp/cache/internal/rules"
	"github.com/redishttp/redishttp/cache/internal/store"
)

// early reports whether a fresh response is refreshed before it is stale, as
// one request in a while does, the sooner the longer the handler takes (Vattani
// et al., Optimal Probabilistic Cache Stampede Prevention, 2015).
func (c *Cache) early(f *store.Found) bool {
	e := f.Entry
	if c.beta == 0 || e.Delta <= 0 || e.Immutable || f.Left() <= 0 {
		return false
	}
	return float64(e.Delta)*c.beta*-math.Log(1-rand.Float64()) >= float64(f.Left())
}

// refresh renews a stored response in the background, once in all instances. It
// runs with the values of the request but not until its end.
func (c *Cache) refresh(r *http.Request, next http.Handler, f store.Found) {
	if len(r.Header["Authorization"]) > 0 {
		return // the response would be for this client
	}
	// Not the key of a miss: beyond its window no client waits for a refresh.
	key := "refresh " + f.Hash + f.Variant
	fl, leads := c.flights.join(key, c.store.Generation(), store.ClassOf(r.Header))
	if !leads {
		return
	}
	if c.refreshing.Add(1) > maxRefreshes {
		c.refreshing.Add(-1)
		c.flights.finish(key, fl, abandoned)
		return // a later request sets it off
	}
	from := r.Context()
	if c.refreshContext != nil {
		from = c.carry(c.refreshContext(from), r)
	}
	clone := r.Clone(from) // while the request is here: what is around may change it afterwards
	started := c.store.Background(func(ctx context.Context) {
		defer c.flights.finish(key, fl, abandoned)
		defer c.refreshing.Add(-1)
		defer func() {
			if p := recover(); p != nil {
				c.failed(from, fmt.Errorf("cache: refresh: the handler panicked: %v", p))
			}
		}()
		ctx, cancel := context.WithTimeout(ctx, c.settings.RefreshTimeout)
		defer cancel()
		c.refreshNow(values{ctx, from}, clone, next, f)
	})
	if !started {
		c.refreshing.Add(-1)
		c.flights.finish(key, fl, abandoned)
	}
}

// refreshNow calls the handler if this process gets the lease for it and what is
// stored is still what the refresh was for.
func (c *Cache) refreshNow(ctx context.Context, r *http.Request, next http.Handler, f store.Found) {
	lease, ok := c.store.AcquireRefresh(ctx, &f)
	if !ok {
		return // another instance does it
	}
	// A refresh that failed is not repeated at once: each request would set one off.
	lease.Stay = refreshPause
	defer func() { c.store.Release(lease) }()
	now, err := c.store.Find(ctx, f.Place, r.Header, false)
	if err != nil || now.Entry == nil || now.Entry.Stamp != f.Entry.Stamp || now.Variant != f.Variant {
		lease.Stay = 0
		return // it has been done since, or there is nothing to refresh
	}
	r = r.WithContext(ctx)
	r.Method, r.Body = http.MethodGet, http.NoBody
	for _, name := range []string{"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range", "Range", "Cache-Control", "Pragma"} {
		delete(r.Header, name)
	}
	c.stats.refreshes.Add(1)
	x := &exchange{c: c, w: noClient{http.Header{}, ctx}, r: r, next: next, f: now, s: Status{Forward: string(rules.ForwardStale)}}
	a := x.attempt()
	a.given, a.quiet = c.respelled(r), true
	defer func() {
		if a.filled {
			lease.Stay = 0
		}
	}()
	a.run()
}

// maxRefreshes is how many run at once in a process: whatever clients ask for,
// they must not start goroutines without bound.
const maxRefreshes = 256

// refreshPause is how long no refresh begins after one that stored nothing.
const refreshPause = time.Second

// values has the values of one context and the end of another.
type values struct {
	context.Context
	from context.Context
}

// Value prefers the context that ends the refresh.
func (v values) Value(key any) any {
	if found := v.Context.Value(key); found != nil {
		return found
	}
	return v.from.Value(key)
}

// noClient is the writer of a refresh. It has what handlers expect of the writer
// for a client, but no connection to hijack.
type noClient struct {
	h   http.Header
	ctx context.Context // of the refresh
}

// Header is the refresh's own; what is written is only stored.
func (n noClient) Header() http.Header         { return n.h }
func (n noClient) Write(p []byte) (int, error) { return len(p), nil }
func (n noClient) WriteHeader(int)             {}
func (n noClient) Flush()                      {}

// CloseNotify signals the end of the refresh's context. gin's Context.Stream
// panics with a writer that has no such method.
func (n noClient) CloseNotify() <-chan bool {
	gone := make(chan bool, 1)
	context.AfterFunc(n.ctx, func() { gone <- true })
	return gone
}
