package lockmw

import (
	"context"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/setting"
)

// Client is what a [Locker] needs of a go-redis client: *redis.Client,
// *redis.ClusterClient, *redis.Ring and redis.UniversalClient have it.
type Client interface {
	redis.Scripter
	Process(ctx context.Context, cmd redis.Cmder) error
	Subscribe(ctx context.Context, channels ...string) *redis.PubSub
}

// An Option changes a default of [New].
type Option interface{ apply(*config) }

type optionFunc func(*config)

func (f optionFunc) apply(c *config) { f(c) }

// OptionError is one mistake in the arguments of [New].
type OptionError = setting.Error

// Hooks observe a [Locker]. Any may be nil. They run on the goroutine of the
// lock and must not block.
type Hooks struct {
	// Acquired is called with the time the caller waited.
	Acquired func(ctx context.Context, fence uint64, waited time.Duration)
	// Released is called with the context the lock was acquired under and the
	// time it was held, also if it was lost before. Inside of a response cache of this
	// module it runs while the response is stored, on another goroutine, before the
	// cache's handler returns.
	Released func(ctx context.Context, fence uint64, held time.Duration)
	// Busy is called when a caller gives up after it waited.
	Busy func(ctx context.Context, waited time.Duration)
	// Renewed is called after each attempt to extend a lease, with what was left of
	// it before: less than half of the TTL is late. err is nil if it was extended.
	Renewed func(ctx context.Context, left time.Duration, err error)
	// RenewedLate is called when a lease was extended more than a twelfth of the TTL
	// after it was due, which is at a third of the TTL. The process, the network or
	// Redis was slow, or an attempt failed. A little more than half of the TTL late,
	// and the lock would have been lost.
	RenewedLate func(ctx context.Context, late time.Duration)
	// Lost is called when a lock is lost. The reason is "expired" for a lock that
	// could not be renewed in time, "taken" for one that another owner acquired or that
	// an operator took away, "state-lost" for one that Redis lost, because it was
	// flushed or failed over, and "locker-closed" for one that was still held when
	// [Locker.Close] gave up waiting.
	Lost func(ctx context.Context, fence uint64, reason string)
	// Failed is called when Redis does not answer, a request has no key, or a lock
	// is nested in itself.
	Failed func(ctx context.Context, err error)
}

// WithName sets the name of the Locker, which is part of its keys: Lockers of
// one name and prefix share their locks. It matches [A-Za-z0-9._-]{1,64}. The
// default is "default". Use one name for each kind of thing that is locked.
func WithName(name string) Option { return optionFunc(func(c *config) { c.name = name }) }

// WithKeyPrefix sets the first part of all keys. It has no braces. The default
// is "lockmw". Use it when applications share a Redis.
func WithKeyPrefix(prefix string) Option { return optionFunc(func(c *config) { c.prefix = prefix }) }

// WithTTL sets the length of a lease, which is renewed every third of it: how
// long others wait after a holder died. It is within 200ms and 1h. The default is
// 10s. Choose it above the longest pause of an instance, and below what others
// can wait.
func WithTTL(d time.Duration) Option { return optionFunc(func(c *config) { c.ttl = d }) }

// WithTimeout sets the deadline of each call to Redis. It is below half of the
// TTL. The default, also of 0, is a tenth of the TTL within 20ms and 250ms.
// Raise it for a Redis that is far away.
func WithTimeout(d time.Duration) Option { return optionFunc(func(c *config) { c.timeout = d }) }

// WithMaxWaiters sets how many may wait for one lock, each instance counting as
// one; the next gets [ErrQueueFull]. It is above 0. The default is 1000. It bounds
// the memory in Redis.
func WithMaxWaiters(n int) Option { return optionFunc(func(c *config) { c.maxWaiters = n }) }

// WithReadWrite makes readers share a lock that a writer has to itself:
// [Locker.AcquireShared] and, in Handler, the methods GET, HEAD, OPTIONS and
// TRACE are readers, all else are writers. Both queue in order of arrival, so a
// writer does not starve. The fence of a reader is that of the last writer. The
// default is false. Use it when reads are frequent and must not see a write half
// done.
func WithReadWrite(on bool) Option { return optionFunc(func(c *config) { c.readWrite = on }) }

// WithPermits makes a lock a semaphore with n permits over all instances, which
// must agree on n. The permit of a holder that died returns when its lease ends.
// Fences tell the holders apart, but a smaller one may be valid. It is above 0
// and does not go with [WithReadWrite]. The default is 1: a lock. Use it to bound
// how many use a resource at the same time.
func WithPermits(n int) Option { return optionFunc(func(c *config) { c.permits = n }) }

// WithHooks sets the observers. The default is none. Use it for metrics:
//
//	lockmw.WithHooks(lockmw.Hooks{
//		Acquired: func(ctx context.Context, fence uint64, waited time.Duration) { waits.Observe(waited.Seconds()) },
//		Lost:     func(ctx context.Context, fence uint64, reason string) { losses.WithLabelValues(reason).Inc() },
//	})
//
// Adapter otelmetrics has hooks for OpenTelemetry.
func WithHooks(h Hooks) Option { return optionFunc(func(c *config) { c.hooks = h }) }

// WithLogger sets the logger. The default discards. It gets what an operator
// has to fix: requests refused with 500, and missing rights.
func WithLogger(l *slog.Logger) Option { return optionFunc(func(c *config) { c.logger = l }) }
