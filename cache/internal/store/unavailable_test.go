package store

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/internal/unavailable"
)

// clientOf reaches a server through a proxy, and sends nothing twice.
func clientOf(t testing.TB, p *redistest.Proxy) *redis.Client {
	t.Helper()
	rdb := redis.NewClient(&redis.Options{
		Addr: p.Addr(), ContextTimeoutEnabled: true, MaxRetries: -1, DialerRetries: 1,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	t.Cleanup(func() { _ = rdb.Close() })
	return rdb
}

// calls are the methods that call Redis and return whether it was available, for an
// entry in pieces that was found before.
func calls(s *Store, f Found) map[string]func(ctx context.Context) error {
	p := f.Place
	no := func(ok bool) error {
		if ok {
			return nil
		}
		return unavailable.Err
	}
	return map[string]func(ctx context.Context) error{
		"Find":                func(ctx context.Context) error { _, err := s.Find(ctx, p, nil, true); return err },
		"Lookup":              func(ctx context.Context) error { _, err := s.Lookup(ctx, p, nil, false); return err },
		"Fill":                func(ctx context.Context) error { return s.Fill(ctx, f, nil, entry("x")) },
		"Purge":               func(ctx context.Context) error { return s.Purge(ctx, p.Mark(false)) },
		"Purge of everything": func(ctx context.Context) error { return s.Purge(ctx, s.Everything()) },
		"Read": func(ctx context.Context) error {
			b := s.Open(ctx, &f, nil)
			_, err := b.Seek(InlineSize, 0)
			if err == nil {
				_, err = b.Read(make([]byte, 1))
			}
			return err
		},
		"Readable":       func(ctx context.Context) error { return no(s.Readable(ctx, &f)) },
		"AcquireRefresh": func(ctx context.Context) error { _, ok := s.AcquireRefresh(ctx, &f); return no(ok) },
	}
}

// In every kind of outage, each error matches ErrUnavailable and is returned in time,
// before and after the breaker opens.
func TestEveryOutageIsErrUnavailable(t *testing.T) {
	t.Parallel()
	const timeout = 100 * time.Millisecond
	for name, cut := range map[string]func(t *testing.T, s *redistest.Server, p *redistest.Proxy){
		"down":   func(_ *testing.T, _ *redistest.Server, p *redistest.Proxy) { p.Refuse() },
		"hung":   func(_ *testing.T, _ *redistest.Server, p *redistest.Proxy) { p.Mute() },
		"reset":  func(_ *testing.T, _ *redistest.Server, p *redistest.Proxy) { p.ResetMidReply(1) },
		"silent": func(_ *testing.T, _ *redistest.Server, p *redistest.Proxy) { p.SwallowReplies() },
		"without its master": func(t *testing.T, s *redistest.Server, _ *redistest.Proxy) {
			rdb := s.Client(t)
			redistest.NoErrors(t, rdb.ConfigSet(t.Context(), "replica-serve-stale-data", "no").Err(), rdb.ReplicaOf(t.Context(), "127.0.0.1", "1").Err())
		},
		"busy": func(t *testing.T, s *redistest.Server, _ *redistest.Proxy) {
			rdb := s.Client(t)
			redistest.NoErrors(t, rdb.ConfigSet(t.Context(), "busy-reply-threshold", "1").Err())
			running := make(chan struct{})
			go func() { defer close(running); rdb.Eval(context.WithoutCancel(t.Context()), "while true do end", nil) }()
			t.Cleanup(func() { s.Client(t).ScriptKill(context.Background()); <-running })
			redistest.Eventually(t, patience, func() bool { return redis.HasErrorPrefix(s.Client(t).Get(t.Context(), "x").Err(), "BUSY") }, "it is not busy")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.NewServer(t)
			proxy := redistest.NewProxy(t, server.Addr())
			set := settings(t)
			set.ReadTimeout, set.WriteTimeout, set.Buckets = patience, patience, 4
			warm := open(t, server.Client(t), set)
			p := warm.Place(target("/"), "")
			record(t, warm, p, noise(InlineSize+chunkSize))
			f := find(t, warm, p, nil)
			set.ReadTimeout, set.WriteTimeout = timeout, timeout
			s := New(clientOf(t, proxy), set)
			t.Cleanup(func() { _ = s.Close(context.Background()) })
			all := calls(s, f)
			redistest.Eventually(t, patience, func() bool { return all["Find"](t.Context()) == nil }, "it does not answer")
			cut(t, server, proxy)
			for round := range 7 { // past the point at which the breaker opens
				for what, call := range all {
					begun := time.Now()
					err := call(t.Context())
					if err = Wrap("test", err); !errors.Is(err, unavailable.Err) || strings.Count(err.Error(), "cache:") != 1 {
						t.Fatalf("round %d: %s returned %v", round, what, err)
					}
					if took := time.Since(begun); took > patience/2 {
						t.Fatalf("round %d: %s took %v", round, what, took)
					}
				}
			}
			proxy.Heal()
		})
	}
}

// A server that loads its data replies with LOADING.
func TestAServerThatIsLoadingIsUnavailable(t *testing.T) {
	t.Parallel()
	server := redistest.NewServer(t, redistest.WithArgs("--enable-debug-command", "yes", "--loading-process-events-interval-bytes", "1024"))
	rdb := server.Client(t)
	s := open(t, server.Client(t), settings(t))
	p := s.Place(target("/"), "")
	put(t, s, p, nil, entry("x"))
	_, err := rdb.Pipelined(t.Context(), func(pipe redis.Pipeliner) error {
		for n := range 2000 {
			pipe.Set(t.Context(), fmt.Sprint("fill:", n), strings.Repeat("x", 100), 0)
		}
		return nil
	})
	redistest.NoErrors(t, err, rdb.ConfigSet(t.Context(), "key-load-delay", "1000").Err())
	loaded := make(chan error, 1)
	go func() {
		slow := server.Options()
		slow.ReadTimeout = patience
		c := redis.NewClient(slow)
		defer c.Close()
		loaded <- c.Do(context.WithoutCancel(t.Context()), "DEBUG", "RELOAD").Err()
	}()
	redistest.Eventually(t, patience, func() bool {
		_, err := s.Find(t.Context(), p, nil, false)
		return err != nil && errors.Is(Wrap("look up", err), unavailable.Err) && strings.Contains(err.Error(), "LOADING")
	}, "no look-up met a server that loads")
	redistest.NoErrors(t, rdb.ConfigSet(context.WithoutCancel(t.Context()), "key-load-delay", "0").Err())
	<-loaded
}

// Nothing is sent to a node that is known to be down. One warning says that it is down,
// one line that it is back.
func TestTheBreakerSparesTheWait(t *testing.T) {
	t.Parallel()
	proxy := redistest.NewProxy(t, redistest.NewServer(t).Addr())
	rdb := clientOf(t, proxy)
	set := settings(t)
	var log lines
	set.Logger = log.logger()
	s := open(t, rdb, set)
	p := s.Place(target("/"), "")
	f := put(t, s, p, nil, entry("x"))
	proxy.Refuse()
	for range 5 {
		_, _ = s.Find(t.Context(), p, nil, false)
	}
	counter := redistest.Count(rdb)
	for range 20 {
		if _, err := s.Find(t.Context(), p, nil, true); !errors.Is(err, unavailable.Err) {
			t.Fatalf("a look-up: got %v", err)
		}
		if err := s.Fill(t.Context(), f, nil, entry("y")); !errors.Is(err, unavailable.Err) {
			t.Fatalf("a fill: got %v", err)
		}
	}
	if got := counter.Trips(); got > 10 { // the breaker probes now and then
		t.Errorf("%d round trips", got)
	}
	proxy.Heal()
	redistest.Eventually(t, patience, func() bool { f, err := s.Find(t.Context(), p, nil, false); return err == nil && f.Fresh() }, "it is not back")
	if down, back := log.count("redis is unavailable"), log.count("redis is back"); down != 1 || back != 1 {
		t.Errorf("%d warnings that it is down and %d lines that it is back, want one each", down, back)
	}
}

// Calls of every kind that hold up a request open the breaker.
func TestEveryCallOfARequestOpensTheBreaker(t *testing.T) {
	t.Parallel()
	for name, call := range map[string]func(s *Store, f Found){
		"a look-up":       func(s *Store, f Found) { _, _ = s.Find(t.Context(), f.Place, nil, false) },
		"a fill":          func(s *Store, f Found) { _ = s.Fill(t.Context(), f, nil, entry("x")) },
		"a mark":          func(s *Store, f Found) { s.MarkHitForMiss(t.Context(), &f, plain, time.Minute) },
		"an invalidation": func(s *Store, f Found) { s.Invalidate(t.Context(), f.Mark(false)) },
	} {
		t.Run(name, func(t *testing.T) {
			proxy := redistest.NewProxy(t, redistest.NewServer(t).Addr())
			rdb := clientOf(t, proxy)
			s := open(t, rdb, settings(t))
			f := put(t, s, s.Place(target("/"), ""), nil, entry("x"))
			f.Lease = ""
			proxy.Refuse()
			for range 5 {
				call(s, f)
			}
			counter := redistest.Count(rdb)
			for range 20 {
				call(s, f)
			}
			if got := counter.Trips(); got > 10 { // the breaker probes now and then
				t.Errorf("%d round trips", got)
			}
			proxy.Heal()
		})
	}
}

// A call returns at its deadline even if the client ignores deadlines.
func TestDeadlinesHoldForEveryClient(t *testing.T) {
	t.Parallel()
	proxy := redistest.NewProxy(t, redistest.NewServer(t).Addr())
	rdb := redis.NewClient(&redis.Options{Addr: proxy.Addr()}) // go-redis' defaults
	t.Cleanup(func() { _ = rdb.Close() })
	set := settings(t)
	var log lines
	set.Logger, set.ReadTimeout, set.WriteTimeout = log.logger(), 100*time.Millisecond, 100*time.Millisecond
	s := New(rdb, set)
	t.Cleanup(func() { _ = s.Close(context.Background()) })
	p := s.Place(target("/"), "")
	redistest.Eventually(t, patience, func() bool { _, err := s.Find(t.Context(), p, nil, false); return err == nil }, "it does not answer")
	proxy.Mute()
	for what, call := range map[string]func() error{
		"a look-up": func() error { _, err := s.Find(t.Context(), p, nil, false); return err },
		"a purge":   func() error { return s.Purge(t.Context(), p.Mark(false)) },
	} {
		begun := time.Now()
		if err := call(); !errors.Is(Wrap("test", err), unavailable.Err) || time.Since(begun) > 2500*time.Millisecond {
			t.Errorf("%s: got %v after %v", what, err, time.Since(begun))
		}
	}
	if log.count("ignores deadlines") != 1 {
		t.Error("no warning of a client that ignores deadlines")
	}
	proxy.Heal()
}

// reloads is a cluster client that counts how often it loads its topology.
type reloads struct {
	*redis.Client
	n atomic.Int32
}

func (r *reloads) ReloadState(context.Context) { r.n.Add(1) }
func (r *reloads) MasterForKey(context.Context, string) (*redis.Client, error) {
	return r.Client, nil
}

// A failed purge has a cluster client load its topology, at most twice a second.
func TestAFailedPurgeReloadsTheTopology(t *testing.T) {
	t.Parallel()
	proxy := redistest.NewProxy(t, redistest.NewServer(t).Addr())
	rdb := &reloads{Client: clientOf(t, proxy)}
	s := open(t, rdb, settings(t))
	p := s.Place(target("/"), "")
	purge(t, s, p.Mark(false))
	if n := rdb.n.Load(); n != 0 {
		t.Errorf("a purge that succeeds: %d reloads", n)
	}
	proxy.Refuse()
	for range 3 {
		if err := s.Purge(t.Context(), p.Mark(false)); err == nil {
			t.Error("purged without Redis")
		}
	}
	if n := rdb.n.Load(); n < 1 || n > 2 {
		t.Errorf("3 purges that failed: %d reloads", n)
	}
	before := rdb.n.Load()
	s.nudged.Store(int64(time.Since(s.begun) - nudgeEvery))
	_ = s.Purge(t.Context(), p.Mark(false))
	if n := rdb.n.Load(); n != before+1 {
		t.Errorf("after a while: %d reloads, want one more than %d", n, before)
	}
	proxy.Heal()
}

func TestWrapKeepsTheCauseAndIsPrefixedOnce(t *testing.T) {
	for name, tc := range map[string]struct {
		err  error
		want string
		away bool
	}{
		"no connection": {&net.OpError{Op: "dial", Net: "tcp", Err: errors.New("refused")}, "cache: read: redis is unavailable: dial tcp: refused", true},
		"the breaker's": {unavailable.Err, "cache: read: redis is unavailable", true},
		"a lost piece":  {errChunk, "cache: read: a part of the body is gone", false},
	} {
		err := Wrap("read", tc.err)
		if err.Error() != tc.want || !errors.Is(err, tc.err) || errors.Is(err, unavailable.Err) != tc.away {
			t.Errorf("%s: got %q, unavailable %v", name, err, errors.Is(err, unavailable.Err))
		}
	}
}
