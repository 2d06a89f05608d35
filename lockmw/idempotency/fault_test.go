package idempotency_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw"
	"github.com/redishttp/redishttp/lockmw/idempotency"
)

// saboteur breaks the network at a client's nth call, and mends it when that
// call is over.
type saboteur struct {
	mu    sync.Mutex
	left  int
	begin func()
	end   func()
}

func (s *saboteur) arm(n int, begin, end func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left, s.begin, s.end = n, begin, end
}

func (s *saboteur) struck() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.left <= 0
}

func (s *saboteur) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (s *saboteur) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (s *saboteur) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if name := cmd.Name(); name != "hmget" && name != "evalsha" && name != "eval" && name != "set" { // SET … IFEQ releases the lock
			return next(ctx, cmd)
		}
		s.mu.Lock()
		s.left--
		strikes, begin, end := s.left == 0, s.begin, sync.OnceFunc(s.end)
		s.mu.Unlock()
		if strikes {
			begin()
			defer end()
			context.AfterFunc(ctx, end) // the caller no longer waits
		}
		return next(ctx, cmd)
	}
}

var steps = []string{"look", "acquire", "begin", "finish", "release"}

// Each call of a first request fails in each way, for a moment or until the
// request is answered. The handler runs once in the end, and its answer is
// there for retries. With the options that go-redis has by default all of it is
// tried in a long run only.
func TestFaultsAtEachStep(t *testing.T) {
	const budget = 600 * time.Millisecond
	faults := map[string]func(*redistest.Proxy){
		"swallow": (*redistest.Proxy).SwallowReplies, "reset": func(p *redistest.Proxy) { p.ResetMidReply(1) },
		"mute": (*redistest.Proxy).Mute, "refuse": (*redistest.Proxy).Refuse,
	}
	for step, name := range steps {
		for fault, breakIt := range faults {
			for _, short := range []bool{true, false} {
				for _, defaults := range []bool{false, true} {
					if defaults && name != "finish" && !redistest.IsLong() {
						continue
					}
					t.Run(fmt.Sprintf("%s/%s/short=%v/defaults=%v", name, fault, short, defaults), func(t *testing.T) {
						t.Parallel()
						s := redistest.NewServer(t)
						p := redistest.NewProxy(t, s.Addr())
						opts := &redis.Options{Addr: p.Addr()}
						if !defaults {
							opts = s.Options()
							opts.Addr = p.Addr()
						}
						rdb := redis.NewClient(opts)
						t.Cleanup(func() { rdb.Close() })
						saboteur := &saboteur{end: func() {}}
						rdb.AddHook(saboteur)
						var runs atomic.Int32
						handler := paid(&runs)
						locks := locker(t, rdb, "p", lockmw.WithTimeout(budget))
						h := keeperOver(t, locks, rdb, "p", idempotency.WithTimeout(budget)).Handler(handler)
						direct := keeper(t, s.Client(t), "p").Handler(handler)
						post(h, "warm", "5")
						runs.Store(0)

						mend := func() {
							p.CloseConns()
							p.Heal()
						}
						end := mend
						if !short {
							end = func() {}
						}
						var w *httptest.ResponseRecorder
						var took time.Duration
						key := ""
						for range 10 { // a slow machine may not come to the step
							start := time.Now()
							key += "k"
							runs.Store(0)
							saboteur.arm(step+1, func() { breakIt(p) }, end)
							w, took = post(h, key, "5"), time.Since(start)
							if saboteur.struck() {
								break
							}
						}
						if !saboteur.struck() {
							t.Fatal("no fault")
						}
						mend()
						switch {
						case w.Code == 503:
							want(t, "first", w, 503, "unavailable")
							if runs.Load() != 0 {
								t.Error("it ran, and the client was told that it did not")
							}
							if short && (step >= 2 && took < 2*budget || step == 0 && (fault == "reset" || fault == "refuse") && !defaults) {
								t.Errorf("one lost reply of a record failed the request after %v", took)
							}
						default:
							wantAnswer(t, "first", w, 201, "payment 1 of 5", false)
						}
						redistest.Eventually(t, patience, func() bool {
							w = post(direct, key, "5")
							if w.Code == 409 { // until what was cut off is recorded
								want(t, "meanwhile", w, 409, "busy")
								if short && step >= 3 && took < 4*budget {
									t.Errorf("the client had its answer, after %v, before it was recorded", took)
								}
							}
							return w.Code != 409
						}, "not answered")
						if w.Code != 201 || w.Body.String() != "payment 1 of 5" || runs.Load() != 1 {
							t.Errorf("in the end %d runs, %d %s", runs.Load(), w.Code, w.Body)
						}
						redistest.Eventually(t, patience, func() bool { w = post(h, key, "5"); return w.Code != 503 }, "not back")
						wantAnswer(t, "retry", w, 201, "payment 1 of 5", true)
					})
				}
			}
		}
	}
}

// A Redis that is down or hangs: nothing runs, and the client is told in time.
func TestRedisDown(t *testing.T) {
	s := redistest.NewServer(t)
	rdb := s.Client(t)
	var runs, failed atomic.Int32
	locks := locker(t, rdb, "p", lockmw.WithTimeout(200*time.Millisecond))
	h := keeperOver(t, locks, rdb, "p", idempotency.WithTimeout(200*time.Millisecond), idempotency.WithHooks(idempotency.Hooks{
		Failed: func(_ context.Context, err error) {
			if failed.Add(1); !errors.Is(err, lockmw.ErrUnavailable) {
				t.Errorf("the hook got %v", err)
			}
		},
	})).Handler(paid(&runs))
	for _, fault := range []func(){s.Pause, s.Kill} {
		fault()
		start := time.Now()
		want(t, "without Redis", post(h, "k", "5"), 503, "unavailable")
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("took %v", took)
		}
	}
	if runs.Load() != 0 || failed.Load() != 2 {
		t.Errorf("%d runs, %d calls of the hook", runs.Load(), failed.Load())
	}
	s.Restart(t)
	redistest.Eventually(t, patience, func() bool { return post(h, "k", "5").Code == 201 }, "not back")
}

// Redis goes while the handler runs. Its client gets the answer all the same,
// and it is recorded when Redis is back, although the lock is long lost.
func TestAnswersAreRecordedLate(t *testing.T) {
	s := redistest.NewServer(t)
	rdb := s.Client(t)
	var runs atomic.Int32
	recorded := make(chan string, 1)
	locks := locker(t, rdb, "p", lockmw.WithTTL(1500*time.Millisecond), lockmw.WithTimeout(500*time.Millisecond))
	k := keeperOver(t, locks, rdb, "p", idempotency.WithTimeout(500*time.Millisecond), idempotency.WithHooks(idempotency.Hooks{
		Ran: func(_ context.Context, _ idempotency.Attempt, o string) { recorded <- o },
	}))
	h := k.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		runs.Add(1)
		s.Pause()
		<-r.Context().Done() // the lock is lost
		io.WriteString(w, "done")
	}))
	wantAnswer(t, "first", post(h, "k", "5"), 200, "done", false)
	select {
	case o := <-recorded:
		t.Errorf("recorded as %s by a Redis that does not answer", o)
	default:
	}
	s.Resume()
	select {
	case o := <-recorded:
		if o != "kept" {
			t.Errorf("recorded as %s", o)
		}
	case <-time.After(patience):
		t.Fatal("never recorded")
	}
	redistest.Eventually(t, patience, func() bool { return post(h, "k", "5").Code == 200 }, "not replayed")
	wantAnswer(t, "retry", post(h, "k", "5"), 200, "done", true)
	if runs.Load() != 1 {
		t.Errorf("%d runs", runs.Load())
	}
}

// One that is never recorded: the outcome is unknown, and it is not run again.
func TestAnswersThatAreNeverRecorded(t *testing.T) {
	s := redistest.NewServer(t)
	rdb := s.Client(t)
	var runs atomic.Int32
	failed := make(chan error, 10)
	k, err := idempotency.New(locker(t, rdb, "p", lockmw.WithTTL(1500*time.Millisecond), lockmw.WithTimeout(500*time.Millisecond)), rdb, user,
		idempotency.WithKeyPrefix("p"), idempotency.WithTimeout(500*time.Millisecond), idempotency.WithHooks(idempotency.Hooks{Failed: func(_ context.Context, err error) { failed <- err }}))
	if err != nil {
		t.Fatal(err)
	}
	h := k.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		runs.Add(1)
		s.Pause()
		io.WriteString(w, "done")
	}))
	wantAnswer(t, "first", post(h, "k", "5"), 200, "done", false)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := k.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("close: %v", err)
	}
	select {
	case err := <-failed:
		if !errors.Is(err, lockmw.ErrUnavailable) {
			t.Errorf("the hook got %v", err)
		}
	default:
		t.Error("the hook was not called")
	}
	s.Resume()
	other := keeper(t, rdb, "p").Handler(paid(&runs))
	w := post(other, "k", "5")
	redistest.Eventually(t, patience, func() bool { w = post(other, "k", "5"); return w.Code != 503 && w.Header().Get("Retry-After") == "" }, "not decided")
	// What was sent to the stopped server may have been executed after all.
	if w.Code == 200 {
		wantAnswer(t, "retry", w, 200, "done", true)
	} else {
		want(t, "retry", w, 409, "unknown-outcome")
	}
	if runs.Load() != 1 {
		t.Errorf("%d runs", runs.Load())
	}
}

// A lock that is lost before the handler runs: it does not run, and a retry does.
func TestALockLostBeforeItBegins(t *testing.T) {
	s := redistest.NewServer(t)
	rdb, direct := s.Client(t), s.Client(t)
	lost := make(chan struct{})
	locks := locker(t, rdb, "p", lockmw.WithTTL(1500*time.Millisecond), lockmw.WithTimeout(700*time.Millisecond),
		lockmw.WithHooks(lockmw.Hooks{Lost: func(context.Context, uint64, string) { close(lost) }}))
	var runs atomic.Int32
	h := keeperOver(t, locks, rdb, "p").Handler(paid(&runs))
	post(h, "warm", "5")
	saboteur := &saboteur{}
	rdb.AddHook(saboteur)
	saboteur.arm(3, func() {
		direct.Del(context.Background(), direct.Keys(context.Background(), "pl:*").Val()...)
		select {
		case <-lost:
		case <-time.After(patience):
			t.Error("not lost")
		}
	}, func() {})
	want(t, "first", post(h, "k", "5"), 503, "unavailable")
	if runs.Load() != 1 {
		t.Errorf("%d runs, one of them the other key's", runs.Load())
	}
	redistest.Eventually(t, patience, func() bool { return post(h, "k", "5").Code == 201 }, "not run by a retry")
}

// A begin that is held up on its way until the request was given up, and
// forgotten, does not block the key.
func TestALateBegin(t *testing.T) {
	s := redistest.NewServer(t)
	rdb := s.Client(t)
	var runs atomic.Int32
	var stale redis.Cmder
	grab := &grabber{}
	rdb.AddHook(grab)
	h := keeper(t, rdb, "p", idempotency.WithKeepStatus(func(int) bool { return false })).Handler(paid(&runs))
	post(h, "warm", "5")
	grab.on.Store(true)
	wantAnswer(t, "first", post(h, "k", "5"), 201, "payment 2 of 5", false)
	grab.on.Store(false)
	stale = grab.calls[2] // look, acquire, begin
	late := redis.NewCmd(t.Context(), stale.Args()...)
	if err := rdb.Process(t.Context(), late); err != nil {
		t.Fatal(err)
	}
	if v, _ := late.Slice(); len(v) != 1 || v[0] != int64(-1) {
		t.Errorf("the late begin got %v", v)
	}
	wantAnswer(t, "second", post(h, "k", "5"), 201, "payment 3 of 5", false)
}

type grabber struct {
	saboteur
	on    atomic.Bool
	calls []redis.Cmder
}

func (g *grabber) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if g.on.Load() {
			g.calls = append(g.calls, cmd)
		}
		return next(ctx, cmd)
	}
}

// Nothing is left running, whatever went wrong.
func TestNoGoroutineIsLeft(t *testing.T) {
	redistest.NoLeaks(t)
	s := redistest.NewServer(t)
	rdb := redis.NewClient(s.Options())
	defer rdb.Close()
	locks, err := lockmw.New(rdb, lockmw.WithTTL(1500*time.Millisecond), lockmw.WithTimeout(500*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	k, err := idempotency.New(locks, rdb, user, idempotency.WithTimeout(500*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	h := k.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { s.Kill() }))
	post(h, "k", "5")
	for range 3 {
		post(h, "k", "5")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := k.Close(ctx); err == nil {
		t.Error("nothing was lost")
	}
	if err := k.Close(t.Context()); err != nil {
		t.Errorf("again: %v", err)
	}
	_ = locks.Close(t.Context())
}
