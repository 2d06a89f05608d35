package peerbench

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/bsm/redislock"
	rediscache "github.com/go-redis/cache/v9"
	"github.com/redis/go-redis/v9"
	"github.com/ulule/limiter/v3"
	"github.com/ulule/limiter/v3/drivers/middleware/stdlib"
	ulule "github.com/ulule/limiter/v3/drivers/store/redis"
)

const (
	pageSize    = 1 << 10
	sessionSize = 420 // bytes, encoded
	pages       = 512 // hot ones
)

// BenchmarkChain sends requests through limiter, session, cache and, for a miss, a
// lock. Each goroutine has its session, which is read for each request before the
// cache is asked, and asks for one of many pages; in unread nothing between the
// session and the cache reads it. The peers are stacked by hand: ulule/limiter, scs,
// go-redis/cache, redislock. Floors are three GETs, one after another and in a
// pipeline. On a cluster of three masters, where scs' redisstore does not work, ours are
// alone.
func BenchmarkChain(b *testing.B) {
	for _, s := range chains() {
		s.run(b)
	}
}

func chains() []scenario {
	var all []scenario
	for _, work := range []chain{{name: "hit", guarded: true, hit: true}, {name: "miss", guarded: true}, {name: "unread", hit: true}} {
		s := scenario{name: work.name, base: get(pageSize), goroutines: []int{1, 64, 256}, delays: []time.Duration{0, time.Millisecond}}
		if !work.guarded {
			s.goroutines, s.delays = []int{1, 64}, s.delays[:1]
		}
		s.all = []contender{work.ours(client), work.ours(batched), work.stacked(), threeGets(false), threeGets(true)}
		all = append(all, s)
		if work.guarded {
			s.name, s.base, s.cluster = s.name+"-cluster", spreadGet(pageSize), true
			s.all = []contender{work.ours(client), work.ours(batched)}
			all = append(all, s)
		}
	}
	return all
}

// chain is a kind of requests: with something that reads the session before the
// cache is asked or without, for pages that are stored or are not.
type chain struct {
	name         string
	guarded, hit bool
}

// built is what a contender makes of a chain.
type built struct {
	handler http.Handler
	origin  *origin
	login   http.Handler
}

// begin makes the calls of goroutines, each logged in.
func (c chain) begin(tb testing.TB, made built) begin {
	begin := func(i int) func() error {
		v, n := newVisitor(i, "/"), i
		v.logIn(tb, made.login)
		return func() error {
			n++
			path := hotPaths[n%pages]
			if !c.hit {
				path = fmt.Sprint("/page/new/", next())
			}
			return v.get(made.handler, path, made.origin.body)
		}
	}
	if !c.hit {
		return made.origin.misses(begin)
	}
	repeat(tb, "fill", pages, begin(0))
	return made.origin.hits(begin)
}

var hotPaths = func() (all [pages]string) {
	for i := range all {
		all[i] = fmt.Sprint("/page/", i)
	}
	return all
}()

// ours is the chain of this module, in the order of its documentation.
func (c chain) ours(name string) contender {
	return contender{name, func(e *env) begin {
		rdb := e.pick(name)
		sessions, locks, o := e.sessions(rdb), e.locks(rdb), &origin{body: random(pageSize)}
		inner := e.responses(rdb).Handler(locks.Handler(o))
		if c.guarded {
			inner = sessions.Require(inner)
		}
		h := e.limits(rdb).Handler(sessions.Handler(inner))
		return c.begin(e.tb, built{h, o, sessions.Handler(login(sessions))})
	}}
}

// stacked is what people build of four libraries.
func (c chain) stacked() contender {
	return contender{"stacked", func(e *env) begin {
		rdb, sessions, o := e.goredis(), e.scs(), &origin{body: random(pageSize)}
		store, err := ulule.NewStore(rdb)
		e.check(err)
		limits := stdlib.NewMiddleware(limiter.New(store, limiter.Rate{Period: time.Minute, Limit: 100_000_000}))
		inner := filled(rediscache.New(&rediscache.Options{Redis: rdb}), redislock.New(rdb), o)
		if c.guarded {
			inner = guard(sessions, inner)
		}
		h := limits.Handler(sessions.LoadAndSave(inner))
		return c.begin(e.tb, built{h, o, sessions.LoadAndSave(login(sessions))})
	}}
}

// guard rejects requests without a login.
func guard(sessions *scs.SessionManager, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if sessions.GetString(r.Context(), "user") == "" {
			http.Error(w, "log in first", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// page is a response as a cache by hand keeps it.
type page struct {
	Type string
	Body []byte
}

func (p *page) serve(w http.ResponseWriter) {
	w.Header().Set("Content-Type", p.Type)
	_, _ = w.Write(p.Body)
}

// pageOf is what next responds.
func pageOf(next http.Handler, r *http.Request) *page {
	w := httptest.NewRecorder()
	next.ServeHTTP(w, r)
	return &page{w.Header().Get("Content-Type"), w.Body.Bytes()}
}

// filled serves pages from the cache; one request at a time makes a page that is
// not there.
func filled(c *rediscache.Cache, locks *redislock.Client, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, key := r.Context(), "page:"+r.URL.Path
		var p page
		err := c.Get(ctx, key, &p)
		if err == nil {
			p.serve(w)
			return
		}
		if !errors.Is(err, rediscache.ErrCacheMiss) {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		lock, err := locks.Obtain(ctx, "lock:"+key, 10*time.Second, nil)
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		defer lock.Release(ctx)
		made := pageOf(next, r)
		if err := c.Set(&rediscache.Item{Ctx: ctx, Key: key, Value: made, TTL: time.Hour}); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		made.serve(w)
	})
}

// threeGets is what three middlewares ask at least.
func threeGets(pipeline bool) contender {
	name := "bare-3-GETs"
	if pipeline {
		name = "bare-pipeline"
	}
	return contender{name, func(e *env) begin {
		rdb, keys := e.goredis(), [3]string{"bare:limit", "bare:session", "bare:page"}
		bodies := [3][]byte{[]byte("1:1764290000000:1"), random(sessionSize), random(pageSize)}
		for i, key := range keys {
			e.set(rdb, key, bodies[i])
		}
		return func(int) func() error {
			return func() (err error) {
				ctx := context.Background()
				var cmds [3]*redis.StringCmd
				if pipeline {
					p := rdb.Pipeline()
					for i, key := range keys {
						cmds[i] = p.Get(ctx, key)
					}
					_, err = p.Exec(ctx)
				}
				for i, key := range keys {
					if !pipeline {
						cmds[i] = rdb.Get(ctx, key)
					}
					err = errors.Join(err, same(cmds[i], bodies[i]))
				}
				return err
			}
		}
	}}
}
