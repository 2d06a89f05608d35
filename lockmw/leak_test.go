package lockmw_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw"
)

// left returns what is left in Redis of locks without holders and waiters: a
// holder, a place in a queue, or a mark of a waiter.
func left(t *testing.T, rdb *redis.Client, prefix string) (found []string) {
	t.Helper()
	for _, key := range rdb.Keys(t.Context(), prefix+"*{*").Val() {
		switch {
		case strings.HasSuffix(key, ":q"):
			found = append(found, fmt.Sprintf("%s has %d waiters", key, rdb.ZCard(t.Context(), key).Val()))
		case strings.HasSuffix(key, ":qp"):
			found = append(found, fmt.Sprintf("%s has marks of %d waiters", key, rdb.HLen(t.Context(), key).Val()))
		default:
			if owner, _ := state(rdb.Get(t.Context(), key).Val()); owner != "" {
				found = append(found, key+" is held by "+owner)
			}
		}
	}
	return found
}

// state parses the string of a lock in Redis: who holds it, or has a
// reservation, and the first of its sixteen fences.
func state(v string) (owner string, fence uint64) {
	parts := strings.Split(v, "|")
	if len(parts) != 5 {
		return "", 0
	}
	fence, _ = strconv.ParseUint(parts[3], 10, 64)
	return parts[0][1:], fence
}

// nothingIsLeft waits until nothing is left, for a second.
func nothingIsLeft(t *testing.T, rdb *redis.Client, prefix string) {
	t.Helper()
	late, start := lateness(), time.Now()
	var found []string
	redistest.Eventually(t, patience, func() bool { found = left(t, rdb, prefix); return len(found) == 0 }, "%v", &found)
	took := time.Since(start)
	if worst := late(); took > time.Second+worst {
		t.Errorf("something was left for %v, want a second; timers were up to %v late", took, worst)
	}
}

// A thousand callers give up at random moments: while they acquire, wait, hold and
// release, over connections that delay each answer, and over those that die.
func TestAThousandCancellations(t *testing.T) {
	for _, tc := range []struct {
		name    string
		trouble func(*redistest.Proxy)
		allowed error // besides ErrBusy
	}{
		{"delayed", func(p *redistest.Proxy) { p.Delay(time.Duration(rand.IntN(3000)) * time.Microsecond) }, nil},
		{"and cut", func(p *redistest.Proxy) {
			p.Delay(time.Duration(rand.IntN(2000)) * time.Microsecond)
			if rand.IntN(10) == 0 {
				p.CloseConns()
			}
		}, lockmw.ErrUnavailable},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := redistest.NewServer(t)
			p := redistest.NewProxy(t, s.Addr())
			prefix := redistest.Prefix(t)
			quit := make(chan struct{})
			var trouble sync.WaitGroup
			trouble.Go(func() {
				for {
					select {
					case <-quit:
						return
					case <-time.After(10 * time.Millisecond):
						tc.trouble(p)
					}
				}
			})
			var cancelled points
			var wg sync.WaitGroup
			for process := range 4 {
				rdb := redis.NewClient(&redis.Options{Addr: p.Addr()})
				t.Cleanup(func() { _ = rdb.Close() })
				l := locker(t, rdb, lockmw.WithKeyPrefix(prefix), lockmw.WithTTL(time.Minute), lockmw.WithTimeout(5*time.Second))
				for caller := range 6 {
					wg.Go(func() {
						for start := time.Now(); !cancelled.enough() && time.Since(start) < 2*patience; {
							key, when := "hot", rand.IntN(done)
							if when != inLine {
								key = fmt.Sprint(process, caller) // no other uses it
							}
							if err := cancelled.once(t.Context(), l, key, when); err != nil && !errors.Is(err, lockmw.ErrBusy) && (tc.allowed == nil || !errors.Is(err, tc.allowed)) {
								t.Errorf("got %v", err)
							}
						}
					})
				}
			}
			wg.Wait()
			close(quit)
			trouble.Wait()
			p.Heal()
			nothingIsLeft(t, s.Client(t), prefix)
			t.Logf("cancelled while acquiring %d, waiting %d, holding %d, releasing %d", cancelled[acquiring].Load(), cancelled[inLine].Load(), cancelled[holding].Load(), cancelled[releasing].Load())
			if !cancelled.enough() {
				t.Error("these are not a thousand, with a hundred of each")
			}
			l := locker(t, s.Client(t), lockmw.WithKeyPrefix(prefix))
			if info, err := l.Inspect(t.Context(), "hot"); err != nil || info.Held || info.Waiters != 0 {
				t.Errorf("got %+v, %v", info, err)
			}
			acquire(t, l, "hot").Release(t.Context())
		})
	}
}

// What a caller does when it is cancelled.
const (
	acquiring = iota
	inLine
	holding
	releasing
	done
)

// points count cancellations by what the caller did.
type points [done]atomic.Int32

func (p *points) enough() bool {
	sum := int32(0)
	for i := range p {
		n := p[i].Load()
		if n < 100 {
			return false
		}
		sum += n
	}
	return sum >= 1000
}

// once takes a lock and lets it go, and is cancelled at some moment while it
// does one of these.
func (p *points) once(ctx context.Context, l *lockmw.Locker, key string, when int) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second) // not forever behind a lock that was never released
	defer cancel()
	var doing atomic.Int32
	begin := func(what int) {
		doing.Store(int32(what))
		if what == when {
			time.AfterFunc(time.Duration(rand.IntN(4000))*time.Microsecond, func() {
				if doing.Load() == int32(when) {
					p[when].Add(1)
				}
				cancel()
			})
		}
	}
	defer doing.Store(done)
	begin(min(when, inLine)) // waiting is for the key of all
	k, err := l.Acquire(ctx, key)
	if err != nil {
		return err
	}
	begin(holding)
	select {
	case <-k.Context().Done():
	case <-time.After(time.Duration(rand.IntN(4000)) * time.Microsecond):
	}
	begin(releasing)
	return k.Release(ctx)
}

// A command that was given up may reach Redis later than what takes it back.
// That must not leave the lock held for a lease.
func TestALateAcquireLeavesNothingHeld(t *testing.T) {
	s := redistest.NewServer(t)
	p := redistest.NewProxy(t, s.Addr())
	prefix := redistest.Prefix(t)
	rdb := redis.NewClient(&redis.Options{Addr: p.Addr()})
	t.Cleanup(func() { _ = rdb.Close() })
	l := locker(t, rdb, lockmw.WithKeyPrefix(prefix), lockmw.WithTTL(time.Minute), lockmw.WithTimeout(50*time.Millisecond))
	direct := s.Client(t)
	redistest.Eventually(t, patience, func() bool {
		k, err := l.TryAcquire(t.Context(), "warm")
		return err == nil && k.Release(t.Context()) == nil
	}, "not warm")
	for round := range 10 {
		p.Mute()
		for i := range 4 {
			if _, err := l.TryAcquire(t.Context(), fmt.Sprint(round, "/", i)); !errors.Is(err, lockmw.ErrUnavailable) {
				t.Errorf("got %v, want ErrUnavailable", err)
			}
		}
		p.Heal()
		nothingIsLeft(t, direct, prefix)
	}
}

// A panic of a hook, or of the client, reaches the caller and leaves nothing
// held: not in Redis, and not for the waiters of the process.
func TestPanicsLeaveNothingHeld(t *testing.T) {
	s := redistest.NewServer(t)
	for name, tc := range map[string]struct {
		hooks  lockmw.Hooks
		client bool
	}{
		"acquired": {hooks: lockmw.Hooks{Acquired: func(context.Context, uint64, time.Duration) { panic("hook") }}},
		"released": {hooks: lockmw.Hooks{Released: func(context.Context, uint64, time.Duration) { panic("hook") }}},
		"client":   {client: true},
	} {
		t.Run(name, func(t *testing.T) {
			prefix := redistest.Prefix(t)
			rdb := s.Client(t)
			var armed atomic.Bool
			rdb.AddHook(panicHook{&armed})
			l, err := lockmw.New(rdb, lockmw.WithKeyPrefix(prefix), lockmw.WithKey(byPath), lockmw.WithHooks(tc.hooks), lockmw.WithTimeout(time.Second))
			if err != nil {
				t.Fatal(err)
			}
			h := l.Handler(http.NotFoundHandler())
			if tc.client { // it knows the scripts, so that only the call that grants panics
				request(h, "POST", "/warm")
			}
			rounds := 3
			if tc.client { // what cleans up in the background must not meet the next panic
				rounds = 1
			}
			for range rounds {
				armed.Store(tc.client)
				func() {
					defer func() {
						if recover() == nil {
							t.Error("the panic was swallowed")
						}
					}()
					request(h, "POST", "/p")
				}()
			}
			nothingIsLeft(t, s.Client(t), prefix)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			if err := l.Close(ctx); err != nil {
				t.Errorf("close: %v", err)
			}
		})
	}
}

// panicHook panics once a command was executed, while it is armed.
type panicHook struct{ armed *atomic.Bool }

func (panicHook) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h panicHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if h.armed.Swap(false) {
			panic("client")
		}
		return err
	}
}

func (panicHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
