package peerbench

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	rediscache "github.com/go-redis/cache/v9"

	"github.com/redishttp/redishttp/cache"
)

// BenchmarkCache serves a page that all ask for, of several sizes, beside a handler that
// a user would write around go-redis/cache, which has a singleflight; pages is with many
// pages, miss with new ones. The bodies do not compress, and go-redis/cache tries.
func BenchmarkCache(b *testing.B) {
	for _, s := range caches() {
		s.run(b)
	}
}

func caches() []scenario {
	var all []scenario
	for _, work := range []pageWork{
		{name: "hit-1KiB", size: 1 << 10, pages: 1, goroutines: []int{1, 64, 256}},
		{name: "pages-1KiB", size: 1 << 10, pages: pages, goroutines: []int{1, 64, 256}},
		{name: "hit-64KiB", size: 64 << 10, pages: 1, goroutines: []int{1, 64}},
		{name: "hit-1MiB", size: 1 << 20, pages: 1, goroutines: []int{1, 16}},
		{name: "miss-1KiB", size: 1 << 10, goroutines: []int{1, 64, 256}},
	} {
		all = append(all, scenario{
			name: work.name, base: get(work.size), goroutines: work.goroutines, delays: []time.Duration{0},
			all: []contender{work.ours(client), work.ours(batched), work.byHand(func() rediscache.LocalCache { return nil }), autoGet(work.size)},
		})
	}
	return all
}

// BenchmarkNear is the same with what is kept in the process: our near tier, go-redis/cache
// with its TinyLFU, rueidis' client-side caching. The slowest hundredth counts.
func BenchmarkNear(b *testing.B) {
	for _, s := range nears() {
		s.run(b)
	}
}

func nears() []scenario {
	var all []scenario
	for _, work := range []pageWork{
		{name: "hit-1KiB", size: 1 << 10, pages: 1, goroutines: []int{1, 64, 256}},
		{name: "pages-1KiB", size: 1 << 10, pages: pages, goroutines: []int{1, 64, 256}},
		{name: "hit-1MiB", size: 1 << 20, pages: 1, goroutines: []int{1, 16}},
	} {
		all = append(all, scenario{
			name: work.name, base: get(work.size), goroutines: work.goroutines, delays: []time.Duration{0}, tails: true,
			all: []contender{
				work.ours(client, cache.WithNearTier(64<<20, time.Second)),
				work.ours(batched, cache.WithNearTier(64<<20, time.Second)),
				work.byHand(func() rediscache.LocalCache { return rediscache.NewTinyLFU(10_000, time.Second) }),
				work.tracked(),
			},
		})
	}
	return all
}

// pageWork is which pages are asked for.
type pageWork struct {
	name       string
	size       int
	pages      int // 0 is new ones only
	goroutines []int
}

func (p pageWork) ours(name string, opts ...cache.Option) contender {
	return contender{name, func(e *env) begin {
		return p.begin(e, func(o *origin) http.Handler { return e.responses(e.pick(name), opts...).Handler(o) })
	}}
}

func (p pageWork) byHand(local func() rediscache.LocalCache) contender {
	return contender{"go-redis-cache", func(e *env) begin {
		c := rediscache.New(&rediscache.Options{Redis: e.goredis(), LocalCache: local()})
		return p.begin(e, func(o *origin) http.Handler { return once(c, o) })
	}}
}

// once is a handler around go-redis/cache.
func once(c *rediscache.Cache, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var got page
		err := c.Once(&rediscache.Item{
			Ctx: r.Context(), Key: "page:" + r.URL.Path, Value: &got, TTL: time.Hour,
			Do: func(*rediscache.Item) (any, error) { return pageOf(next, r), nil },
		})
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		got.serve(w)
	})
}

// tracked is a handler around rueidis' client-side caching, for pages that are there.
func (p pageWork) tracked() contender {
	return contender{"rueidis-DoCache", func(e *env) begin {
		c := e.rueidis()
		return p.begin(e, func(o *origin) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				key := "tracked:" + r.URL.Path
				got, err := c.DoCache(r.Context(), c.B().Get().Key(key).Cache(), time.Minute).AsBytes()
				if err == nil {
					(&page{"application/octet-stream", got}).serve(w)
					return
				}
				made := pageOf(o, r)
				set := c.B().Set().Key(key).Value(string(made.Body)).Ex(time.Hour).Build()
				if err := c.Do(r.Context(), set).Error(); err != nil {
					http.Error(w, err.Error(), http.StatusInternalServerError)
					return
				}
				made.serve(w)
			})
		})
	}}
}

// begin makes the calls of visitors.
func (p pageWork) begin(e *env, wrap func(o *origin) http.Handler) begin {
	o := &origin{body: random(p.size)}
	h := wrap(o)
	begin := func(i int) func() error {
		v, n := newVisitor(i, "/"), i
		return func() error {
			if p.pages == 0 {
				return v.get(h, fmt.Sprint("/page/new/", next()), o.body)
			}
			n++
			return v.get(h, hotPaths[n%p.pages], o.body)
		}
	}
	if p.pages == 0 {
		return o.misses(begin)
	}
	repeat(e.tb, p.name, p.pages, begin(0))
	e.settle()
	repeat(e.tb, p.name, p.pages, begin(0)) // what is near is what was read
	return o.hits(begin)
}
