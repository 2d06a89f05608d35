package lockmw

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/bounded"
)

// Client is what a [Locker] needs of a go-redis client; all of them have it.
type Client interface {
	bounded.Client
	Subscribe(ctx context.Context, channels ...string) *redis.PubSub
}

// An Option changes a default of [New].
type Option interface{ apply(*config) }

type optionFunc func(*config)

func (f optionFunc) apply(c *config) { f(c) }

// OptionError is one mistake in the arguments of [New].
type OptionError struct{ Option, Reason string }

func (e *OptionError) Error() string { return "lockmw: " + e.Option + ": " + e.Reason }

// Hooks observe a [Locker]. Any may be nil; they must not block.
type Hooks struct {
	// Acquired is called with how long the caller has waited, Released with how
	// long it has held the lock, also if it was lost before.
	Acquired func(ctx context.Context, fence uint64, waited time.Duration)
	Released func(ctx context.Context, fence uint64, held time.Duration)
	Busy     func(ctx context.Context, waited time.Duration)
	// Renewed is called after each try to extend a lease, with what was left of it
	// before: less than half of the TTL is late. err is nil if it was extended.
	Renewed func(ctx context.Context, left time.Duration, err error)
	// RenewedLate is called when a lease has been extended, but by late after a
	// third of the TTL, which is when it is due: more than a twelfth of the TTL. The
	// process, the network or Redis was slow, or a try failed. With a little more than
	// half of the TTL the lock would have been lost.
	RenewedLate func(ctx context.Context, late time.Duration)
	Lost        func(ctx context.Context, err *LostError)
	// Failed is called when Redis does not answer, a key cannot be found, or a
	// lock is nested.
	Failed func(ctx context.Context, err error)
}

type config struct {
	prefix, name string
	ttl          time.Duration
	wait         time.Duration
	nodeTimeout  time.Duration
	maxWaiters   int
	key          KeyFunc
	methods      []string
	busyStatus   int
	failOpen     bool
	readWrite    bool
	permits      int
	hooks        Hooks
	logger       *slog.Logger
}

// WithName tells lockers apart that share a Redis; those of one name share
// their locks. It matches [A-Za-z0-9._-]{1,64}. The default is "default".
func WithName(name string) Option { return optionFunc(func(c *config) { c.name = name }) }

// WithKeyPrefix sets the first part of every key. The default is "lockmw".
func WithKeyPrefix(prefix string) Option { return optionFunc(func(c *config) { c.prefix = prefix }) }

// WithTTL sets the lease, renewed at a third of it: how long others wait for a
// holder that died. The default is 10s.
func WithTTL(d time.Duration) Option { return optionFunc(func(c *config) { c.ttl = d }) }

// WithWait bounds how long Handler waits for a busy lock; 0 asks once. The
// default is 5s.
func WithWait(d time.Duration) Option { return optionFunc(func(c *config) { c.wait = d }) }

// WithNodeTimeout bounds each call to Redis. The default is a tenth of the TTL,
// within 20ms and 250ms.
func WithNodeTimeout(d time.Duration) Option {
	return optionFunc(func(c *config) { c.nodeTimeout = d })
}

// WithMaxWaiters bounds the queue of one lock over all instances. The default is 1000.
func WithMaxWaiters(n int) Option { return optionFunc(func(c *config) { c.maxWaiters = n }) }

// WithKey sets the key of a request: requests with one key exclude each other. The
// default is [ByPath]: the path, without method, host and query.
func WithKey(key KeyFunc) Option { return optionFunc(func(c *config) { c.key = key }) }

// WithMethods locks only requests with these methods. The default is all.
func WithMethods(methods ...string) Option {
	return optionFunc(func(c *config) { c.methods = methods })
}

// WithBusyStatus is the answer to a lock that stays busy: 409, 423 or 429. The
// default is 409, which generic clients do not repeat by themselves.
func WithBusyStatus(status int) Option { return optionFunc(func(c *config) { c.busyStatus = status }) }

// WithDangerousFailOpen(true) runs handlers without the lock while Redis is
// unavailable. The default is false: 503.
func WithDangerousFailOpen(on bool) Option { return optionFunc(func(c *config) { c.failOpen = on }) }

// WithHooks sets the observers. The default is none.
func WithHooks(h Hooks) Option { return optionFunc(func(c *config) { c.hooks = h }) }

// WithLogger sets the logger. The default discards.
func WithLogger(l *slog.Logger) Option { return optionFunc(func(c *config) { c.logger = l }) }

func defaults() config {
	return config{prefix: "lockmw", name: "default", ttl: 10 * time.Second, wait: 5 * time.Second, maxWaiters: 1000, permits: 1,
		key: ByPath, busyStatus: http.StatusConflict, logger: slog.New(slog.DiscardHandler)}
}

var validName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

func (c *config) validate(hasClient bool) error {
	if c.nodeTimeout == 0 {
		c.nodeTimeout = min(max(c.ttl/10, 20*time.Millisecond), 250*time.Millisecond)
	}
	var errs []error
	check := func(ok bool, option, reason string) {
		if !ok {
			errs = append(errs, &OptionError{Option: option, Reason: reason})
		}
	}
	check(hasClient, "rdb", "is nil")
	check(validName.MatchString(c.name), "WithName", "does not match [A-Za-z0-9._-]{1,64}")
	check(c.prefix != "" && !strings.ContainsAny(c.prefix, "{}"), "WithKeyPrefix", "is empty or contains a brace")
	check(c.ttl >= 200*time.Millisecond && c.ttl <= time.Hour, "WithTTL", fmt.Sprintf("%v is not within 200ms and 1h", c.ttl))
	check(c.wait >= 0, "WithWait", fmt.Sprintf("%v is below 0", c.wait))
	check(c.nodeTimeout > 0 && c.nodeTimeout < c.ttl/2, "WithNodeTimeout", fmt.Sprintf("%v is not within 0 and half of the TTL", c.nodeTimeout))
	check(c.maxWaiters > 0, "WithMaxWaiters", fmt.Sprintf("%d is not above 0", c.maxWaiters))
	check(c.permits > 0, "WithPermits", fmt.Sprintf("%d is not above 0", c.permits))
	check(!c.readWrite || c.permits == 1, "WithPermits", "does not go with WithReadWrite")
	check(c.key != nil, "WithKey", "is nil")
	check(slices.Contains([]int{409, 423, 429}, c.busyStatus), "WithBusyStatus", fmt.Sprintf("%d is not 409, 423 or 429", c.busyStatus))
	check(c.logger != nil, "WithLogger", "is nil")
	return errors.Join(errs...)
}

// several reports whether a lock may have more than one holder.
func (c *config) several() bool { return c.readWrite || c.permits > 1 }
