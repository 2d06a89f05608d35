package session

import (
	"cmp"
	"context"
	"crypto/sha256"
	_ "embed" // for the scripts
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/bounded"
)

//go:embed index.lua
var indexSource string

//go:embed revoke.lua
var revokeSource string

var errEmpty = errors.New("session: index.lua replies nothing")

// index knows which sessions a user has. Its two keys are in one slot, the
// sessions wherever their tokens are.
type index struct {
	m       *Manager
	rdb     redis.UniversalClient
	caller  *bounded.Caller
	enter   *redis.Script
	empty   *redis.Script
	timeout time.Duration
}

func newIndex(rdb redis.UniversalClient, m *Manager) *index {
	return &index{
		m: m, rdb: rdb, caller: bounded.New(rdb).Watch(m.logger), enter: redis.NewScriptServerSHA(indexSource),
		empty: redis.NewScriptServerSHA(revokeSource), timeout: m.saveTimeout,
	}
}

// keys returns those of a user, whose name is hashed, because it may be an
// address.
func (x *index) keys(user string) []string {
	sum := sha256.Sum256([]byte(user))
	base := userPrefix + x.m.base + "{" + hex.EncodeToString(sum[:16]) + "}:" // not below the prefix: All reads what is
	return []string{base + "s", base + "e"}
}

// bound limits a call in time. It does not end with the request: a client that
// disconnects must not leave half a logout.
func (x *index) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), x.timeout)
}

// add enters a session and returns the epoch at which it was entered, and the
// sessions that it ended, which were too many. The one that it replaces stays
// entered: it lives until the new one is saved, and for good if that fails.
func (x *index) add(ctx context.Context, user, hash, replaces string, deadline time.Time) (epoch string, ended []string, err error) {
	ctx, cancel := x.bound(ctx)
	defer cancel()
	reply, err := x.caller.Run(ctx, x.enter, x.keys(user), hash, time.Until(deadline).Microseconds(), replaces, x.m.maxSessions).StringSlice()
	if err != nil || len(reply) == 0 {
		return "", nil, fmt.Errorf("session: index: %w", blame(cmp.Or(err, errEmpty)))
	}
	if err := x.end(ctx, user, reply[1:]); err != nil {
		_ = x.remove(ctx, user, hash) // it is not saved, and must not count as one of the user's
		return "", nil, err
	}
	return reply[0], reply[1:], nil
}

// epoch returns the user's epoch. It differs from that of add if the sessions
// were revoked since.
func (x *index) epoch(ctx context.Context, user string) (string, error) {
	ctx, cancel := x.bound(ctx)
	defer cancel()
	cmd := redis.NewStringCmd(ctx, "get", x.keys(user)[1])
	err := x.caller.Process(ctx, cmd)
	switch {
	case errors.Is(err, redis.Nil):
		return "0", nil
	case err != nil:
		return "", fmt.Errorf("session: index: %w", blame(err))
	}
	return cmd.Val(), nil
}

// remove takes sessions out of their user's index.
func (x *index) remove(ctx context.Context, user string, hashes ...string) error {
	ctx, cancel := x.bound(ctx)
	defer cancel()
	args := []any{"zrem", x.keys(user)[0]}
	for _, hash := range hashes {
		args = append(args, hash)
	}
	if err := x.caller.Process(ctx, redis.NewIntCmd(ctx, args...)); err != nil {
		return fmt.Errorf("session: index: %w", blame(err))
	}
	return nil
}

// revoke deletes all sessions of a user but one, and returns their hashes; with
// an error those that may be deleted.
func (x *index) revoke(ctx context.Context, user, except string) ([]string, error) {
	bound, cancel := x.bound(ctx)
	defer cancel()
	life := x.m.lifetime + 24*time.Hour
	hashes, err := x.caller.Run(bound, x.empty, x.keys(user), except, life.Milliseconds()).StringSlice()
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, fmt.Errorf("session: index: %w", blame(err))
	}
	if err := x.end(ctx, user, hashes); err != nil {
		return hashes, err
	}
	return hashes, x.confirm(ctx, hashes...)
}

// end deletes sessions, and then takes them out of their user's index: one that could
// not be deleted is found by the next call.
func (x *index) end(ctx context.Context, user string, hashes []string) error {
	if len(hashes) == 0 {
		return nil
	}
	if err := x.unlink(ctx, hashes); err != nil {
		return err
	}
	return x.remove(ctx, user, hashes...)
}

// unlinkBatch bounds a pipeline, so that a user with many sessions does not
// hold a connection for long.
const unlinkBatch = 1000

// unlink deletes sessions, many in one round trip to each node.
func (x *index) unlink(ctx context.Context, hashes []string) error {
	for len(hashes) > 0 {
		n := min(len(hashes), unlinkBatch)
		bound, cancel := x.bound(ctx)
		pipe := x.rdb.Pipeline()
		for _, hash := range hashes[:n] {
			pipe.Unlink(bound, x.m.base+hash)
		}
		err := x.caller.Do(bound, func(ctx context.Context) error { _, err := pipe.Exec(ctx); return err })
		cancel()
		if err != nil {
			return fmt.Errorf("session: revoke: %w", blame(err))
		}
		hashes = hashes[n:]
	}
	return nil
}

// hashes returns the sessions in a user's index, the nearest deadline first.
// Some may have ended.
func (x *index) hashes(ctx context.Context, user string) ([]string, error) {
	ctx, cancel := x.bound(ctx)
	defer cancel()
	cmd := redis.NewStringSliceCmd(ctx, "zrange", x.keys(user)[0], 0, -1)
	if err := x.caller.Process(ctx, cmd); err != nil {
		return nil, fmt.Errorf("session: index: %w", blame(err))
	}
	return cmd.Val(), nil
}

// kept is what Redis has of a session.
type kept struct {
	bytes   []byte // nil when it is gone
	expires time.Time
	err     error // a key that holds no session
}

// values reads many sessions in one pipeline. A session that has ended has no
// bytes; a key that holds none has an error of its own.
func (x *index) values(ctx context.Context, hashes []string) ([]kept, error) {
	if len(hashes) == 0 {
		return nil, nil
	}
	bound, cancel := x.bound(ctx)
	defer cancel()
	pipe := x.rdb.Pipeline()
	gets, ttls := make([]*redis.StringCmd, len(hashes)), make([]*redis.DurationCmd, len(hashes))
	for i, hash := range hashes {
		gets[i], ttls[i] = pipe.Get(bound, x.m.base+hash), pipe.PTTL(bound, x.m.base+hash)
	}
	err := x.caller.Do(bound, func(ctx context.Context) error { _, err := pipe.Exec(ctx); return err })
	if errors.Is(err, bounded.ErrAbandoned) {
		return nil, fmt.Errorf("session: index: %w", blame(err)) // the replies are not ours to read
	}
	now, values, answered := time.Now(), make([]kept, len(hashes)), false
	for i := range hashes {
		b, failed := gets[i].Bytes()
		switch {
		case failed == nil:
			values[i] = kept{bytes: b, expires: now.Add(ttls[i].Val())}
		case isWrongType(failed):
			values[i].err = fmt.Errorf("%w: %w", ErrCorrupt, failed)
		case !errors.Is(failed, redis.Nil):
			return nil, fmt.Errorf("session: index: %w", blame(failed))
		}
		answered = answered || failed != nil || b != nil
	}
	if err != nil && !answered { // no connection came about
		return nil, fmt.Errorf("session: index: %w", blame(err))
	}
	return values, nil
}

// confirm waits until replicas have the deletion of these sessions: behind each a
// key is written, in a slot of the same master.
func (x *index) confirm(ctx context.Context, hashes ...string) error {
	if x.m.waitReplicas == 0 || len(hashes) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), x.timeout+x.m.waitTimeout)
	defer cancel()
	keys := make([]string, len(hashes))
	for i, hash := range hashes {
		keys[i] = x.m.base + hash
	}
	err := x.caller.Confirm(ctx, keys, func(p redis.Pipeliner, key string) {
		p.Set(ctx, userPrefix+x.m.base+"{"+key+"}:w", "", time.Second)
	}, bounded.Replicas{N: x.m.waitReplicas, Patience: x.m.waitTimeout})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnconfirmed, err)
	}
	return nil
}
