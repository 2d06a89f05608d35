package breaker_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/breaker"
	"github.com/redishttp/redishttp/internal/redistest"
)

func TestMain(m *testing.M) { redistest.Main(m) }

const patience = 20 * time.Second

// The outcomes of what go-redis makes of real servers in each state.
func TestOfOnServers(t *testing.T) {
	s := redistest.NewServer(t, redistest.WithArgs("--maxclients", "20"))
	dead := redistest.NewServer(t)
	dead.Kill()
	p := redistest.NewProxy(t, s.Addr())
	open := func(change func(o *redis.Options)) *redis.Client {
		o := s.Options()
		o.ContextTimeoutEnabled, o.MaxRetries, o.DialerRetries = true, -1, 1
		change(o)
		c := redis.NewClient(o)
		t.Cleanup(func() { c.Close() })
		return c
	}
	well := open(func(*redis.Options) {})
	closed := open(func(*redis.Options) {})
	closed.Close()
	busy := open(func(o *redis.Options) { o.PoolSize, o.PoolTimeout = 1, 50*time.Millisecond })
	only := busy.Conn()
	defer only.Close()
	if err := only.Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	muted := open(func(o *redis.Options) { o.Addr = p.Addr() })
	if err := muted.Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	p.Mute()
	within := func(d time.Duration) context.Context {
		ctx, cancel := context.WithTimeout(t.Context(), d)
		t.Cleanup(cancel)
		return ctx
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, tc := range map[string]struct {
		call func() error
		want breaker.Outcome
	}{
		"a value":         {func() error { return well.Set(t.Context(), "k", "v", time.Minute).Err() }, breaker.Answered},
		"no value":        {func() error { return well.Get(t.Context(), "none").Err() }, breaker.Answered},
		"another type":    {func() error { return well.LLen(t.Context(), "k").Err() }, breaker.Answered},
		"no such command": {func() error { return well.Do(t.Context(), "nosuch").Err() }, breaker.Answered},
		"an error of Lua": {func() error { return well.Eval(t.Context(), "error('x')", nil).Err() }, breaker.Answered},
		"wrong password":  {func() error { return open(func(o *redis.Options) { o.Password = "wrong" }).Ping(t.Context()).Err() }, breaker.Answered},
		"refused":         {func() error { return open(func(o *redis.Options) { o.Addr = dead.Addr() }).Ping(t.Context()).Err() }, breaker.Failed},
		"hung":            {func() error { return muted.Ping(within(100 * time.Millisecond)).Err() }, breaker.Failed},
		"no time":         {func() error { return well.Ping(within(0)).Err() }, breaker.NoVerdict},
		"cancelled":       {func() error { return well.Ping(cancelled).Err() }, breaker.NoVerdict},
		"full pool":       {func() error { return busy.Ping(t.Context()).Err() }, breaker.NoVerdict},
		"closed client":   {func() error { return closed.Ping(t.Context()).Err() }, breaker.NoVerdict},
		"cannot be sent":  {func() error { return well.Set(t.Context(), "k", struct{}{}, 0).Err() }, breaker.NoVerdict},
		"no such host": {func() error {
			return open(func(o *redis.Options) { o.Addr = "host.invalid:1" }).Ping(t.Context()).Err()
		}, breaker.Failed},
	} {
		start := time.Now()
		err := tc.call()
		if got := breaker.Of(err, time.Since(start)); got != tc.want {
			t.Errorf("%s: got %v of %v, want %v", name, got, err, tc.want)
		}
	}
	p.CloseConns()
	var conns []*redis.Conn
	for range 20 { // all that are left
		c := open(func(*redis.Options) {}).Conn()
		conns = append(conns, c)
		if err := c.Ping(t.Context()).Err(); err != nil {
			if got := breaker.Of(err, time.Second); got != breaker.Failed { // in words, or a closed connection
				t.Errorf("maxclients: got %v of %v, want a failure", got, err)
			}
			break
		}
		if len(conns) == 20 {
			t.Error("maxclients was not reached")
		}
	}
	for _, c := range conns {
		c.Close()
	}
}

// A set over a ring of real servers refuses the keys of the one that is dead, and
// those alone, until it is back.
func TestSetOnARing(t *testing.T) {
	a, b := redistest.NewServer(t), redistest.NewServer(t)
	ring := redis.NewRing(&redis.RingOptions{
		Addrs: map[string]string{"a": a.Addr(), "b": b.Addr()}, ContextTimeoutEnabled: true, MaxRetries: -1, DialerRetries: 1,
		HeartbeatFrequency: time.Hour, // or the ring itself would give the keys to the other
	})
	defer ring.Close()
	s := breaker.NewSet(ring)
	use := func(key string) (asked bool, e breaker.Event, err error) {
		c, ok := s.Allow(key)
		if !ok {
			return false, e, nil
		}
		err = ring.Set(t.Context(), key, "v", time.Minute).Err()
		return true, s.Report(c, err), err
	}
	of := map[string][]string{}
	for i := 0; len(of[a.Addr()]) < 3 || len(of[b.Addr()]) < 3; i++ {
		key := fmt.Sprint("k", i)
		shard, err := ring.GetShardClientForKey(key)
		if err != nil {
			t.Fatal(err)
		}
		of[shard.Options().Addr] = append(of[shard.Options().Addr], key)
	}
	a.Kill()
	var opened breaker.Event
	for i := range 5 {
		asked, e, err := use(of[a.Addr()][i%3])
		if !asked || err == nil {
			t.Fatalf("failure %d: asked %t, %v", i+1, asked, err)
		}
		opened = e
	}
	if opened.Change != breaker.Opened || !opened.First || opened.Addr != a.Addr() {
		t.Errorf("after five failures: %+v, want the opening of %s", opened, a.Addr())
	}
	calls, refused := s.AllowAll(append(of[a.Addr()], of[b.Addr()]...))
	if fmt.Sprint(refused) != fmt.Sprint(of[a.Addr()]) || len(calls) != 1 || fmt.Sprint(calls[0].Keys) != fmt.Sprint(of[b.Addr()]) {
		t.Errorf("allowed %v, refused %v", calls, refused)
	}
	for _, key := range of[b.Addr()] {
		if asked, _, err := use(key); !asked || err != nil {
			t.Errorf("%s of the living server: asked %t, %v", key, asked, err)
		}
	}
	a.Restart(t)
	redistest.Eventually(t, patience, func() bool {
		asked, e, err := use(of[a.Addr()][0])
		return asked && err == nil && e.Change == breaker.Closed && e.Last
	}, "the server that is back is not asked")
}
