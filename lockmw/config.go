package lockmw

import (
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/redishttp/redishttp/internal/setting"
	"github.com/redishttp/redishttp/lockmw/lockkey"
)

// config is what options record. It does not change after the constructor.
type config struct {
	prefix, name string
	ttl          time.Duration
	timeout      time.Duration
	maxWaiters   int
	readWrite    bool
	permits      int
	hooks        Hooks
	logger       *slog.Logger

	key         KeyFunc
	methods     []string
	wait        time.Duration
	failureMode FailureMode
	deny        http.Handler
}

// newConfig returns the defaults, changed by opts: the last of a kind wins, and nil
// options are skipped.
func newConfig(opts []Option) config {
	c := config{
		prefix: "lockmw", name: "default", ttl: 10 * time.Second, maxWaiters: 1000, permits: 1, logger: slog.New(slog.DiscardHandler),
		key: lockkey.Path, wait: 5 * time.Second,
	}
	for _, opt := range opts {
		if opt != nil {
			opt.apply(&c)
		}
	}
	if c.timeout == 0 {
		c.timeout = min(max(c.ttl/10, 20*time.Millisecond), 250*time.Millisecond)
	}
	return c
}

// check records the mistakes in the options.
func (c *config) check() *setting.Check {
	check := &setting.Check{Package: "lockmw"}
	check.Name("WithName", c.name)
	check.That(c.prefix != "" && !strings.ContainsAny(c.prefix, "{}"), "WithKeyPrefix", "is empty or contains a brace")
	check.That(c.ttl >= 200*time.Millisecond && c.ttl <= time.Hour, "WithTTL", "%v is not within 200ms and 1h", c.ttl)
	check.That(c.timeout > 0 && c.timeout < c.ttl/2, "WithTimeout", "%v is not within 0 and half of the TTL", c.timeout)
	check.That(c.maxWaiters > 0, "WithMaxWaiters", "%d is not above 0", c.maxWaiters)
	check.That(c.permits > 0, "WithPermits", "%d is not above 0", c.permits)
	check.That(!c.readWrite || c.permits == 1, "WithPermits", "does not go with WithReadWrite")
	check.That(c.logger != nil, "WithLogger", "is nil")
	check.That(c.key != nil, "WithKey", "is nil")
	check.That(c.wait >= 0, "WithWait", "%v is below 0", c.wait)
	check.That(c.failureMode == FailClosed || c.failureMode == DangerouslyFailOpen, "WithFailureMode", "%d is not a FailureMode", c.failureMode)
	return check
}

// isShared reports whether a lock may have more than one holder.
func (c *config) isShared() bool { return c.readWrite || c.permits > 1 }
