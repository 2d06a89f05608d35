package connect_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/connect"
	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/internal/unavailable"
)

// Every call of a connection says with one error that Redis cannot be used.
func TestErrUnavailableInEveryCall(t *testing.T) {
	p := redistest.NewProxy(t, redistest.NewServer(t).Addr())
	calls := map[string]func(context.Context, redis.UniversalClient) error{
		"get": func(ctx context.Context, rdb redis.UniversalClient) error { return rdb.Get(ctx, "k").Err() },
		"set": func(ctx context.Context, rdb redis.UniversalClient) error { return rdb.Set(ctx, "k", 1, 0).Err() },
		"script": func(ctx context.Context, rdb redis.UniversalClient) error {
			return rdb.Eval(ctx, "return 1", nil).Err()
		},
		"do":       func(ctx context.Context, rdb redis.UniversalClient) error { return rdb.Do(ctx, "ping").Err() },
		"publish":  func(ctx context.Context, rdb redis.UniversalClient) error { return rdb.Publish(ctx, "c", "m").Err() },
		"pipeline": func(ctx context.Context, rdb redis.UniversalClient) error { return pipelined(ctx, rdb) },
	}
	for state, fault := range map[string]func(){"hung": p.Mute, "down": p.Refuse} {
		fault()
		c := open(t, "redis://"+p.Addr(), connect.WithTimeouts(connect.Timeouts{Dial: 30 * time.Millisecond, Read: 30 * time.Millisecond}), connect.WithBatching(1))
		for client, rdb := range map[string]redis.UniversalClient{"client": c.Client(), "batched": c.Batched()} {
			for name, call := range calls {
				for range 7 { // the last are rejected by the breaker
					if err := call(t.Context(), rdb); !errors.Is(err, connect.ErrUnavailable) || !errors.Is(err, unavailable.Err) {
						t.Errorf("%s, %s, %s: got %v, want ErrUnavailable", state, client, name, err)
					}
				}
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if err := c.Ready(ctx); !errors.Is(err, connect.ErrUnavailable) {
			t.Errorf("%s: Ready: got %v, want ErrUnavailable", state, err)
		}
		if h := c.Health(ctx); h.OK || !strings.Contains(h.Error, connect.ErrUnavailable.Error()) {
			t.Errorf("%s: Health: got %+v", state, h)
		}
		cancel()
		p.Heal()
	}
}

func pipelined(ctx context.Context, rdb redis.UniversalClient) error {
	pipe := rdb.Pipeline()
	pipe.Get(ctx, "a")
	last := pipe.Incr(ctx, "b")
	if _, err := pipe.Exec(ctx); err == nil {
		return nil
	}
	return last.Err()
}

// A batched call whose time runs out means the same as one that is not batched.
func TestErrUnavailableOfABatchedCall(t *testing.T) {
	p := redistest.NewProxy(t, redistest.NewServer(t).Addr())
	c := open(t, "redis://"+p.Addr(), connect.WithBatching(1))
	if err := c.Ready(within(t, patience)); err != nil {
		t.Fatal(err)
	}
	p.SwallowReplies()
	const callers = 8
	errs := make(chan error, callers)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	for range callers {
		go func() { errs <- c.Batched().Incr(ctx, "n").Err() }()
	}
	for range callers {
		if err := <-errs; !errors.Is(err, connect.ErrUnavailable) {
			t.Errorf("got %v, want ErrUnavailable", err)
		}
	}
	if c.Stats().Batched == 0 {
		t.Error("nothing was batched")
	}
	gone, leave := context.WithCancel(t.Context())
	leave()
	if err := c.Batched().Incr(gone, "n").Err(); !errors.Is(err, context.Canceled) || errors.Is(err, connect.ErrUnavailable) {
		t.Errorf("a caller that has left: got %v, want context.Canceled alone", err)
	}
}

// A server that answers that it cannot serve is unavailable too, and a caller's
// own mistake is not.
func TestErrUnavailableOfWhatRedisAnswers(t *testing.T) {
	server := redistest.NewServer(t, redistest.WithArgs("--min-replicas-to-write", "1"))
	c := open(t, server.URL())
	ctx := within(t, patience)
	write := c.Client().Set(ctx, "k", 1, 0).Err()
	if !errors.Is(write, connect.ErrUnavailable) || !redis.HasErrorPrefix(write, "NOREPLICAS") {
		t.Errorf("a write without replicas: got %v, want ErrUnavailable", write)
	}
	pipe := c.Client().Pipeline()
	first, read, last := pipe.Set(ctx, "k", 1, 0), pipe.Get(ctx, "k"), pipe.Incr(ctx, "n")
	_, err := pipe.Exec(ctx)
	for name, err := range map[string]error{"exec": err, "first": first.Err(), "last": last.Err()} {
		if !errors.Is(err, connect.ErrUnavailable) {
			t.Errorf("%s of a pipeline: got %v, want ErrUnavailable", name, err)
		}
	}
	if err := read.Err(); err != redis.Nil {
		t.Errorf("a read beside them: got %v, want redis.Nil", err)
	}
	for name, err := range map[string]error{
		"no script":   c.Client().EvalSha(ctx, strings.Repeat("0", 40), nil).Err(),
		"no such key": c.Client().Get(ctx, "k").Err(),
		"no command":  c.Client().Do(ctx, "nonsense").Err(),
	} {
		if err == nil || errors.Is(err, connect.ErrUnavailable) {
			t.Errorf("%s: got %v, want go-redis' own error", name, err)
		}
	}
	if stats := c.Stats(); stats.Opened != 0 {
		t.Error("answers opened the breaker")
	}
}

// In a batch too, each command has the error that Redis gave it.
func TestErrUnavailableOfWhatRedisAnswersToABatch(t *testing.T) {
	server := redistest.NewServer(t, redistest.WithArgs("--min-replicas-to-write", "1"))
	c := open(t, server.URL(), connect.WithBatching(1))
	ctx := within(t, patience)
	rdb := c.Batched()
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			switch {
			case i%2 == 0:
				if err := rdb.Incr(ctx, "n").Err(); !errors.Is(err, connect.ErrUnavailable) || !redis.HasErrorPrefix(err, "NOREPLICAS") {
					t.Errorf("a write: got %v, want ErrUnavailable", err)
				}
			default:
				if err := rdb.Get(ctx, "n").Err(); err != redis.Nil {
					t.Errorf("a read: got %v, want redis.Nil", err)
				}
			}
		})
	}
	wg.Wait()
	if c.Stats().Batched == 0 {
		t.Error("nothing was batched")
	}
}
