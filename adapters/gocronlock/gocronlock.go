// Package gocronlock runs gocron's jobs once among many instances, by package
// cronlock.
//
//	locker, err := gocronlock.New(runner, 50*time.Second)
//	s, err := gocron.NewScheduler(gocron.WithDistributedLocker(locker))
//
// gocron tells a locker the name of a job and nothing of its schedule. So the
// time between starts on the server's clock decides: a job that was
// started anywhere less than its gap ago is not started again.
//
// The gap belongs to a job. That of a DurationJob is a little less than its
// interval: with a much shorter one the instances run the job in turn. Jobs that
// are due at the same time everywhere (CronJob, DailyJob) need a gap that is longer than
// the instances' clocks differ and shorter than the shortest time between two runs,
// which for a daily job is 23 hours when clocks go forward. Give a job its own gap
// beside its definition:
//
//	daily, err := locker.WithGap(time.Hour)
//	s.NewJob(gocron.DailyJob(…), task, gocron.WithName("report"), gocron.WithDistributedJobLocker(daily))
//
// Give every job a name (gocron.WithName): it is the key. Where each tick of a schedule
// must run exactly once, however often clocks change, use [cronlock.Job.Run] or [cronlock.Job.Func] in the task itself.
package gocronlock

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/go-co-op/gocron/v2"

	"github.com/redishttp/redishttp/lockmw"
	"github.com/redishttp/redishttp/lockmw/cronlock"
)

// ErrSkipped is returned for a job that runs, or was just started, on another instance.
var ErrSkipped = errors.New("gocronlock: another instance has it")

// ErrGap is returned for a job that is locked with two gaps, by two Lockers.
var ErrGap = errors.New("gocronlock: the job has another gap already")

// An Option changes a default of [New].
type Option interface{ apply(*Locker) }

type optionFunc func(*Locker)

func (f optionFunc) apply(l *Locker) { f(l) }

// WithLogger sets the logger for what an operator must mend: two jobs of one
// name. The default discards.
func WithLogger(logger *slog.Logger) Option {
	return optionFunc(func(l *Locker) { l.logger = logger })
}

// Locker is a gocron.Locker. It is safe for concurrent use. Close it with its runner.
type Locker struct {
	*jobs
	gap time.Duration
}

var _ gocron.Locker = (*Locker)(nil)

// New returns a Locker that starts no job twice within gap, which must be at
// least 1ms and is for jobs without their own ([Locker.WithGap]).
func New(runner *cronlock.Runner, gap time.Duration, opts ...Option) (*Locker, error) {
	l := &Locker{&jobs{runner: runner, logger: slog.New(slog.DiscardHandler), known: map[string]*entry{}}, gap}
	for _, opt := range opts {
		if opt != nil {
			opt.apply(l)
		}
	}
	switch {
	case runner == nil:
		return nil, errors.New("gocronlock: runner: is nil")
	case l.logger == nil:
		return nil, errors.New("gocronlock: WithLogger: is nil")
	}
	return l.WithGap(gap)
}

// WithGap returns a Locker over the same runner for jobs with another gap. Take
// it with gocron.WithDistributedJobLocker.
func (l *Locker) WithGap(gap time.Duration) (*Locker, error) {
	if gap < time.Millisecond {
		return nil, fmt.Errorf("gocronlock: gap: %v is below 1ms", gap)
	}
	return &Locker{l.jobs, gap}, nil
}

// Lock returns an error, for gocron to skip the job, that matches [ErrSkipped],
// [ErrGap] or [lockmw.ErrUnavailable].
func (l *Locker) Lock(ctx context.Context, key string) (gocron.Lock, error) {
	job, err := l.job(ctx, key, l.gap)
	if err != nil {
		return nil, err
	}
	k := &lock{begun: make(chan struct{}), unlock: make(chan struct{}), over: make(chan struct{})}
	outcome := make(chan cronlock.Outcome, 1)
	go func() {
		defer close(k.over)
		var o cronlock.Outcome
		o, k.err = job.Run(context.WithValue(context.WithoutCancel(ctx), lockKey{}, k), time.Time{})
		outcome <- o
	}()
	select {
	case <-k.begun:
		return k, nil
	case <-k.over:
		if k.err != nil {
			return nil, fmt.Errorf("gocronlock: %w", k.err)
		}
		return nil, fmt.Errorf("%w: %s", ErrSkipped, <-outcome)
	}
}

type lockKey struct{}

type lock struct {
	begun, unlock, over chan struct{}
	once                sync.Once
	err                 error // when over
}

// hold keeps the lease until gocron is done.
func hold(ctx context.Context) error {
	k, ok := ctx.Value(lockKey{}).(*lock)
	if !ok {
		return errors.New("gocronlock: not a job of this package")
	}
	close(k.begun)
	select {
	case <-k.unlock:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Unlock reports the end of the job. It returns an error that matches [lockmw.ErrLost] if
// the lease was lost before.
func (k *lock) Unlock(ctx context.Context) error {
	k.once.Do(func() { close(k.unlock) })
	select {
	case <-k.over:
	case <-ctx.Done():
		return fmt.Errorf("gocronlock: unlock: %w", context.Cause(ctx))
	}
	if errors.Is(k.err, lockmw.ErrLost) {
		return fmt.Errorf("gocronlock: %w", k.err)
	}
	return nil
}
