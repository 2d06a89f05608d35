package ratelimit

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// place is where Redis keeps a request's place of a concurrency policy.
type place struct {
	key   string
	field string // the policy's name if the key has several policies, else ""
	id    string
}

// placeOf returns the place that a request enters.
func (l *Limiter) placeOf(q request) place {
	keys := l.keysOf(q.set, q.key)
	if q.set.together {
		return place{key: keys[0], field: q.set.all[q.set.concurrent].Name, id: q.place}
	}
	return place{key: keys[q.set.concurrent], id: q.place}
}

// renewPlace renews the lease of a place, if it is still held.
func (s *scripts) renewPlace(ctx context.Context, p place) error {
	run, args := s.renew, []any{s.now(), lease.Microseconds(), p.id}
	if p.field != "" {
		run, args = s.renewField, append(args, p.field)
	}
	_, err := s.caller.Ints(ctx, run, []string{p.key}, args...)
	return err
}

// releasePlace releases a place and reports whether it was there.
func (s *scripts) releasePlace(ctx context.Context, p place) (there bool, err error) {
	if p.field == "" {
		cmd := redis.NewIntCmd(ctx, "zrem", p.key, p.id)
		err = s.caller.Process(ctx, cmd)
		return cmd.Val() > 0, err
	}
	reply, err := s.caller.Ints(ctx, s.leaveField, []string{p.key}, p.field+"|"+p.id, p.field+"#")
	return err == nil && len(reply) == 1 && reply[0] > 0, err
}

// forget deletes what policies count.
func (s *scripts) forget(ctx context.Context, set *policies, keys []string) error {
	if !set.together {
		args := []any{"del"}
		for _, key := range keys {
			args = append(args, key)
		}
		return s.caller.Process(ctx, redis.NewIntCmd(ctx, args...))
	}
	names := make([]any, len(set.all))
	for i := range set.all {
		names[i] = set.all[i].Name
	}
	_, err := s.caller.Ints(ctx, s.reset, keys, names...)
	return err
}
