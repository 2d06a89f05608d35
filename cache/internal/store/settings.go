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

// Settings are those of a [Store]. None is optional.
type Settings struct {
	Prefix, Name   string
	Buckets        int
	ReadTimeout    time.Duration // of a look-up
	WriteTimeout   time.Duration // of anything else
	MaxVariants    int           // of one URL
	Compress       bool
	LeaseTTL       time.Duration
	RefreshTimeout time.Duration // of a refresh, and of its lease
	Replicas       bounded.Replicas
	NearBytes      int64 // 0 for no near tier
	NearTTL        time.Duration
	Rules          *rules.Rules
	Logger         *slog.Logger
	Failed         func(ctx context.Context, err error) // observes calls that failed beside those that return an error
}

// logTTL is longer than any entry lives: each fill and purge renews it, so a
// log that expires leaves no entry behind, and one that is lost makes all
// entries of its bucket invalid.
func (set *Settings) logTTL() time.Duration {
	return 2*(2*set.Rules.MaxTTL+set.Rules.Retention) + time.Hour
}
