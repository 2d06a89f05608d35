package cronlock_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/redishttp/redishttp/internal/redistest"
	"github.com/redishttp/redishttp/lockmw"
	"github.com/redishttp/redishttp/lockmw/cronlock"
)

// Close ends calls that only wait, at once, and does not count them as running.
func TestCloseEndsWhatOnlyWaits(t *testing.T) {
	rdb, prefix := redistest.Standalone(t).Client(t), redistest.Prefix(t)
	begun, leave := make(chan struct{}), make(chan struct{})
	busy := job(t, runner(t, rdb, cronlock.WithKeyPrefix(prefix)), func(context.Context) error { close(begun); <-leave; return nil })
	now := time.Now()
	over := make(chan struct{})
	go func() {
		defer close(over)
		_, _ = busy.Run(context.Background(), now)
	}()
	<-begun
	for what, tick := range map[string]time.Time{"a watcher": now, "a tick ahead": now.Add(time.Hour)} {
		r := runner(t, rdb, cronlock.WithKeyPrefix(prefix))
		count := redistest.Count(rdb)
		waits := job(t, r, func(context.Context) error { t.Error("ran"); return nil }, cronlock.WithTakeover(true))
		ended := make(chan error, 1)
		go func() {
			_, err := waits.Run(context.Background(), tick)
			ended <- err
		}()
		redistest.Eventually(t, patience, func() bool { return count.Trips() > 0 }, "it does not ask")
		start := time.Now()
		if err := r.Close(t.Context()); err != nil {
			t.Errorf("%s: Close: %v", what, err)
		}
		if took := time.Since(start); took > 2*time.Second { // the watcher asks again after ten seconds
			t.Errorf("%s: Close took %v", what, took)
		}
		if err := <-ended; !errors.Is(err, lockmw.ErrClosed) {
			t.Errorf("%s: %v", what, err)
		}
		if err := r.Close(t.Context()); err != nil {
			t.Errorf("%s: closed again: %v", what, err)
		}
	}
	close(leave)
	<-over
}

// The error of Close says what it waited for, and a hook tells of an end that was not recorded.
func TestCloseSaysWhatItCutShort(t *testing.T) {
	soon := func() context.Context {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		t.Cleanup(cancel)
		return ctx
	}
	s := redistest.NewServer(t)
	failed := make(chan error, 10)
	opts := []cronlock.Option{cronlock.WithTimeout(300 * time.Millisecond), cronlock.WithHooks(cronlock.Hooks{Failed: func(_ context.Context, _ string, err error) { failed <- err }})}
	open := func() *cronlock.Runner {
		r, err := cronlock.New(s.Client(t), append(opts, cronlock.WithKeyPrefix(redistest.Prefix(t)))...)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	run := func(r *cronlock.Runner, fn func(context.Context) error) <-chan struct{} {
		over := make(chan struct{})
		j := job(t, r, fn)
		go func() {
			defer close(over)
			_, _ = j.Run(context.Background(), time.Now())
		}()
		return over
	}
	r, begun := open(), make(chan struct{})
	over := run(r, func(ctx context.Context) error { close(begun); <-ctx.Done(); return nil })
	<-begun
	if err := r.Close(soon()); err == nil || !strings.Contains(err.Error(), "jobs were still running") {
		t.Errorf("with a job: %v", err)
	}
	<-over
	r, begun = open(), make(chan struct{})
	over = run(r, func(context.Context) error { s.Pause(); close(begun); return nil })
	<-begun
	if err := r.Close(soon()); err == nil || !strings.Contains(err.Error(), "Redis did not answer") {
		t.Errorf("with an end that is not recorded: %v", err)
	}
	<-over
	select {
	case err := <-failed:
		if !errors.Is(err, lockmw.ErrUnavailable) {
			t.Errorf("the hook got %v", err)
		}
	default:
		t.Error("no hook told of the end that was not recorded")
	}
	r = open()
	over = run(r, func(context.Context) error { t.Error("ran"); return nil })
	if err := r.Close(soon()); err != nil && !strings.Contains(err.Error(), "Redis did not answer") {
		t.Errorf("with a tick that is not decided: %v", err)
	}
	<-over
}
