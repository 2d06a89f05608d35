package connect_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/internal/redistest"
)

// together calls from n goroutines at once and returns their errors.
func together(n int, call func(i int) error) []error {
	errs := make([]error, n)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-start
			errs[i] = call(i)
		})
	}
	close(start)
	wg.Wait()
	return errs
}

// Every method gives each of many callers its own reply, the same as the
// plain client's.
func TestBatchedRepliesAreTheCallersOwn(t *testing.T) {
	script := redis.NewScriptServerSHA("return {KEYS[1], ARGV[1]}")
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		c := open(t, g.URL)
		b, ctx := c.Batched(), within(t, patience)
		if b != c.Batched() {
			t.Error("two Batched of one connection")
		}
		prefix := redistest.Prefix(t)
		for round := range 3 { // the first meets servers without the script
			for i, err := range together(100, func(i int) error {
				key := fmt.Sprint(prefix, ":", i)
				want := fmt.Sprint(i, ".", round)
				if err := b.Set(ctx, key, want, time.Minute).Err(); err != nil {
					return err
				}
				if got, err := b.Get(ctx, key).Result(); got != want || err != nil {
					return fmt.Errorf("GET: got %q, %w, want %q", got, err, want)
				}
				if ttl := c.Client().PTTL(ctx, key).Val(); ttl <= 50*time.Second || ttl > time.Minute {
					return fmt.Errorf("SET with a TTL of a minute has %v", ttl)
				}
				if err := b.Get(ctx, key+"none").Err(); err != redis.Nil { //nolint:errorlint // identity is the contract
					return fmt.Errorf("missing: got %w, want redis.Nil", err)
				}
				if err := b.HGetAll(ctx, key).Err(); !redis.HasErrorPrefix(err, "WRONGTYPE") {
					return fmt.Errorf("HGETALL of a string: got %w", err)
				}
				if got, err := script.Run(ctx, b, []string{key}, want).StringSlice(); err != nil || got[0] != key || got[1] != want {
					return fmt.Errorf("script: got %v, %w", got, err)
				}
				if got, err := redis.NewScript("return ARGV[1]").RunRO(ctx, b, []string{key}, want).Text(); err != nil || got != want {
					return fmt.Errorf("read-only script: got %v, %w", got, err)
				}
				if got, err := b.Del(ctx, key).Result(); got != 1 || err != nil {
					return fmt.Errorf("DEL: got %d, %w", got, err)
				}
				for n := range 2 {
					if got, err := b.Incr(ctx, key).Result(); got != int64(n+1) || err != nil {
						return fmt.Errorf("INCR: got %d, %w", got, err)
					}
				}
				if got, err := b.Del(ctx, key, "{"+key+"}none").Result(); got != 1 || err != nil {
					return fmt.Errorf("DEL of two keys: got %d, %w", got, err)
				}
				if got, err := b.Do(ctx, "ECHO", want).Text(); got != want || err != nil {
					return fmt.Errorf("DO: got %q, %w", got, err)
				}
				if err := b.HSet(ctx, key+"h", "f", want).Err(); err != nil {
					return err
				}
				if got, err := b.HGetAll(ctx, key+"h").Result(); got["f"] != want || err != nil {
					return fmt.Errorf("HGETALL: got %v, %w", got, err)
				}
				return b.Publish(ctx, key, want).Err()
			}) {
				if err != nil {
					t.Fatalf("round %d, caller %d: %v", round, i, err)
				}
			}
		}
		if c.Stats().Batched == 0 {
			t.Error("100 callers and nothing was batched")
		}
	})
}

// One caller, or few, pay nothing: their commands go out at once.
func TestFewCallersAreNotBatched(t *testing.T) {
	for _, tc := range []struct {
		above, callers int
		batched        bool
	}{{0, 1, false}, {0, 8, false}, {-1, 100, false}, {2, 3, true}} {
		c := open(t, redistest.Standalone(t).URL, connect.WithBatching(tc.above))
		for range 100 {
			key := redistest.Prefix(t)
			together(tc.callers, func(int) error { return c.Batched().Get(t.Context(), key).Err() })
		}
		if got := c.Stats().Batched > 0; got != tc.batched {
			t.Errorf("above %d, %d callers: batched %v, want %v", tc.above, tc.callers, got, tc.batched)
		}
	}
}

// go-redis' own automatic pipelining kept callers with a context of 100 ms for
// 7 s.
func TestBatchedCallsEndWithTheirContext(t *testing.T) {
	s := redistest.NewServer(t)
	p := redistest.NewProxy(t, s.Addr())
	c := open(t, "redis://"+p.Addr())
	if err := c.Ready(within(t, patience)); err != nil {
		t.Fatal(err)
	}
	p.Mute()
	begun := time.Now()
	for i, err := range together(100, func(i int) error {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		cmd := c.Batched().Get(ctx, "k")
		if cmd.Err() == nil {
			return nil
		}
		return c.Batched().EvalSha(ctx, "x", []string{"k"}).Err()
	}) {
		if err == nil {
			t.Errorf("caller %d: a mute server answered", i)
		}
	}
	if took := time.Since(begun); took > 600*time.Millisecond {
		t.Errorf("contexts of 100ms took %v", took)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("own cause")
	cancel(cause)
	for _, err := range together(100, func(int) error { return c.Batched().Get(ctx, "k").Err() }) {
		if !errors.Is(err, context.Canceled) && !errors.Is(err, connect.ErrUnavailable) {
			t.Errorf("cancelled: got %v", err)
		}
	}
	p.Heal()
	p.CloseConns()
	if err := c.Ready(within(t, patience)); err != nil {
		t.Fatal(err)
	}
	for _, err := range together(100, func(i int) error { return c.Batched().Set(within(t, patience), fmt.Sprint(i), i, 0).Err() }) {
		if err != nil {
			t.Errorf("healed: %v", err)
		}
	}
}

// Replies get lost while many write: each operation has a key of its own, and
// none may be above 1. WithRetries does not change that for Batched, nor does
// what WithGoRedis says of retries.
func TestBatchedNeverSendsTwice(t *testing.T) {
	t.Parallel()
	for name, opt := range map[string]connect.Option{
		"no retries": connect.WithRetries(0), "WithRetries": connect.WithRetries(3),
		"WithGoRedis": connect.WithGoRedis(func(o *redis.Options) { o.MaxRetries = 3 }),
	} {
		t.Run(name, func(t *testing.T) {
			s := redistest.NewServer(t)
			direct := s.Client(t)
			p := redistest.NewProxy(t, s.Addr())
			c := open(t, "redis://"+p.Addr(), opt, connect.WithTimeouts(connect.Timeouts{Read: 200 * time.Millisecond}))
			if err := c.Ready(within(t, patience)); err != nil {
				t.Fatal(err)
			}
			var ops, lost atomic.Int64
			for round := range 4 {
				write := func(int) error {
					for range 5 {
						if c.Batched().Incr(t.Context(), fmt.Sprint("op:", ops.Add(1))).Err() != nil {
							lost.Add(1)
						}
					}
					return nil
				}
				together(64, write)
				if round%2 == 0 {
					p.SwallowReplies()
				} else {
					p.ResetMidReply(2)
				}
				together(64, write)
				p.Heal()
				p.CloseConns()
				if err := c.Ready(within(t, patience)); err != nil {
					t.Fatal(err)
				}
			}
			executed := 0
			for n := int64(1); n <= ops.Load(); n++ {
				got, _ := direct.Get(t.Context(), fmt.Sprint("op:", n)).Int()
				executed += min(got, 1)
				if got > 1 {
					t.Errorf("operation %d was executed %d times", n, got)
				}
			}
			t.Logf("%d operations, %d failed, %d executed", ops.Load(), lost.Load(), executed)
			if lost.Load() == 0 || int64(executed) <= ops.Load()-lost.Load() {
				t.Error("no reply was lost: the test shows nothing")
			}
			if c.Stats().Batched == 0 {
				t.Error("nothing was batched: the test shows nothing")
			}
		})
	}
}

func TestBatchedNeverSendsTwiceOnACluster(t *testing.T) {
	t.Parallel()
	nodes := redistest.NewCluster(t, 0)
	master := nodes.MasterOf(t, "k")
	c := open(t, nodes.Target().URL, connect.WithTimeouts(connect.Timeouts{Read: 300 * time.Millisecond}), connect.WithRetries(2))
	if err := c.Ready(within(t, patience)); err != nil {
		t.Fatal(err)
	}
	write := func(i int) error { return c.Batched().Incr(t.Context(), fmt.Sprint("{k}", i)).Err() }
	for _, err := range together(64, write) {
		if err != nil {
			t.Fatal(err)
		}
	}
	// A paused server executes what it was sent when it resumes.
	master.Pause()
	failed := 0
	for _, err := range together(64, write) {
		if err != nil {
			failed++
		}
	}
	if failed != 64 {
		t.Errorf("%d of 64 failed on a paused master", failed)
	}
	master.Resume()
	if err := c.Ready(within(t, patience)); err != nil {
		t.Fatal(err)
	}
	direct, again := master.Client(t), 0
	for i := range 64 {
		got, err := direct.Get(t.Context(), fmt.Sprint("{k}", i)).Int()
		if err != nil || got > 2 {
			t.Errorf("key %d: got %d, %v, want at most 2", i, got, err)
		}
		if got == 2 {
			again++
		}
	}
	if again == 0 {
		t.Error("the paused master executed nothing of the second round: the test shows nothing")
	}
}
