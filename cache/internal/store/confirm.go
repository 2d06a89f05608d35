package store

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/bounded"
)

// ErrUnconfirmed is returned when fewer replicas have confirmed a purge in time
// than [Settings] ask for.
var ErrUnconfirmed = errors.New("cache: purged, but not confirmed by the replicas")

// confirm waits until replicas have what was written to these logs, whose TTL is
// written again behind it.
func (s *Store) confirm(ctx context.Context, logs []string) error {
	if s.set.Replicas.N == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.set.WriteTimeout+s.set.Replicas.Patience)
	defer cancel()
	if !bounded.TellsNodes(s.rdb) {
		return errors.Join(ErrUnconfirmed, errors.New("the client does not tell the master of a key"))
	}
	err := s.caller.Confirm(ctx, logs, func(p redis.Pipeliner, log string) { p.PExpire(ctx, log, s.set.logTTL()) },
		bounded.Replicas{N: s.set.Replicas.N, Patience: s.set.Replicas.Patience})
	if err != nil {
		return errors.Join(ErrUnconfirmed, err)
	}
	return nil
}
