// Package rights recognizes a right that a user of Redis lacks (ACL), and says so
// in a log: it is a mistake in the configuration, which no retry and no waiting
// mends, and must not look like an outage or like nothing there. What else Redis
// refuses, on a replica or when its memory is full, it logs as well: an answer
// opens no breaker, so nothing else would tell that Redis has no part in what is
// decided.
package rights

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/unavailable"
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

// Refused returns the word that Redis begins a refusal with (READONLY, OOM,
// WRONGTYPE, ERR), false for what is none: nothing there, a script to load, a
// slot that is elsewhere.
func Refused(err error) (word string, ok bool) {
	var answer redis.Error
	if err == nil || !errors.As(err, &answer) {
		return "", false
	}
	switch word, _, _ = strings.Cut(answer.Error(), " "); word {
	case "redis:", "NOSCRIPT", "MOVED", "ASK", "TRYAGAIN", "": // "redis:" begins go-redis' own
		return "", false
	}
	return word, true
}

// Watch logs rights that are missing, and what else Redis refuses, each once a
// minute. A nil Watch logs nothing. It is safe for concurrent use.
type Watch struct {
	logger *slog.Logger

	mu   sync.Mutex
	said map[string]time.Time // as many as there are commands, and words of refusals
}

// NewWatch returns a Watch that logs to logger.
func NewWatch(logger *slog.Logger) *Watch {
	return &Watch{logger: logger, said: map[string]time.Time{}}
}

// See logs err if it says that a right is missing, or that Redis refuses.
func (w *Watch) See(ctx context.Context, err error) {
	if w == nil || err == nil {
		return
	}
	if right, ok := Missing(err); ok {
		if w.due(right) {
			w.logger.LogAttrs(ctx, slog.LevelError, "the redis user lacks a right: ACL LOG on the server names it, docs/deployment.md the rules",
				slog.String("right", right))
		}
		return
	}
	if word, ok := Refused(err); ok && w.due(word) {
		w.logger.LogAttrs(ctx, slog.LevelWarn, "redis refuses a call: what needs it goes on as without redis", slog.Any("error", err))
	}
}

// due reports whether it is time to say this, for the first time or again.
func (w *Watch) due(what string) bool {
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	if last, said := w.said[what]; said && now.Sub(last) < every {
		return false
	}
	w.said[what] = now
	return true
}

// Pipeline returns the error of a pipeline that reads keys which may be of any
// type: that of the whole, or of a right that is missing. What Redis says of a
// single command, such as WRONGTYPE, is left to that command.
func Pipeline(cmds []redis.Cmder, err error) error {
	for _, cmd := range cmds {
		if _, missing := Missing(cmd.Err()); missing {
			return cmd.Err()
		}
	}
	var answer redis.Error
	if err == nil || errors.Is(err, redis.Nil) || errors.As(err, &answer) && !errors.Is(err, unavailable.Err) {
		return nil
	}
	return err
}
