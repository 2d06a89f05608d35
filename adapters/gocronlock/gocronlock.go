// Package gocronlock runs gocron's jobs once among many instances, by package
// cronlock.
//
//	locker, err := gocronlock.New(runner, 50*time.Second)
//	s, err := gocron.NewScheduler(gocron.WithDistributedLocker(locker))
//
// gocron tells a locker the name of a job and nothing of its schedule. So it is
// decided by the time between starts on the server's clock: a job that was
// started anywhere less than the gap ago is not started again. Take a gap a
// little below the shortest time between two runs of any job, and give every
// job a name (gocron.WithName): it is the key. Where each tick of a schedule
// must run exactly once use [cronlock.Job.Run] in the task itself.
package gocronlock

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-co-op/gocron/v2"

	"github.com/redishttp/redishttp/lockmw"
	"github.com/redishttp/redishttp/lockmw/cronlock"
)

// ErrSkipped is a job that runs, or was just started, on another instance.
var ErrSkipped = errors.New("gocronlock: another instance has it")

// Locker is a gocron.Locker. Close it with its runner.
type Locker struct {
	runner *cronlock.Runner
	gap    time.Duration
}

var _ gocron.Locker = (*Locker)(nil)

// New returns a Locker that starts no job twice within gap, which must be above 0.
func New(runner *cronlock.Runner, gap time.Duration) (*Locker, error) {
	switch {
	case runner == nil:
		return nil, errors.New("gocronlock: runner: is nil")
	case gap <= 0:
		return nil, errors.New("gocronlock: gap: is not above 0")
	}
	return &Locker{runner, gap}, nil
}

// Lock returns an error, for gocron to skip the job, that matches [ErrSkipped] or
// [lockmw.ErrUnavailable].
func (l *Locker) Lock(ctx context.Context, key string) (gocron.Lock, error) {
	k := &lock{begun: make(chan struct{}), unlock: make(chan struct{}), over: make(chan struct{})}
	job, err := l.runner.Job(key, func(ctx context.Context) error {
		close(k.begun)
		select { // the lease is kept until gocron is done
		case <-k.unlock:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}, cronlock.WithMinGap(l.gap))
	if err != nil {
		return nil, fmt.Errorf("gocronlock: %w", err)
	}
	outcome := make(chan cronlock.Outcome, 1)
	go func() {
		defer close(k.over)
		var o cronlock.Outcome
		o, k.err = job.Run(context.WithoutCancel(ctx), time.Time{})
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

type lock struct {
	begun, unlock, over chan struct{}
	once                sync.Once
	err                 error // when over
}

// Unlock reports the end of the job. It returns an error that matches [lockmw.ErrLost] if
// the lease was lost meanwhile.
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
