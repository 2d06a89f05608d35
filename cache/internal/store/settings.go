package store

import (
	"context"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/cache/internal/rules"
	"github.com/redishttp/redishttp/internal/bounded"
)

// client is what a [Store] needs of go-redis.
type client interface {
	redis.Scripter
	Process(ctx context.Context, cmd redis.Cmder) error
	Pipeline() redis.Pipeliner
}

// Settings are those of a [Store]. Package cache fills and checks them; there are no
// defaults here. Instances that share entries must have the same Prefix, Name and
// Buckets, which are part of every key, and should have the same Rules.
type Settings struct {
	Prefix string // first part of every key
	Name   string // tells caches in one Redis apart
	// Buckets is the number of purge logs, and of hash slots in use: more spread the
	// entries over more nodes of a cluster, and a purge of tags writes to every log.
	Buckets int

	ReadTimeout    time.Duration // of a look-up, with all its round trips
	WriteTimeout   time.Duration // of each other call: a fill, a purge, a piece of a body
	LeaseTTL       time.Duration // how long others wait at most for a response that is never stored
	RefreshTimeout time.Duration // of a refresh in the background, and of its lease

	MaxVariants int              // of one URL; above it the oldest is evicted
	Compress    bool             // small text bodies, if that saves a fifth
	Replicas    bounded.Replicas // that must confirm a purge; N is 0 for none
	NearBytes   int64            // bound of the near tier; 0 for no near tier
	NearTTL     time.Duration    // how long a purge by another instance may go unnoticed in the near tier
	Rules       *rules.Rules

	Logger *slog.Logger
	// Failed is called with each error that no method returns: of a piece that could
	// not be written, or of an invalidation.
	Failed func(ctx context.Context, err error)
}

// logTTL is the TTL of purge logs, longer than any entry lives. Each fill and purge
// renews it, so a log that expires leaves no entry behind. A log that is lost
// invalidates all entries of its bucket.
func (set *Settings) logTTL() time.Duration {
	return 2*(2*set.Rules.MaxTTL+set.Rules.Retention) + time.Hour
}
