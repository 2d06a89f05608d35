package bounded_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/bounded"
	"github.com/redishttp/redishttp/internal/redistest"
)

func TestIntsOnEveryTopology(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		rdb := g.Client(t)
		c, key := bounded.New(rdb), redistest.Prefix(t)
		script := redis.NewScriptServerSHA("return {redis.call('INCRBY', KEYS[1], ARGV[1]), #KEYS, #ARGV}")
		for i := range 3 {
			count := redistest.Count(rdb)
			got, err := c.Ints(t.Context(), script, []string{key}, 7, "x")
			if want := int64(7 * (i + 1)); err != nil || len(got) != 3 || got[0] != want || got[1] != 1 || got[2] != 2 {
				t.Fatalf("call %d: got %v, %v, want [%d 1 2]", i, got, err, want)
			}
			if trips := count.Trips(); i > 0 && trips != 1 {
				t.Errorf("call %d: %d round trips, want one", i, trips)
			}
		}
	})
}

func TestIntsFailures(t *testing.T) {
	s := redistest.NewServer(t)
	for name, rdb := range clients(t, s.Addr()) {
		t.Run(name, func(t *testing.T) {
			c, key := bounded.New(rdb), redistest.Prefix(t)
			count := redis.NewScriptServerSHA("return {redis.call('INCR', KEYS[1])}")
			for want := range int64(2) {
				if got, err := c.Ints(t.Context(), count, []string{key}); err != nil || got[0] != want+1 {
					t.Fatalf("got %v, %v", got, err)
				}
			}
			s.FlushScripts(t)
			if got, err := c.Ints(t.Context(), count, []string{key}); err != nil || got[0] != 3 {
				t.Errorf("after SCRIPT FLUSH: got %v, %v, want [3]", got, err)
			}
			for source, want := range map[string]string{
				"return redis.error_reply('OWN error')": "OWN error",
				"return {'a'}":                          "strconv",
				"redis.call('SET', KEYS[1], 'x'); redis.call('HGET', KEYS[1], 'f')": "WRONGTYPE",
			} {
				got, err := c.Ints(t.Context(), redis.NewScriptServerSHA(source), []string{key})
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("%s: got %v, %v, want an error with %q", source, got, err, want)
				}
			}
		})
	}
}

// A script whose reply is lost with its connection is not sent again, although
// go-redis' defaults retry three times.
func TestScriptsAreNotRetriedAfterAReset(t *testing.T) {
	s := redistest.NewServer(t)
	direct := s.Client(t)
	p := redistest.NewProxy(t, s.Addr())
	script := redis.NewScriptServerSHA("return {redis.call('INCR', KEYS[1])}")
	for name, rdb := range clients(t, p.Addr()) {
		c := bounded.New(rdb)
		for how, call := range map[string]func(key string) error{
			"Ints": func(key string) error { _, err := c.Ints(t.Context(), script, []string{key}); return err },
			"Run":  func(key string) error { return c.Run(t.Context(), script, []string{key}).Err() },
			"Eval": func(key string) error {
				return c.Eval(t.Context(), "return redis.call('INCR', KEYS[1])", []string{key}).Err()
			},
		} {
			key := redistest.Prefix(t)
			if err := call(key); err != nil { // the connection is open and the script known
				t.Fatal(err)
			}
			p.ResetMidReply(1)
			if err := call(key); err == nil {
				t.Errorf("%s, %s: no error although the reply was lost", name, how)
			}
			p.Heal()
			if n, _ := direct.Get(t.Context(), key).Int(); n != 2 {
				t.Errorf("%s, %s: ran %d times, want twice", name, how, n)
			}
		}
	}
}

// Loading a script is bounded like running it.
func TestLoadingEndsWithItsContext(t *testing.T) {
	s := redistest.NewServer(t)
	p := redistest.NewProxy(t, s.Addr())
	for name, rdb := range clients(t, p.Addr()) {
		c := bounded.New(rdb)
		if err := c.Process(t.Context(), redis.NewStatusCmd(t.Context(), "ping")); err != nil {
			t.Fatal(err)
		}
		p.Mute()
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		start := time.Now()
		err := c.Run(ctx, redis.NewScriptServerSHA("return 1"), []string{"k"}).Err()
		if took := time.Since(start); !errors.Is(err, context.DeadlineExceeded) && !isTimeout(err) || took > 2*time.Second {
			t.Errorf("%s: got %v after %v, want a timeout at 50ms", name, err, took)
		}
		cancel()
		p.CloseConns()
		p.Heal()
	}
}

func isTimeout(err error) bool {
	timeout, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err)
	return ok && timeout.Timeout()
}

// Calls that share a script that is new to the process and the server.
func TestConcurrentFirstCalls(t *testing.T) {
	for name, rdb := range clients(t, redistest.NewServer(t).Addr()) {
		c, key := bounded.New(rdb), redistest.Prefix(t)
		script := redis.NewScriptServerSHA("return {redis.call('INCR', KEYS[1])}")
		var wg sync.WaitGroup
		for range 32 {
			wg.Go(func() {
				if _, err := c.Ints(t.Context(), script, []string{key}); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			})
		}
		wg.Wait()
		if n, err := rdb.Get(t.Context(), key).Int(); n != 32 || err != nil {
			t.Errorf("%s: ran %d times, %v, want 32", name, n, err)
		}
	}
}
