package chaintest

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw"
)

// passing is a hook as users bring them.
type passing struct{}

func (passing) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (passing) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error { return next(ctx, cmd) }
}

func (passing) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error { return next(ctx, cmds) }
}

// admitting is a [redis.Limiter] that admits everything.
type admitting struct{}

func (admitting) Allow() error       { return nil }
func (admitting) ReportResult(error) {}

// kinds are the clients that go-redis has, as users make them.
func kinds(t *testing.T) map[string]redis.UniversalClient {
	t.Helper()
	standalone, sentinel, cluster := redistest.Standalone(t), redistest.Sentinel(t), redistest.Cluster(t)
	shards := map[string]string{}
	for i := range 3 {
		shards[fmt.Sprint(i)] = redistest.NewServer(t).Addr()
	}
	failover := func() *redis.FailoverOptions {
		var opts *redis.FailoverOptions
		sentinel.Client(t, func(o *redis.UniversalOptions) { opts = o.Failover() })
		return opts
	}
	limited := redistest.NewServer(t).Options()
	limited.Limiter = admitting{}
	hooked, hookedCluster := standalone.Client(t), cluster.Client(t)
	hooked.AddHook(passing{})
	hookedCluster.AddHook(passing{})
	all := map[string]redis.UniversalClient{
		"Client":                 standalone.Client(t),
		"Client, RESP2":          standalone.Client(t, func(o *redis.UniversalOptions) { o.Protocol = 2 }),
		"Client, hooks":          hooked,
		"Client, Limiter":        redis.NewClient(limited),
		"ClusterClient":          cluster.Client(t),
		"ClusterClient, hooks":   hookedCluster,
		"ClusterClient, reads":   cluster.Client(t, func(o *redis.UniversalOptions) { o.RouteRandomly = true }),
		"FailoverClient":         redis.NewFailoverClient(failover()),
		"FailoverClusterClient":  redis.NewFailoverClusterClient(failover()),
		"Ring":                   redis.NewRing(&redis.RingOptions{Addrs: shards}),
		"Ring, deadlines":        redis.NewRing(&redis.RingOptions{Addrs: shards, ContextTimeoutEnabled: true}),
		"wrapped Client":         struct{ redis.UniversalClient }{standalone.Client(t)},
		"wrapped ClusterClient":  struct{ redis.UniversalClient }{cluster.Client(t)},
		"embedded ClusterClient": struct{ *redis.ClusterClient }{cluster.Client(t).(*redis.ClusterClient)},
	}
	for _, rdb := range all {
		t.Cleanup(func() { _ = rdb.Close() })
	}
	return all
}

// README promises any go-redis client: every package with each kind of them.
func TestAnyClient(t *testing.T) {
	for name, rdb := range kinds(t) {
		replicas := name == "ClusterClient, reads" // which session.New refuses: it would miss what was just written
		for _, s := range keyedSubjects() {
			if replicas && s.name == "session" {
				continue
			}
			t.Run(s.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				use := s.make(t, rdb)
				for round := range 2 {
					for n := range 10 { // keys of all nodes
						redistest.Eventually(t, Patience, func() bool { return use(n) }, "round %d, key %d: not decided with Redis", round, n)
					}
				}
			})
		}
		for _, s := range Subjects() {
			if replicas && s.Name == "session" {
				continue
			}
			t.Run("chain of "+s.Name+"/"+name, func(t *testing.T) {
				t.Parallel()
				a := newApp(t, s, rdb, redistest.Prefix(t))
				for range 3 {
					redistest.Eventually(t, Patience, func() bool { return a.get().Code == http.StatusOK }, "not served")
				}
				switch w := httptest.NewRecorder(); s.Name {
				case "session":
					redistest.Eventually(t, Patience, func() bool {
						w = a.get()
						return strings.HasPrefix(w.Body.String(), "ok visits=") && w.Body.String() > "ok visits=3"
					}, "the session is not kept: %s", w.Body)
				case "cache":
					redistest.Eventually(t, Patience, func() bool { return strings.Contains(a.get().Header().Get("Cache-Status"), "hit") }, "nothing is cached")
				}
			})
		}
	}
}

// A lock passes from one to the next with each kind of client.
func TestAnyClientHandsLocksOver(t *testing.T) {
	for name, rdb := range kinds(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			prefix := redistest.Prefix(t)
			one, two := must(lockmw.New(rdb, lockmw.WithKeyPrefix(prefix), lockmw.WithTimeout(5*time.Second), lockmw.WithTTL(20*time.Second))),
				must(lockmw.New(rdb, lockmw.WithKeyPrefix(prefix), lockmw.WithTimeout(5*time.Second), lockmw.WithTTL(20*time.Second)))
			for n := range 4 { // of all nodes
				key := fmt.Sprint(n)
				held := must(one.Acquire(t.Context(), key))
				got := make(chan error, 1)
				go func() {
					k, err := two.Acquire(t.Context(), key)
					if err == nil {
						err = k.Release(context.WithoutCancel(t.Context()))
					}
					got <- err
				}()
				redistest.Eventually(t, Patience, func() bool { i, err := one.Inspect(t.Context(), key); return err == nil && i.Waiters == 1 }, "nobody waits")
				if err := held.Release(t.Context()); err != nil {
					t.Error(err)
				}
				select {
				case err := <-got:
					if err != nil {
						t.Errorf("%s: %v", key, err)
					}
				case <-time.After(Patience):
					t.Fatalf("%s: the lock was not handed over", key)
				}
			}
			redistest.CloseAfter(t, Patience, one)
			redistest.CloseAfter(t, Patience, two)
		})
	}
}
