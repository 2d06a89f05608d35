package cache

import (
	"strings"
	"time"

	"github.com/redishttp/redishttp/cache/internal/rules"
	"github.com/redishttp/redishttp/internal/setting"
)

// validate reports every mistake at once.
func (c *config) validate(hasClient bool) error {
	check := &setting.Check{Package: "cache"}
	check.That(hasClient, "rdb", "is nil")
	check.Name("WithName", c.settings.Name)
	check.That(c.settings.Prefix != "" && !strings.ContainsAny(c.settings.Prefix, "{}"), "WithKeyPrefix", "is empty or contains a brace")
	check.That(rules.ValidToken.MatchString(c.identifier), "WithIdentifier", "is not a structured field token (RFC 9651)")
	check.That(c.settings.ReadTimeout > 0 && c.settings.WriteTimeout > 0, "WithTimeouts", "are not above 0")
	check.That(c.rules.MaxBody > 0, "WithMaxBody", "%d is not above 0", c.rules.MaxBody)
	check.That(c.rules.MaxTTL >= time.Second, "WithMaxTTL", "%v is below 1s", c.rules.MaxTTL)
	check.That(c.settings.Buckets >= 1 && c.settings.Buckets <= 4096, "WithBuckets", "%d is not within 1 and 4096", c.settings.Buckets)
	c.checkHTTP(check)
	c.checkStore(check)
	check.That(c.logger != nil, "WithLogger", "is nil")
	return check.Err()
}
