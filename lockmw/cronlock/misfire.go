package cronlock

import (
	"context"
	"fmt"
	"log/slog"
)

// misfire reports that a scheduler called the job and that it did not run: in
// the log and, for all instances, in the job's status.
func (j *Job) misfire(ctx context.Context, reason error) {
	j.logger.LogAttrs(ctx, slog.LevelError, "misfire: the job did not run", slog.String("job", j.name), slog.String("error", reason.Error()))
	bound, cancel := context.WithTimeout(ctx, j.timeout)
	defer cancel()
	text := reason.Error()
	text = text[:min(len(text), maxErrorText)]
	if err := j.r.caller.Run(bound, j.r.misfired, []string{j.key}, ms(j.retention), text).Err(); err != nil {
		j.failed(ctx, fmt.Errorf("cronlock: %w: a misfire was not recorded: %w", ErrUnavailable, err))
	}
}

// skipped and failed call the hooks.
func (j *Job) skipped(ctx context.Context, o Outcome) {
	if j.hooks.Skipped != nil {
		j.hooks.Skipped(ctx, j.name, o)
	}
}

func (j *Job) failed(ctx context.Context, err error) {
	if j.hooks.Failed != nil {
		j.hooks.Failed(ctx, j.name, err)
	}
}
