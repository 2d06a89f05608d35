package session

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/alexedwards/scs/v2"
	"github.com/redis/go-redis/v9"

	"github.com/redishttp/redishttp/internal/bounded"
)

// An Option changes a default of [New].
type Option interface{ apply(*config) }

type optionFunc func(*config)

func (f optionFunc) apply(c *config) { f(c) }

// OptionError is one mistake in the arguments of [New].
type OptionError struct{ Option, Reason string }

func (e *OptionError) Error() string { return "session: " + e.Option + ": " + e.Reason }

// Hooks observe a [Manager]. Any may be nil. They run on a goroutine of the
// request and must not block. They never see a token.
type Hooks struct {
	// Loaded is called when the session is first used: found, or new.
	Loaded func(ctx context.Context, found bool)
	// Saved is called after the session was written.
	Saved func(ctx context.Context)
	// Merged is called after a save that met so many saves of other requests.
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
	cookie        http.Cookie // attributes; Value unused
	named         bool
	insecure      bool
	persist       bool
	prefix        string
	lifetime      time.Duration
	idle          time.Duration
	long          bool
	loadTimeout   time.Duration
	saveTimeout   time.Duration
	failAnonymous bool
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

// WithCookieName names the cookie. The default is "__Host-session", or
// "session" with [WithInsecureCookie].
func WithCookieName(name string) Option {
	return optionFunc(func(c *config) { c.cookie.Name, c.named = name, true })
}

// WithCookieDomain sends the cookie to subdomains as well; the name must then
// not begin with __Host-. What browsers refuse is an error: an IP address, a
// single label, a well-known public suffix, a name with an underscore (which
// net/http leaves out). The default is none: this host only.
func WithCookieDomain(domain string) Option {
	return optionFunc(func(c *config) { c.cookie.Domain = domain })
}

// WithCookiePath sets the cookie's path, percent-encoded: it begins with / and
// has no semicolon, control character or byte that is not ASCII. The default is
// "/".
func WithCookiePath(path string) Option { return optionFunc(func(c *config) { c.cookie.Path = path }) }

// WithSameSite sets the cookie's SameSite: Lax, Strict, None, or Default for
// none of these. The default is Lax.
func WithSameSite(mode http.SameSite) Option {
	return optionFunc(func(c *config) { c.cookie.SameSite = mode })
}

// WithPartitioned keeps the cookie apart for each embedding site (CHIPS); it
// needs SameSite=None. The default is false.
func WithPartitioned(on bool) Option {
	return optionFunc(func(c *config) { c.cookie.Partitioned = on })
}

// WithPersist lets every cookie outlive the browser, until the session's
// deadline. The session still ends after [WithIdle]: to keep one that is not
// used until its deadline, use [Manager.RememberMe]. The default is false.
func WithPersist(on bool) Option { return optionFunc(func(c *config) { c.persist = on }) }

// WithInsecureCookie(true) sends the cookie over plain HTTP, for development
// on a machine without TLS. The default is false.
func WithInsecureCookie(on bool) Option { return optionFunc(func(c *config) { c.insecure = on }) }

// WithKeyPrefix replaces everything before the hash in a key. Glob characters
// are not allowed. The default is "session:v1:<cookie name>:".
func WithKeyPrefix(prefix string) Option { return optionFunc(func(c *config) { c.prefix = prefix }) }

// WithLifetime bounds a session absolutely, from login or rotation. The
// default is 12h, the most 30 days unless [WithAllowLongLifetime].
func WithLifetime(d time.Duration) Option { return optionFunc(func(c *config) { c.lifetime = d }) }

// WithIdle sets the idle timeout: a session that is not used for that long ends,
// by Redis' clock. Using it renews it in steps of a tenth, so that reading is
// seldom writing. It does not apply to [Manager.RememberMe]. The default is 30m.
func WithIdle(d time.Duration) Option { return optionFunc(func(c *config) { c.idle = d }) }

// WithAllowLongLifetime allows lifetimes above 30 days. The default is false.
func WithAllowLongLifetime(on bool) Option { return optionFunc(func(c *config) { c.long = on }) }

// WithTimeouts bounds a load and a save or deletion. The defaults are 250ms and
// 1s.
func WithTimeouts(load, save time.Duration) Option {
	return optionFunc(func(c *config) { c.loadTimeout, c.saveTimeout = load, save })
}

// WithFailAnonymous(true) serves requests whose session cannot be loaded with
// an empty one that cannot be changed, instead of 503. The user's cookie is
// kept. The default is false.
func WithFailAnonymous(on bool) Option { return optionFunc(func(c *config) { c.failAnonymous = on }) }

// WithMaxSize bounds the encoded session in bytes. The default is 32 KiB.
func WithMaxSize(n int) Option { return optionFunc(func(c *config) { c.maxSize = n }) }

// WithCodec sets how values are encoded. The default is [Codec], which reads what
// scs' gob codec has written.
func WithCodec(codec scs.Codec) Option { return optionFunc(func(c *config) { c.codec = codec }) }

// WithHooks sets the observers. The default is none.
func WithHooks(h Hooks) Option { return optionFunc(func(c *config) { c.hooks = h }) }

// WithLogger sets the logger for outages and for each kind of failure, a line in
// ten seconds at most. The default discards.
func WithLogger(l *slog.Logger) Option { return optionFunc(func(c *config) { c.logger = l }) }

// WithRejectGone answers 401 when a session was logged out while the request
// ran, in place of what the handler wrote. The default is false: the handler's
// response goes out and takes the cookie away.
func WithRejectGone(reject bool) Option {
	return optionFunc(func(c *config) { c.rejectGone = reject })
}

// WithScsSessions takes over the sessions that scs.LoadAndSave and redisstore
// have written under this prefix ("scs:session:" is redisstore's), so that
// nobody is logged out: when one is used it is saved in this package's place and
// deleted there. Use the same cookie name and codec ("session" and gob are
// scs'), and switch all instances at once, or users move back and forth. It may
// be removed when scs' lifetime is over. The prefix must not be that of
// [WithKeyPrefix], for tokens are not hashed there. The default is none.
func WithScsSessions(prefix string) Option {
	return optionFunc(func(c *config) { c.legacyPrefix, c.legacy = prefix, true })
}

// WithEncryption encrypts values at rest with AES-256-GCM: whoever can read Redis
// reads no session, and whoever can write to it forges none. The first key
// encrypts, all decrypt: to change it, add the new one behind, then everywhere
// put it first, then take the old one away when [WithLifetime] is over. Keys are 32 random bytes. The default is none.
func WithEncryption(keys ...[]byte) Option {
	return optionFunc(func(c *config) { c.sealKeys, c.sealing = keys, true })
}

// WithReadPlaintext(true) reads sessions that are not encrypted although
// [WithEncryption] is set, so that turning it on logs nobody out. Take it away
// when [WithLifetime] is over. The default is false.
func WithReadPlaintext(on bool) Option { return optionFunc(func(c *config) { c.readPlain = on }) }

// WithMaxSessions ends a user's oldest sessions when [Manager.Login] makes more
// than n. The default is 0: any number.
func WithMaxSessions(n int) Option { return optionFunc(func(c *config) { c.maxSessions = n }) }

// WithMerge decides about a key that two requests have changed at once: base is
// what both have read, mine what this request makes of it and theirs what the
// other has saved; nil stands for an absent key, and removes it. Counters add,
// sets unite. The default is mine, for it is later.
func WithMerge(merge func(key string, base, mine, theirs any) any) Option {
	return optionFunc(func(c *config) { c.mergeKey, c.merging = merge, true })
}

func defaults() config {
	return config{
		cookie:   http.Cookie{Path: "/", HttpOnly: true, Secure: true, SameSite: http.SameSiteLaxMode},
		lifetime: 12 * time.Hour, idle: 30 * time.Minute,
		loadTimeout: 250 * time.Millisecond, saveTimeout: time.Second,
		maxSize: 32 << 10, codec: Codec{}, logger: slog.New(slog.DiscardHandler),
	}
}

var cookieName = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$")

const longest = 30 * 24 * time.Hour

// settle derives what depends on other options and reports every mistake.
func (c *config) settle(rdb redis.UniversalClient) error {
	if !c.named {
		c.cookie.Name = "__Host-session"
		if c.insecure {
			c.cookie.Name = "session"
		}
	}
	c.cookie.Secure = !c.insecure
	if c.prefix == "" {
		c.prefix = "session:v1:" + c.cookie.Name + ":"
	}
	var errs []error
	check := func(ok bool, option, reason string, args ...any) {
		if !ok {
			errs = append(errs, &OptionError{Option: option, Reason: fmt.Sprintf(reason, args...)})
		}
	}
	c.checkCookie(check)
	check(!strings.ContainsAny(c.prefix, `*?[]\{}`), "WithKeyPrefix", "contains a glob character or a brace")
	check(!strings.ContainsFunc(c.prefix, unicode.IsControl), "WithKeyPrefix", "contains a control character")
	check(c.lifetime >= time.Millisecond && (c.lifetime <= longest || c.long), "WithLifetime", "%v is not within 1ms and 30 days", c.lifetime)
	check(c.idle >= time.Millisecond && c.idle <= c.lifetime, "WithIdle", "%v is not within 1ms and the lifetime", c.idle)
	check(c.loadTimeout > 0 && c.saveTimeout > 0, "WithTimeouts", "are not above 0")
	check(c.maxSize > 0, "WithMaxSize", "%d is not above 0", c.maxSize)
	check(!c.legacy || c.legacyPrefix != "", "WithScsSessions", "the prefix is empty")
	check(c.legacyPrefix == "" || !strings.HasPrefix(c.prefix, c.legacyPrefix) && !strings.HasPrefix(c.legacyPrefix, c.prefix), "WithScsSessions", "the prefix and that of this package's sessions contain one another: a hash could pass for a token")
	check(c.maxSessions >= 0, "WithMaxSessions", "%d is below 0", c.maxSessions)
	check(!c.sealing || len(c.sealKeys) > 0, "WithEncryption", "has no key: nothing would be encrypted")
	for i, key := range c.sealKeys {
		check(len(key) == sealKeySize, "WithEncryption", "key %d has %d bytes, not %d", i+1, len(key), sealKeySize)
		check(!slices.ContainsFunc(c.sealKeys[:i], func(k []byte) bool { return bytes.Equal(k, key) }), "WithEncryption", "key %d is there twice", i+1)
	}
	check(!c.readPlain || len(c.sealKeys) > 0, "WithReadPlaintext", "means nothing without WithEncryption")
	check(!c.waits || c.waitReplicas > 0 && c.waitTimeout >= time.Millisecond, "WithWaitReplicas", "needs a replica and a millisecond at least")
	check(!c.merging || c.mergeKey != nil, "WithMerge", "is nil")
	check(!bounded.IsNil(c.codec), "WithCodec", "is nil")
	check(c.logger != nil, "WithLogger", "is nil")
	check(!readsReplicas(rdb), "rdb", "reads from replicas: a session would be missing right after login")
	return errors.Join(errs...)
}

// checkCookie reports what browsers refuse (RFC 6265bis, 4.1.3 and 5.7), which
// would leave every visitor without a session, and without a word.
func (c *config) checkCookie(check func(ok bool, option, reason string, args ...any)) {
	name := strings.ToLower(c.cookie.Name)
	host := strings.HasPrefix(name, "__host-")
	secure := host || strings.HasPrefix(name, "__secure-") || strings.HasPrefix(name, "__http-")
	domain, path := refusedDomain(c.cookie.Domain), refusedPath(c.cookie.Path)
	check(cookieName.MatchString(c.cookie.Name), "WithCookieName", "is not a cookie name (RFC 6265)")
	check(!host || c.cookie.Domain == "", "WithCookieDomain", "a __Host- cookie has no domain")
	check(domain == "", "WithCookieDomain", "%q %s", c.cookie.Domain, domain)
	check(!host || c.cookie.Path == "/", "WithCookiePath", "a __Host- cookie has the path /")
	check(path == "", "WithCookiePath", "%q %s", c.cookie.Path, path)
	check(!c.insecure || !secure, "WithInsecureCookie", "a __Host-, __Secure- or __Http- cookie is secure; give it another name")
	check(validSameSite(c.cookie.SameSite), "WithSameSite", "%d is none of Lax, Strict, None and Default", c.cookie.SameSite)
	check(!c.insecure || c.cookie.SameSite != http.SameSiteNoneMode, "WithSameSite", "None needs a secure cookie")
	check(!c.cookie.Partitioned || !c.insecure && c.cookie.SameSite == http.SameSiteNoneMode, "WithPartitioned", "needs a secure cookie with SameSite None")
}

func readsReplicas(rdb redis.UniversalClient) bool {
	cluster, ok := bounded.Unwrap(rdb).(*redis.ClusterClient)
	if !ok || cluster == nil {
		return false
	}
	o := cluster.Options()
	return o.ReadOnly || o.RouteByLatency || o.RouteRandomly
}
