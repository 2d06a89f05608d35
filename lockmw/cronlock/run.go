package cronlock

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/redishttp/redishttp/lockmw"
	"github.com/redishttp/redishttp/lockmw/internal/lease"
	"github.com/redishttp/redishttp/lockmw/internal/lockerr"
)

// run runs the job under its lease and reports the end.
func (j *Job) run(parent context.Context, run Run, owner string, sent time.Time) (err error) {
	ctx, cancel := context.WithCancelCause(context.WithValue(parent, runKey{}, run))
	stop := context.AfterFunc(j.r.base, func() { cancel(lockmw.ErrClosed) })
	defer stop()
	if j.maxRun > 0 {
		limit := time.AfterFunc(j.maxRun, func() { cancel(fmt.Errorf("cronlock: %w: longer than %v", context.DeadlineExceeded, j.maxRun)) })
		defer limit.Stop()
	}
	renewed := make(chan struct{})
	go func() { // a job may take hours
		defer close(renewed)
		j.keep(ctx, cancel, owner, sent)
	}()
	if j.hooks.Started != nil {
		j.hooks.Started(ctx, run)
	}
	start := time.Now()
	completed := false
	defer func() { // a panic is a run that did not complete
		lost := lostFrom(ctx)
		cancel(context.Canceled)
		<-renewed
		took := time.Since(start)
		if !completed {
			err = errors.New("cronlock: the job panicked")
		}
		j.report(owner, err, completed && !errors.Is(err, lockmw.ErrClosed))
		if lost != nil {
			err = errors.Join(err, lost)
		}
		if j.hooks.Finished != nil {
			j.hooks.Finished(parent, run, took, err)
		}
	}()
	j.r.running.Add(1)
	defer j.r.running.Add(-1)
	err = j.fn(ctx)
	completed = true
	return err
}

// lostFrom returns the cause of a lost lease, nil for none.
func lostFrom(ctx context.Context) error {
	if cause := context.Cause(ctx); errors.Is(cause, lockmw.ErrLost) {
		return cause
	}
	return nil
}

// keep renews the lease until ctx ends, and ends it before the lease does if it
// cannot be renewed.
func (j *Job) keep(ctx context.Context, cancel context.CancelCauseFunc, owner string, since time.Time) {
	next := time.NewTimer(j.ttl / 3)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-next.C:
		}
		now := time.Now()
		left := lease.Left(j.ttl, since, now) - lease.Margin(j.ttl)
		if left <= 0 {
			cancel(lockerr.ErrExpired)
			return
		}
		bound, done := context.WithTimeout(context.WithoutCancel(ctx), min(j.timeout, left))
		code, err := j.r.caller.Run(bound, j.r.renew, []string{j.key}, owner, ms(j.ttl), ms(j.retention)).Int64()
		done()
		switch {
		case err != nil:
			j.logger.LogAttrs(ctx, slog.LevelWarn, "the lease of a job cannot be renewed", slog.String("job", j.name))
			next.Reset(min(j.ttl/12, max(left, time.Millisecond)))
		case code == 1:
			since = now
			next.Reset(j.ttl / 3)
		case code == 0:
			cancel(lockerr.ErrTaken)
			return
		default:
			cancel(lockerr.ErrStateLost)
			return
		}
	}
}

// maxErrorText limits what the state keeps of an error, in bytes.
const maxErrorText = 500

// report records the end. A report that is lost leaves the run to its lease,
// after which another instance may take it over; therefore it is repeated until
// then.
func (j *Job) report(owner string, err error, completed bool) {
	text := ""
	if err != nil {
		text = err.Error()
		text = text[:min(len(text), maxErrorText)]
	}
	until := time.Now().Add(j.ttl)
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		callErr := j.end(owner, text, flag(completed), j.timeout)
		if callErr == nil {
			return
		}
		if time.Now().Add(pause).After(until) || j.r.base.Err() != nil { // Close does not wait for a Redis that is away
			j.failed(context.Background(), fmt.Errorf("cronlock: %w: the end was not recorded: %w", ErrUnavailable, callErr))
			return
		}
		wait := time.NewTimer(pause)
		select {
		case <-wait.C:
		case <-j.r.base.Done():
			wait.Stop() // once more
		}
	}
}

// end records the end of a run once.
func (j *Job) end(owner, text string, completed int, within time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	return j.r.caller.Run(ctx, j.r.finish, []string{j.key}, owner, ms(j.retention), text, completed).Err()
}
