package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gomodule/redigo/redis"
	goredis "github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/lograte"
	"github.com/redishttp/redishttp/internal/unavailable"
)

// kinds are the failures that are logged, specific before general, each with its
// level.
var kinds = [...]struct {
	is    error
	level slog.Level
}{
	{ErrUnknownKey, slog.LevelError},
	{errClock, slog.LevelError},
	{ErrRefused, slog.LevelError},
	{ErrEncode, slog.LevelError},
	{ErrTooLarge, slog.LevelError},
	{ErrHeadersSent, slog.LevelError},
	{ErrCorrupt, slog.LevelWarn},
	{ErrConflict, slog.LevelWarn},
	{ErrGone, slog.LevelInfo},
	{ErrUnavailable, slog.LevelWarn},
}

const logEvery = 10 * time.Second // for each kind, so that an outage does not flood the log

// failures limits how often each kind of failure is logged. The last entry is
// for errors of no kind.
type failures [len(kinds) + 1]struct {
	gate    lograte.Gate
	skipped atomic.Int64
}

// due reports whether a failure of this kind is logged now, and how many were not
// since the last one. A missing key is logged once, because every request of its
// sessions would repeat it.
func (f *failures) due(kind int) (skipped int64, due bool) {
	period := logEvery
	if kind < len(kinds) && errors.Is(kinds[kind].is, ErrUnknownKey) {
		period = 100 * 365 * 24 * time.Hour
	}
	if !f[kind].gate.Open(period) {
		f[kind].skipped.Add(1)
		return 0, false
	}
	return f[kind].skipped.Swap(0), true
}

// failed logs a failure and tells the hook.
func (m *Manager) failed(ctx context.Context, err error) {
	kind, level := len(kinds), slog.LevelError
	for i, k := range kinds {
		if errors.Is(err, k.is) {
			kind, level = i, k.level
			break
		}
	}
	if kind < len(kinds) || !errors.Is(err, context.Canceled) { // a client that left is no failure
		if skipped, due := m.failures.due(kind); due {
			m.logger.LogAttrs(ctx, level, "a session failed", slog.Any("error", err), slog.Int64("not_logged", skipped))
		}
	}
	if m.hooks.Failed != nil {
		m.hooks.Failed(ctx, err)
	}
}

// blame marks an error of Redis as [ErrUnavailable] or [ErrRefused]. An error
// that waiting does not change, such as a missing right or a key of another type,
// must not look like an outage, or a mistake in the configuration stays hidden.
// Everything that is not a reply counts as an outage.
func blame(err error) error {
	text, replied := answer(err)
	switch {
	case err == nil, errors.Is(err, ErrUnavailable):
		return err
	case !replied || unavailable.PassingText(text):
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return fmt.Errorf("%w: %w", ErrRefused, err)
}

// answer returns the text of an error that Redis replied with, whichever client
// read it; ok is false for any other error.
func answer(err error) (text string, ok bool) {
	if e, ok := errors.AsType[redis.Error](err); ok {
		return string(e), true
	}
	if e, ok := errors.AsType[goredis.Error](err); ok && !errors.Is(err, goredis.Nil) {
		return e.Error(), true
	}
	return "", false
}

// isWrongType reports whether the key is there, but no string.
func isWrongType(err error) bool {
	text, ok := answer(err)
	return ok && strings.HasPrefix(text, "WRONGTYPE")
}
