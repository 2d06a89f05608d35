package session

import (
	"bytes"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/bounded"
	"github.com/redishttp/redishttp/internal/setting"
)

// config is what the options record. complete derives the rest and checks it.
type config struct {
	cookieOptions Cookie
	cookie        http.Cookie // derived from cookieOptions; Value unused
	persist       bool
	keyPrefix     string
	name          string
	base          string // what the key of each session begins with
	lifetime      time.Duration
	idle          time.Duration
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
	codec         checkedCodec
	prefetch      bool
	hooks         Hooks
	logger        *slog.Logger
}

func defaults() config {
	return config{
		keyPrefix: "session",
		lifetime:  12 * time.Hour, idle: 30 * time.Minute,
		loadTimeout: 250 * time.Millisecond, saveTimeout: time.Second,
		maxSize: 32 << 10, codec: checkedCodec{compactCodec{}}, logger: slog.New(slog.DiscardHandler), prefetch: true,
	}
}

// longest is for how long browsers keep a cookie at most (draft-ietf-httpbis-rfc6265bis,
// section 5.5).
const longest = 400 * 24 * time.Hour

// complete derives what depends on other options and reports every mistake.
func (c *config) complete(rdb redis.UniversalClient) error {
	check := setting.Check{Package: "session"}
	check.That(!bounded.IsNil(rdb), "rdb", "is nil")
	c.settleCookie(&check)
	if c.name == "" {
		c.name = c.cookie.Name
	}
	named := c.name != c.cookie.Name || cookieName.MatchString(c.name) // a wrong cookie name is one mistake, not two
	check.That(c.keyPrefix != "", "WithKeyPrefix", "is empty")
	check.That(!strings.ContainsAny(c.keyPrefix, `*?[]\{}`), "WithKeyPrefix", "contains a glob character or a brace")
	check.That(!strings.ContainsFunc(c.keyPrefix, unicode.IsControl), "WithKeyPrefix", "contains a control character")
	if named {
		check.Name("WithName", c.name)
	}
	c.base = c.keyPrefix + ":v1:" + c.name + ":"
	check.That(c.lifetime >= time.Millisecond && c.lifetime <= longest, "WithLifetime", "%v is not within 1ms and 400 days", c.lifetime)
	check.That(c.idle >= time.Millisecond && c.idle <= c.lifetime, "WithIdleTimeout", "%v is not within 1ms and the lifetime", c.idle)
	check.That(c.loadTimeout > 0 && c.saveTimeout > 0, "WithTimeouts", "%v and %v are not both above 0", c.loadTimeout, c.saveTimeout)
	check.That(c.failureMode == FailClosed || c.failureMode == FailAnonymous, "WithFailureMode", "%d is neither FailClosed nor FailAnonymous", c.failureMode)
	fn, isFunc := c.deny.(http.HandlerFunc)
	check.That(c.deny == nil || !bounded.IsNil(c.deny) && (!isFunc || fn != nil), "WithDenyHandler", "is a nil %T", c.deny)
	check.That(c.maxSize > 0, "WithMaxSize", "%d is not above 0", c.maxSize)
	check.That(!c.legacy || c.legacyPrefix != "", "WithScsSessions", "the prefix is empty")
	check.That(c.legacyPrefix == "" || !strings.HasPrefix(c.base, c.legacyPrefix) && !strings.HasPrefix(c.legacyPrefix, c.base), "WithScsSessions", "the prefix and that of this package's sessions contain one another: a hash could pass for a token")
	check.That(c.maxSessions >= 0, "WithMaxSessions", "%d is below 0", c.maxSessions)
	c.checkEncryption(&check)
	check.That(!c.waits || c.waitReplicas > 0 && c.waitTimeout >= time.Millisecond, "WithWaitReplicas", "needs at least one replica and one millisecond")
	check.That(!c.merging || c.mergeKey != nil, "WithMerge", "is nil")
	check.That(!bounded.IsNil(c.codec.Codec), "WithCodec", "is nil")
	check.That(c.logger != nil, "WithLogger", "is nil")
	check.That(!readsReplicas(rdb), "rdb", "reads from replicas: a session would be missing right after login")
	return check.Err()
}

// checkEncryption rejects keys that would leave sessions unencrypted, or of
// which one is never used.
func (c *config) checkEncryption(check *setting.Check) {
	check.That(!c.sealing || len(c.sealKeys) > 0, "WithEncryption", "has no key: nothing would be encrypted")
	for i, key := range c.sealKeys {
		check.That(len(key) == sealKeySize, "WithEncryption", "key %d has %d bytes, not %d", i+1, len(key), sealKeySize)
		check.That(!slices.ContainsFunc(c.sealKeys[:i], func(k []byte) bool { return bytes.Equal(k, key) }), "WithEncryption", "key %d is given twice", i+1)
	}
	check.That(!c.readPlain || len(c.sealKeys) > 0, "WithReadPlaintext", "has no effect without WithEncryption")
}

// readsReplicas reports whether a client sends reads to replicas, which lag
// behind their master.
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
