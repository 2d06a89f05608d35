package connect_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/internal/bounded"
	"github.com/redishttp/redishttp/internal/redistest"
)

// held holds back what is sent until it is released, and records each pipeline.
type held struct {
	release chan struct{}
	once    sync.Once
	waiting atomic.Int64 // calls and pipelines that have come
	mu      sync.Mutex
	batches [][]string
}

// hold opens a connection whose calls are held. They are let go when the test ends.
func hold(t *testing.T, s *redistest.Server) (*held, *connect.Conn) {
	h := &held{release: make(chan struct{})}
	c := open(t, "redis://"+s.Addr(), connect.WithHook(h))
	t.Cleanup(h.let) // before the connection is closed
	return h, c
}

// let lets all calls go.
func (h *held) let() { h.once.Do(func() { close(h.release) }) }

func (h *held) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h *held) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() != "hello" && cmd.Name() != "client" {
			h.waiting.Add(1)
			<-h.release
		}
		return next(ctx, cmd)
	}
}

func (h *held) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if name := cmds[0].Name(); name != "hello" && name != "client" {
			var all []string
			for _, cmd := range cmds {
				all = append(all, fmt.Sprint(cmd.Args()))
			}
			h.mu.Lock()
			h.batches = append(h.batches, all)
			h.mu.Unlock()
			h.waiting.Add(1)
			<-h.release
		}
		return next(ctx, cmds)
	}
}

// await waits until n calls and pipelines are held.
func (h *held) await(t *testing.T, n int64) {
	t.Helper()
	redistest.Eventually(t, patience, func() bool { return h.waiting.Load() == n }, "not sent")
}

// queue begins n calls, waits until all that are batched are in batches, and returns
// a function that waits for their ends.
func queue(t *testing.T, c *connect.Conn, batched, n int, call func(i int) error) (wait func()) {
	t.Helper()
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			if err := call(i); err != nil {
				t.Errorf("caller %d: %v", i, err)
			}
		})
	}
	redistest.Eventually(t, patience, func() bool { return c.Stats().Batched == int64(batched) }, "not queued")
	return wg.Wait
}

// Plain commands, scripts that are sent once, and groups share their batches: a
// change of the kind does not end one. Those of a group stay together, in order.
func TestKindsOfCallsShareABatch(t *testing.T) {
	s := redistest.NewServer(t)
	h, c := hold(t, s)
	script := redis.NewScriptServerSHA("return ARGV[1]")
	redistest.NoErrors(t, script.Load(t.Context(), s.Client(t)).Err())
	b := c.Batched()
	caller := bounded.New(b.(bounded.Client))
	incr := func(i int) error {
		key := fmt.Sprint("busy", i)
		return caller.ProcessAll(t.Context(), redis.NewStatusCmd(t.Context(), "set", key, 1), redis.NewIntCmd(t.Context(), "incr", key))
	}
	direct := queue(t, c, 0, 8, incr) // these are sent by themselves
	h.await(t, 8)
	first := queue(t, c, 2, 1, incr) // and these keep both senders busy
	h.await(t, 8+1)
	second := queue(t, c, 4, 1, incr)
	h.await(t, 8+2)
	wait := queue(t, c, 4+30+30+30*3, 90, func(i int) error {
		key := fmt.Sprint("k", i)
		switch i % 3 {
		case 0:
			return b.Set(t.Context(), key, i, time.Minute).Err()
		case 1:
			if got, err := caller.Run(t.Context(), script, []string{key}, i).Int(); got != i || err != nil {
				return fmt.Errorf("got %d, %w", got, err)
			}
			return nil
		}
		set, incr, get := redis.NewStatusCmd(t.Context(), "set", key, i, "px", 60_000), redis.NewIntCmd(t.Context(), "incr", key), redis.NewStringCmd(t.Context(), "get", key)
		if err := caller.ProcessAll(t.Context(), set, incr, get); err != nil || incr.Val() != int64(i)+1 || get.Val() != fmt.Sprint(i+1) {
			return fmt.Errorf("got %v, %v, %v, %w", set, incr, get, err)
		}
		return nil
	})
	h.let()
	for _, end := range []func(){direct, first, second, wait} {
		end()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if got := len(h.batches) - (8 + 2); got > 1 { // of 150 commands
		t.Errorf("they went in %d batches, want one", got)
	}
	last := h.batches[len(h.batches)-1]
	for i := 2; i < 90; i += 3 {
		at := slices.Index(last, fmt.Sprintf("[set k%d %d px 60000]", i, i))
		if want := []string{fmt.Sprintf("[incr k%d]", i), fmt.Sprintf("[get k%d]", i)}; at < 0 || !slices.Equal(last[at+1:at+3], want) {
			t.Errorf("group %d is not together", i)
		}
	}
}

// A call that is cancelled ends at once, and the others of its batch are served. It is
// not executed if no sender had taken its batch, and once if one had.
func TestOneMemberOfABatchIsCancelled(t *testing.T) {
	s := redistest.NewServer(t)
	h, c := hold(t, s)
	b := c.Batched()
	caller := bounded.New(b.(bounded.Client))
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("own cause")
	var gone sync.WaitGroup
	cancelled := func(cmds ...redis.Cmder) error {
		err := caller.ProcessAll(ctx, cmds...)
		gone.Done()
		if !errors.Is(err, bounded.ErrAbandoned) || !errors.Is(err, cause) {
			return fmt.Errorf("got %w", err)
		}
		return nil
	}
	incr := func(key string) redis.Cmder { return redis.NewIntCmd(t.Context(), "incr", key) }
	direct := queue(t, c, 0, 8, func(i int) error { return b.Incr(t.Context(), fmt.Sprint("direct", i)).Err() })
	h.await(t, 8)
	gone.Add(2)
	first := queue(t, c, 2, 1, func(int) error { return cancelled(incr("taken1a"), incr("taken1b")) })
	h.await(t, 8+1)
	second := queue(t, c, 4, 1, func(int) error { return cancelled(incr("taken2a"), incr("taken2b")) })
	h.await(t, 8+2)
	stay := queue(t, c, 4+20, 20, func(i int) error {
		if got, err := b.Incr(t.Context(), fmt.Sprint("stay", i)).Result(); got != 1 || err != nil {
			return fmt.Errorf("got %d, %w", got, err)
		}
		return nil
	})
	gone.Add(10)
	left := queue(t, c, 4+20+20, 10, func(i int) error {
		return cancelled(incr(fmt.Sprint("left", i, "a")), incr(fmt.Sprint("left", i, "b")))
	})
	cancel(cause)
	gone.Wait() // while everything is held
	h.let()
	for _, end := range []func(){direct, first, second, stay, left} {
		end()
	}
	redistest.NoErrors(t, c.Close(within(t, patience)))
	rdb := s.Client(t)
	for key, want := range map[string]string{"taken1a": "1", "taken2b": "1", "left0a": "", "left9b": "", "stay0": "1", "stay19": "1"} {
		if got := rdb.Get(t.Context(), key).Val(); got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
}

// Groups of many callers have their own replies and errors on every topology, beside
// other calls, also where their keys are on several nodes.
func TestBatchedGroupsAreTheCallersOwn(t *testing.T) {
	script := redis.NewScriptServerSHA("return {KEYS[1], ARGV[1]}")
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		c := open(t, g.URL)
		b, ctx, prefix := c.Batched(), within(t, patience), redistest.Prefix(t)
		caller := bounded.New(b.(bounded.Client))
		redistest.NoErrors(t, caller.Run(ctx, script, []string{prefix}, "").Err())
		for i, err := range together(100, func(i int) error {
			for round := range 5 {
				key, want := fmt.Sprint(prefix, i), fmt.Sprint(i, ".", round)
				set := redis.NewStatusCmd(ctx, "set", key, want, "px", 60_000)
				get := redis.NewStringCmd(ctx, "get", key)
				wrong := redis.NewMapStringStringCmd(ctx, "hgetall", key)
				elsewhere := redis.NewIntCmd(ctx, "incr", key+"other")
				unknown := redis.NewCmd(ctx, "evalsha", "0000", 1, key)
				missing := redis.NewStringCmd(ctx, "get", key+"missing")
				if err := caller.ProcessAll(ctx, set, get, wrong, elsewhere, unknown, missing); err != nil {
					return err
				}
				if get.Val() != want || errors.Join(set.Err(), get.Err(), elsewhere.Err()) != nil || elsewhere.Val() != int64(round)+1 {
					return fmt.Errorf("got %v, %v, %v", set, get, elsewhere)
				}
				if !redis.HasErrorPrefix(wrong.Err(), "WRONGTYPE") || !redis.HasErrorPrefix(unknown.Err(), "NOSCRIPT") || !errors.Is(missing.Err(), redis.Nil) {
					return fmt.Errorf("errors: %v, %v, %v", wrong, unknown, missing)
				}
				if got, err := caller.Run(ctx, script, []string{key}, want).StringSlice(); err != nil || !slices.Equal(got, []string{key, want}) {
					return fmt.Errorf("script: got %v, %w", got, err)
				}
				if got, err := b.Get(ctx, key).Result(); got != want || err != nil {
					return fmt.Errorf("GET: got %q, %w", got, err)
				}
			}
			return nil
		}) {
			if err != nil {
				t.Fatalf("caller %d: %v", i, err)
			}
		}
		if c.Stats().Batched < 1000 { // of 4000
			t.Errorf("%d were batched: the test shows nothing", c.Stats().Batched)
		}
	})
}

// A command that cannot be sent, such as one with a value that has no encoding, fails
// alone.
func TestAnArgumentThatCannotBeSentFailsItsCallAlone(t *testing.T) {
	c := open(t, redistest.Standalone(t).URL)
	b, key := c.Batched(), redistest.Prefix(t)
	for i, err := range together(100, func(i int) error {
		for range 20 {
			if i%10 == 0 {
				bad := redis.NewStatusCmd(t.Context(), "set", key, struct{}{})
				err := b.(bounded.Batcher).ProcessAll(t.Context(), bad, redis.NewStringCmd(t.Context(), "get", key))
				if errs := []error{bad.Err(), b.Do(t.Context(), "set", key, struct{}{}).Err()}; err != nil || slices.Contains(errs, nil) {
					return fmt.Errorf("want errors, got %v, %w", errs, err)
				}
			} else if err := b.Set(t.Context(), fmt.Sprint(key, i), i, time.Minute).Err(); err != nil {
				return err
			}
		}
		return nil
	}) {
		if err != nil {
			t.Errorf("caller %d: %v", i, err)
		}
	}
	if c.Stats().Batched == 0 {
		t.Error("nothing was batched: the test shows nothing")
	}
}

// While a master of a cluster hangs, calls for its keys wait; all others are batched
// and served as ever.
func TestAHungNodeDelaysItsKeysOnly(t *testing.T) {
	nodes := redistest.NewCluster(t, 0, redistest.WithArgs("--cluster-require-full-coverage", "no"))
	hung := nodes.MasterOf(t, "k")
	c := open(t, nodes.Target().URL, connect.WithTimeouts(connect.Timeouts{Read: time.Minute}))
	redistest.NoErrors(t, c.Ready(within(t, patience)))
	b, ctx := c.Batched(), within(t, 2*patience)
	caller := bounded.New(b.(bounded.Client))
	var living []string
	for i := 0; len(living) < 50; i++ {
		if key := fmt.Sprint("l", i); nodes.MasterOf(t, key) != hung {
			living = append(living, key)
		}
	}
	hung.Pause()
	wait := queue(t, c, 24, 8+24, func(i int) error { return b.Incr(ctx, fmt.Sprint("{k}", i)).Err() })
	for i, err := range together(100, func(i int) error {
		key, other := living[i%len(living)], living[(i+1)%len(living)]
		for range 10 {
			if err := b.Set(ctx, key, i, time.Minute).Err(); err != nil {
				return err
			}
			get, set := redis.NewStringCmd(ctx, "get", key), redis.NewStatusCmd(ctx, "set", other, i, "px", 60_000)
			if err := errors.Join(caller.ProcessAll(ctx, get, set), get.Err(), set.Err()); err != nil {
				return err
			}
		}
		return nil
	}) {
		if err != nil {
			t.Errorf("caller %d: %v", i, err)
		}
	}
	if got := c.Stats(); got.Batched < 24+2000 || got.InFlight == 0 {
		t.Errorf("%d of 3000 were batched, %d calls wait for the node that hangs", got.Batched-24, got.InFlight)
	}
	hung.Resume()
	wait()
}

// The commands of a group follow a slot that moves, each by itself: one key has moved
// already, another has not.
func TestBatchedGroupsFollowASlotThatMoves(t *testing.T) {
	nodes := redistest.NewCluster(t, 0)
	c := open(t, nodes.Target().URL)
	b := c.Batched()
	caller := bounded.New(b.(bounded.Client))
	redistest.NoErrors(t, b.Set(t.Context(), "{k}moved", "m", time.Minute).Err(), b.Set(t.Context(), "{k}stays", "s", time.Minute).Err())
	move := nodes.OpenSlot(t, "k")
	move.Migrate(t, "{k}moved")
	ask := func(round string) {
		for i, err := range together(64, func(i int) error {
			for range 5 {
				moved, stays, elsewhere := redis.NewStringCmd(t.Context(), "get", "{k}moved"), redis.NewStringCmd(t.Context(), "get", "{k}stays"), redis.NewIntCmd(t.Context(), "incr", fmt.Sprint(round, i))
				both := redis.NewCmd(t.Context(), "eval", "return 1", 2, "{k}moved", "{k}stays")
				both.SetFirstKeyPos(3)
				if err := caller.ProcessAll(t.Context(), moved, both, stays, elsewhere); err != nil || moved.Val() != "m" || stays.Val() != "s" || elsewhere.Err() != nil {
					return fmt.Errorf("got %v, %v, %v, %w", moved, stays, elsewhere, err)
				}
				if refused := redis.HasErrorPrefix(both.Err(), "TRYAGAIN"); refused != (round == "half") {
					return fmt.Errorf("a script with both keys: %w", both.Err())
				}
			}
			return nil
		}) {
			if err != nil {
				t.Errorf("%s, caller %d: %v", round, i, err)
			}
		}
	}
	ask("half")
	move.Finish(t)
	ask("moved")
	if c.Stats().Batched == 0 {
		t.Error("nothing was batched: the test shows nothing")
	}
}
