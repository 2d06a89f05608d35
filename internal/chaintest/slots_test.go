package chaintest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/cache"
	"github.com/redishttp/redishttp/connect/connecttest"
	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw"
	"github.com/redishttp/redishttp/ratelimit"
	"github.com/redishttp/redishttp/session"
)

// While slots move to and fro, as redis-cli moves them, and some stay open for longer
// than a call may take: no charge is doubled or lost, no request within its limit is
// refused, no session is lost, no lock has two holders and no fence goes back, and
// nothing that was purged is served. Few calls fail.
func TestSlotsMoveUnderLoad(t *testing.T) {
	lasting := 3 * time.Second
	if redistest.IsLong() {
		lasting = 30 * time.Second
	}
	c := redistest.NewCluster(t, 0)
	prefix := redistest.Prefix(t)
	works := map[string]*work{}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var wg sync.WaitGroup
	for name, start := range map[string]func(testing.TB, redis.UniversalClient, string) *work{
		"ratelimit": limits, "session": visits, "cache": pages, "lockmw": locked,
	} {
		w := start(t, connecttest.Open(t, c.Target().URL).Client(), prefix+":"+name)
		works[name] = w
		for worker := range 4 {
			wg.Go(func() {
				for n := 0; ctx.Err() == nil; n++ {
					w.done.Add(1)
					if err := w.step(worker, n%5); err != nil {
						w.failed.Add(1)
						n, _ := w.kinds.LoadOrStore(kindOf(err), new(atomic.Int64))
						n.(*atomic.Int64).Add(1)
					}
				}
			})
		}
	}
	moves := 0
	for begun := time.Now(); time.Since(begun) < lasting; moves++ {
		key := someKey(t, c, prefix)
		if key == "" {
			continue
		}
		move := c.OpenSlot(t, key)
		move.MigrateHalf(t)
		until := time.Now().Add(time.Duration(moves%4) * 75 * time.Millisecond) // longer than the limiter and the cache wait
		redistest.Eventually(t, Patience, func() bool { return time.Now().After(until) }, "time stands still")
		move.Finish(t)
	}
	cancel()
	wg.Wait()
	for name, w := range works {
		done, failed := w.done.Load(), w.failed.Load()
		var kinds []string
		w.kinds.Range(func(kind, n any) bool {
			kinds = append(kinds, fmt.Sprintf("%d x %s", n.(*atomic.Int64).Load(), kind))
			return true
		})
		t.Logf("%s: %d calls, %d failed: %s", name, done, failed, strings.Join(kinds, ", "))
		bound := w.bound
		if !redistest.IsLong() {
			bound *= 4 // other packages take the processors
		}
		if failed*100 > done*bound {
			t.Errorf("%s: %d of %d calls failed, want %d in a hundred at most", name, failed, done, bound)
		}
		w.check(t)
	}
	t.Logf("%d slots moved", moves)
	if moves < 5 {
		t.Errorf("%d slots moved: too few to say anything", moves)
	}
}

// work is what one package does meanwhile. step returns an error of a call that did
// not happen; what must not happen it reports itself.
type work struct {
	step         func(worker, n int) error
	check        func(t *testing.T)
	bound        int64 // of failed calls, in hundredths, on a quiet machine
	done, failed atomic.Int64
	kinds        sync.Map // of errors: how many
}

// kindOf is an error without what differs from call to call.
func kindOf(err error) string {
	return regexp.MustCompile(`127\.0\.0\.1:\d+(->127\.0\.0\.1:\d+)?`).ReplaceAllString(err.Error(), "…")
}

// someKey is a key of the test on any master.
func someKey(t *testing.T, c *redistest.ClusterServers, prefix string) string {
	t.Helper()
	for _, s := range c.Masters() {
		rdb := redis.NewClient(s.Options())
		key, err := rdb.RandomKey(t.Context()).Result()
		_ = rdb.Close()
		if err == nil && strings.HasPrefix(key, prefix) {
			return key
		}
	}
	return ""
}

// limits charges two policies of a client at once.
func limits(t testing.TB, rdb redis.UniversalClient, prefix string) *work {
	const many = 1_000_000
	l := must(ratelimit.New(rdb, ratelimit.Limit{}, ratelimit.WithKeyPrefix(prefix),
		ratelimit.WithLimits(ratelimit.Window(many, time.Hour).Named("w"), ratelimit.Window(many, 2*time.Hour).Named("v"))))
	var charged, unsure [20]atomic.Int64
	return &work{
		bound: 5,
		step: func(worker, n int) error {
			client := worker*5 + n
			d, err := l.Allow(context.Background(), fmt.Sprint(client))
			switch {
			case !d.Allowed:
				t.Errorf("refused within the limit: %+v, %v", d, err)
			case d.Source == "redis":
				charged[client].Add(1)
			default:
				unsure[client].Add(1) // a reply that was lost may have charged
			}
			return err
		},
		check: func(t *testing.T) {
			for client := range charged {
				var d ratelimit.Decision
				redistest.Eventually(t, Patience, func() (ok bool) {
					var err error
					d, err = l.AllowN(context.Background(), fmt.Sprint(client), 0)
					return err == nil
				}, "no peek")
				for _, s := range d.Policies() {
					used, least, most := int64(many-s.Remaining), charged[client].Load(), charged[client].Load()+unsure[client].Load()
					if used < least || used > most {
						t.Errorf("client %d: %s has %d charges, want %d to %d", client, s.Policy, used, least, most)
					}
				}
			}
		},
	}
}

// visits count in sessions, each of which has one client.
func visits(t testing.TB, rdb redis.UniversalClient, prefix string) *work {
	m := must(session.New(rdb, session.WithKeyPrefix(prefix)))
	h := m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := m.GetInt(r.Context(), "n") + 1
		m.Put(r.Context(), "n", n)
		fmt.Fprint(w, n)
	}))
	type client struct {
		cookie    string
		low, high int // what the session can have
	}
	var clients [20]client
	return &work{
		bound: 5,
		step: func(worker, n int) error {
			c := &clients[worker*5+n]
			r := httptest.NewRequest(http.MethodGet, "https://example.com/", nil)
			if c.cookie != "" {
				r.Header.Set("Cookie", c.cookie)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != http.StatusOK {
				c.high++ // it may have been saved
				return fmt.Errorf("status %d", w.Code)
			}
			got, _ := strconv.Atoi(w.Body.String())
			if got <= c.low || got > c.high+1 {
				t.Errorf("a session has visit %d, want %d to %d", got, c.low+1, c.high+1)
			}
			c.low, c.high = got, got
			for _, cookie := range w.Result().Cookies() {
				c.cookie = cookie.Name + "=" + cookie.Value
			}
			return nil
		},
		check: func(*testing.T) {},
	}
}

// pages are purged each time that they change.
func pages(t testing.TB, rdb redis.UniversalClient, prefix string) *work {
	c := must(cache.New(rdb, cache.WithKeyPrefix(prefix)))
	redistest.CloseAfter(t, Patience, c)
	var versions [20]atomic.Int64
	h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/"))
		w.Header().Set("Cache-Control", "max-age=60")
		fmt.Fprint(w, versions[n].Load())
	}))
	return &work{
		bound: 15, // a look-up has 50 ms, and a cache that is bypassed answers all the same
		step: func(worker, n int) error {
			page := worker*5 + n
			url := fmt.Sprint("http://example.com/", page)
			want := versions[page].Load()
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, url, nil))
			if got, _ := strconv.ParseInt(w.Body.String(), 10, 64); got < want {
				t.Errorf("page %d has version %d after a purge for %d", page, got, want)
			}
			var errs []error
			if strings.Contains(w.Header().Get("Cache-Status"), "store-error") {
				errs = append(errs, errors.New("bypassed"))
			}
			versions[page].Add(1)
			if err := c.Purge(context.Background(), url); err != nil {
				versions[page].Add(-1) // it is not purged, and must not be expected
				errs = append(errs, err)
			}
			return errors.Join(errs...)
		},
		check: func(*testing.T) {},
	}
}

// locked takes orders by several workers.
func locked(t testing.TB, rdb redis.UniversalClient, prefix string) *work {
	l := must(lockmw.New(rdb, lockmw.WithKeyPrefix(prefix), lockmw.WithTTL(5*time.Second), lockmw.WithWait(2*time.Second)))
	redistest.CloseAfter(t, Patience, l)
	var holders [5]atomic.Int64
	var fences [5]atomic.Uint64
	return &work{
		bound: 5,
		step: func(_, n int) error {
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
			defer cancel()
			k, err := l.Acquire(ctx, fmt.Sprint("order", n))
			if err != nil {
				return err
			}
			if holders[n].Add(1) > 1 && k.Context().Err() == nil {
				t.Errorf("order %d has two holders", n)
			}
			if before := fences[n].Swap(k.Fence()); before >= k.Fence() {
				t.Errorf("order %d: fence %d after %d", n, k.Fence(), before)
			}
			holders[n].Add(-1)
			return k.Release(context.Background())
		},
		check: func(*testing.T) {},
	}
}
