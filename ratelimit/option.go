package ratelimit

import (
	"context"
	"log/slog"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/go-redis/redis_rate/v10"

	"github.com/redishttp/redishttp/internal/setting"
)

// An Option changes a default of [New].
type Option interface{ apply(*config) }

// optionFunc is an Option that sets fields of the config.
type optionFunc func(*config)

func (f optionFunc) apply(c *config) { f(c) }

// OptionError is one mistake in the arguments of [New].
type OptionError = setting.Error

// FailureMode says how requests are decided while Redis is unavailable.
type FailureMode uint8

const (
	// FailLocal counts in this process: each instance allows the whole limit,
	// or its part of it, see [WithLocalLimits]. A client that exceeds it on this
	// instance gets 429.
	FailLocal FailureMode = iota
	// FailOpen admits every request, without RateLimit headers.
	FailOpen
	// FailClosed rejects every request with 503 and Retry-After.
	FailClosed
)

// Hooks observe a [Limiter], for metrics and traces. Any may be nil. They run on
// the request's goroutine and must not block.
type Hooks struct {
	// Decided is called after each decision, also for refunds and charges. took
	// is how long it took, with the call to Redis if there was one.
	Decided func(ctx context.Context, d Decision, took time.Duration)
	// Outage is called when Redis becomes unavailable and when it is back. With
	// several nodes it is called when the first becomes unavailable, and when the
	// last is back.
	Outage func(ctx context.Context, unavailable bool)
	// Failed is called for each call to Redis that failed, before the decision
	// is made without it. The error matches [ErrUnavailable].
	Failed func(ctx context.Context, err error)
}

// Headers says which response headers tell the client about its limits. The zero
// value sends RateLimit and RateLimit-Policy
// (draft-ietf-httpapi-ratelimit-headers) with every response to a counted request.
type Headers struct {
	// Off sends neither RateLimit nor RateLimit-Policy; a refusal still has
	// Retry-After. The default is false. Set it where clients must not learn the
	// limit, as on logins.
	Off bool
	// NearLimit sends the fields only when four fifths of the burst are used, and
	// with refusals. The default is false: always. Set it to save bytes; Off and
	// NearLimit together are a mistake.
	NearLimit bool
	// Legacy adds X-RateLimit-Limit, -Remaining and -Reset, of the most restrictive
	// policy. Reset is in seconds until the bucket is full. The default is
	// false. Set it for clients that know only these.
	Legacy bool
	// LegacyEpoch is Legacy with Reset as seconds since 1970, as GitHub sends it.
	// The default is false.
	LegacyEpoch bool
	// PartitionKey adds the parameter pk of the draft: the client's key as 12
	// bytes of HMAC-SHA-256 under this secret, which has at least 16 bytes. The
	// default is nil: no pk. Set it where clients share an address and must
	// know whose quota it is.
	PartitionKey []byte
}

// Engine counts in place of the package's own script. A *redis_rate.Limiter is
// one.
type Engine interface {
	// AllowN charges n if it fits, and returns the state of the key.
	AllowN(ctx context.Context, key string, limit redis_rate.Limit, n int) (*redis_rate.Result, error)
}

// config is what the options set. Options only record; [New] checks them, so that it
// can report all mistakes at once.
type config struct {
	prefix      string
	name        string
	limits      []Limit
	timeout     time.Duration
	failureMode FailureMode
	localKeys   int
	localShare  float64
	denySize    int
	denyRecheck time.Duration
	engine      Engine
	hooks       Hooks
	logger      *slog.Logger
	clock       func() time.Time
	prefetch    bool
	counting
	responding
}

// counting are the options that say what a request is counted against.
type counting struct {
	keys       []KeyFunc // in the order in which they are called
	cost       func(*http.Request) int
	limitsFunc func(*http.Request) []Limit
	skip       func(*http.Request) bool
}

// responding are the options that change what a client gets or what is done
// after the decision. Its zero value is the default.
type responding struct {
	refund  func(status int, r *http.Request) int
	shadow  bool
	delay   *delay
	headers Headers
	deny    http.Handler
}

// delay is what [WithDelay] sets.
type delay struct {
	longest time.Duration
	waiting int
}

// usual reports whether no option of responding is set, so that the response to a
// refusal can be repeated. A new option is covered without a change here.
func (c *responding) usual() bool { return reflect.ValueOf(c).Elem().IsZero() }

// defaults returns the config before any option. Each option's comment names its
// default.
func defaults() config {
	return config{
		prefix: "ratelimit", timeout: 100 * time.Millisecond, localKeys: 100_000, localShare: 1,
		denySize: 65_536, denyRecheck: time.Second, logger: slog.New(slog.DiscardHandler), prefetch: true,
		counting: counting{keys: []KeyFunc{byPeer}},
	}
}

// validate returns all mistakes in the options. limits are New's and those of
// [WithLimits]; their numbers are checked by compileAll.
func (c *config) validate(hasClient bool, limits []Limit) error {
	check := &setting.Check{Package: "ratelimit"}
	check.That(hasClient || c.engine != nil, "rdb", "is nil")
	check.That(c.engine == nil || len(limits) == 1 && limits[0].kind == bucket && c.limitsFunc == nil, "WithEngine", "an engine decides one limit, and no window or concurrency")
	check.That(c.name == "" || validName.MatchString(c.name), "WithName", "does not match [A-Za-z0-9._:*/-]{1,64}")
	check.That(c.prefix != "" && !strings.ContainsAny(c.prefix, "{}"), "WithKeyPrefix", "is empty or contains a brace")
	check.That(!slices.ContainsFunc(c.keys, func(k KeyFunc) bool { return k == nil }), "WithKey", "is nil")
	check.That(c.timeout > 0, "WithTimeout", "%v is not above 0", c.timeout)
	check.That(c.failureMode <= FailClosed, "WithFailureMode", "is unknown")
	check.That(c.localKeys > 0, "WithLocalLimits", "%d keys are not above 0", c.localKeys)
	check.That(c.localShare > 0 && c.localShare <= 1, "WithLocalLimits", "share %v is not above 0 and up to 1", c.localShare)
	check.That(c.denySize >= 0, "WithDenyCache", "size %d is below 0", c.denySize)
	check.That(c.denySize == 0 || c.denyRecheck > 0, "WithDenyCache", "%v is not above 0", c.denyRecheck)
	check.That(c.logger != nil, "WithLogger", "is nil")
	c.responding.validate(check)
	return check.Err()
}

// validate checks the options that change a response.
func (c *responding) validate(check *setting.Check) {
	if c.delay != nil {
		check.That(c.delay.longest >= 0, "WithDelay", "%v is below 0", c.delay.longest)
		check.That(c.delay.waiting > 0, "WithDelay", "%d requests may wait, want above 0", c.delay.waiting)
	}
	check.That(!c.headers.Off || !c.headers.NearLimit, "WithHeaders", "Off and NearLimit exclude each other")
	check.That(c.headers.PartitionKey == nil || len(c.headers.PartitionKey) >= 16, "WithHeaders", "PartitionKey has fewer than 16 bytes")
}
