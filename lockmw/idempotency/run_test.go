package idempotency_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw"
	"github.com/redishttp/redishttp/lockmw/idempotency"
)

// The handler that a client has left goes on, and its retry finds the result.
func TestAClientThatHangsUp(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	for _, cancels := range []bool{false, true} {
		for _, fails := range []bool{false, true} {
			ctx, cancel := context.WithCancelCause(t.Context())
			gone := errors.New("the client is gone")
			h := keeper(t, rdb, redistest.Prefix(t), idempotency.WithCancellation(cancels)).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				cancel(gone)
				if cancels {
					<-r.Context().Done()
					if !errors.Is(context.Cause(r.Context()), gone) {
						t.Errorf("cause %v", context.Cause(r.Context()))
					}
				}
				if err := r.Context().Err(); (err != nil) != cancels {
					t.Errorf("cancellation %v: %v", cancels, err)
				}
				if fails {
					w.WriteHeader(http.StatusServiceUnavailable)
				}
				io.WriteString(w, "done")
			}))
			post(h, "k", "5", func(r *http.Request) { *r = *r.WithContext(ctx) })
			w := post(h, "k", "5")
			switch {
			case cancels && fails: // did it give up before or after it was done?
				want(t, "retry", w, 409, "unknown-outcome")
			case fails:
				wantAnswer(t, "retry", w, 503, "done", true)
			default:
				wantAnswer(t, "retry", w, 200, "done", true)
			}
		}
	}
}

func TestAPanicLeavesTheOutcomeUnknown(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	for _, rerun := range []bool{false, true} {
		var runs atomic.Int32
		var outcomes []string
		h := keeper(t, rdb, redistest.Prefix(t), idempotency.WithRerun(rerun), idempotency.WithHooks(idempotency.Hooks{Ran: func(_ context.Context, a idempotency.Attempt, o string) {
			outcomes = append(outcomes, fmt.Sprint(a.Number, " ", o))
		}})).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			a, ok := idempotency.FromContext(r.Context())
			if n := runs.Add(1); !ok || a.Number != int(n) || a.Fence == 0 {
				t.Errorf("run %d: attempt %+v", n, a)
			}
			io.WriteString(w, "half")
			if runs.Load() < 3 {
				panic("boom")
			}
		}))
		call := func() (p any) {
			defer func() { p = recover() }()
			post(h, "k", "5")
			return nil
		}
		if p := call(); p != "boom" {
			t.Errorf("the panic: %v", p)
		}
		if !rerun {
			want(t, "retry", post(h, "k", "5"), 409, "unknown-outcome")
			want(t, "retry with another payload", post(h, "k", "6"), 422, "mismatch")
			want(t, "retry", post(h, "k", "5"), 409, "unknown-outcome")
			if fmt.Sprint(runs.Load(), outcomes) != "1 [1 unknown]" {
				t.Errorf("%d runs, outcomes %v", runs.Load(), outcomes)
			}
			continue
		}
		want(t, "retry with another payload", post(h, "k", "6"), 422, "mismatch")
		if p := call(); p != "boom" {
			t.Errorf("the second panic: %v", p)
		}
		wantAnswer(t, "third", post(h, "k", "5"), 200, "half", false)
		wantAnswer(t, "retry", post(h, "k", "5"), 200, "half", true)
		if fmt.Sprint(runs.Load(), outcomes) != "3 [1 unknown 2 unknown 3 kept]" {
			t.Errorf("%d runs, outcomes %v", runs.Load(), outcomes)
		}
	}
}

func TestForgetAndKeep(t *testing.T) {
	rdb := redistest.Standalone(t).Client(t)
	var runs atomic.Int32
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := runs.Add(1)
		if a, _ := idempotency.FromContext(r.Context()); a.Number != 1 {
			t.Errorf("run %d is attempt %d", n, a.Number)
		}
		if r.URL.Path == "/forget" && n == 1 && !idempotency.Forget(r.Context()) {
			t.Error("no run to forget")
		}
		if n == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		fmt.Fprint(w, "run ", n)
	})
	h := keeper(t, rdb, redistest.Prefix(t), idempotency.WithKeepStatus(func(status int) bool { return status < 500 })).Handler(handler)
	for _, path := range []string{"/forget", "/keep"} {
		runs.Store(0)
		wantAnswer(t, path+" first", post(h, "k", "5", to(path)), 503, "run 1", false)
		wantAnswer(t, path+" retry with a corrected payload", post(h, "k", "6", to(path)), 200, "run 2", false)
		wantAnswer(t, path+" again", post(h, "k", "6", to(path)), 200, "run 2", true)
	}
	runs.Store(0)
	all := keeper(t, rdb, redistest.Prefix(t)).Handler(handler) // keeps errors
	wantAnswer(t, "first", post(all, "k", "5"), 503, "run 1", false)
	wantAnswer(t, "retry", post(all, "k", "5"), 503, "run 1", true)
	if idempotency.Forget(t.Context()) {
		t.Error("forgot a run that is none")
	}
}

// An attempt that forgets does not make those before it undone.
func TestForgettingALaterAttempt(t *testing.T) {
	rdb, prefix := redistest.Standalone(t).Client(t), redistest.Prefix(t)
	var attempts []int
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a, _ := idempotency.FromContext(r.Context())
		attempts = append(attempts, a.Number)
		switch len(attempts) {
		case 1:
			panic(http.ErrAbortHandler)
		case 2:
			idempotency.Forget(r.Context())
		}
		io.WriteString(w, "done")
	})
	h := keeper(t, rdb, prefix, idempotency.WithRerun(true)).Handler(handler)
	func() {
		defer func() { _ = recover() }()
		post(h, "k", "5")
	}()
	wantAnswer(t, "second", post(h, "k", "5"), 200, "done", false)
	careful := keeper(t, rdb, prefix).Handler(handler)
	want(t, "without rerun", post(careful, "k", "5"), 409, "unknown-outcome")
	wantAnswer(t, "third", post(h, "k", "5"), 200, "done", false)
	if fmt.Sprint(attempts) != "[1 2 2]" {
		t.Errorf("attempts %v: the first may have done something", attempts)
	}
}

// A handler that loses its lock is told. Its record still stands for it as long
// as no other attempt has begun.
func TestALostLock(t *testing.T) {
	for _, fails := range []bool{false, true} {
		for _, wiped := range []bool{false, true} {
			s := redistest.NewServer(t)
			rdb := s.Client(t)
			locks := locker(t, rdb, "p", lockmw.WithTTL(1500*time.Millisecond), lockmw.WithTimeout(700*time.Millisecond))
			var runs atomic.Int32
			h := keeperOver(t, locks, rdb, "p").Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				runs.Add(1)
				if wiped {
					rdb.FlushAll(context.Background())
				} else {
					rdb.Del(context.Background(), rdb.Keys(context.Background(), "pl:*").Val()...)
				}
				<-r.Context().Done()
				if !errors.Is(context.Cause(r.Context()), lockmw.ErrLost) {
					t.Errorf("cause %v", context.Cause(r.Context()))
				}
				if fails {
					w.WriteHeader(500)
				}
				io.WriteString(w, "done")
			}))
			first := post(h, "k", "5")
			if !fails {
				wantAnswer(t, "first", first, 200, "done", false)
				wantAnswer(t, "retry", post(h, "k", "5"), 200, "done", true)
			} else {
				wantAnswer(t, "first", first, 500, "done", false)
				if !wiped { // else nothing is known of it: what Redis loses is lost
					want(t, "retry", post(h, "k", "5"), 409, "unknown-outcome")
				}
			}
			if runs.Load() != 1 {
				t.Errorf("%d runs", runs.Load())
			}
		}
	}
}

// An attempt that lost its lock, and whose place another has taken, answers
// what the other one's retries get.
func TestASupersededAttempt(t *testing.T) {
	s := redistest.NewServer(t)
	rdb := s.Client(t)
	var failures []error
	locks := locker(t, rdb, "p", lockmw.WithTTL(1500*time.Millisecond), lockmw.WithTimeout(700*time.Millisecond))
	fences := make(chan uint64, 2)
	lost, second, rest := make(chan struct{}), make(chan struct{}), make(chan struct{})
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a, _ := idempotency.FromContext(r.Context())
		fences <- a.Fence
		if a.Number == 1 {
			rdb.Del(context.Background(), rdb.Keys(context.Background(), "pl:*").Val()...)
			<-r.Context().Done()
			close(lost)
			<-second
		} else if r.URL.Path == "/slow" {
			close(second)
			<-rest
		}
		fmt.Fprint(w, "attempt ", a.Number)
	})
	one := keeperOver(t, locks, rdb, "p", idempotency.WithRerun(true), idempotency.WithHooks(idempotency.Hooks{Failed: func(_ context.Context, err error) { failures = append(failures, err) }})).Handler(handler)
	two := keeper(t, rdb, "p", idempotency.WithRerun(true)).Handler(handler)
	var wg sync.WaitGroup
	var first *httptest.ResponseRecorder
	wg.Go(func() { first = post(one, "k", "5") })
	<-lost
	wantAnswer(t, "the other", post(two, "k", "5"), 200, "attempt 2", false)
	close(second)
	wg.Wait()
	wantAnswer(t, "the first", first, 200, "attempt 2", true)
	if a, b := <-fences, <-fences; a >= b {
		t.Errorf("fences %d, %d", a, b)
	}
	if len(failures) != 1 || !errors.Is(failures[0], idempotency.ErrSuperseded) {
		t.Errorf("failures %v", failures)
	}

	lost, second = make(chan struct{}), make(chan struct{})
	wg.Go(func() { first = post(one, "k", "5", to("/slow")) })
	<-lost
	var other sync.WaitGroup
	other.Go(func() { wantAnswer(t, "the other", post(two, "k", "5", to("/slow")), 200, "attempt 2", false) })
	wg.Wait() // while the other one runs
	want(t, "the first", first, 409, "busy")
	close(rest)
	other.Wait()
	wantAnswer(t, "retry", post(one, "k", "5", to("/slow")), 200, "attempt 2", true)
}

// Without HTTP.
func TestBegin(t *testing.T) {
	redistest.Each(t, func(t *testing.T, g *redistest.Target) {
		k := keeper(t, g.Client(t), redistest.Prefix(t))
		op := idempotency.Operation{Scope: "alice", Name: "transfer", Key: "k", Fingerprint: [32]byte{1}}
		begin := func(op idempotency.Operation, wanted error) (*idempotency.Run, []byte) {
			t.Helper()
			run, kept, err := k.Begin(t.Context(), op)
			if !errors.Is(err, wanted) {
				t.Fatalf("got %v, want %v", err, wanted)
			}
			return run, kept
		}
		run, _ := begin(op, nil)
		if run == nil || run.Attempt().Number != 1 {
			t.Fatal("no run")
		}
		begin(op, lockmw.ErrBusy)
		_, _, err := k.Begin(run.Context(), op)
		if !errors.Is(err, lockmw.ErrNested) {
			t.Errorf("nested: %v", err)
		}
		if err := run.Keep([]byte{}); err != nil { // nothing is a result too
			t.Fatal(err)
		}
		if err := run.Forget(); err != nil { // it is over
			t.Fatal(err)
		}
		run.Release()
		run.Release()
		if run, kept := begin(op, nil); run != nil || len(kept) != 0 {
			t.Errorf("got %v, %q", run, kept)
		}
		other := op
		other.Fingerprint[0] = 2
		begin(other, idempotency.ErrMismatch)
		op.Key = "spent"
		run, _ = begin(op, nil)
		if err := run.Spend(); err != nil {
			t.Fatal(err)
		}
		run.Release()
		begin(op, idempotency.ErrNotKept)
		op.Key = "unknown"
		run, _ = begin(op, nil)
		run.Release()
		begin(op, idempotency.ErrUnknown)
		op.Key = "forgotten"
		for range 3 {
			run, _ = begin(op, nil)
			if err := run.Forget(); err != nil {
				t.Fatal(err)
			}
			run.Release()
		}
		op.Scope = ""
		begin(op, idempotency.ErrIncomplete)
	})
}

// A lock for the order further out, of the same locker: what it refuses is not
// kept.
func TestInsideALock(t *testing.T) {
	rdb, prefix := redistest.Standalone(t).Client(t), redistest.Prefix(t)
	locks := locker(t, rdb, prefix, lockmw.WithWait(0), lockmw.WithKey(func(r *http.Request) (string, error) { return r.URL.Path, nil }))
	var runs atomic.Int32
	h := locks.Handler(keeperOver(t, locks, rdb, prefix).Handler(paid(&runs)))
	held, err := locks.Acquire(t.Context(), "/payments")
	if err != nil {
		t.Fatal(err)
	}
	if w := post(h, "k", "5"); w.Code != 409 {
		t.Errorf("got %d", w.Code)
	}
	if err := held.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantAnswer(t, "first", post(h, "k", "5"), 201, "payment 1 of 5", false)
	wantAnswer(t, "retry", post(h, "k", "5"), 201, "payment 1 of 5", true)
	want(t, "wrapped twice", post(keeperOver(t, locks, rdb, prefix).Handler(h), "k2", "5"), 500, "misused")
}
