package session

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/redishttp/redishttp/internal/setting"
)

// An Option changes a default of [New].
type Option interface{ apply(*config) }

type optionFunc func(*config)

func (f optionFunc) apply(c *config) { f(c) }

// OptionError is one mistake in the arguments of [New]. Its fields Option and
// Reason say where and what; it never holds a secret. It is the same type in
// all packages of this module; find it with [errors.As].
type OptionError = setting.Error

// FailureMode is what happens to a request whose session cannot be loaded while
// Redis is unavailable. Saving is not concerned: a change that cannot be saved
// gets 503 in each mode. It is set with [WithFailureMode].
type FailureMode int

const (
	// FailClosed rejects the request with 503 and Retry-After. It is the
	// default. The client keeps its cookie, and its session once Redis is back.
	FailClosed FailureMode = iota
	// FailAnonymous serves the request with an empty session that cannot be
	// changed: a request that changes it gets 503. The client keeps its cookie,
	// and the response is no-store.
	FailAnonymous
)

// WithKeyPrefix sets the first part of every Redis key: <prefix>:v1:<name>:<hash>.
// It must not contain glob characters, braces or control characters. The default
// is "session"; "" is an error. Use it to keep applications apart that share a
// Redis, or to match the key patterns of its ACL.
func WithKeyPrefix(prefix string) Option {
	return optionFunc(func(c *config) { c.keyPrefix = prefix })
}

// WithName sets the name of the Manager, the part of its keys behind the prefix:
// Managers of one prefix and name share their sessions. It matches
// [A-Za-z0-9._-]{1,64}. The default, also for "", is the name of the cookie. Set it
// before renaming the cookie, or to share sessions between cookies of different
// names.
func WithName(name string) Option { return optionFunc(func(c *config) { c.name = name }) }

// WithLifetime sets the absolute timeout of a session, counted from its
// creation, login or rotation, however much it is used. The default is 12h, the
// maximum 400 days, for which browsers keep a cookie (RFC 6265bis, section
// 5.5); less than a millisecond is an error. Use a short one where a stolen
// cookie must soon be worthless; for a single session use
// [Manager.SetDeadline].
func WithLifetime(d time.Duration) Option { return optionFunc(func(c *config) { c.lifetime = d }) }

// WithIdleTimeout sets the idle timeout: a session that is not used for that
// long ends, by Redis' clock. Using it renews it in steps of a tenth, at least
// a second, so that most reads write nothing. It does not apply to sessions
// with [Manager.RememberMe]. The default is 30m; less than a millisecond, or
// more than the lifetime, is an error. Use a short one where devices are
// shared.
func WithIdleTimeout(d time.Duration) Option { return optionFunc(func(c *config) { c.idle = d }) }

// WithTimeouts sets the deadline of each read of a session, and of each write
// or deletion. The defaults are 250ms and 1s; both must be above 0. Raise them
// where Redis is far away, lower them where a request must fail fast. The first
// ends with the request's context as well. The second does not: a client that
// disconnects does not abort a save.
func WithTimeouts(read, write time.Duration) Option {
	return optionFunc(func(c *config) { c.loadTimeout, c.saveTimeout = read, write })
}

// WithPrefetch sets whether a session is read in the round trip of a limiter
// directly around it, or together with a response cache directly inside, before it
// is known whether the request uses it: as it was when the request came in, so that
// a logout that ended before is always seen. Only requests with a cookie that can be
// a token are concerned, and no kind of requests (method, first segment of the path,
// file name extension) that has left four in a row unused, until one of them uses
// its session. The default is true. Turn it off to see each round trip by itself
// in a trace.
func WithPrefetch(on bool) Option { return optionFunc(func(c *config) { c.prefetch = on }) }

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

// WithCodec sets how sessions are encoded. The default is a compact codec of
// this package, which writes equal sessions as equal bytes and also reads what
// scs' gob codec has written; it writes types that it does not know with gob.
// nil is an error. Use scs.GobCodec while instances that run scs share the
// sessions. A new codec must read what is stored, or all sessions end with
// [ErrCorrupt].
func WithCodec(codec scs.Codec) Option {
	return optionFunc(func(c *config) { c.codec = checkedCodec{codec} })
}

// WithHooks sets functions that are called when something happens to a session,
// for metrics, audit logs and tests. The default is none; the last WithHooks
// replaces those before.
func WithHooks(h Hooks) Option { return optionFunc(func(c *config) { c.hooks = h }) }

// WithLogger sets the logger for outages and failures, each kind at most once
// in ten seconds. An outage of a node is one warning when it begins and one
// line when it ends. No line has a token, a key or a value. The default
// discards; nil is an error.
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

// WithMaxSessions limits the sessions of a user: a [Manager.Login] beyond n
// ends the ones whose deadline is nearest, by default the oldest logins. The
// default is 0, no limit; a negative n is an error. Use 1 to allow one device
// at a time. Sessions without Login do not count.
func WithMaxSessions(n int) Option { return optionFunc(func(c *config) { c.maxSessions = n }) }

// WithMerge sets how the value of a key is merged that two requests have
// changed concurrently: base is what both have read, mine the value of this
// request and theirs the one that the other has saved; nil means that the key
// is absent, or removes it. The default is mine, the later one. Use it for
// counters (add) and sets (unite). merge must not change its arguments; it is
// called for each conflict, on goroutines of requests, and concurrently.
func WithMerge(merge func(key string, base, mine, theirs any) any) Option {
	return optionFunc(func(c *config) { c.mergeKey, c.merging = merge, true })
}

// WithWaitReplicas has Destroy, Revoke, RevokeOthers and RevokeAll wait until n
// replicas of each master concerned have it, for at most timeout, and return
// [ErrUnconfirmed] otherwise: replication is asynchronous, so a failover right
// after a logout can bring the session back. The default is not to wait; n
// below 1 or a timeout below a millisecond is an error. Use it where a logout
// must be final, such as after a theft. It costs these calls a round trip and
// the wait, and other requests nothing.
func WithWaitReplicas(n int, timeout time.Duration) Option {
	return optionFunc(func(c *config) { c.waitReplicas, c.waitTimeout, c.waits = n, timeout, true })
}
