package connect_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/internal/redistest"
)

// fail calls until the breaker is open and returns how many calls that took.
func fail(t *testing.T, c *connect.Conn, timeout time.Duration) int {
	t.Helper()
	for n := range 50 {
		if c.Stats().Opened > 0 {
			return n
		}
		ctx, cancel := context.WithTimeout(t.Context(), timeout)
		if err := c.Client().Get(ctx, "k").Err(); !errors.Is(err, connect.ErrUnavailable) {
			t.Fatalf("call %d on a dead server: got %v, want ErrUnavailable", n+1, err)
		}
		cancel()
	}
	t.Fatal("the breaker does not open")
	return 0
}

func TestBreakerOpensAndComesBack(t *testing.T) {
	for name, opts := range map[string][]redistest.ServerOption{"standalone": nil, "unix": {redistest.WithUnix()}} {
		t.Run(name, func(t *testing.T) {
			s := redistest.NewServer(t, opts...)
			var log bytes.Buffer
			c := open(t, s.URL(), connect.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
			if err := c.Client().Set(t.Context(), "k", 1, 0).Err(); err != nil {
				t.Fatal(err)
			}
			s.Kill()
			if n := fail(t, c, time.Second); n != 5 {
				t.Errorf("opened after %d calls, want 5", n)
			}
			opened := time.Now()

			// The best of many, for this machine has other work too.
			best := time.Hour
			var err error
			for time.Since(opened) < 500*time.Millisecond {
				start := time.Now()
				err = c.Client().Get(t.Context(), "k").Err()
				best = min(best, time.Since(start))
			}
			var unavailable *connect.UnavailableError
			if !errors.As(err, &unavailable) || !strings.Contains(err.Error(), "circuit breaker is open") || !strings.Contains(err.Error(), "refused") && !strings.Contains(err.Error(), "no such file") {
				t.Errorf("while open: got %v, want ErrUnavailable with the last cause", err)
			}
			if best > 50*time.Microsecond*raceFactor {
				t.Errorf("while open a call takes %v, want under 50µs", best)
			}
			t.Logf("while open: %v", best)
			if _, err := c.Client().Pipelined(t.Context(), func(p redis.Pipeliner) error { p.Get(t.Context(), "a"); p.Get(t.Context(), "b"); return nil }); !errors.Is(err, connect.ErrUnavailable) {
				t.Errorf("pipeline: got %v", err)
			}
			if got := c.Stats(); got.Opened != 1 || got.Refused == 0 || !slices.Equal(got.Open, []string{""}) {
				t.Errorf("stats: got %+v", got)
			}

			s.Restart(t)
			start := time.Now()
			redistest.Eventually(t, patience, func() bool { return c.Client().Set(t.Context(), "k", 1, 0).Err() == nil }, "does not come back")
			if took := time.Since(start); took > 1500*time.Millisecond {
				t.Errorf("back after %v, want within 1.2s", took)
			}
			if got := c.Stats(); len(got.Open) != 0 {
				t.Errorf("still open: %v", got.Open)
			}
			if out := log.String(); strings.Count(out, "does not answer") != 1 || strings.Count(out, "answers again") != 1 {
				t.Errorf("log: want one line for each change, got\n%s", out)
			}
		})
	}
}

// A hung server, and callers whose deadline is not fair or who hang up.
func TestBreakerAndDeadlines(t *testing.T) {
	s := redistest.NewServer(t)
	c := open(t, s.URL())
	if err := c.Ready(within(t, patience)); err != nil {
		t.Fatal(err)
	}
	s.Pause()
	defer s.Resume()
	for range 20 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		_ = c.Client().Get(ctx, "k").Err()
		cancel()
		ctx, cancel = context.WithCancel(t.Context())
		cancel()
		if err := c.Client().Get(ctx, "k").Err(); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: got %v", err)
		}
	}
	if got := c.Stats(); got.Opened != 0 {
		t.Error("callers with a deadline of 1ms or a cancelled context opened the breaker")
	}
	fail(t, c, 50*time.Millisecond)
	if err := c.Client().Get(t.Context(), "k").Err(); !errors.Is(err, connect.ErrUnavailable) {
		t.Errorf("hung: got %v", err)
	}
	s.Resume()
	if err := c.Ready(within(t, patience)); err != nil || len(c.Stats().Open) != 0 {
		t.Errorf("Ready on an open breaker: %v, open %v; want it to ask and to close it", err, c.Stats().Open)
	}
}

// A server that takes no more clients is no server for those it refuses.
func TestBreakerOnAFullServer(t *testing.T) {
	s := redistest.NewServer(t)
	admin := s.Client(t)
	if err := admin.ConfigSet(t.Context(), "maxclients", "1").Err(); err != nil {
		t.Fatal(err)
	}
	c := open(t, s.URL())
	redistest.Eventually(t, patience, func() bool {
		_ = c.Client().Ping(within(t, time.Second)).Err()
		return c.Stats().Opened > 0
	}, "a full server does not open the breaker")
	if err := admin.ConfigSet(t.Context(), "maxclients", "100").Err(); err != nil {
		t.Fatal(err)
	}
	redistest.Eventually(t, patience, func() bool { return c.Client().Ping(t.Context()).Err() == nil }, "does not come back")
}

// What Redis answers, and what the caller does wrong, is no outage.
func TestBreakerIgnoresAnswers(t *testing.T) {
	// A busy machine may take longer than the default timeouts.
	c := open(t, redistest.Standalone(t).URL, connect.WithTimeouts(connect.Timeouts{Dial: patience, Read: patience, Write: patience, Pool: patience}))
	key := redistest.Prefix(t)
	c.Client().Set(t.Context(), key, "text", time.Minute)
	for range 10 {
		if err := c.Client().Get(t.Context(), key+"none").Err(); err != redis.Nil { //nolint:errorlint // must stay identical
			t.Errorf("missing key: got %v", err)
		}
		if err := c.Client().Incr(t.Context(), key).Err(); err == nil || errors.Is(err, connect.ErrUnavailable) {
			t.Errorf("wrong type: got %v", err)
		}
		if err := c.Client().Set(t.Context(), key, struct{}{}, 0).Err(); err == nil || errors.Is(err, connect.ErrUnavailable) {
			t.Errorf("a value that cannot be sent: got %v", err)
		}
	}
	if got := c.Stats(); got.Opened != 0 {
		t.Error("answers opened the breaker")
	}
}

// On a cluster the dead master alone is cut off.
func TestBreakerOfOneNode(t *testing.T) {
	nodes := redistest.NewCluster(t, 0)
	c := open(t, nodes.Target().URL, connect.WithTimeouts(connect.Timeouts{Dial: 300 * time.Millisecond, Read: 300 * time.Millisecond}))
	keys := map[string]string{} // one for each master
	for i := 0; len(keys) < 3; i++ {
		key := fmt.Sprint("k", i)
		keys[nodes.MasterOf(t, key).Addr()] = key
		if err := c.Client().Set(t.Context(), key, 1, 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	dead := nodes.Masters()[1]
	// Without this the others answer CLUSTERDOWN once they notice.
	for _, m := range nodes.Masters() {
		m.Client(t).ConfigSet(t.Context(), "cluster-require-full-coverage", "no")
	}
	dead.Pause()
	defer dead.Resume()
	var err error
	redistest.Eventually(t, patience, func() bool {
		err = c.Client().Get(within(t, 100*time.Millisecond), keys[dead.Addr()]).Err()
		return slices.Contains(c.Stats().Open, dead.Addr())
	}, "the dead node's breaker does not open")
	best := time.Hour
	for range 100 {
		start := time.Now()
		err = c.Client().Get(t.Context(), keys[dead.Addr()]).Err()
		best = min(best, time.Since(start))
	}
	var unavailable *connect.UnavailableError
	if !errors.As(err, &unavailable) || unavailable.Addr != dead.Addr() {
		t.Errorf("got %v, want ErrUnavailable with the address", err)
	}
	if best > 50*time.Microsecond*raceFactor {
		t.Errorf("while open a call takes %v, want under 50µs", best)
	}
	for addr, key := range keys {
		if addr != dead.Addr() {
			if err := c.Client().Get(within(t, patience), key).Err(); err != nil {
				t.Errorf("a healthy master: %v", err)
			}
		}
	}
	pipe := c.Client().Pipeline()
	for _, key := range keys {
		pipe.Get(t.Context(), key)
	}
	cmds, err := pipe.Exec(t.Context())
	failed := 0
	for _, cmd := range cmds {
		if errors.Is(cmd.Err(), connect.ErrUnavailable) {
			failed++
		}
	}
	if failed != 1 || !errors.Is(err, connect.ErrUnavailable) {
		t.Errorf("pipeline over all masters: %d commands unavailable (%v), want that of the dead one", failed, err)
	}
	dead.Resume()
	redistest.Eventually(t, patience, func() bool { return c.Client().Get(within(t, time.Second), keys[dead.Addr()]).Err() == nil }, "does not come back")
}

// go-redis lets the sentinels' "no such master" pass for redis.Nil, which
// callers read as a missing key.
func TestAnUnknownMasterIsNoMissingKey(t *testing.T) {
	url := redistest.Sentinel(t).URL
	c := open(t, strings.Replace(url, "/"+redistest.MasterName, "/nobody", 1))
	err := c.Client().Get(within(t, 2*time.Second), "k").Err()
	if errors.Is(err, redis.Nil) || !errors.Is(err, connect.ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable and not redis.Nil", err)
	}
}

func TestPoolTimeoutSaysSo(t *testing.T) {
	c := open(t, redistest.Standalone(t).URL, connect.WithPool(1, 0), connect.WithTimeouts(connect.Timeouts{Pool: 50 * time.Millisecond}))
	block := make(chan error)
	go func() { block <- c.Client().BLPop(within(t, patience), time.Second, redistest.Prefix(t)).Err() }()
	redistest.Eventually(t, patience, func() bool { return c.Stats().InFlight == 1 && c.Stats().Pool.TotalConns == 1 }, "BLPOP does not start")
	var err error
	redistest.Eventually(t, patience, func() bool {
		err = c.Client().Ping(t.Context()).Err()
		return err != nil
	}, "the pool is never exhausted")
	if !errors.Is(err, redis.ErrPoolTimeout) || !errors.Is(err, connect.ErrUnavailable) || !strings.Contains(err.Error(), "1 of 1 connections are in use") {
		t.Errorf("got %v", err)
	}
	if c.Stats().Opened != 0 {
		t.Error("a full pool opened the breaker")
	}
	<-block
}

func TestCloseWaitsForCalls(t *testing.T) {
	for _, g := range []*redistest.Target{redistest.Standalone(t), redistest.Sentinel(t), redistest.Cluster(t)} {
		t.Run(g.Name, func(t *testing.T) {
			redistest.NoLeaks(t)
			c, err := connect.Open(g.URL, connect.WithName("c"))
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Ready(within(t, patience)); err != nil {
				t.Fatal(err)
			}
			key := redistest.Prefix(t)
			calls := make(chan error, 2)
			go func() { calls <- c.Client().BLPop(t.Context(), 10*time.Second, key).Err() }()
			go func() { calls <- c.Batched().Do(t.Context(), "BLPOP", key, 10).Err() }()
			redistest.Eventually(t, patience, func() bool { return c.Stats().InFlight >= 2 }, "BLPOP does not start")
			if err := c.Close(within(t, 50*time.Millisecond)); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("a close that cannot wait: got %v", err)
			}
			if err := c.Client().Ping(t.Context()).Err(); !errors.Is(err, connect.ErrClosed) || !errors.Is(err, redis.ErrClosed) {
				t.Errorf("after close: got %v, want ErrClosed", err)
			}
			for range 2 {
				if err := <-calls; err == nil {
					t.Error("a call outlived its connection")
				}
			}
			if err := c.Close(within(t, patience)); err != nil {
				t.Errorf("second close: %v", err)
			}
			if err := c.Batched().Get(t.Context(), key).Err(); !errors.Is(err, connect.ErrClosed) {
				t.Errorf("batched after close: got %v, want ErrClosed", err)
			}

			c, err = connect.Open(g.URL, connect.WithName("c"))
			if err != nil {
				t.Fatal(err)
			}
			go func() { calls <- c.Client().BLPop(t.Context(), 10*time.Second, key).Err() }()
			redistest.Eventually(t, patience, func() bool { return c.Stats().InFlight == 1 }, "BLPOP does not start")
			closed := make(chan error)
			go func() { closed <- c.Close(within(t, patience)) }()
			redistest.Eventually(t, patience, func() bool { return errors.Is(c.Client().Ping(t.Context()).Err(), connect.ErrClosed) }, "still open")
			select {
			case err := <-closed:
				t.Errorf("close did not wait: %v", err)
			default:
			}
			other := g.Client(t)
			other.RPush(t.Context(), key, 1)
			if err := <-calls; err != nil {
				t.Errorf("the call in flight: %v", err)
			}
			if err := <-closed; err != nil {
				t.Errorf("close: %v", err)
			}
		})
	}
}
