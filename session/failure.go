package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gomodule/redigo/redis"
	goredis "github.com/redis/go-redis/v9"
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

// statusOf is what a client gets in place of the handler's response, and
// whether trying again can help.
func statusOf(err error) (status int, retry bool) {
	for _, permanent := range []error{ErrTooLarge, ErrEncode, ErrCorrupt, ErrUnknownKey, ErrRefused} {
		if errors.Is(err, permanent) {
			return http.StatusInternalServerError, false
		}
	}
	switch {
	case errors.Is(err, ErrConflict):
		return http.StatusConflict, true
	case errors.Is(err, ErrGone):
		return http.StatusUnauthorized, false
	}
	return http.StatusServiceUnavailable, true
}

// passing are the errors by which Redis says that it cannot now, but will.
var passing = [...]string{"OOM", "READONLY", "LOADING", "BUSY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "MISCONF", "NOREPLICAS", "MOVED", "ASK", "EXECABORT"}

// blame tells an outage from an answer of Redis that no waiting changes: a right
// that is missing, a key of another type. Calling that an outage would hide a
// mistake.
func blame(err error) error {
	if err == nil {
		return nil
	}
	word, ok := answer(err)
	if !ok {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if strings.HasPrefix(word, "ERR max number of clients") {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	word, _, _ = strings.Cut(word, " ")
	for _, p := range passing {
		if word == p {
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
	}
	return fmt.Errorf("%w: %w", ErrRefused, err)
}

// answer is what Redis said, by redisstore's connection or another; ok is false
// for an error that is not Redis'.
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
