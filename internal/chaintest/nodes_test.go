package chaintest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/connect/connecttest"
	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw"
	"github.com/redishttp/redishttp/lockmw/cronlock"
	"github.com/redishttp/redishttp/lockmw/idempotency"
	"github.com/redishttp/redishttp/ratelimit"
)

// keyed is one package over one client: use does something with the nth of its
// keys, and reports whether Redis had its part in it.
type keyed struct {
	name string
	make func(t testing.TB, rdb redis.UniversalClient) (use func(n int) bool)
}

func keyedSubjects() []keyed {
	return []keyed{
		{"ratelimit", func(t testing.TB, rdb redis.UniversalClient) func(int) bool {
			l := must(ratelimit.New(rdb, redis_rate.PerMinute(1000), ratelimit.WithKeyPrefix(redistest.Prefix(t))))
			return func(n int) bool {
				d, err := l.Allow(context.Background(), fmt.Sprint(n))
				return err == nil && d.Source == "redis"
			}
		}},
		{"session", func(t testing.TB, rdb redis.UniversalClient) func(int) bool {
			h := newApp(t, Subjects()[1], rdb, redistest.Prefix(t)).h
			cookies := map[int]string{}
			return func(n int) bool {
				a := &app{h: h, cookie: cookies[n]}
				ok := a.get().Code == http.StatusOK
				cookies[n] = a.cookie
				return ok
			}
		}},
		{"cache", func(t testing.TB, rdb redis.UniversalClient) func(int) bool {
			h := newApp(t, Subjects()[2], rdb, redistest.Prefix(t)).h
			return func(n int) bool {
				w := httptest.NewRecorder()
				h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, fmt.Sprint("/", n), nil))
				return !strings.Contains(w.Header().Get("Cache-Status"), "store-error")
			}
		}},
		{"lockmw", func(t testing.TB, rdb redis.UniversalClient) func(int) bool {
			l := must(lockmw.New(rdb, lockmw.WithKeyPrefix(redistest.Prefix(t)), lockmw.WithTimeout(100*time.Millisecond)))
			return func(n int) bool {
				k, err := l.TryAcquire(context.Background(), fmt.Sprint(n))
				if err == nil {
					_ = k.Release(context.Background())
				}
				return !errors.Is(err, lockmw.ErrUnavailable)
			}
		}},
		{"cronlock", func(t testing.TB, rdb redis.UniversalClient) func(int) bool {
			r := must(cronlock.New(rdb, cronlock.WithKeyPrefix(redistest.Prefix(t)), cronlock.WithTimeout(100*time.Millisecond),
				cronlock.WithTTL(time.Second), cronlock.WithMinGap(time.Millisecond)))
			var jobs sync.Map // each name is registered once
			return func(n int) bool {
				once, _ := jobs.LoadOrStore(n, sync.OnceValue(func() *cronlock.Job {
					return must(r.Job(fmt.Sprint(n), func(context.Context) error { return nil }))
				}))
				_, err := once.(func() *cronlock.Job)().Run(context.Background(), time.Time{})
				return err == nil
			}
		}},
		{"idempotency", func(t testing.TB, rdb redis.UniversalClient) func(int) bool {
			prefix := redistest.Prefix(t)
			l := must(lockmw.New(rdb, lockmw.WithKeyPrefix(prefix+":l"), lockmw.WithTimeout(100*time.Millisecond)))
			k := must(idempotency.New(l, rdb, func(*http.Request) (string, error) { return "user", nil }, idempotency.WithKeyPrefix(prefix),
				idempotency.WithTimeout(100*time.Millisecond)))
			return func(n int) bool {
				run, _, err := k.Begin(context.Background(), idempotency.Operation{Scope: "user", Name: "pay", Key: fmt.Sprint(n)})
				if run != nil {
					_ = run.Forget()
					run.Release()
				}
				return !errors.Is(err, lockmw.ErrUnavailable)
			}
		}},
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// A failure concerns its node: with one of three away, hung or killed, what the
// others serve is decided with Redis as ever, by every package and with every
// client; and five failures of the one that is away are enough to wait no more.
//
// A busy machine may make a call late, and five late ones open a breaker, so it is
// three rounds in a row that must succeed, within Patience. If an outage were
// shared, each round would fail: the keys of the node that is away come first.
func TestOneNodeAwayConcernsItsKeysOnly(t *testing.T) {
	c := redistest.NewCluster(t, 0, redistest.WithArgs("--cluster-require-full-coverage", "no"))
	shards := []*redistest.Server{redistest.NewServer(t), redistest.NewServer(t), redistest.NewServer(t)}
	addrs := map[string]string{}
	for i, s := range shards {
		addrs[fmt.Sprint(i)] = s.Addr()
	}
	clients := map[string]func() redis.UniversalClient{
		"cluster": func() redis.UniversalClient { return c.Target().Client(t) },
		"defaults": func() redis.UniversalClient {
			return redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{c.Nodes[0].Addr(), c.Nodes[1].Addr()}})
		},
		"unknown": func() redis.UniversalClient { return struct{ redis.UniversalClient }{c.Target().Client(t)} },
		"connect": func() redis.UniversalClient { return connecttest.Open(t, c.Target().URL).Client() },
		"batched": func() redis.UniversalClient { return connecttest.Open(t, c.Target().URL).Batched() },
		"ring": func() redis.UniversalClient {
			return redis.NewRing(&redis.RingOptions{Addrs: addrs, ContextTimeoutEnabled: true})
		},
	}
	type user struct {
		name string
		use  func(int) bool
		keys []int
		dead int
	}
	var users []*user
	for name, client := range clients {
		for _, s := range keyedSubjects() {
			rdb := client()
			t.Cleanup(func() { rdb.Close() })
			u := &user{name: s.name + "/" + name, use: s.make(t, rdb)}
			for n := range 20 {
				redistest.Eventually(t, Patience, func() bool { return u.use(n) }, "%s: not up", u.name)
				u.keys = append(u.keys, n)
			}
			users = append(users, u)
		}
	}
	together := func(round func(u *user)) {
		var wg sync.WaitGroup
		for _, u := range users {
			wg.Go(func() { round(u) })
		}
		wg.Wait()
	}
	master := c.Masters()[1]
	master.Pause()
	shards[1].Pause()
	together(func(u *user) {
		var dead, living []int
		for end := time.Now().Add(Patience); len(living) == 0 && time.Now().Before(end); {
			dead = nil
			for _, n := range u.keys {
				if u.use(n) {
					living = append(living, n)
				} else {
					dead = append(dead, n)
				}
			}
		}
		u.keys, u.dead = slices.Concat(dead, living), len(dead)
		if len(dead) == 0 || len(living) == 0 {
			t.Errorf("%s: %d keys are away, %d are not", u.name, len(dead), len(living))
		}
	})
	for _, state := range []string{"hung", "killed"} {
		if state == "killed" {
			master.Kill()
			shards[1].Kill()
		}
		together(func(u *user) {
			rounds, end := 0, time.Now().Add(Patience)
			for rounds < 3 && time.Now().Before(end) {
				rounds++
				for i, n := range u.keys { // those that are away come first, in a row
					ok := u.use(n)
					for again := 0; !ok && i >= u.dead && again < 2; again++ {
						ok = u.use(n)
					}
					if !ok && i >= u.dead {
						rounds = 0
					}
				}
			}
			if rounds < 3 {
				t.Errorf("%s: %s: keys of living nodes are decided without Redis", u.name, state)
			}
		})
	}
}

// Under load calls are batched, and a batch waits for the slowest of its nodes:
// one that hangs must not take the others with it.
func TestABatchDoesNotShareAnOutage(t *testing.T) {
	c := redistest.NewCluster(t, 0, redistest.WithArgs("--cluster-require-full-coverage", "no"))
	conn := connecttest.Open(t, c.Target().URL)
	l := must(ratelimit.New(conn.Batched(), redis_rate.PerMinute(1_000_000), ratelimit.WithDenyCache(0, 0)))
	rdb, hung, dead := c.Target().Client(t).(*redis.ClusterClient), c.Masters()[1], map[int]bool{}
	for n := range 60 {
		redistest.Eventually(t, Patience, func() bool { _, err := l.Allow(t.Context(), fmt.Sprint(n)); return err == nil }, "not up")
		master, err := rdb.MasterForKey(t.Context(), l.Keys(fmt.Sprint(n))[0])
		if err != nil {
			t.Fatal(err)
		}
		dead[n] = master.Options().Addr == hung.Addr()
	}
	var living, without atomic.Int64
	load := func(d time.Duration) {
		var wg sync.WaitGroup
		for g, end := 0, time.Now().Add(d); g < 24; g++ {
			wg.Go(func() {
				for i := g; time.Now().Before(end); i++ {
					if d, _ := l.Allow(t.Context(), fmt.Sprint(i%60)); !dead[i%60] {
						living.Add(1)
						if d.Source != "redis" {
							without.Add(1)
						}
					}
				}
			})
		}
		wg.Wait()
	}
	load(200 * time.Millisecond)
	if conn.Stats().Batched == 0 {
		t.Fatal("nothing was batched")
	}
	living.Store(0)
	without.Store(0)
	hung.Pause()
	load(time.Second)
	if n, of := without.Load(), living.Load(); n*100 > of || of == 0 { // those that shared the first batch
		t.Errorf("%d of %d for living nodes were decided without Redis", n, of)
	} else {
		t.Logf("%d of %d", n, of)
	}
}
