package session

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/alexedwards/scs/v2"
	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/bounded"
	"github.com/redishttp/redishttp/internal/setting"
)

// An Option changes a default of [New].
type Option interface{ apply(*config) }

type optionFunc func(*config)

func (f optionFunc) apply(c *config) { f(c) }

// OptionError is one mistake in the arguments of [New]. Its fields Option and
// Reason say where and what; it never holds a secret.
type OptionError = setting.Error

// FailureMode is what happens to a request whose session cannot be loaded while
// Redis is unavailable.
type FailureMode int

const (
	// FailClosed rejects the request with 503 and Retry-After. It is the default.
	FailClosed FailureMode = iota
	// FailAnonymous serves the request with an empty session that cannot be
	// changed: a request that changes it gets 503. The client keeps its cookie.
	FailAnonymous
)

// Hooks observe a [Manager]. Any may be nil. They run on a goroutine of the
// request and must not block. They never see a token.
type Hooks struct {
	// Loaded is called when the session is first used: found, or new.
	Loaded func(ctx context.Context, found bool)
	// Saved is called after the session was written.
	Saved func(ctx context.Context)
	// Merged is called after a save that was merged with that many concurrent
	// saves.
	Merged func(ctx context.Context, times int)
	// Event is called when a session was created, rotated or destroyed, and for
	// a token that no session has.
	Event func(ctx context.Context, e Event)
	// Failed is called for each failure: [ErrUnavailable], [ErrRefused],
	// [ErrGone], [ErrConflict], [ErrHeadersSent], [ErrCorrupt], [ErrEncode],
	// [ErrTooLarge], [ErrUnknownKey], [ErrClock].
	Failed func(ctx context.Context, err error)
}

type config struct {
	cookieOptions Cookie
	cookie        http.Cookie // derived from cookieOptions; Value unused
	persist       bool
	prefix        string
	lifetime      time.Duration
	idle          time.Duration
	long          bool
	loadTimeout   time.Duration
	saveTimeout   time.Duration
	failureMode   FailureMode
	deny          http.Handler // nil for problem+json
	rejectGone    bool
	maxSessions   int
	sealKeys      [][]byte
	readPlain     bool
	seal          *sealer // nil without keys
	waits         bool
	waitReplicas  int
	waitTimeout   time.Duration
	legacyPrefix  string
	legacy        bool // WithScsSessions was given, and so on
	sealing       bool
	merging       bool
	mergeKey      func(key string, base, mine, theirs any) any
	maxSize       int
	codec         scs.Codec
	hooks         Hooks
	logger        *slog.Logger
}

// WithKeyPrefix replaces everything before the hash in a key. Glob characters,
// braces and control characters are errors. The default, also for "", is
// "session:v1:<cookie name>:". Use it to keep the sessions of several
// applications apart in one Redis.
func WithKeyPrefix(prefix string) Option { return optionFunc(func(c *config) { c.prefix = prefix }) }

// WithLifetime sets the absolute timeout of a session, counted from its creation,
// login or rotation, however much it is used. The default is 12h, the maximum 30
// days unless [WithAllowLongLifetime]; less than a millisecond is an error. Use a
// short one where a stolen cookie must soon be worthless.
func WithLifetime(d time.Duration) Option { return optionFunc(func(c *config) { c.lifetime = d }) }

// WithIdleTimeout sets the idle timeout: a session that is not used for that long
// ends, by Redis' clock. Using it renews it in steps of a tenth, so that most
// reads write nothing. It does not apply to sessions with [Manager.RememberMe].
// The default is 30m; less than a millisecond, or more than the lifetime, is an
// error.
func WithIdleTimeout(d time.Duration) Option { return optionFunc(func(c *config) { c.idle = d }) }

// WithAllowLongLifetime sets whether lifetimes above 30 days are allowed. The
// default is false, because a lifetime in the wrong unit should not go unnoticed.
func WithAllowLongLifetime(on bool) Option { return optionFunc(func(c *config) { c.long = on }) }

// WithTimeouts sets the deadline of each read of a session, and of each write or
// deletion. The defaults are 250ms and 1s; both must be above 0. Raise them where
// Redis is far away, lower them where a request must fail fast.
func WithTimeouts(read, write time.Duration) Option {
	return optionFunc(func(c *config) { c.loadTimeout, c.saveTimeout = read, write })
}

// WithFailureMode sets what happens to a request whose session cannot be loaded
// while Redis is unavailable. The default is [FailClosed]; use [FailAnonymous]
// for sites whose pages are useful to visitors without a session.
func WithFailureMode(mode FailureMode) Option {
	return optionFunc(func(c *config) { c.failureMode = mode })
}

// WithDenyHandler sets the handler that responds to refused requests, in place of
// the handler's response. [DenyReason] has the reason; Retry-After and
// Cache-Control are set. What it writes without a status has the status of the
// default response (503, 500, 409 or 401), which is application/problem+json. Use
// it for pages or for an API with its own errors. It must not use the session.
// The default is nil: problem+json.
func WithDenyHandler(h http.Handler) Option { return optionFunc(func(c *config) { c.deny = h }) }

// WithMaxSize limits the encoded session, in bytes. The default is 32 KiB; it must
// be above 0. A larger session is not saved: the client gets 500, and
// [ErrTooLarge] goes to the hook. Keep it small, because each request reads the
// whole session.
func WithMaxSize(n int) Option { return optionFunc(func(c *config) { c.maxSize = n }) }

// WithCodec sets how sessions are encoded. The default is [Codec], which also
// reads what scs' gob codec has written; nil is an error. Use scs.GobCodec while
// instances that run scs share the sessions.
func WithCodec(codec scs.Codec) Option { return optionFunc(func(c *config) { c.codec = codec }) }

// WithHooks sets functions that are called when something happens to a session,
// for metrics, audit logs and tests. The default is none.
func WithHooks(h Hooks) Option { return optionFunc(func(c *config) { c.hooks = h }) }

// WithLogger sets the logger for outages and failures, each kind at most once in
// ten seconds. The default discards; nil is an error.
func WithLogger(l *slog.Logger) Option { return optionFunc(func(c *config) { c.logger = l }) }

// WithRejectGone sets whether 401 takes the place of the handler's response when
// the session was logged out while the request ran and the request has changed it.
// The default is false: the handler's response is sent, and removes the cookie.
// Use it where no response may leave after a logout.
func WithRejectGone(reject bool) Option {
	return optionFunc(func(c *config) { c.rejectGone = reject })
}

// WithScsSessions reads the sessions that scs.LoadAndSave and redisstore have
// stored under this prefix ("scs:session:" is redisstore's), so that a migration
// logs no user out: a session that is used is saved in this package's place and
// deleted there. Use the same cookie name and codec ("session" and gob are
// scs'), and switch all instances at once, or users move back and forth. Remove
// the option when scs' lifetime is over. The prefix must not overlap with that of
// [WithKeyPrefix], because tokens are not hashed there. The default is none; ""
// is an error.
func WithScsSessions(prefix string) Option {
	return optionFunc(func(c *config) { c.legacyPrefix, c.legacy = prefix, true })
}

// WithEncryption encrypts values at rest with AES-256-GCM: read access to Redis
// reveals no session, write access forges none. The first key encrypts, all
// decrypt. To change the key, append the new key, deploy; move it first, deploy;
// remove the old one when [WithLifetime] is over. Keys are 32 random bytes; no
// key at all is an error. The default is no encryption.
func WithEncryption(keys ...[]byte) Option {
	return optionFunc(func(c *config) { c.sealKeys, c.sealing = keys, true })
}

// WithReadPlaintext sets whether sessions that are not encrypted are read although
// [WithEncryption] is set, so that turning encryption on logs no user out. Remove
// it when [WithLifetime] is over. The default is false.
func WithReadPlaintext(on bool) Option { return optionFunc(func(c *config) { c.readPlain = on }) }

// WithMaxSessions limits the sessions of a user: a [Manager.Login] beyond n ends
// the oldest ones. The default is 0, no limit; a negative n is an error. Use 1 to
// allow one device at a time.
func WithMaxSessions(n int) Option { return optionFunc(func(c *config) { c.maxSessions = n }) }

// WithMerge sets how the value of a key is merged that two requests have changed
// concurrently: base is what both have read, mine the value of this request and
// theirs the one that the other has saved; nil means that the key is absent, or
// removes it. The default is mine, the later one. Use it for counters (add) and
// sets (unite).
func WithMerge(merge func(key string, base, mine, theirs any) any) Option {
	return optionFunc(func(c *config) { c.mergeKey, c.merging = merge, true })
}

func defaults() config {
	return config{
		lifetime: 12 * time.Hour, idle: 30 * time.Minute,
		loadTimeout: 250 * time.Millisecond, saveTimeout: time.Second,
		maxSize: 32 << 10, codec: Codec{}, logger: slog.New(slog.DiscardHandler),
	}
}

const longest = 30 * 24 * time.Hour

// complete derives what depends on other options and reports every mistake.
func (c *config) complete(rdb redis.UniversalClient) error {
	check := setting.Check{Package: "session"}
	check.That(!bounded.IsNil(rdb), "rdb", "is nil")
	c.settleCookie(&check)
	if c.prefix == "" {
		c.prefix = RedisKeyPrefix + c.cookie.Name + ":"
	}
	check.That(!strings.ContainsAny(c.prefix, `*?[]\{}`), "WithKeyPrefix", "contains a glob character or a brace")
	check.That(!strings.ContainsFunc(c.prefix, unicode.IsControl), "WithKeyPrefix", "contains a control character")
	check.That(c.lifetime >= time.Millisecond && (c.lifetime <= longest || c.long), "WithLifetime", "%v is not within 1ms and 30 days", c.lifetime)
	check.That(c.idle >= time.Millisecond && c.idle <= c.lifetime, "WithIdleTimeout", "%v is not within 1ms and the lifetime", c.idle)
	check.That(c.loadTimeout > 0 && c.saveTimeout > 0, "WithTimeouts", "%v and %v are not both above 0", c.loadTimeout, c.saveTimeout)
	check.That(c.failureMode == FailClosed || c.failureMode == FailAnonymous, "WithFailureMode", "%d is neither FailClosed nor FailAnonymous", c.failureMode)
	fn, isFunc := c.deny.(http.HandlerFunc)
	check.That(c.deny == nil || !bounded.IsNil(c.deny) && (!isFunc || fn != nil), "WithDenyHandler", "is a nil %T", c.deny)
	check.That(c.maxSize > 0, "WithMaxSize", "%d is not above 0", c.maxSize)
	check.That(!c.legacy || c.legacyPrefix != "", "WithScsSessions", "the prefix is empty")
	check.That(c.legacyPrefix == "" || !strings.HasPrefix(c.prefix, c.legacyPrefix) && !strings.HasPrefix(c.legacyPrefix, c.prefix), "WithScsSessions", "the prefix and that of this package's sessions contain one another: a hash could pass for a token")
	check.That(c.maxSessions >= 0, "WithMaxSessions", "%d is below 0", c.maxSessions)
	c.checkEncryption(&check)
	check.That(!c.waits || c.waitReplicas > 0 && c.waitTimeout >= time.Millisecond, "WithWaitReplicas", "needs at least one replica and one millisecond")
	check.That(!c.merging || c.mergeKey != nil, "WithMerge", "is nil")
	check.That(!bounded.IsNil(c.codec), "WithCodec", "is nil")
	check.That(c.logger != nil, "WithLogger", "is nil")
	check.That(!readsReplicas(rdb), "rdb", "reads from replicas: a session would be missing right after login")
	return check.Err()
}

func (c *config) checkEncryption(check *setting.Check) {
	check.That(!c.sealing || len(c.sealKeys) > 0, "WithEncryption", "has no key: nothing would be encrypted")
	for i, key := range c.sealKeys {
		check.That(len(key) == sealKeySize, "WithEncryption", "key %d has %d bytes, not %d", i+1, len(key), sealKeySize)
		check.That(!slices.ContainsFunc(c.sealKeys[:i], func(k []byte) bool { return bytes.Equal(k, key) }), "WithEncryption", "key %d is given twice", i+1)
	}
	check.That(!c.readPlain || len(c.sealKeys) > 0, "WithReadPlaintext", "has no effect without WithEncryption")
}

func readsReplicas(rdb redis.UniversalClient) bool {
	if bounded.IsNil(rdb) {
		return false
	}
	cluster, ok := bounded.Unwrap(rdb).(*redis.ClusterClient)
	if !ok || cluster == nil {
		return false
	}
	o := cluster.Options()
	return o.ReadOnly || o.RouteByLatency || o.RouteRandomly
}
