package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/gomodule/redigo/redis"
	goredis "github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/unavailable"
)

// kinds of failures, the special before the general, with the level at which
// each is logged.
var kinds = [...]struct {
	is    error
	level slog.Level
}{
	{ErrUnknownKey, slog.LevelError},
	{ErrClock, slog.LevelError},
	{ErrRefused, slog.LevelError},
	{ErrEncode, slog.LevelError},
	{ErrTooLarge, slog.LevelError},
	{ErrHeadersSent, slog.LevelError},
	{ErrCorrupt, slog.LevelWarn},
	{ErrConflict, slog.LevelWarn},
	{ErrGone, slog.LevelInfo},
	{ErrUnavailable, slog.LevelWarn},
}

const logEvery = 10 * time.Second // for each kind, so that an outage is no flood

// failures says which failures are logged.
type failures struct {
	mu      sync.Mutex
	next    [len(kinds) + 1]time.Time
	skipped [len(kinds) + 1]int
}

// due reports whether a failure of this kind is logged now, and how many of it
// were not since the last. A key that is not configured is said once: each
// request of its sessions would repeat it.
func (f *failures) due(kind int, now time.Time) (skipped int, due bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now.Before(f.next[kind]) {
		f.skipped[kind]++
		return 0, false
	}
	skipped, f.skipped[kind] = f.skipped[kind], 0
	f.next[kind] = now.Add(logEvery)
	if kind < len(kinds) && kinds[kind].is == ErrUnknownKey {
		f.next[kind] = now.AddDate(100, 0, 0)
	}
	return skipped, true
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
		if skipped, due := m.failures.due(kind, time.Now()); due {
			m.logger.LogAttrs(ctx, level, "a session failed", slog.Any("error", err), slog.Int("not_logged", skipped))
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
