// Package rights recognizes a right that a user of Redis lacks (ACL), and says so
// in a log: it is a mistake in the configuration, which no retry and no waiting
// mends, and must not look like an outage or like nothing there.
package rights

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Missing returns what the user may not do if err says so. Redis names a command
// that was sent; of one inside a script Redis 7.0 says only that there is one,
// with a plain ERR in place of NOPERM.
func Missing(err error) (right string, ok bool) {
	if err == nil {
		return "", false
	}
	var answer redis.Error
	if !errors.As(err, &answer) {
		return "", false
	}
	text := answer.Error()
	inScript := strings.Contains(text, "ACL failure in script") || // 7.2 and later, Valkey
		strings.Contains(text, "The user executing the script can't") // 7.0
	if !inScript && !strings.Contains(text, "NOPERM") {
		return "", false
	}
	switch {
	case strings.Contains(text, "channel"):
		right = "a channel"
	case strings.Contains(text, "key"):
		right = "a key"
	default:
		right = "a command"
		if _, rest, ok := strings.Cut(text, "'"); ok && strings.Contains(text, "permissions to run the '") {
			name, _, _ := strings.Cut(rest, "'")
			right = "the command " + name
		}
	}
	if inScript {
		right += " in a script"
	}
	return right, true
}

// every is the pause between two lines about one right.
const every = time.Minute

// Watch logs rights that are missing, each once a minute. A nil Watch logs
// nothing. It is safe for concurrent use.
type Watch struct {
	logger *slog.Logger

	mu   sync.Mutex
	said map[string]time.Time // as many as there are commands
}

// NewWatch returns a Watch that logs to logger.
func NewWatch(logger *slog.Logger) *Watch {
	return &Watch{logger: logger, said: map[string]time.Time{}}
}

// See logs err if it says that a right is missing.
func (w *Watch) See(ctx context.Context, err error) {
	if w == nil || err == nil {
		return
	}
	right, ok := Missing(err)
	if !ok {
		return
	}
	now := time.Now()
	w.mu.Lock()
	last, said := w.said[right]
	again := !said || now.Sub(last) >= every
	if again {
		w.said[right] = now
	}
	w.mu.Unlock()
	if again {
		w.logger.LogAttrs(ctx, slog.LevelError, "the redis user lacks a right: ACL LOG on the server names it, docs/deployment.md the rules",
			slog.String("right", right))
	}
}
