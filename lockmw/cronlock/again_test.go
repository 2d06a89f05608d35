package cronlock_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw"
	"github.com/redishttp/redishttp/lockmw/cronlock"
)

// saboteur breaks the network at the next script that a client sends, until the
// call is over.
type saboteur struct {
	mu    sync.Mutex
	armed bool
	begin func()
	end   func()
}

func (s *saboteur) arm(begin, end func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.armed, s.begin, s.end = true, begin, end
}

func (s *saboteur) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (s *saboteur) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (s *saboteur) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if name := cmd.Name(); name != "evalsha" && name != "eval" {
			return next(ctx, cmd)
		}
		s.mu.Lock()
		strikes, begin, end := s.armed, s.begin, s.end
		s.armed = false
		s.mu.Unlock()
		if strikes {
			end := sync.OnceFunc(end)
			begin()
			defer end()
			defer context.AfterFunc(ctx, end)() // the caller no longer waits
		}
		return next(ctx, cmd)
	}
}

// A tick whose begin is answered into a broken connection, or not at all, is
// asked for again by the same owner, and runs: here, once, and with no takeover.
func TestALostBeginIsAskedForAgain(t *testing.T) {
	const ticks = 12
	faults := map[string]func(*redistest.Proxy){
		"reset": func(p *redistest.Proxy) { p.ResetMidReply(1) }, "swallow": (*redistest.Proxy).SwallowReplies, "mute": (*redistest.Proxy).Mute, "refuse": (*redistest.Proxy).Refuse,
	}
	for fault, breakIt := range faults {
		for _, defaults := range []bool{false, true} {
			t.Run(fault+map[bool]string{true: "/with go-redis' defaults"}[defaults], func(t *testing.T) {
				t.Parallel()
				s := redistest.Standalone(t)
				direct, prefix := s.Client(t), redistest.Prefix(t)
				proxy := redistest.NewProxy(t, addr(t, direct))
				opts := &redis.Options{Addr: proxy.Addr(), ContextTimeoutEnabled: true, MaxRetries: -1}
				if defaults {
					opts = &redis.Options{Addr: proxy.Addr()}
				}
				through := redis.NewClient(opts)
				t.Cleanup(func() { _ = through.Close() })
				saboteur := &saboteur{}
				through.AddHook(saboteur)
				var ran, elsewhere atomic.Int64
				short := []cronlock.Option{cronlock.WithKeyPrefix(prefix), cronlock.WithTimeout(400 * time.Millisecond)}
				cut := job(t, runner(t, through, short...), func(context.Context) error { ran.Add(1); return nil })
				other := job(t, runner(t, direct, short...), func(context.Context) error { elsewhere.Add(1); return nil })
				first := time.Now().Add(-time.Minute)
				if o, err := cut.Run(t.Context(), first); o != cronlock.Ran || err != nil { // the server knows the script
					t.Fatalf("got %s, %v", o, err)
				}
				n := ticks
				if fault == "swallow" || fault == "mute" { // each takes a timeout
					n = 2
				}
				for i := range n {
					tick := first.Add(time.Duration(i+1) * time.Second)
					saboteur.arm(func() { breakIt(proxy) }, func() {
						proxy.CloseConns()
						proxy.Heal()
					})
					if o, err := cut.Run(t.Context(), tick); o != cronlock.Ran || err != nil {
						t.Errorf("tick %d: got %s, %v", i, o, err)
					}
					if o, err := other.Run(t.Context(), tick); o != "already" || err != nil {
						t.Errorf("tick %d, another instance: got %s, %v", i, o, err)
					}
				}
				if ran.Load() != int64(n+1) || elsewhere.Load() != 0 {
					t.Errorf("%d and %d runs of %d ticks", ran.Load(), elsewhere.Load(), n+1)
				}
			})
		}
	}
}

func addr(t *testing.T, rdb redis.UniversalClient) string {
	t.Helper()
	c, ok := rdb.(*redis.Client)
	if !ok {
		t.Fatalf("a %T", rdb)
	}
	return c.Options().Addr
}

// What Redis itself answers for one job concerns that job: other
// jobs run.
func TestAnAnswerConcernsItsJob(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		rdb := g.Client(t)
		r := runner(t, rdb)
		var ran atomic.Int64
		count := func(context.Context) error { ran.Add(1); return nil }
		broken, err := r.Job("broken", count)
		if err != nil {
			t.Fatal(err)
		}
		whole, err := r.Job("whole", count)
		if err != nil {
			t.Fatal(err)
		}
		rdb.Set(t.Context(), broken.Key(), "of another type", time.Minute)
		tick := time.Now().Add(-time.Minute)
		for i := range 10 { // more than any breaker bears
			if o, err := broken.Run(t.Context(), tick.Add(time.Duration(i)*time.Second)); o != "failed" || !errors.Is(err, lockmw.ErrUnavailable) {
				t.Errorf("got %s, %v", o, err)
			}
			if o, err := whole.Run(t.Context(), tick.Add(time.Duration(i)*time.Second)); o != cronlock.Ran || err != nil {
				t.Errorf("the other job: got %s, %v", o, err)
			}
		}
		if ran.Load() != 10 {
			t.Errorf("%d runs", ran.Load())
		}
		rdb.Del(t.Context(), broken.Key())
		if o, err := broken.Run(t.Context(), tick); o != cronlock.Ran || err != nil {
			t.Errorf("when it is mended: %s, %v", o, err)
		}
	})
}
