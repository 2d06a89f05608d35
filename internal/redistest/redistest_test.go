//go:build unix

package redistest_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/redistest"
)

func TestMain(m *testing.M) {
	if mode := os.Getenv("REDISTEST_CHILD"); mode != "" {
		childMode = mode
	}
	redistest.Main(m)
}

// timedOut reports whether err is a deadline: that of the context, or of the
// socket, which go-redis sets from it.
func timedOut(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded)
}

const patience = 20 * time.Second

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func TestSharedTopologiesServe(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		rdb := g.Client(t)
		for i := range 50 { // spread over all slots of a cluster
			key := fmt.Sprint(redistest.Prefix(t), i)
			if err := rdb.Set(t.Context(), key, i, time.Minute).Err(); err != nil {
				t.Fatal(err)
			}
			if got, err := rdb.Get(t.Context(), key).Int(); err != nil || got != i {
				t.Fatalf("GET %s: got %d, %v, want %d", key, got, err, i)
			}
		}
	})
}

func TestPrivateServers(t *testing.T) {
	cases := map[string][]redistest.ServerOption{
		"tcp":  nil,
		"unix": {redistest.WithUnix()},
		"tls":  {redistest.WithTLS()},
		"acl":  {redistest.WithACL("alice", "s3cr/t#@:%")},
		"args": {redistest.WithArgs("--maxmemory", "10mb")},
	}
	for name, opts := range cases {
		t.Run(name, func(t *testing.T) {
			s := redistest.NewServer(t, opts...)
			if err := s.Client(t).Set(t.Context(), "k", "v", time.Minute).Err(); err != nil {
				t.Fatal(err)
			}
			bare := redis.NewClient(&redis.Options{Network: s.Options().Network, Addr: s.Addr(), MaxRetries: -1, DialerRetries: 1})
			defer bare.Close()
			err := bare.Get(t.Context(), "k").Err()
			if protected := name == "tls" || name == "acl"; (err != nil) != protected {
				t.Errorf("a client without credentials: got error %v, protected %v", err, protected)
			}
		})
	}
}

func TestKillPauseRestartFlush(t *testing.T) {
	s := redistest.NewServer(t)
	rdb := s.Client(t)
	rdb.Set(t.Context(), "k", "v", 0)

	s.Pause()
	if err := rdb.Get(within(t, 200*time.Millisecond), "k").Err(); !timedOut(err) {
		t.Errorf("paused: got %v, want a deadline", err)
	}
	s.Resume()
	redistest.Eventually(t, patience, func() bool { return rdb.Get(t.Context(), "k").Val() == "v" }, "not resumed")

	sha := rdb.ScriptLoad(t.Context(), "return 1").Val()
	s.FlushScripts(t)
	if got := rdb.ScriptExists(t.Context(), sha).Val(); len(got) != 1 || got[0] {
		t.Errorf("script after the flush: got %v, want it gone", got)
	}
	s.Restart(t)
	if got, err := rdb.Get(t.Context(), "k").Result(); !errors.Is(err, redis.Nil) {
		t.Errorf("after a restart: got %q, %v, want nothing", got, err)
	}
	s.Kill()
	if err := rdb.Get(within(t, time.Second), "k").Err(); err == nil {
		t.Error("a killed server answers")
	}
}

func TestClusterFailover(t *testing.T) {
	c := redistest.NewCluster(t, 1)
	if got := len(c.Masters()); got != 3 {
		t.Fatalf("masters: got %d, want 3", got)
	}
	rdb := c.Target().Client(t)
	if err := rdb.Set(t.Context(), "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if err := rdb.LPush(t.Context(), "{k}list", 1).Err(); err != nil {
		t.Fatal(err)
	}
	if a, b := c.MasterOf(t, "k"), c.MasterOf(t, "{k}list"); a != b {
		t.Error("the master depends on the type of the key")
	}
	old := c.MasterOf(t, "k")
	promoted := c.Failover(t, old)
	if promoted == old || c.MasterOf(t, "k") != promoted {
		t.Error("the promoted replica does not serve its master's slots")
	}
	promoted.Kill()
	redistest.Eventually(t, patience, func() bool { return len(c.Masters()) == 3 }, "the killed master was not replaced")
}

func TestSentinelFailover(t *testing.T) {
	s := redistest.NewSentinel(t)
	rdb := s.Target().Client(t)
	if err := rdb.Set(t.Context(), "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	old := s.Master()
	if now := s.Failover(t); now == old {
		t.Fatal("no failover")
	}
	redistest.Eventually(t, patience, func() bool {
		return rdb.Set(within(t, time.Second), "k", "v2", 0).Err() == nil
	}, "the client did not find the new master")
	redistest.Eventually(t, patience, func() bool { return len(s.Replicas()) == 1 }, "the old master did not follow")
	killed := s.Master()
	killed.Kill()
	s.WaitPromoted(t, killed)
}

func TestProxyFaults(t *testing.T) {
	s := redistest.NewServer(t)
	direct := s.Client(t)
	p := redistest.NewProxy(t, s.Addr())
	opt := s.Options()
	opt.Addr = p.Addr()
	rdb := redis.NewClient(opt)
	defer rdb.Close()
	count := func() int { n, _ := direct.Get(t.Context(), "n").Int(); return n }
	incr := func(d time.Duration) error { return rdb.Incr(within(t, d), "n").Err() }

	if err := incr(patience); err != nil || count() != 1 {
		t.Fatalf("healthy: %v, count %d", err, count())
	}
	p.Mute()
	if err := incr(100 * time.Millisecond); !timedOut(err) || count() != 1 {
		t.Errorf("mute: got %v, count %d, want a deadline and 1", err, count())
	}
	p.CloseConns()
	p.Heal()
	redistest.Eventually(t, patience, func() bool { return rdb.Ping(t.Context()).Err() == nil }, "not healed")
	before := count()
	p.SwallowReplies()
	if err := incr(100 * time.Millisecond); err == nil {
		t.Error("swallowed reply: no error")
	}
	redistest.Eventually(t, patience, func() bool { return count() == before+1 }, "swallowed reply: the command was not executed once")
	p.CloseConns()
	p.Heal()
	redistest.Eventually(t, patience, func() bool { return rdb.Ping(t.Context()).Err() == nil }, "not healed")
	p.ResetMidReply(1)
	if err := incr(patience); err == nil {
		t.Error("reset inside the reply: no error")
	}
	p.Refuse()
	if err := incr(patience); err == nil {
		t.Error("refused: no error")
	}
	p.Delay(80 * time.Millisecond)
	start := time.Now()
	if err := incr(patience); err != nil || time.Since(start) < 80*time.Millisecond {
		t.Errorf("delayed: got %v after %v, want success after at least 80ms", err, time.Since(start))
	}
}

func TestCountsRoundTripsAndCommands(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		rdb := g.Client(t)
		c := redistest.Count(rdb)
		key := redistest.Prefix(t)
		rdb.Set(t.Context(), key, 1, time.Minute)
		rdb.Pipelined(t.Context(), func(p redis.Pipeliner) error {
			p.Get(t.Context(), key)
			p.Get(t.Context(), key)
			return nil
		})
		if got := c.Trips(); got != 2 {
			t.Errorf("round trips: got %d, want 2", got)
		}
		if got, want := fmt.Sprint(c.Commands()), "map[get:2 set:1]"; got != want {
			t.Errorf("commands: got %s, want %s", got, want)
		}
		c.Reset()
		if got := c.Trips(); got != 0 {
			t.Errorf("after Reset: got %d, want 0", got)
		}
	})
}

func TestPrefixesDiffer(t *testing.T) {
	if a, b := redistest.Prefix(t), redistest.Prefix(t); a == b {
		t.Errorf("two prefixes: both %s", a)
	}
}

func TestAClockThatIsSet(t *testing.T) {
	s := redistest.NewServer(t, redistest.WithClock())
	rdb := s.Client(t)
	for _, d := range []time.Duration{0, time.Hour, -time.Hour, 0} {
		s.SetClock(t, d)
		before := time.Now()
		now, err := rdb.Time(t.Context()).Result()
		if err != nil {
			t.Fatal(err)
		}
		if ahead := now.Sub(before) - d; ahead < -time.Millisecond || ahead > time.Since(before)+time.Millisecond {
			t.Errorf("set by %v: the server is %v ahead", d, ahead+d)
		}
	}
}
