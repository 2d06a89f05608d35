package gocronlock

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/redishttp/redishttp/lockmw/cronlock"
)

// jobs are those that the Lockers of one runner have met, by name.
type jobs struct {
	runner *cronlock.Runner
	logger *slog.Logger

	mu    sync.Mutex
	known map[string]*entry
}

type entry struct {
	job  *cronlock.Job
	gap  time.Duration
	ctx  context.Context // of gocron's job, which ends when it is removed or updated
	told bool
}

// job returns the job of a name, registering it when it is new. Two jobs of
// gocron with one name have one gap between them, so that one of them hardly ever runs:
// gocron gives each a context of its own, by which they are noticed.
func (j *jobs) job(ctx context.Context, name string, gap time.Duration) (*cronlock.Job, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	e := j.known[name]
	if e == nil {
		job, err := j.runner.Job(name, hold, cronlock.WithMinGap(gap))
		if err != nil {
			err = fmt.Errorf("gocronlock: %w", err)
			j.logger.LogAttrs(context.Background(), slog.LevelError, "a job cannot be locked and will not run", slog.String("job", name), slog.String("error", err.Error()))
			return nil, err
		}
		e = &entry{job: job, gap: gap, ctx: ctx}
		j.known[name] = e
	}
	if e.gap != gap {
		return nil, j.tell(e, name, fmt.Errorf("%w: %q has %v, not %v", ErrGap, name, e.gap, gap))
	}
	if e.ctx != ctx {
		if e.ctx.Err() == nil && ctx.Err() == nil {
			_ = j.tell(e, name, nil)
		}
		e.ctx = ctx
	}
	return e.job, nil
}

// tell logs once that two jobs have one name, and returns err.
func (j *jobs) tell(e *entry, name string, err error) error {
	if e.told {
		return err
	}
	e.told = true
	attrs := []slog.Attr{slog.String("job", name)}
	if err != nil {
		attrs = append(attrs, slog.String("error", err.Error()))
	}
	j.logger.LogAttrs(context.Background(), slog.LevelError, "two jobs have one name: give each its own with gocron.WithName", attrs...)
	return err
}
